//! The profile `call-codes` against the list of status codes and words in the documentation.

use std::collections::BTreeSet;

use tocsin_domain::AttemptResult;
use tocsin_domain::Outcome;
use tocsin_domain::outcome::vocabulary::{Vocabulary, lookup};

use super::*;
use crate::Provider as _;

const LIST: &str = include_str!("../../../../../docs/STATUS_CODES.md");

struct Listed {
    requirement: u8,
    code: String,
    outcome: String,
    result: String,
    contacted: bool,
}

fn listed() -> Vec<Listed> {
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = LIST.lines().filter(|line| line.starts_with("| ")).map(cells);
    rows.filter_map(|cells| {
        let [requirement, code, _, outcome, result, contacted] = cells.try_into().ok()?;
        let bare = |cell: String| cell.trim_matches('`').to_owned();
        Some(Listed {
            requirement: requirement.parse().ok()?,
            code: bare(code),
            outcome: bare(outcome),
            result,
            contacted: contacted == "yes",
        })
    })
    .collect()
}

fn result_in_words(result: AttemptResult) -> &'static str {
    match result {
        AttemptResult::Open => "open",
        AttemptResult::Successful => "successful",
        AttemptResult::Error => "error",
        AttemptResult::Canceled => "canceled",
        AttemptResult::NotDispatched => "not dispatched",
    }
}

#[test]
fn every_code_and_word_of_the_list_comes_to_its_outcome_on_both_axes() {
    let gateway = Gateway::new(&account(), AccountClient::new(1).unwrap()).unwrap();
    for Listed { code, outcome, result, contacted, .. } in listed() {
        // A code comes as a number or as a text.
        let spellings = match code.parse::<i64>() {
            Ok(number) => vec![number.to_string(), format!("\"{code}\"")],
            Err(_) => vec![format!("\"{code}\""), format!("\" {} \"", code.to_uppercase())],
        };
        for spelling in spellings {
            let raw = posted("https://bell.example/", &[], &format!("{{\"status\":{spelling}}}"));
            let report = gateway.parse(&raw).unwrap().remove(0);
            let said =
                (report.outcome.code(), result_in_words(report.outcome.result()), report.outcome.contacted());
            assert_eq!(said, (outcome.as_str(), result.as_str(), contacted), "{spelling}");
            let kept = report.provider_code.unwrap();
            assert!(kept.eq_ignore_ascii_case(&code), "{spelling}: {kept}");
        }
    }
}

#[test]
fn the_list_is_all_that_the_pages_have_and_the_profile_no_more() {
    let listed = listed();
    let requirements: BTreeSet<u8> = listed.iter().map(|listed| listed.requirement).collect();
    assert_eq!(requirements, (77..=144).collect(), "every requirement has its row");
    let numbers = listed.iter().filter(|listed| listed.code.parse::<i64>().is_ok()).count();
    assert_eq!(numbers, 51);
    for Listed { code, outcome, .. } in &listed {
        let vocabularies = [Vocabulary::CallCode, Vocabulary::Delivery, Vocabulary::Summary];
        let known = vocabularies.into_iter().find_map(|vocabulary| lookup(vocabulary, code));
        assert_eq!(known.map(Outcome::code), Some(outcome.as_str()), "{code}");
    }
    let gateway = Gateway::new(&account(), AccountClient::new(1).unwrap()).unwrap();
    assert_eq!(gateway.profile.statuses.len(), listed.len());
}

#[test]
fn codes_that_do_not_exist_are_kept_and_shown_as_not_stated() {
    let gateway = Gateway::new(&account(), AccountClient::new(1).unwrap()).unwrap();
    for code in ["11", "12", "15", "-6", "-8", "-16", "-17", "18", "-41", "Busyish"] {
        let raw = posted("https://bell.example/", &[], &format!("{{\"status\":\"{code}\"}}"));
        let report = gateway.parse(&raw).unwrap().remove(0);
        assert_eq!((report.outcome.label(), report.provider_code.as_deref()), ("N/S", Some(code)));
    }
}
