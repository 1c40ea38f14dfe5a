//! `tocsin sample-district`: a plausible roster to try things with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use indicatif::HumanCount;
use serde_json::{Map, Value, json};
use tocsin_roster::OneRosterVersion;
use tocsin_roster::sample::{Fault, SampleOptions, SampleReport, generate, is_archive, is_sample};

use crate::exit::{Exit, Failure};
use crate::terminal::{print, print_json, say};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Students; guardians and staff come on top, about 1.1 people a student.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    students: u32,
    /// The same seed makes the same files, byte by byte, on every machine.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Where to write: a folder, which is made, or a name that ends in .zip.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write even where there is something else, over files of the same names.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    if !args.force {
        check_place(&args.out)?;
    }
    let (out, students, seed) = (args.out.clone(), args.students as usize, args.seed);
    let making = tokio::task::spawn_blocking(move || {
        generate(&SampleOptions { students, seed, version: OneRosterVersion::V1_2, out: &out })
    });
    let report = making.await?.with_context(|| {
        format!(
            "--out: cannot write {}: choose another place, or make room there; what is there is incomplete",
            args.out.display()
        )
    })?;
    if args.json {
        print_json(&as_json(&args, &report))?;
    } else {
        print(summary(&args.out, &report))?;
        say(format_args!("import it with `tocsin import oneroster {} --district NAME`", args.out.display()));
    }
    Ok(Exit::Done.into())
}

/// Refuses a place that holds anything but an earlier sample.
fn check_place(out: &Path) -> Result<()> {
    let unreadable = || format!("--out: cannot look into {}", out.display());
    let metadata = match fs::metadata(out) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(unreadable),
    };
    let remedy = "name another place, or write over it with --force";
    let what = match (metadata.is_dir(), is_archive(out)) {
        (false, true) => format!("--out: there is a file {} already: {remedy}", out.display()),
        (false, false) | (true, true) => format!(
            "--out: {} cannot be written as named: give the name of a folder, or of an archive that ends in .zip",
            out.display()
        ),
        (true, false) => {
            let empty = fs::read_dir(out).with_context(unreadable)?.next().is_none();
            if empty || is_sample(out).with_context(unreadable)? {
                return Ok(());
            }
            format!("--out: the folder {} holds something else than a sample: {remedy}", out.display())
        }
    };
    Err(Failure::refused(what).into())
}

fn summary(out: &Path, report: &SampleReport) -> String {
    let count = |number: usize| HumanCount(number as u64).to_string();
    let mut text = format!("wrote a OneRoster 1.2 delivery to {}\n", out.display());
    for (file, rows) in &report.files {
        text.push_str(&format!("  {file:<14}{:>12} rows\n", HumanCount(*rows).to_string()));
    }
    text.push_str("importing it gives\n");
    let totals = [
        ("organisations", report.schools),
        ("people", report.people),
        ("students", report.students),
        ("contacts", report.contacts),
        ("voice", report.voice),
        ("text", report.sms),
        ("email", report.email),
        ("inbox", report.inbox),
        ("no device", report.without_device),
    ];
    for (name, number) in totals {
        text.push_str(&format!("  {name:<14}{:>12}\n", count(number)));
    }
    text.push_str(&format!(
        "with {} errors and {} warnings, for the rows that are broken on purpose\n",
        count(report.errors),
        count(report.warnings)
    ));
    for (fault, number) in &report.faults {
        text.push_str(&format!("  {:<30}{:>6}\n", fault.as_str(), count(*number)));
    }
    text
}

fn as_json(args: &Args, report: &SampleReport) -> Value {
    let files: Map<String, Value> =
        report.files.iter().map(|(file, rows)| ((*file).to_owned(), json!(rows))).collect();
    let fault = |(fault, rows): &(Fault, usize)| {
        let (file, column, kind) = fault.reported_at();
        json!({ "fault": fault.as_str(), "rows": rows, "file": file, "column": column, "kind": kind })
    };
    json!({
        "out": args.out,
        "seed": args.seed,
        "rows": files,
        "schools": report.schools,
        "people": report.people,
        "students": report.students,
        "contacts": report.contacts,
        "devices": {
            "voice": report.voice, "sms": report.sms, "email": report.email, "inbox": report.inbox,
        },
        "without_device": report.without_device,
        "errors": report.errors,
        "warnings": report.warnings,
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_with_something_else_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("district");
        assert!(check_place(&place).is_ok(), "not there yet");
        let version = OneRosterVersion::V1_2;
        generate(&SampleOptions { students: 1, seed: 1, version, out: &place }).unwrap();
        assert!(check_place(&place).is_ok(), "a sample may be written again");

        fs::write(place.join("notes.txt"), "mine").unwrap();
        let file = folder.path().join("file.zip");
        fs::write(&file, "mine").unwrap();
        for (place, word) in [
            (place, "something else than a sample"),
            (file, "already"),
            (folder.path().join("district/notes.txt"), "cannot be written as named"),
        ] {
            let error = check_place(&place).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Refused);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
