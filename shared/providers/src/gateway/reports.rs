//! The reports in a document of the gateway's: of a callback, or of a look-up.

use serde_json::Value;
use tocsin_domain::Outcome;

use super::profile::{Profile, ReportPointers, Reports};
use crate::{CallbackReport, ParseError};

/// Every report, and none where a list is empty. An entry of a list that tells no status is a report of which nobody
/// knows what it says.
pub(super) fn parse(
    profile: &Profile,
    reports: &Reports,
    document: &Value,
) -> Result<Vec<CallbackReport>, ParseError> {
    let entries = entries(reports, document)?;
    let read: Vec<CallbackReport> =
        entries.iter().map(|entry| report(profile, &reports.report, entry)).collect();
    if !read.is_empty() && read.iter().all(|report| report.provider_code.is_none()) {
        return Err(ParseError::Missing("status"));
    }
    Ok(read)
}

/// The attempt's token of each report, in the order of [`parse`].
pub(super) fn tokens(reports: &Reports, document: &Value) -> Vec<Option<String>> {
    let Some(token) = &reports.report.token else { return Vec::new() };
    let entries = entries(reports, document).unwrap_or_default();
    entries.iter().map(|entry| token.text(entry).map(|token| token.into_owned())).collect()
}

fn entries<'a>(reports: &Reports, document: &'a Value) -> Result<&'a [Value], ParseError> {
    match &reports.list {
        None => Ok(std::slice::from_ref(document)),
        Some(list) => match list.find(document) {
            None => Err(ParseError::Missing("list of reports")),
            Some(Value::Array(entries)) => Ok(entries),
            Some(_) => Err(ParseError::Malformed("list of reports")),
        },
    }
}

fn report(profile: &Profile, at: &ReportPointers, entry: &Value) -> CallbackReport {
    let text = |pointer: &Option<_>| -> Option<String> {
        let pointer: &super::document::Pointer = pointer.as_ref()?;
        pointer.text(entry).map(|text| text.into_owned())
    };
    let code = text(&at.code);
    let status = at.status.text(entry).map(|status| status.into_owned());
    let by_code = code.as_ref().and_then(|code| profile.outcome(code));
    let by_status = || status.as_ref().and_then(|status| profile.outcome(status));
    let outcome = by_code.or_else(by_status).unwrap_or(Outcome::Unknown);
    // The word that decided, verbatim; where none is known, the status (decision D8).
    let provider_code = if by_code.is_some() { code } else { status.or(code) };
    CallbackReport {
        attempt: None,
        provider_id: text(&at.id),
        outcome,
        provider_code,
        at: at.at.as_ref().and_then(|(at, format)| format.read(&at.text(entry)?)),
        sequence: text(&at.sequence).and_then(|text| text.parse().ok()),
        event_id: text(&at.event_id),
    }
}
