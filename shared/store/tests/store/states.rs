//! docs/STATES.md lists every transition there is, and none that there is not.
//!
//! What the statements do is observed: each is run on rows in each state. What [`tocsin_domain::settlement::settle`]
//! decides is enumerated: every report on everything that reports can make of an attempt. And no statement writes these
//! tables that is not among those.

mod campaigns;
mod consents;
mod document;
mod jobs;
mod leases;
mod settling;
mod writers;

use std::collections::BTreeSet;

use document::Section;

/// From a state to a state, by a statement or a report. The beginning and the end are `[*]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transition {
    pub from: String,
    pub to: String,
    pub by: String,
}

pub type Transitions = BTreeSet<Transition>;

pub const NONE: &str = "[*]";

pub fn transition(from: &str, to: &str, by: &str) -> Transition {
    Transition { from: from.to_owned(), to: to.to_owned(), by: by.to_owned() }
}

/// The diagram and the table of `heading` list exactly `found`.
#[track_caller]
pub fn assert_documented(heading: &str, found: &Transitions) {
    let section = Section::read(heading);
    assert_listed(heading, "diagram", &section.diagram(), found);
    if let Some(table) = section.table() {
        assert_listed(heading, "table", &table, found);
    }
}

#[track_caller]
fn assert_listed(heading: &str, place: &str, listed: &Transitions, found: &Transitions) {
    let missing: Vec<_> = found.difference(listed).collect();
    let unfounded: Vec<_> = listed.difference(found).collect();
    assert!(
        missing.is_empty() && unfounded.is_empty(),
        "docs/STATES.md, {heading}, {place}: it lacks {missing:#?} and lists {unfounded:#?}, which does not happen"
    );
}
