//! Series: campaigns that recur (requirements 26 and 29 to 36).

mod changing;
mod request;
mod view;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tocsin_domain::SeriesId;
use tocsin_store::tenant::series::{NewSeries, Series, SeriesQuery, SeriesState};
use tocsin_store::{StoreError, Tenant};
use uuid::{NoContext, Timestamp, Uuid};

pub(crate) use self::changing::{CANCEL, EDIT, cancel, cancel_order, edit, edit_order, request_of};
pub(crate) use self::request::{Read, SeriesRequest};
pub(crate) use self::view::{OccurrenceView, SeriesView, coming, past};
use crate::auth::{self, Caller};
use crate::campaigns::client_key;
use crate::fields::{Fault, Faults, Fields, named};
use crate::openapi::shapes::{shape, shapes, words};
use crate::openapi::{Operation, Placed};
use crate::page::{PageQuery, day, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::{json, needs, second_person};

/// Occurrences to come that one answer works out.
pub(crate) const COMING_MAX: u32 = 366;

pub(crate) const CREATE: Operation = Operation::new("createSeries", "Make a campaign that recurs")
    .telling(
        "The district's time zone must be set. Each occurrence becomes a campaign when its time has come.",
    )
    .takes::<SeriesRequest>()
    .example(r#"{"subject": "Lunch menu", "channels": ["email"], "audience": {"grades": ["03"]}, "body": "This week: …", "recurrence": {"frequency": "weekly", "weekdays": ["mo"], "starts_on": "2026-09-07", "at": "08:00"}}"#)
    .keyed()
    .answers(&[(201, "This request made it."), (200, "An earlier request with the same key made it.")])
    .refuses(&[Kind::SecondPersonNeeded, Kind::UnknownCampaign, Kind::NotCanceled, Kind::NobodyContacted]);

/// `POST /v1/series`: 201 when it made the series, 200 when the same request made it before.
pub(crate) async fn create(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Placed<SeriesView>, Problem> {
    let key = client_key(&headers)?;
    let request = json::required(&headers, body)?;
    let (id, status) = submit(&api, &tenant, key, request).await?;
    let view = SeriesView::of(existing(&tenant, id).await?);
    Ok(Placed { status, location: format!("/v1/series/{id}"), view })
}

/// What the request asks for, or all its faults, or which right its type needs.
pub(crate) async fn validated(tenant: &Tenant, request: Value, now: DateTime<Utc>) -> Result<Read, Problem> {
    let read = valid(tenant, request, now).await?;
    needs::may_send(tenant, &read.content.message_type)?;
    Ok(read)
}

/// The one command behind every place where series are made. The status says whether this call made it.
pub(crate) async fn submit(
    api: &Api,
    tenant: &Tenant,
    key: String,
    request: Value,
) -> Result<(SeriesId, StatusCode), Problem> {
    let request_hash = Sha256::digest(request.to_string()).to_vec();
    let now = api.clock.now();
    // Asked first, because a request tried again may not be valid any more: its end may have passed.
    if let Some(known) = tenant.series_by_key(&key, &request_hash).await? {
        return shown(tenant, key, SeriesId(known.id.0)).await;
    }
    let read = validated(tenant, request, now).await?;
    second_person::refuse(tenant, read.content.lane, &read.content.audience).await?;
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let moment = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
    let new = NewSeries {
        id: SeriesId(Uuid::new_v7(moment)),
        client_key: key,
        request_hash,
        content: read.content,
        next: read.next,
        created_by: read.created_by,
        created_at: now,
    };
    let stored = tenant.create_series(&new).await?;
    let id = SeriesId(stored.id.0);
    if !stored.made {
        return shown(tenant, new.client_key, id).await;
    }
    tracing::info!(series.id = %id, message_type = new.content.message_type, "series stored");
    Ok((id, StatusCode::CREATED))
}

/// The same for those who need not have the right to send.
pub(crate) async fn valid(tenant: &Tenant, request: Value, now: DateTime<Utc>) -> Result<Read, Problem> {
    request::valid(tenant, request, now, None).await
}

/// What an earlier request made, if it is the caller's to see; else its key is somebody else's.
async fn shown(tenant: &Tenant, key: String, id: SeriesId) -> Result<(SeriesId, StatusCode), Problem> {
    if needs::sees_series(tenant, id).await? {
        return Ok((id, StatusCode::OK));
    }
    Err(StoreError::KeyReused { key }.into())
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SeriesPage")]
pub(crate) struct ListView {
    series: Vec<SeriesView>,
    next_cursor: Option<String>,
}

shapes! {
    StateName = words(SeriesState::ALL.map(SeriesState::as_str));
}

shape! {
    pub(crate) struct SeriesQueryShape {
        #[schemars(flatten)]
        page: PageQuery,
        #[schemars(length(min = 1))]
        state: Option<Vec<StateName>>,
        /// Only those that the key made.
        mine: Option<bool>,
    }
}

pub(crate) const LIST: Operation =
    Operation::new("listSeries", "List series, newest first").asks::<SeriesQueryShape>();

/// `GET /v1/series?state=&mine=&limit=&cursor=`, newest first.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let query = read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let beyond = SeriesQuery { series_max: query.series_max + 1, ..query.clone() };
    let mut found = tenant.list_series(&beyond).await?;
    let more = found.len() > query.series_max as usize;
    found.truncate(query.series_max as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.id.to_string()));
    Ok(Json(ListView { series: found.into_iter().map(SeriesView::of).collect(), next_cursor }))
}

fn read_query(query: Option<&str>) -> Result<SeriesQuery, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let states = fields.take("state").and_then(|field| {
        field.parsed(&mut faults, |text| {
            text.split(',').map(|state| named(state, &SeriesState::ALL, SeriesState::as_str)).collect()
        })
    });
    let own = auth::read_mine(&mut fields, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, |text| text.parse().ok());
    fields.finish(&mut faults);
    faults.or(limit.map(|series_max| SeriesQuery {
        states: states.unwrap_or_default(),
        own,
        before,
        series_max,
    }))
}

pub(crate) const SHOW: Operation = Operation::new("showSeries", "Show a series");

/// `GET /v1/series/{id}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<SeriesView>, Problem> {
    Ok(Json(SeriesView::of(existing(&tenant, series_id(id)?).await?)))
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OccurrencePage")]
pub(crate) struct OccurrencesView {
    /// On the first page alone.
    coming: Vec<OccurrenceView>,
    past: Vec<OccurrenceView>,
    next_cursor: Option<String>,
}

pub(crate) const OCCURRENCES: Operation =
    Operation::new("listOccurrences", "List the occurrences of a series, past and to come")
        .asks::<PageQuery>();

/// `GET /v1/series/{id}/occurrences?limit=&cursor=`: those to come, and those that were, the latest first.
pub(crate) async fn occurrences(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<OccurrencesView>, Problem> {
    let series = existing(&tenant, series_id(id)?).await?;
    let (limit, before) =
        read_page(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let mut found = tenant.past_occurrences(series.id, before, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.on.to_string()));
    let coming = match before {
        None => coming(&series, limit.min(COMING_MAX)),
        Some(_) => Vec::new(),
    };
    Ok(Json(OccurrencesView { coming, past: found.iter().map(past).collect(), next_cursor }))
}

fn read_page(query: Option<&str>) -> Result<(u32, Option<NaiveDate>), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, day);
    fields.finish(&mut faults);
    faults.or(limit.map(|limit| (limit, before)))
}

/// The district's series of that id, or 404.
pub(crate) async fn existing(tenant: &Tenant, id: SeriesId) -> Result<Series, Problem> {
    tenant.series(id).await?.ok_or_else(Problem::unknown_series)
}

/// What is no id at all is the id of no series.
pub(crate) fn series_id(path: Result<Path<String>, PathRejection>) -> Result<SeriesId, Problem> {
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(Problem::unknown_series)
}
