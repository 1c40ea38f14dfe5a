//! Asking the gateway to stop what it has accepted.

use std::borrow::Cow;
use std::time::Duration;

use tocsin_domain::Outcome;

use super::answer::document;
use super::profile::{Profile, Recall};
use super::request::Endpoint;
use super::template::Field;
use crate::RecallAnswer;
use crate::http::Within;

const RECALL_DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn recall(
    endpoint: &Endpoint,
    profile: &Profile,
    described: &Recall,
    provider_id: &str,
) -> RecallAnswer {
    let values = |field| (field == Field::Id).then_some(Cow::Borrowed(provider_id));
    let request = match endpoint.request(&described.request, &values) {
        Ok(request) => request,
        Err(unfit) => return RecallAnswer::Unknown(unfit.why().to_owned()),
    };
    let reply = match endpoint.exchange(request, Within::deadline(RECALL_DEADLINE)).await {
        Ok(reply) => reply,
        Err(no_reply) => return RecallAnswer::Unknown(no_reply.into_why()),
    };
    match reply.status.as_u16() {
        200..=299 => {}
        404 | 409 | 410 => return RecallAnswer::TooLate,
        status => return RecallAnswer::Unknown(format!("HTTP {status}")),
    }
    let Some(status) = &described.status else { return RecallAnswer::Stopped };
    let word = document(&reply).and_then(|document| status.text(&document).map(Cow::into_owned));
    match word.and_then(|word| profile.outcome(&word)) {
        Some(Outcome::Canceled) => RecallAnswer::Stopped,
        Some(outcome) if outcome.terminal() => RecallAnswer::TooLate,
        // Taken, and not carried out yet: the final report will tell.
        Some(_) | None => RecallAnswer::Unknown("its state after the recall is not known".to_owned()),
    }
}
