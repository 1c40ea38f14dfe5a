//! `/approvals`: emergencies to the whole district that wait for a second person, and what became of others.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::{DateTime, Utc};
use tocsin_domain::Channel;
use tocsin_domain::rights::Actor;
use tocsin_domain::second_person::{ApprovalState, may_approve};
use tocsin_store::tenant::accounts::{AccountState, ServingAccount};
use tocsin_store::tenant::approvals::{Approval, ApprovalQuery, Told};
use tocsin_store::tenant::campaigns::NewCampaign;
use uuid::Uuid;

use super::access::Visitor;
use super::compose::review::Counts;
use super::detail::Text;
use super::page::{Count, Refused, Shell, answer};
use super::reason::{Faulty, order_of};
use super::rows::{Schools, modes};
use super::when::{Stamp, Zone, reading};
use super::words::{self, Tone};
use crate::approvals::deciding::{self, as_of_now};
use crate::approvals::{approval_id, existing};
use crate::cancel::REASON_CHARS_MAX;
use crate::fields::{Fault, Faults, Fields};
use crate::page::{encode, read_cursor};
use crate::problem::Problem;
use crate::server::Api;
use crate::{forecast, needs};

const ROWS_MAX: u32 = 25;

#[derive(Template)]
#[template(path = "approvals.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    further: bool,
    next: Option<String>,
}

struct Row {
    id: Uuid,
    subject: String,
    state: (&'static str, Tone),
    asked_by: String,
    asked_at: Stamp,
    expires_at: Stamp,
    decided_by: Option<String>,
}

#[derive(Template)]
#[template(path = "approval.html")]
struct ApprovalPage {
    shell: Shell,
    row: Row,
    waiting: bool,
    /// Did whoever looks ask for it?
    own: bool,
    /// May whoever looks approve it?
    may_approve: bool,
    campaign: Option<String>,
    reason: Option<String>,
    /// None: it could not be sent as it is any more.
    message: Option<Shown>,
    /// Why not.
    fault: Option<String>,
    reason_chars_max: usize,
    /// The reason for a decline that was too long.
    typed: String,
    told: Told,
    /// Is there an account that sends emails?
    mails: bool,
}

/// What it would send, as of now.
struct Shown {
    kind: String,
    modes: Vec<&'static str>,
    when: String,
    calendars: String,
    whom: String,
    counts: Counts,
    texts: Vec<Text>,
    button: String,
}

impl Row {
    fn of(approval: &Approval, zone: Zone, now: DateTime<Utc>) -> Self {
        Self {
            id: approval.id,
            subject: approval.subject.clone(),
            state: match approval.state(now) {
                ApprovalState::Waiting => ("Waits", Tone::Active),
                ApprovalState::Approved => ("Approved", Tone::Good),
                ApprovalState::Declined => ("Declined", Tone::Stopped),
                ApprovalState::Expired => ("Nobody decided", Tone::Quiet),
            },
            asked_by: approval.asked_by.clone(),
            asked_at: zone.stamp(approval.asked_at, now),
            expires_at: zone.stamp(approval.expires_at, now),
            decided_by: approval.decided_by.clone(),
        }
    }
}

/// `GET /approvals?cursor=`, newest first.
pub(crate) async fn list(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let before = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let now = api.clock.now();
    // One more than is shown tells whether another page follows.
    let wanted = ApprovalQuery { state: None, before, rows_max: ROWS_MAX + 1 };
    let mut found = visitor.tenant.approvals(&wanted, now).await?;
    let more = found.len() > ROWS_MAX as usize;
    found.truncate(ROWS_MAX as usize);
    let next = found.last().filter(|_| more).map(|last| encode(&last.id.to_string()));
    let rows = found.iter().map(|approval| Row::of(approval, visitor.zone, now)).collect();
    let shell = Shell::new("Approvals", &visitor.who, "approvals");
    Ok(answer(StatusCode::OK, &ListPage { shell, rows, further: before.is_some(), next }))
}

fn read_query(query: Option<&str>) -> Result<Option<Uuid>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, |text| text.parse().ok());
    fields.finish(&mut faults);
    faults.or(Some(before))
}

/// `GET /approvals/{id}`: what it says, to whom, and the two buttons.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let page = page(&visitor, &api, approval_id(Ok(Path(id)))?).await?;
    Ok(answer(StatusCode::OK, &page))
}

async fn page(visitor: &Visitor, api: &Api, id: Uuid) -> Result<ApprovalPage, Refused> {
    let now = api.clock.now();
    let asked = existing(&visitor.tenant, id).await?;
    let (message, fault) = match as_of_now(&visitor.tenant, asked.request.clone(), now).await {
        Ok(submission) => {
            let campaign = submission.into_campaign(String::new(), Vec::new(), now);
            (Some(Shown::of(visitor, campaign, now).await?), None)
        }
        Err(problem) if problem.status().is_client_error() => (None, Some(problem.detail().to_owned())),
        Err(problem) => return Err(problem.into()),
    };
    let waiting = asked.state(now) == ApprovalState::Waiting;
    let actor = visitor.tenant.actor();
    Ok(ApprovalPage {
        shell: Shell::new(&asked.subject, &visitor.who, "approvals"),
        row: Row::of(&asked, visitor.zone, now),
        waiting,
        own: actor.is_some_and(|actor| actor.id == asked.asker),
        may_approve: actor.is_some_and(|actor: &Actor| may_approve(asked.asker, actor).is_ok()),
        campaign: asked.campaign.map(|campaign| campaign.to_string()),
        reason: asked.reason,
        message,
        // What was decided has no faults any more.
        fault: fault.filter(|_| waiting),
        reason_chars_max: REASON_CHARS_MAX,
        typed: String::new(),
        told: visitor.tenant.approval_told(id).await?,
        mails: visitor.tenant.accounts().await?.iter().any(sends_mails),
    })
}

fn sends_mails(account: &ServingAccount) -> bool {
    account.channel == Channel::Email && account.state != AccountState::Stopped
}

impl ApprovalPage {
    /// Was nobody told, and will nobody be? Whoever asked has to know.
    fn untold(&self) -> bool {
        self.told.sent == 0 && (self.told.waiting == 0 || !self.mails)
    }

    fn told_in_words(&self) -> String {
        let Told { sent, waiting, failed } = self.told;
        let people =
            |number: i64| if number == 1 { "1 person".to_owned() } else { format!("{number} people") };
        let mut said = Vec::new();
        if sent > 0 {
            said.push(format!("Told by email: {}.", people(sent)));
        }
        if waiting > 0 && self.mails {
            said.push(format!("Mails on their way: {waiting}."));
        }
        if failed > 0 {
            said.push(format!("Mails that failed, or may have: {failed}."));
        }
        if self.untold() {
            let why = if waiting > 0 { ", for no account sends emails now" } else { "" };
            said.push(format!("Nobody is told by email{why}: call somebody who may approve."));
        }
        said.join(" ")
    }
}

impl Shown {
    async fn of(visitor: &Visitor, campaign: NewCampaign, now: DateTime<Utc>) -> Result<Self, Problem> {
        let counts = Counts::of(&forecast::of(&visitor.tenant, &campaign, reading(now)).await?);
        let schools = Schools::read(&visitor.tenant).await?;
        let people = match counts.recipients {
            Count(1) => "1 person".to_owned(),
            many => format!("{many} people"),
        };
        let at = visitor.zone.stamp(campaign.scheduled_at, now).text;
        let (when, button) = if campaign.scheduled_at > now {
            (at.clone(), format!("Approve: goes out {at}, to {people}"))
        } else {
            ("As soon as it is approved".to_owned(), format!("Approve: send to {people} now"))
        };
        Ok(Self {
            kind: words::message_type(&campaign.message_type),
            modes: modes(&campaign.channels),
            when,
            calendars: schools.of_audience(&campaign.audience),
            whom: words::audience(&campaign.audience),
            counts,
            texts: Text::all(campaign.contents, &campaign.subject),
            button,
        })
    }
}

/// `POST /approvals/{id}/approve`. Leads to the campaign, however often and by how many it is pressed.
pub(crate) async fn approve(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = approval_id(Ok(Path(id)))?;
    let campaign = deciding::approve(&api, &visitor.tenant, id, &visitor.actor).await?;
    let path = match needs::sees(&visitor.tenant, campaign).await? {
        true => format!("/campaigns/{campaign}"),
        false => format!("/approvals/{id}"),
    };
    Ok(Redirect::to(&path).into_response())
}

/// `POST /approvals/{id}/decline` with `reason`.
pub(crate) async fn decline(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let id = approval_id(Ok(Path(id)))?;
    let order = match order_of(&body, &visitor.actor) {
        Ok(order) => order,
        Err(Faulty { typed, fault }) => {
            let page = ApprovalPage { fault: Some(fault), typed, ..page(&visitor, &api, id).await? };
            return Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    deciding::decline(&api, &visitor.tenant, id, &order).await?;
    Ok(Redirect::to(&format!("/approvals/{id}")).into_response())
}
