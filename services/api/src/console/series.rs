//! `/series/{id}`: what recurs, when it comes next and what became of it; and the end of it (requirements 26 and 33).

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, CampaignState};
use tocsin_store::tenant::series::{PastOccurrence, Series, SeriesState};

use super::access::Visitor;
use super::detail::Text;
use super::page::{Refused, Shell, answer};
use super::reason::{Faulty, order_of};
use super::rows::{Schools, modes};
use super::skip::{Day, left_out};
use super::when::{Stamp, Zone};
use super::words::{self, Tone};
use crate::cancel::REASON_CHARS_MAX;
use crate::series::{OccurrenceView, cancel_order, coming, existing, series_id};
use crate::server::Api;

const COMING_SHOWN: u32 = 6;
const PAST_SHOWN: u32 = 25;

#[derive(Template)]
#[template(path = "series.html")]
struct SeriesPage {
    shell: Shell,
    series: Shown,
    coming: Vec<Day>,
    left_out: Vec<Day>,
    past: Vec<Past>,
    texts: Vec<Text>,
}

#[derive(Template)]
#[template(path = "series_cancel.html")]
struct CancelPage {
    shell: Shell,
    series: Shown,
    coming: Vec<Stamp>,
    reason: String,
    fault: Option<String>,
    reason_chars_max: usize,
}

/// What a page says of a series.
struct Shown {
    id: String,
    number: i64,
    /// What an edit names.
    version: i32,
    subject: String,
    state: (&'static str, Tone),
    editable: bool,
    cancelable: bool,
    kind: String,
    urgent: bool,
    modes: Vec<&'static str>,
    words: String,
    zone: &'static str,
    whom: String,
    calendars: String,
    by: String,
    created: Stamp,
    modified: Option<(String, Option<Stamp>)>,
    canceled: Option<Canceled>,
}

struct Canceled {
    by: String,
    at: Stamp,
    reason: Option<String>,
}

struct Past {
    at: Stamp,
    /// None: it was skipped.
    campaign: Option<(CampaignId, &'static str, Tone)>,
}

impl Shown {
    fn of(visitor: &Visitor, series: &Series, schools: &Schools, now: DateTime<Utc>) -> Self {
        let (zone, actor) = (visitor.zone, visitor.tenant.actor());
        let content = &series.content;
        let active = series.state == SeriesState::Active;
        let state = match series.state {
            SeriesState::Active => ("Active", Tone::Active),
            SeriesState::Ended => ("Ended", Tone::Quiet),
            SeriesState::Canceled => ("Canceled", Tone::Stopped),
        };
        Self {
            id: series.id.to_string(),
            number: series.number,
            version: series.version,
            subject: content.subject.clone(),
            state,
            editable: active && actor.is_some_and(|actor| actor.may_edit(series.creator).is_ok()),
            cancelable: active
                && actor
                    .is_some_and(|actor| actor.may_cancel(series.creator, CampaignState::Scheduled).is_ok()),
            kind: words::message_type(&content.message_type),
            urgent: content.message_type == "emergency",
            modes: modes(&content.channels),
            words: content.recurrence.to_string(),
            zone: content.zone.name(),
            whom: words::audience(&content.audience),
            calendars: schools.of_audience(&content.audience),
            by: series.created_by.clone(),
            created: zone.stamp(series.created_at, now),
            modified: series
                .modified_by
                .clone()
                .map(|by| (by, series.modified_at.map(|at| zone.stamp(at, now)))),
            canceled: series.canceled_at.map(|at| Canceled {
                by: series.canceled_by.clone().unwrap_or_default(),
                at: zone.stamp(at, now),
                reason: series.cancel_reason.clone(),
            }),
        }
    }
}

impl Past {
    fn of(past: &PastOccurrence, zone: Zone, now: DateTime<Utc>) -> Self {
        let campaign = past.campaign.map(|(id, state)| {
            let (word, tone) = words::state(state);
            (id, word, tone)
        });
        Self { at: zone.stamp(past.at, now), campaign }
    }
}

/// `GET /series/{id}`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let (series, schools) = found(&visitor, id).await?;
    let now = api.clock.now();
    let past = visitor.tenant.past_occurrences(series.id, None, PAST_SHOWN).await?;
    let page = SeriesPage {
        shell: Shell::new(&series.content.subject, &visitor.who, "upcoming"),
        coming: days(&series, visitor.zone, now),
        left_out: match series.state {
            SeriesState::Active => left_out(&series, visitor.zone, now),
            SeriesState::Ended | SeriesState::Canceled => Vec::new(),
        },
        past: past.iter().map(|past| Past::of(past, visitor.zone, now)).collect(),
        texts: Text::all(series.content.contents.clone(), &series.content.subject),
        series: Shown::of(&visitor, &series, &schools, now),
    };
    Ok(answer(StatusCode::OK, &page))
}

/// `GET /series/{id}/cancel`: the question.
pub(crate) async fn ask(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let (series, schools) = found(&visitor, id).await?;
    if series.state != SeriesState::Active {
        return Ok(Redirect::to(&format!("/series/{}", series.id)).into_response());
    }
    let page = CancelPage::new(&visitor, &series, &schools, api.clock.now());
    Ok(answer(StatusCode::OK, &page))
}

/// `POST /series/{id}/cancel` with `reason`. Leads to the receipt, however often it is pressed.
pub(crate) async fn cancel(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let (series, schools) = found(&visitor, id).await?;
    let order = match order_of(&body, &visitor.actor) {
        Ok(order) => order,
        Err(Faulty { typed, fault }) => {
            let asked = CancelPage::new(&visitor, &series, &schools, api.clock.now());
            let page = CancelPage { reason: typed, fault: Some(fault), ..asked };
            return Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    cancel_order(&api, &visitor.tenant, series.id, &order).await?;
    Ok(Redirect::to(&format!("/series/{}#receipt", series.id)).into_response())
}

impl CancelPage {
    fn new(visitor: &Visitor, series: &Series, schools: &Schools, now: DateTime<Utc>) -> Self {
        Self {
            shell: Shell::new(format!("Cancel {}", series.content.subject), &visitor.who, "upcoming"),
            coming: days(series, visitor.zone, now).into_iter().map(|day| day.at).collect(),
            series: Shown::of(visitor, series, schools, now),
            reason: String::new(),
            fault: None,
            reason_chars_max: REASON_CHARS_MAX,
        }
    }
}

async fn found(visitor: &Visitor, id: String) -> Result<(Series, Schools), Refused> {
    let series = existing(&visitor.tenant, series_id(Ok(Path(id)))?).await?;
    Ok((series, Schools::read(&visitor.tenant).await?))
}

fn days(series: &Series, zone: Zone, now: DateTime<Utc>) -> Vec<Day> {
    let day = |it: &OccurrenceView| Day::of(it.on, it.at, zone, now);
    coming(series, COMING_SHOWN).iter().map(day).collect()
}
