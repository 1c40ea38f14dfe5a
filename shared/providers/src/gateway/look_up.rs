//! Asking the gateway what became of an attempt.

use reqwest::StatusCode;
use tocsin_domain::AttemptKey;

use super::answer::document;
use super::profile::{LookUp, Profile};
use super::reports;
use super::request::Endpoint;
use super::template::Field;
use crate::http::{Body, Within};
use crate::{CallbackReport, LookUpAnswer, LookUpQuery, token_of_url};

pub(super) async fn look_up(
    endpoint: &Endpoint,
    profile: &Profile,
    described: &LookUp,
    query: &LookUpQuery,
) -> LookUpAnswer {
    if query.provider_id.is_none() && described.request.names(Field::Id) {
        return LookUpAnswer::Unknown("it is known by an id that its answer did not tell".to_owned());
    }
    let request = match endpoint.request(&described.request, &endpoint.of_look_up(query)) {
        Ok(request) => request,
        Err(unfit) => return LookUpAnswer::Unknown(unfit.why().to_owned()),
    };
    let reply = match endpoint.exchange(request, Within::deadline(query.deadline)).await {
        Ok(reply) => reply,
        Err(no_reply) => return LookUpAnswer::Unknown(no_reply.into_why()),
    };
    match (reply.status, &reply.body) {
        (StatusCode::NOT_FOUND, _) => return LookUpAnswer::NotFound,
        (status, _) if !status.is_success() => {
            return LookUpAnswer::Unknown(format!("HTTP {}", status.as_u16()));
        }
        (_, Body::Broken) => return LookUpAnswer::Unknown("the answer broke off".to_owned()),
        (_, Body::Whole(_)) => {}
    }
    let said = document(&reply).and_then(|document| {
        let said = reports::parse(profile, &described.reports, &document).ok()?;
        Some((said, reports::tokens(&described.reports, &document)))
    });
    let Some((said, tokens)) = said else {
        return LookUpAnswer::Unknown("an answer that is not the gateway's".to_owned());
    };
    let tokens = tokens.into_iter().chain(std::iter::repeat(None));
    let about_it = |(report, token): (CallbackReport, Option<String>)| {
        let alone = described.reports.list.is_none();
        is_about(query, alone, &report, token.as_deref()).then_some(of(report, query.attempt))
    };
    let found: Vec<CallbackReport> = said.into_iter().zip(tokens).filter_map(about_it).collect();
    if found.is_empty() { LookUpAnswer::NotFound } else { LookUpAnswer::Found(found) }
}

/// By its token, else by its id; the one report of an answer also where it tells neither.
fn is_about(query: &LookUpQuery, alone: bool, report: &CallbackReport, token: Option<&str>) -> bool {
    match (token, &report.provider_id, &query.provider_id) {
        (Some(token), ..) => token == token_of_url(&query.callback_url),
        (None, Some(theirs), Some(ours)) => theirs == ours,
        (None, ..) => alone,
    }
}

fn of(report: CallbackReport, attempt: AttemptKey) -> CallbackReport {
    CallbackReport { attempt: Some(attempt), ..report }
}
