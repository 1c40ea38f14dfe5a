//! `/campaigns/{id}/correction`: a message to those whom a canceled one contacted, or may have.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Value, json};
use tocsin_domain::content::{
    EMAIL_BODY_BYTES_MAX, SMS_BODY_CHARS_MAX, SUBJECT_CHARS_MAX, VOICE_BODY_CHARS_MAX,
};
use tocsin_domain::{Channel, Lane};
use tocsin_store::tenant::campaigns::CampaignSummary;
use uuid::Uuid;

use super::access::Visitor;
use super::detail::existing;
use super::live::Live;
use super::page::{Count, Refused, Shell, answer};
use super::sign_in::field;
use super::words;
use crate::campaigns::{Submitted, submit};
use crate::correction::{addressed, correctable, subject_for};
use crate::fields::Fault;
use crate::server::Api;

#[derive(Template)]
#[template(path = "correction.html")]
struct CorrectionPage {
    shell: Shell,
    live: Live,
    contacted: Count,
    unknown: Count,
    /// Of the message corrected, as its channels are.
    lane: Lane,
    typed: Typed,
    faults: Vec<Complaint>,
    subject_chars_max: usize,
}

/// A fault of what was typed.
struct Complaint {
    /// The field's id, or none that there is.
    field: &'static str,
    text: String,
}

/// What the form holds.
struct Typed {
    /// Drawn with the form, so that pressing twice makes one campaign.
    key: String,
    subject: String,
    body: String,
    channels: Vec<ChannelText>,
}

/// A text for one channel in place of the one for all.
struct ChannelText {
    channel: Channel,
    name: &'static str,
    limit: String,
    body: String,
}

impl Typed {
    fn of_form(form: &[u8], campaign: &CampaignSummary) -> Self {
        let text = |name: &str| field(form, name).unwrap_or_default().replace("\r\n", "\n");
        let key = field(form, "key").filter(|key| Uuid::parse_str(key).is_ok());
        Self {
            key: key.unwrap_or_else(|| Uuid::now_v7().to_string()),
            subject: text("subject"),
            body: text("body"),
            channels: campaign
                .channels
                .iter()
                .map(|channel| ChannelText {
                    channel: *channel,
                    name: words::channel(*channel),
                    limit: body_max(*channel),
                    body: text(channel.as_str()),
                })
                .collect(),
        }
    }

    /// The body of `POST /v1/campaigns/{id}/correction`.
    fn request(&self, actor: &str) -> Value {
        let given = |text: &str| !text.trim().is_empty();
        let for_channels = self
            .channels
            .iter()
            .filter(|text| given(&text.body))
            .map(|text| json!({ "channel": text.channel, "body": text.body }));
        let contents: Vec<Value> =
            std::iter::once(json!({ "body": self.body })).chain(for_channels).collect();
        json!({ "subject": self.subject, "contents": contents, "created_by": actor })
    }
}

impl CorrectionPage {
    fn new(visitor: &Visitor, live: Live, lane: Lane, typed: Typed) -> Self {
        let shell = Shell::new(format!("Correct {}", live.subject), &visitor.who, "");
        let count = |part: usize| live.receipt.as_ref().map_or(Count(0), |card| card.parts[part].count);
        Self {
            shell,
            contacted: count(0),
            unknown: count(1),
            live,
            lane,
            typed,
            faults: Vec::new(),
            subject_chars_max: SUBJECT_CHARS_MAX,
        }
    }

    fn channels(&self) -> String {
        let names: Vec<_> = self.typed.channels.iter().map(|text| text.name).collect();
        names.join(", ")
    }

    /// The ids of what is wrong with a field.
    fn faults_of(&self, field: &str) -> Option<String> {
        let about = self.faults.iter().enumerate().filter(|(_, fault)| fault.field == field);
        let ids: Vec<_> = about.map(|(at, _)| format!("fault-{at}")).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}

fn body_max(channel: Channel) -> String {
    match channel {
        Channel::Voice => format!("{VOICE_BODY_CHARS_MAX} characters"),
        Channel::Sms => format!("{SMS_BODY_CHARS_MAX} characters"),
        Channel::Email | Channel::Inbox => format!("{} KiB", EMAIL_BODY_BYTES_MAX / 1024),
    }
}

/// `GET /campaigns/{id}/correction`.
pub(crate) async fn ask(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let (live, id) = existing(&visitor, &api, &id).await?;
    let campaign = crate::campaigns::existing(&visitor.tenant, id).await?;
    let campaign = correctable(&visitor.tenant, campaign).await?;
    let typed = Typed { subject: subject_for(&campaign.subject), ..Typed::of_form(&[], &campaign) };
    Ok(answer(StatusCode::OK, &CorrectionPage::new(&visitor, live, campaign.lane, typed)))
}

/// `POST /campaigns/{id}/correction`. Leads to the new campaign.
pub(crate) async fn send(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let (live, id) = existing(&visitor, &api, &id).await?;
    let campaign = crate::campaigns::existing(&visitor.tenant, id).await?;
    let typed = Typed::of_form(&body, &campaign);
    let request = addressed(id, typed.request(&visitor.actor))?;
    match submit(&api, &visitor.tenant, typed.key.clone(), request).await {
        Ok(Submitted::Campaign(made, _)) => Ok(Redirect::to(&format!("/campaigns/{made}")).into_response()),
        Ok(Submitted::Asked(asked)) => Ok(Redirect::to(&format!("/approvals/{}", asked.id)).into_response()),
        Err(problem) if !problem.errors().is_empty() => {
            let faults = problem.errors().iter().map(|fault| complaint(fault, &typed)).collect();
            let page = CorrectionPage { faults, ..CorrectionPage::new(&visitor, live, campaign.lane, typed) };
            Ok(answer(problem.status(), &page))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// A fault of the request by the name of the form's field.
fn complaint(fault: &Fault, typed: &Typed) -> Complaint {
    let nth = fault.field.strip_prefix("contents[").and_then(|rest| rest.split(']').next());
    let (field, name) = match nth.and_then(|nth| nth.parse::<usize>().ok()) {
        Some(0) => ("body", "The message"),
        Some(nth) => {
            let given = typed.channels.iter().filter(|text| !text.body.trim().is_empty());
            given.map(|text| (text.channel.as_str(), text.name)).nth(nth - 1).unwrap_or(("", "A text"))
        }
        None if fault.field == "subject" => ("subject", "The subject"),
        None => ("", fault.field.as_str()),
    };
    let unnamed = ["the body ", "the subject "].iter().find_map(|part| fault.reason.strip_prefix(part));
    Complaint { field, text: format!("{name} {}.", unnamed.unwrap_or(&fault.reason)) }
}
