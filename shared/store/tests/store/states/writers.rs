//! The statements that write what has states: those whose transitions are observed, and those that leave states alone.

use std::collections::BTreeSet;
use std::path::Path;

/// Statements whose transitions the tests beside this one observe or enumerate.
const MOVING: [(&str, &str); 26] = [
    ("attempts", "apply"),
    ("attempts", "claim"),
    ("attempts", "doubt_jobs"),
    ("attempts", "take"),
    ("campaigns", "cancel"),
    ("campaigns", "close_campaigns"),
    ("campaigns", "create_campaign"),
    ("campaigns", "expansions_due"),
    ("campaigns", "fail_expansion"),
    ("campaigns", "finish_cancels"),
    ("campaigns", "release"),
    ("consents", "moving"),
    ("jobs", "apply"),
    ("jobs", "claim"),
    ("jobs", "doubt_jobs"),
    ("jobs", "expand"),
    ("jobs", "expand_receipt"),
    ("jobs", "give_back"),
    ("jobs", "hold"),
    ("jobs", "leave_tried"),
    ("jobs", "release"),
    ("jobs", "sweep"),
    ("leases", "begin_alone"),
    ("leases", "drop_leases"),
    ("leases", "renew_leases"),
    // By the statement of `give_back`, after reading which.
    ("jobs", "requeue_overdue"),
];

/// Statements that write beside the state.
const BESIDE: [(&str, &str); 14] = [
    ("attempts", "order_look_ups"),
    ("attempts", "order_recalls"),
    ("attempts", "recall_failed"),
    ("campaigns", "audit_campaign"),
    ("campaigns", "edit_campaign"),
    ("campaigns", "expand"),
    ("campaigns", "expand_receipt"),
    ("campaigns", "mark_decided"),
    ("campaigns", "mark_swept"),
    ("campaigns", "mark_undecided"),
    ("campaigns", "recur"),
    ("campaigns", "refresh"),
    ("campaigns", "take_refreshes"),
    ("consents", "remind_pending"),
];

/// The names of statements that write `table`, in the store's sources: a statement begins with its name.
fn writers_of(table: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let devices = std::fs::read_to_string(sources.join("expand/devices.rs")).unwrap();
    for path in rust_files(&sources) {
        let source = std::fs::read_to_string(path).unwrap();
        // Of the statements of consent only the part that they share has a verb.
        let source = source.replace("\"-- store.\",\n            $name", "-- store.moving\n");
        let source = source.replace("\"-- store.\",\n            $statement", "-- store.expand\n");
        // What expanding statements share stands in a file of its own.
        let source = source.replace("made_devices!()", &devices);
        for statement in source.split("-- store.").skip(1) {
            let name = statement.split(['\n', ' ', '"']).next().unwrap();
            let writes = ["update", "insert into", "delete from"].iter().any(|verb| {
                let written = format!("{verb} {table}");
                statement.match_indices(&written).any(|(at, _)| {
                    let next = statement[at + written.len()..].chars().next();
                    next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
                })
            });
            if writes {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

fn rust_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_statement_writes_states_that_is_not_among_those_that_are_observed() {
    for table in ["campaigns", "jobs", "attempts", "consents", "leases"] {
        let known: BTreeSet<String> = MOVING
            .iter()
            .chain(&BESIDE)
            .filter(|(written, name)| *written == table && *name != "requeue_overdue")
            .map(|(_, name)| (*name).to_owned())
            .collect();
        assert_eq!(writers_of(table), known, "{table}");
    }
}
