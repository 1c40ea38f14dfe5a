//! Finding an attempt in Mailgun's event log by its token (wire B.1).

use chrono::TimeDelta;
use serde::Deserialize;

use super::account::MailgunAccount;
use super::event::Event;
use crate::http::Body;
use crate::{CallbackReport, LookUpAnswer, LookUpQuery, token_of_url};

/// Our clock and Mailgun's may differ.
const BEGIN_BEFORE: TimeDelta = TimeDelta::minutes(1);
/// The log keeps days; an attempt's events end with its last retry.
const END_AFTER: TimeDelta = TimeDelta::hours(24);
const LIMIT: &str = "300";

#[derive(Deserialize)]
struct Log {
    items: Vec<Event>,
}

/// User variables are no filter of the log, the recipient is: the rows are matched here.
pub(super) async fn look_up(account: &MailgunAccount, query: &LookUpQuery) -> LookUpAnswer {
    let begin = (query.asked_at - BEGIN_BEFORE).timestamp().to_string();
    let end = (query.asked_at + END_AFTER).timestamp().to_string();
    let filter = [
        ("begin", begin.as_str()),
        ("end", end.as_str()),
        ("ascending", "yes"),
        ("limit", LIMIT),
        ("recipient", query.to.as_str()),
    ];
    let reply = match account.get_events(&filter, query.deadline).await {
        Ok(reply) => reply,
        Err(no_reply) => return LookUpAnswer::Unknown(no_reply.into_why()),
    };
    if !reply.status.is_success() {
        return LookUpAnswer::Unknown(format!("HTTP {}", reply.status.as_u16()));
    }
    let log = match &reply.body {
        Body::Whole(bytes) => serde_json::from_slice::<Log>(bytes),
        Body::Broken => return LookUpAnswer::Unknown("the answer broke off".to_owned()),
    };
    let Ok(log) = log else {
        return LookUpAnswer::Unknown("an answer that is not Mailgun's".to_owned());
    };
    let token = token_of_url(&query.callback_url);
    let reports: Vec<CallbackReport> = log
        .items
        .iter()
        .filter(|event| event.token() == Some(token))
        .filter_map(Event::report)
        .map(|report| CallbackReport { attempt: Some(query.attempt), ..report })
        .collect();
    if reports.is_empty() { LookUpAnswer::NotFound } else { LookUpAnswer::Found(reports) }
}
