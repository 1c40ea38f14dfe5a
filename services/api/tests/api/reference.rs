//! docs/API.md names every route and every type of problem that there is, and no other.

use std::collections::BTreeSet;

use tocsin_api::routes::{Door, table};

const REFERENCE: &str = include_str!("../../../../docs/API.md");
const PROBLEMS: &str = include_str!("../../src/problem.rs");

/// What stands in quotes at the beginning of `text`.
fn quoted(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split('"').next()
}

/// `GET /v1/campaigns` and so on, of the table that the router is built of.
fn routes() -> BTreeSet<String> {
    let rest = table().into_iter().filter(|(.., door)| *door == Door::Key);
    rest.map(|(method, path, ..)| format!("{method} {path}")).collect()
}

#[test]
fn every_route_is_in_the_reference_and_no_other() {
    let headings = REFERENCE.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let documented: BTreeSet<String> = headings.map(str::to_owned).collect();
    assert!(documented.len() > 15, "routes are not headings any more: {documented:?}");
    assert_eq!(documented, routes());
}

#[test]
fn every_type_of_problem_is_in_the_reference_with_its_status_and_no_other() {
    let (_, table) = REFERENCE.split_once("| type | status |").unwrap();
    let documented: BTreeSet<(&str, u16)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap().parse().unwrap()))
        .collect();
    let kinds: BTreeSet<(&str, u16)> = PROBLEMS
        .split("(StatusCode::")
        .filter_map(|fact| fact.split_once(", "))
        .filter_map(|(status, rest)| Some((quoted(rest)?, code(status)?)))
        .collect();
    assert!(kinds.len() > 15, "kinds are not written as they were: {kinds:?}");
    assert_eq!(documented, kinds);
}

fn code(name: &str) -> Option<u16> {
    (400..600).find(|code| {
        let reason = reqwest::StatusCode::from_u16(*code).ok().and_then(|status| status.canonical_reason());
        reason.is_some_and(|reason| reason.to_uppercase().replace(' ', "_") == name)
    })
}
