//! Edits and cancels of a series: what is not yet sent follows them (requirements 26 and 34 to 36).

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tocsin_domain::SeriesId;
use tocsin_store::Tenant;
use tocsin_store::tenant::series::{Series, SeriesEdit, SeriesEdited, SeriesState};

use super::{COMING_MAX, SeriesRequest, SeriesView, existing, request, series_id};
use crate::auth::Caller;
use crate::cancel::{CancelRequest, Order, read_order};
use crate::editing::{Changes, EditRequest, read_changes};
use crate::openapi::Operation;
use crate::openapi::shapes::{Varied, varied};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::{WrittenCampaign, merged, written};
use crate::{json, needs, second_person};

/// How often an edit is tried while occurrences come. More than one in a row means that something else is wrong.
const TRIES: usize = 3;

/// What an edit made of a series.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EditedSeries")]
pub(crate) struct EditedView {
    #[serde(flatten)]
    series: SeriesView,
    /// Occurrences that would have come before the next that does now.
    removed_occurrences: usize,
}

varied!(SeriesPatch, |generator| {
    Varied::of::<SeriesRequest>(generator).without(&["created_by"]).partial().with::<EditRequest>(generator)
});

pub(crate) const EDIT: Operation = Operation::new("editSeries", "Edit a series")
    .telling("It changes all that is not yet sent.")
    .takes::<SeriesPatch>()
    .example(r#"{"version": 1, "subject": "Lunch menu and snacks"}"#)
    .refuses(&[
        Kind::EditedMeanwhile,
        Kind::NotActive,
        Kind::SecondPersonNeeded,
        Kind::UnknownCampaign,
        Kind::NotCanceled,
        Kind::NobodyContacted,
    ]);

/// `PATCH /v1/series/{id}`: members as of `POST /v1/series`; those that are left out stay as they are.
pub(crate) async fn edit(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<EditedView>, Problem> {
    let id = series_id(id)?;
    existing(&tenant, id).await?;
    let changes = read_changes(json::required(&headers, body)?, tenant.acts_as())?;
    let removed_occurrences = edit_order(&api, &tenant, id, &changes).await?;
    Ok(Json(EditedView { series: SeriesView::of(existing(&tenant, id).await?), removed_occurrences }))
}

/// The one command behind every place where a series is edited. Returns how many occurrences it removed before the next.
pub(crate) async fn edit_order(
    api: &Api,
    tenant: &Tenant,
    id: SeriesId,
    changes: &Changes,
) -> Result<usize, Problem> {
    for _ in 0..TRIES {
        let now = api.clock.now();
        let series = existing(tenant, id).await?;
        if series.state != SeriesState::Active {
            return Err(not_active(series.state));
        }
        if series.version != changes.version {
            return Err(Problem::edited_meanwhile(series.version, series.modified_by.as_deref()));
        }
        let made = tenant.last_made(id).await?;
        let request = merged(request_of(&series), changes.members.clone());
        let read = request::valid(tenant, request, now, made).await?;
        needs::may_edit_to(tenant, &series.content.message_type, &read.content.message_type)?;
        second_person::refuse(tenant, read.content.lane, &read.content.audience).await?;
        let edit = SeriesEdit {
            series: id,
            version: changes.version,
            seen_next: series.next.map(|next| next.on),
            next: Some(read.next),
            by: &changes.by,
            at: now,
        };
        match tenant.edit_series(edit, &read.content).await? {
            SeriesEdited::Made(version) => {
                tracing::info!(series.id = %id, version, "series edited");
                let content = &series.content;
                let before = series.next.map_or(0, |next| {
                    let all =
                        content.recurrence.between(content.zone, next.on, read.next.on, COMING_MAX as usize);
                    all.iter().filter(|occurrence| occurrence.on < read.next.on).count()
                });
                return Ok(before);
            }
            SeriesEdited::Again => {}
            SeriesEdited::Not(now) if now.state != SeriesState::Active => return Err(not_active(now.state)),
            SeriesEdited::Not(now) => {
                return Err(Problem::edited_meanwhile(now.version, now.modified_by.as_deref()));
            }
            SeriesEdited::Unknown => return Err(Problem::unknown_series()),
        }
    }
    Err(Problem::new(Kind::Unavailable, "occurrences came while it was edited: try again"))
}

fn not_active(state: SeriesState) -> Problem {
    let detail = match state {
        SeriesState::Active => "the series is active",
        SeriesState::Ended => "the series has ended: make a new one",
        SeriesState::Canceled => "the series is canceled: make a new one",
    };
    Problem::new(Kind::NotActive, detail)
}

/// The request that would make it.
pub(crate) fn request_of(series: &Series) -> Map<String, Value> {
    let content = &series.content;
    let mut members = written(WrittenCampaign {
        subject: &content.subject,
        message_type: &content.message_type,
        channels: &content.channels,
        mode: content.mode,
        audience: &content.audience,
        contents: &content.contents,
        redial: content.redial.as_ref(),
        calling_window: content.calling_window.as_ref(),
        limits: &content.limits,
        expires_in: content.expires_in,
    });
    members.insert("recurrence".to_owned(), json!(content.recurrence));
    members.insert("late_seconds_max".to_owned(), json!(content.late_max.as_secs()));
    members
}

pub(crate) const CANCEL: Operation = Operation::new("cancelSeries", "Cancel a series")
    .telling(
        "No occurrence comes any more; what became a campaign is canceled by itself. It may be sent again.",
    )
    .may_take::<CancelRequest>();

/// `POST /v1/series/{id}/cancel`, with `by` and `reason` or nothing.
pub(crate) async fn cancel(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<SeriesView>, Problem> {
    let id = series_id(id)?;
    let order = read_order(json::optional(&headers, body)?, tenant.acts_as())?;
    let series = cancel_order(&api, &tenant, id, &order).await?;
    Ok(Json(SeriesView::of(series)))
}

/// The one command behind every place where a series is canceled.
pub(crate) async fn cancel_order(
    api: &Api,
    tenant: &Tenant,
    id: SeriesId,
    order: &Order,
) -> Result<Series, Problem> {
    let answer = tenant.cancel_series(id, &order.by, order.reason.as_deref(), api.clock.now()).await?;
    let answer = answer.ok_or_else(Problem::unknown_series)?;
    if answer.fresh {
        tracing::info!(series.id = %id, "series canceled");
    }
    Ok(answer.series)
}
