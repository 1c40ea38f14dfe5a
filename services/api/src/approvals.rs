//! What waits for a second person: asked for, shown, approved, declined (docs/adr/0040-second-person-and-tests.md).

pub(crate) mod deciding;
mod view;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use chrono::{DateTime, SubsecRound as _, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::rights::{BuiltIn, Grant, Right};
use tocsin_domain::second_person::{ApprovalState, expires_at};
use tocsin_domain::webhook::EventType;
use tocsin_store::tenant::approvals::{Approval, ApprovalQuery, NewApproval, NewsOfApproval};
use tocsin_store::{StoreError, Tenant};
use tocsin_webhooks::approval_body;
use uuid::{NoContext, Timestamp, Uuid};

pub(crate) use self::view::{ApprovalStateName, ApprovalView};
use crate::auth::Caller;
use crate::cancel::{REASON_CHARS_MAX, read_order};
use crate::fields::{Fault, Faults, Fields, named};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::{ACTOR_CHARS_MAX, Submission};

/// A request that a second person is to see, as it came.
pub(crate) struct Asking {
    pub key: String,
    pub request_hash: Vec<u8>,
    pub request: Value,
    pub now: DateTime<Utc>,
}

/// Keeps it until somebody decides, or its time is over.
pub(crate) async fn ask(
    api: &Api,
    tenant: &Tenant,
    asking: Asking,
    submission: &Submission,
) -> Result<Approval, Problem> {
    let Asking { key, request_hash, mut request, now } = asking;
    // As the store keeps it: what endpoints are told is what the approval shows.
    let now = now.trunc_subsecs(6);
    if let Value::Object(members) = &mut request {
        // Whoever approves it is not who made it.
        members.insert("created_by".to_owned(), submission.created_by().into());
    }
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let moment = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
    let (id, ends) = (Uuid::new_v7(moment), expires_at(now));
    let body = approval_body(id, now, ends).map_err(|error| {
        tracing::error!(%error, "an event cannot be written");
        Problem::new(Kind::Internal, "the request failed by a fault of ours, which was logged")
    })?;
    let event =
        NewsOfApproval { id: Uuid::new_v7(moment), event: EventType::ApprovalRequested.as_str(), body };
    let new = NewApproval {
        id,
        client_key: key,
        request_hash,
        request,
        subject: submission.subject().to_owned(),
        asked_by: submission.created_by().to_owned(),
        asked_at: now,
        expires_at: ends,
        event,
        page_url: api.page.url().map(|console| format!("{console}/approvals/{id}")),
        approving_roles: approving_roles(),
    };
    tenant.use_attachments(submission.contents(), now).await?;
    let asked = tenant.ask_approval(&new).await?;
    tracing::info!(approval.id = %asked.id, "a second person is asked");
    Ok(asked)
}

/// Built-in ones with the right that approving needs.
fn approving_roles() -> Vec<&'static str> {
    let approves = |role: &BuiltIn| Grant::of([&role.role()]).may(Right::SendEmergency);
    BuiltIn::ALL.into_iter().filter(approves).map(BuiltIn::as_str).collect()
}

/// What an earlier request with that key asked for, if the caller may see it; else the key is somebody else's.
pub(crate) async fn asked_by_key(
    tenant: &Tenant,
    key: &str,
    request_hash: &[u8],
) -> Result<Option<Approval>, Problem> {
    let asked = tenant.approval_by_key(key, request_hash).await?;
    if asked.is_some() && !tenant.may(Right::SendEmergency) {
        return Err(StoreError::KeyReused { key: key.to_owned() }.into());
    }
    Ok(asked)
}

/// A page, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApprovalPage")]
pub(crate) struct ListView {
    approvals: Vec<ApprovalView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

shape! {
    pub(crate) struct ApprovalQueryShape {
        #[schemars(flatten)]
        page: PageQuery,
        state: Option<ApprovalStateName>,
    }
}

pub(crate) const LIST: Operation =
    Operation::new("listApprovals", "List what waits for a second person or did, newest first")
        .asks::<ApprovalQueryShape>();

/// `GET /v1/approvals?state=&limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let query = read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let now = api.clock.now();
    let beyond = ApprovalQuery { rows_max: query.rows_max + 1, ..query };
    let mut found = tenant.approvals(&beyond, now).await?;
    let more = found.len() > query.rows_max as usize;
    found.truncate(query.rows_max as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.id.to_string()));
    let approvals = found.into_iter().map(|approval| ApprovalView::of(approval, now)).collect();
    Ok(Json(ListView { approvals, next_cursor }))
}

fn read_query(query: Option<&str>) -> Result<ApprovalQuery, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let state = fields.take("state").and_then(|field| {
        field.parsed(&mut faults, |text| named(text, &ApprovalState::ALL, ApprovalState::as_str))
    });
    let limit = read_limit(&mut fields, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, |text| text.parse().ok());
    fields.finish(&mut faults);
    faults.or(limit.map(|rows_max| ApprovalQuery { state, before, rows_max }))
}

pub(crate) const SHOW: Operation =
    Operation::new("showApproval", "Show what waits for a second person").refuses(&[Kind::UnknownApproval]);

/// `GET /v1/approvals/{id}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ApprovalView>, Problem> {
    Ok(Json(ApprovalView::of(existing(&tenant, approval_id(id)?).await?, api.clock.now())))
}

shape! {
    /// Who approves.
    pub(crate) struct ApproveRequest {
        /// The key's name unless said.
        by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const APPROVE: Operation = Operation::new("approve", "Approve what another person submitted")
    .telling(
        "It makes the campaign, once, however often and by how many it is approved. Whoever submitted it cannot.",
    )
    .may_take::<ApproveRequest>()
    .refuses(&[
        Kind::UnknownApproval,
        Kind::OwnApproval,
        Kind::NotWaiting,
        Kind::KeyReused,
        Kind::UnknownCampaign,
        Kind::NotCanceled,
        Kind::NobodyContacted,
    ]);

/// `POST /v1/approvals/{id}/approve` with `by`: 200 with the campaign's id, however often and by how many it is approved.
pub(crate) async fn approve(
    caller: Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<ApprovalView>, Problem> {
    let id = approval_id(id)?;
    let order = read_order(json::optional(&headers, body)?, caller.0.acts_as())?;
    if order.reason.is_some() {
        let reason = "is for a decline: leave it out".to_owned();
        return Err(Problem::faulty(Kind::InvalidBody, vec![Fault { field: "reason".to_owned(), reason }]));
    }
    deciding::approve(&api, &caller.0, id, &order.by).await?;
    show(caller, State(api), Ok(Path(id.to_string()))).await
}

shape! {
    /// Who declines, and why.
    pub(crate) struct DeclineRequest {
        /// The key's name unless said.
        by: Option<Text<ACTOR_CHARS_MAX>>,
        reason: Option<Text<REASON_CHARS_MAX>>,
    }
}

pub(crate) const DECLINE: Operation = Operation::new("decline", "Decline, or take back, what was submitted")
    .may_take::<DeclineRequest>()
    .refuses(&[Kind::UnknownApproval, Kind::NotWaiting]);

/// `POST /v1/approvals/{id}/decline` with `by` and `reason`. Whoever asked may take it back so.
pub(crate) async fn decline(
    caller: Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<ApprovalView>, Problem> {
    let id = approval_id(id)?;
    let order = read_order(json::optional(&headers, body)?, caller.0.acts_as())?;
    deciding::decline(&api, &caller.0, id, &order).await?;
    show(caller, State(api), Ok(Path(id.to_string()))).await
}

/// The district's approval of that id, or 404.
pub(crate) async fn existing(tenant: &Tenant, id: Uuid) -> Result<Approval, Problem> {
    tenant.approval(id).await?.ok_or_else(unknown)
}

/// What is no id at all is the id of none.
pub(crate) fn approval_id(path: Result<Path<String>, PathRejection>) -> Result<Uuid, Problem> {
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::new(Kind::UnknownApproval, "this district has no approval of that id")
}
