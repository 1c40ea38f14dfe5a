//! `/series/{id}/skip` and `/series/{id}/restore`: one occurrence is left out, and taken back (requirement 35). Both are
//! edits of the series, under the version that the page showed.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::{Map, json};
use tocsin_domain::SeriesId;
use tocsin_domain::recurrence::Recurrence;
use tocsin_store::tenant::series::{Series, SeriesContent};

use super::access::Visitor;
use super::form::Form;
use super::page::Refused;
use super::when::{Stamp, Zone};
use crate::editing::Changes;
use crate::fields::Fault;
use crate::series::{edit_order, existing, series_id};
use crate::server::Api;

/// An occurrence that can be left out, or taken back.
pub(super) struct Day {
    pub on: NaiveDate,
    pub at: Stamp,
    pub words: String,
}

impl Day {
    pub fn of(on: NaiveDate, at: DateTime<Utc>, zone: Zone, now: DateTime<Utc>) -> Self {
        Self { on, at: zone.stamp(at, now), words: zone.ahead(at) }
    }
}

/// What was left out and is still to come.
pub(super) fn left_out(series: &Series, zone: Zone, now: DateTime<Utc>) -> Vec<Day> {
    let content = &series.content;
    let unbroken = content.recurrence.unbroken();
    let days = content.recurrence.except();
    let occurrences = days.filter_map(|on| unbroken.between(content.zone, on, on, 1).into_iter().next());
    let to_come = occurrences.filter(|occurrence| occurrence.at > now);
    to_come.map(|occurrence| Day::of(occurrence.on, occurrence.at, zone, now)).collect()
}

/// `POST /series/{id}/skip` with `on` and `version`.
pub(crate) async fn skip(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let Asked { series, on, version } = Asked::read(&visitor, id, &body, api.clock.now()).await?;
    let recurrence = without_past(&series.content, api.clock.now()).leaving_out(on);
    change(&visitor, &api, (series.id, version), &recurrence).await
}

/// `POST /series/{id}/restore` with `on` and `version`.
pub(crate) async fn restore(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let Asked { series, on, version } = Asked::read(&visitor, id, &body, api.clock.now()).await?;
    let recurrence = without_past(&series.content, api.clock.now()).taking_back(on);
    change(&visitor, &api, (series.id, version), &recurrence).await
}

/// Which day of which series, and of which version of it.
struct Asked {
    series: Series,
    on: NaiveDate,
    version: i32,
}

impl Asked {
    async fn read(visitor: &Visitor, id: String, body: &[u8], now: DateTime<Utc>) -> Result<Self, Refused> {
        let series = existing(&visitor.tenant, series_id(Ok(Path(id)))?).await?;
        let form = Form::of(body);
        let content = &series.content;
        let unbroken = content.recurrence.unbroken();
        let is_to_come = |on: &NaiveDate| {
            let occurrence = unbroken.between(content.zone, *on, *on, 1);
            occurrence.first().is_some_and(|occurrence| occurrence.at > now)
        };
        let Some(on) = form.text("on").parse::<NaiveDate>().ok().filter(is_to_come) else {
            let reason =
                "is no occurrence of this series that is still to come: go back to its page and choose one";
            return Err(Refused::faulty(vec![Fault {
                field: "the day".to_owned(),
                reason: reason.to_owned(),
            }]));
        };
        let version = form.text("version").parse().unwrap_or_default();
        Ok(Self { series, on, version })
    }
}

async fn change(
    visitor: &Visitor,
    api: &Api,
    (id, version): (SeriesId, i32),
    recurrence: &Recurrence,
) -> Result<Response, Refused> {
    let members = Map::from_iter([("recurrence".to_owned(), json!(recurrence))]);
    let changes = Changes { version, by: visitor.actor.clone(), members };
    edit_order(api, &visitor.tenant, id, &changes).await?;
    Ok(Redirect::to(&format!("/series/{id}#coming")).into_response())
}

/// Days that are over are named no more, or the list would only grow. Yesterday stays: a time that the clocks skipped at
/// midnight comes a day after its own.
fn without_past(content: &SeriesContent, now: DateTime<Utc>) -> Recurrence {
    let today = now.with_timezone(&content.zone).date_naive();
    let kept_from = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    let over: Vec<NaiveDate> = content.recurrence.except().filter(|day| *day < kept_from).collect();
    over.into_iter().fold(content.recurrence.clone(), Recurrence::taking_back)
}
