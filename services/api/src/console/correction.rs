//! `/campaigns/{id}/correction`: a message to those whom a canceled one contacted, or may have.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Value, json};
use tocsin_domain::content::{
    EMAIL_BODY_BYTES_MAX, SMS_BODY_CHARS_MAX, SUBJECT_CHARS_MAX, VOICE_BODY_CHARS_MAX, attachments,
    carries_files,
};
use tocsin_domain::{Channel, Lane};
use tocsin_store::tenant::campaigns::CampaignSummary;
use uuid::Uuid;

use super::access::Visitor;
use super::compose::attaching::{pairs_and_file, shown_of, stored};
use super::compose::draft::{ATTACHED, FILE};
use super::detail::{ShownFile, existing};
use super::live::Live;
use super::page::{Count, Refused, Shell, answer};
use super::words;
use crate::campaigns::{Submitted, submit};
use crate::correction::{addressed, correctable, subject_for};
use crate::fields::Fault;
use crate::problem::Problem;
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
    /// That go along: those of the message corrected, unless somebody took them out.
    files: Vec<ShownFile>,
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
    /// Ids of files.
    attached: Vec<String>,
}

/// A text for one channel in place of the one for all.
struct ChannelText {
    channel: Channel,
    name: &'static str,
    limit: String,
    body: String,
}

impl Typed {
    fn of_form(form: &[(String, String)], campaign: &CampaignSummary) -> Self {
        let given = |name: &str| form.iter().find(|(is, _)| is == name).map(|(_, value)| value.clone());
        let text = |name: &str| given(name).unwrap_or_default();
        let key = given("key").filter(|key| Uuid::parse_str(key).is_ok());
        let attached = form.iter().filter(|(name, _)| name == ATTACHED).map(|(_, id)| id.clone());
        Self {
            key: key.unwrap_or_else(|| Uuid::now_v7().to_string()),
            attached: attached.collect(),
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
        json!({
            "subject": self.subject,
            "contents": contents,
            "attachments": self.attached,
            "created_by": actor,
        })
    }
}

impl CorrectionPage {
    async fn new(visitor: &Visitor, live: Live, lane: Lane, typed: Typed) -> Result<Self, Problem> {
        let ids: Vec<&str> = typed.attached.iter().map(String::as_str).collect();
        let files = shown_of(visitor, &ids).await?;
        let shell = Shell::new(format!("Correct {}", live.subject), &visitor.who, "");
        let count = |part: usize| live.receipt.as_ref().map_or(Count(0), |card| card.parts[part].count);
        Ok(Self {
            shell,
            contacted: count(0),
            unknown: count(1),
            live,
            lane,
            typed,
            faults: Vec::new(),
            files,
            subject_chars_max: SUBJECT_CHARS_MAX,
        })
    }

    fn carries_files(&self) -> bool {
        self.typed.channels.iter().any(|text| carries_files(text.channel))
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
    let contents = visitor.tenant.contents(id).await?;
    let typed = Typed {
        subject: subject_for(&campaign.subject),
        attached: attachments(&contents).iter().map(|file| file.id.to_string()).collect(),
        ..Typed::of_form(&[], &campaign)
    };
    Ok(answer(StatusCode::OK, &CorrectionPage::new(&visitor, live, campaign.lane, typed).await?))
}

/// `POST /campaigns/{id}/correction` with `action`. Leads to the new campaign, or with a file more or less to the form again.
pub(crate) async fn send(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (live, id) = existing(&visitor, &api, &id).await?;
    let campaign = crate::campaigns::existing(&visitor.tenant, id).await?;
    let (form, file) = pairs_and_file(&headers, &body).unwrap_or_else(|| (pairs(&body), None));
    let action = form.iter().find(|(name, _)| name == "action").map_or("", |(_, action)| action.as_str());
    let mut typed = Typed::of_form(&form, &campaign);
    if action == "attach" {
        let mut faults = Vec::new();
        match stored(&visitor, &api, typed.attached.len(), file).await? {
            Ok(id) => typed.attached.push(id.to_string()),
            Err(text) => faults.push(Complaint { field: FILE, text }),
        }
        let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let page = CorrectionPage::new(&visitor, live, campaign.lane, typed).await?;
        return Ok(answer(status, &CorrectionPage { faults, ..page }));
    }
    if let Some(taken_out) = action.strip_prefix("detach_") {
        typed.attached.retain(|id| id != taken_out);
        return Ok(answer(StatusCode::OK, &CorrectionPage::new(&visitor, live, campaign.lane, typed).await?));
    }
    let request = addressed(id, typed.request(&visitor.actor))?;
    match submit(&api, &visitor.tenant, typed.key.clone(), request).await {
        Ok(Submitted::Campaign(made, _)) => Ok(Redirect::to(&format!("/campaigns/{made}")).into_response()),
        Ok(Submitted::Asked(asked)) => Ok(Redirect::to(&format!("/approvals/{}", asked.id)).into_response()),
        Err(problem) if problem.status().is_client_error() => {
            let faults = match problem.errors() {
                [] => vec![Complaint { field: "", text: problem.detail().to_owned() }],
                faults => faults.iter().map(|fault| complaint(fault, &typed)).collect(),
            };
            let status = problem.status();
            let page = CorrectionPage::new(&visitor, live, campaign.lane, typed).await?;
            Ok(answer(status, &CorrectionPage { faults, ..page }))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// What was typed, in a form without a place for a file.
fn pairs(form: &[u8]) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(form);
    pairs.map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n"))).collect()
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
        None if fault.field.starts_with("attachments") => (FILE, "The files"),
        None => ("", fault.field.as_str()),
    };
    let unnamed = ["the body ", "the subject "].iter().find_map(|part| fault.reason.strip_prefix(part));
    Complaint { field, text: format!("{name} {}.", unnamed.unwrap_or(&fault.reason)) }
}
