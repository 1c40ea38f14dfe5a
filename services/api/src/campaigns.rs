//! Making, listing and showing campaigns.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tocsin_domain::window::Zone;
use tocsin_domain::{CampaignId, Lane};
use tocsin_runtime::telemetry::names;
use tocsin_store::tenant::approvals::Approval;
use tocsin_store::tenant::campaigns::lists::ListQuery;
use tocsin_store::tenant::campaigns::{CampaignSummary, NewCampaign};
use tocsin_store::{StoreError, Tenant};

use crate::approvals::{ApprovalView, Asking};
use crate::auth::{self, Caller};
use crate::fields::{Fault, Faults, Fields};
use crate::openapi::{Operation, Placed, PlacedOrWaits, Waiting};
use crate::page::read_limit;
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::{CampaignRequest, Standing, Submission};
use crate::view::{CampaignView, DetailView};
use crate::{announce, approvals, correction, json, list_query, needs, second_person, submission, traced};

pub(crate) const KEY_HEADER: &str = "Idempotency-Key";
pub(crate) const KEY_CHARS_MAX: usize = 255;

/// A campaign, or what waits for a second person in its place.
pub(crate) type Answered = PlacedOrWaits<DetailView, ApprovalView>;

/// The answers where a campaign is made.
pub(crate) const MADE_OR_ASKED: &[(u16, &str)] = &[
    (201, "This request made it."),
    (200, "An earlier request with the same key made it."),
    (202, "Nothing is made yet: it waits for a second person, as this approval."),
];

/// Whoever names a receipt as audience may be told this of the campaign that is corrected.
pub(crate) const OF_RECEIPT: &[Kind] = &[Kind::UnknownCampaign, Kind::NotCanceled, Kind::NobodyContacted];

pub(crate) const CREATE: Operation = Operation::new("createCampaign", "Make a campaign")
    .telling(
        "It is sent at once, or when its time has come. An emergency to the whole district waits for a second person, where \
         the district has decided so.",
    )
    .takes::<CampaignRequest>()
    .example(r#"{"subject": "Early dismissal", "channels": ["voice", "sms"], "audience": {"all": true}, "message_type": "priority", "body": "{{ school_name | School }} closes at noon today."}"#)
    .keyed()
    .answers(MADE_OR_ASKED)
    .refuses(OF_RECEIPT);

/// `POST /v1/campaigns`: 201 when it made the campaign, 200 when the same request made it before, 202 when a second person
/// is asked first.
pub(crate) async fn create(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Answered, Problem> {
    let key = client_key(&headers)?;
    let request = json::required(&headers, body)?;
    answered(&api, &tenant, submit(&api, &tenant, key, request).await?).await
}

/// What a submission came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Submitted {
    /// The status says whether this call made it.
    Campaign(CampaignId, StatusCode),
    /// A second person is asked first; there is no campaign yet.
    Asked(Box<Approval>),
}

/// The one command behind every place where campaigns are made.
pub(crate) async fn submit(
    api: &Api,
    tenant: &Tenant,
    key: String,
    request: Value,
) -> Result<Submitted, Problem> {
    // Of the value, not of the bytes: spaces make no other request.
    let request_hash = Sha256::digest(request.to_string()).to_vec();
    let now = api.clock.now();
    // Asked first, because a request tried again may not be valid any more: its schedule is past by then.
    if let Some(known) = tenant.campaign_by_key(&key, &request_hash).await? {
        return shown(tenant, key, known.id).await;
    }
    if let Some(asked) = approvals::asked_by_key(tenant, &key, &request_hash).await? {
        return Ok(Submitted::Asked(Box::new(asked)));
    }
    let submission = validated(tenant, request.clone(), now).await?;
    let lane = submission.message_type().lane();
    if second_person::is_needed(tenant, lane, submission.audience()).await? {
        let asked =
            approvals::ask(api, tenant, Asking { key, request_hash, request, now }, &submission).await?;
        return Ok(Submitted::Asked(Box::new(asked)));
    }
    let campaign = submission.into_campaign(key, request_hash, now);
    let answer = traced::making(tenant).create_campaign(&campaign).await?;
    if !answer.made {
        return shown(tenant, campaign.client_key, answer.id).await;
    }
    announce_made(api, &campaign, now);
    Ok(Submitted::Campaign(answer.id, StatusCode::CREATED))
}

/// To be called after the campaign's commit.
pub(crate) fn announce_made(api: &Api, campaign: &NewCampaign, now: DateTime<Utc>) {
    let emergency = campaign.lane == Lane::Emergency && campaign.scheduled_at <= now;
    announce::wake(api, &campaign.channels, emergency);
    traced::did(api, campaign.id, names::span::CREATE, now);
    tracing::info!(campaign.id = %campaign.id, lane = %campaign.lane, message_type = campaign.message_type,
        "campaign stored");
}

/// What an earlier request made, if it is the caller's to see; else its key is somebody else's.
async fn shown(tenant: &Tenant, key: String, id: CampaignId) -> Result<Submitted, Problem> {
    if needs::sees(tenant, id).await? {
        return Ok(Submitted::Campaign(id, StatusCode::OK));
    }
    Err(StoreError::KeyReused { key }.into())
}

/// What the request asks for, or all its faults, or which right its type needs.
pub(crate) async fn validated(
    tenant: &Tenant,
    request: Value,
    now: DateTime<Utc>,
) -> Result<Submission, Problem> {
    let submission = valid(tenant, request, now).await?;
    needs::may_send(tenant, submission.message_type().as_str())?;
    Ok(submission)
}

/// The same for those who need not have the right to send.
pub(crate) async fn valid(
    tenant: &Tenant,
    request: Value,
    now: DateTime<Utc>,
) -> Result<Submission, Problem> {
    let corrected = correction::corrected(tenant, &request).await?;
    submission_of(tenant, request, corrected, now).await
}

/// What the request asks for, or all its faults; `corrected` is the campaign that it corrects.
pub(crate) async fn submission_of(
    tenant: &Tenant,
    request: Value,
    corrected: Option<CampaignSummary>,
    now: DateTime<Utc>,
) -> Result<Submission, Problem> {
    let files = submission::files::look_up(tenant, &request, corrected.as_ref()).await?;
    let standing = Standing::of(tenant, corrected).await?.with_files(files);
    Submission::read(request, &standing, now).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))
}

/// The campaign, or with 202 what waits for a second person.
pub(crate) async fn answered(api: &Api, tenant: &Tenant, submitted: Submitted) -> Result<Answered, Problem> {
    match submitted {
        Submitted::Campaign(id, status) => {
            let view = detail(api, tenant, id).await?;
            Ok(Answered::Made(Box::new(Placed { status, location: format!("/v1/campaigns/{id}"), view })))
        }
        Submitted::Asked(asked) => {
            let location = format!("/v1/approvals/{}", asked.id);
            let view = ApprovalView::of(*asked, api.clock.now());
            Ok(Answered::Waits(Waiting { location, view }))
        }
    }
}

pub(crate) fn client_key(headers: &HeaderMap) -> Result<String, Problem> {
    let refused = |reason: &str| {
        let fault = Fault { field: KEY_HEADER.to_owned(), reason: reason.to_owned() };
        Problem::faulty(Kind::InvalidHeader, vec![fault])
    };
    let value = headers
        .get(KEY_HEADER)
        .ok_or_else(|| refused("is missing: send a key of your own for each campaign, such as a UUID"))?;
    let key = value.to_str().map_err(|_| refused("has other than visible ASCII characters: use a UUID"))?;
    if !(1..=KEY_CHARS_MAX).contains(&key.len()) {
        return Err(refused("is empty or too long: use 1 to 255 characters"));
    }
    Ok(key.to_owned())
}

/// A page of campaigns, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CampaignPage")]
pub(crate) struct ListView {
    campaigns: Vec<CampaignView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

pub(crate) const LIST: Operation =
    Operation::new("listCampaigns", "List campaigns, newest first unless said")
        .asks::<list_query::CampaignQuery>();

/// `GET /v1/campaigns` with the filters, the order and the page of docs/API.md.
pub(crate) async fn list(
    Caller(tenant): Caller,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    // Asked for only where days are to be read.
    let dated = query.as_deref().is_some_and(|query| query.contains("from=") || query.contains("to="));
    let zone = if dated { tenant.time_zone().await? } else { None };
    let (query, shown) = read_query(query.as_deref(), zone.unwrap_or(Zone::UTC))
        .map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let mut found = tenant.campaigns(&query, api.clock.now()).await?;
    let next_cursor = list_query::page(&query, &mut found, shown);
    let campaigns = found.into_iter().map(|listed| CampaignView::of(listed.campaign)).collect();
    Ok(Json(ListView { campaigns, next_cursor }))
}

/// The query, which asks for one row more than is shown: it tells whether another page follows.
fn read_query(query: Option<&str>, zone: Zone) -> Result<(ListQuery, u32), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let filters = list_query::read_filters(&mut fields, zone, &mut faults);
    let own = auth::read_mine(&mut fields, &mut faults);
    fields.finish(&mut faults);
    faults.or(limit.map(|shown| (ListQuery { own, campaigns_max: shown + 1, ..filters }, shown)))
}

pub(crate) const SHOW: Operation =
    Operation::new("showCampaign", "Show a campaign with its delivery information and content");

/// `GET /v1/campaigns/{id}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<DetailView>, Problem> {
    Ok(Json(detail(&api, &tenant, campaign_id(id)?).await?))
}

pub(crate) async fn detail(api: &Api, tenant: &Tenant, id: CampaignId) -> Result<DetailView, Problem> {
    let campaign = existing(tenant, id).await?;
    let counts = tenant.counts(id).await?;
    let contents = tenant.contents(id).await?;
    Ok(DetailView::of(campaign, &counts, contents, api.clock.now()))
}

/// The district's campaign of that id, or 404.
pub(crate) async fn existing(tenant: &Tenant, id: CampaignId) -> Result<CampaignSummary, Problem> {
    tenant.campaign(id).await?.ok_or_else(Problem::unknown_campaign)
}

/// What is no id at all is the id of no campaign.
pub(crate) fn campaign_id(path: Result<Path<String>, PathRejection>) -> Result<CampaignId, Problem> {
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(Problem::unknown_campaign)
}
