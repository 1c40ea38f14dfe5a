//! Finding an attempt at Twilio: by its id, or in the list of what went to its number (wire A.1).

use chrono::TimeDelta;
use reqwest::StatusCode;
use tocsin_domain::sender::is_messaging_service;

use super::account::{Collection, TwilioAccount};
use super::resource::{Page, Resource};
use crate::http::{Body, Reply};
use crate::{CallbackReport, LookUpAnswer, LookUpQuery};

const PAGE_SIZE: &str = "100";
/// Our clock and Twilio's may differ, and its dates have whole seconds.
const CREATED_BEFORE: TimeDelta = TimeDelta::seconds(5);
/// A request may wait on its way for as long as the slowest is allowed to take.
const CREATED_AFTER: TimeDelta = TimeDelta::seconds(30);

/// `report` turns a resource into what it says about the attempt.
pub(super) async fn look_up(
    account: &TwilioAccount,
    query: &LookUpQuery,
    report: fn(&Resource) -> CallbackReport,
) -> LookUpAnswer {
    let found = match &query.provider_id {
        Some(sid) => by_id(account, sid, query).await,
        None => by_number(account, query).await,
    };
    match found {
        Ok(Some(resource)) => {
            LookUpAnswer::Found(vec![CallbackReport { attempt: Some(query.attempt), ..report(&resource) }])
        }
        Ok(None) => LookUpAnswer::NotFound,
        Err(why) => LookUpAnswer::Unknown(why),
    }
}

async fn by_id(account: &TwilioAccount, sid: &str, query: &LookUpQuery) -> Result<Option<Resource>, String> {
    let reply = account.fetch(sid, query.deadline).await.map_err(|no_reply| no_reply.into_why())?;
    if reply.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    whole(&reply)?;
    serde_json::from_slice(reply.bytes()).map(Some).map_err(|_| "an answer that is not Twilio's".to_owned())
}

/// No date filter: what is still queued has no send or start date yet and would be missed.
async fn by_number(account: &TwilioAccount, query: &LookUpQuery) -> Result<Option<Resource>, String> {
    let sender = query.from.as_deref().unwrap_or(&account.sender);
    let mut filter = vec![("To", query.to.as_str()), ("PageSize", PAGE_SIZE)];
    // Which of its numbers a messaging service chose is not known.
    if !is_messaging_service(sender) {
        filter.push(("From", sender));
    }
    let reply = account.list(&filter, query.deadline).await.map_err(|no_reply| no_reply.into_why())?;
    whole(&reply)?;
    let page: Page =
        serde_json::from_slice(reply.bytes()).map_err(|_| "an answer that is not Twilio's".to_owned())?;
    let rows = match account.collection {
        Collection::Calls => page.calls,
        Collection::Messages => page.messages,
    };
    let mut candidates = rows.into_iter().filter(|row| may_be(row, query));
    match (candidates.next(), candidates.next()) {
        (None, _) => Ok(None),
        (Some(_), None) if query.rival_without_id => Err("it may be another attempt's".to_owned()),
        (Some(only), None) => Ok(Some(only)),
        // Another campaign's, perhaps: claiming either could call the other one delivered.
        (Some(_), Some(_)) => Err("several candidates".to_owned()),
    }
}

fn may_be(row: &Resource, query: &LookUpQuery) -> bool {
    let in_time = row.date_created.is_none_or(|created| {
        created >= query.asked_at - CREATED_BEFORE && created <= query.asked_at + CREATED_AFTER
    });
    let same_number = row.to.as_ref().is_none_or(|to| *to == query.to);
    let same_text = match (&row.body, &query.body) {
        (Some(theirs), Some(ours)) => theirs == ours,
        (None, _) | (_, None) => true,
    };
    let another = row.sid.as_ref().is_some_and(|sid| query.others.contains(sid));
    in_time && same_number && same_text && !another
}

fn whole(reply: &Reply) -> Result<(), String> {
    match (&reply.body, reply.status.is_success()) {
        (Body::Whole(_), true) => Ok(()),
        (Body::Broken, true) => Err("the answer broke off".to_owned()),
        (_, false) => Err(format!("HTTP {}", reply.status.as_u16())),
    }
}
