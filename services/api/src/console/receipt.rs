//! `/campaigns/{id}/receipt/{part}`: whom a cancel reached, part by part.

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use tocsin_domain::receipt::Part;
use tocsin_store::tenant::receipt::{Page, Place, ReceiptRow};

use super::access::Visitor;
use super::detail::existing;
use super::live::{Live, ReceiptCard};
use super::page::{Refused, Shell, answer};
use super::recipients::Row;
use super::when::{Stamp, Zone, reading};
use super::words;
use crate::fields::{Fault, Faults, Fields};
use crate::page::read_cursor;
use crate::receipt::{canceled, parse_cursor, part_named, write_cursor};
use crate::recipients::Around;
use crate::server::Api;

const ROWS_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "receipt.html")]
struct ReceiptPage {
    shell: Shell,
    live: Live,
    receipt: ReceiptCard,
    part: Part,
    name: &'static str,
    hint: &'static str,
    rows: Vec<Tried>,
    further: bool,
    next: Option<String>,
}

/// A recipient's row with what the cancel met.
struct Tried {
    row: Row,
    first: Option<Stamp>,
    last: Option<Stamp>,
    recall: &'static str,
}

/// `GET /campaigns/{id}/receipt/{part}?cursor=`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path((id, part)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let (mut live, id) = existing(&visitor, &api, &id).await?;
    let campaign = canceled(&visitor.tenant, id).await?;
    let part = part_named(&part)?;
    let after = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let Some(receipt) = live.receipt.take() else { return Err(Refused::unknown_campaign()) };
    let from = after.unwrap_or(Place::HEAD);
    let Page { rows, next } = visitor.tenant.receipt_part(id, part, from, ROWS_MAX).await?;
    let now = api.clock.now();
    let around =
        Around::of(&visitor.tenant, campaign, rows.iter().map(|found| &found.row), reading(now)).await?;
    let (name, hint) = words::receipt_part(part);
    let page = ReceiptPage {
        shell: Shell::new(format!("{name}: {}", live.subject), &visitor.who, ""),
        live,
        receipt,
        part,
        name,
        hint,
        rows: rows.into_iter().map(|found| Tried::of(found, &around, visitor.zone, now)).collect(),
        further: after.is_some(),
        next: next.map(write_cursor),
    };
    Ok(answer(StatusCode::OK, &page))
}

fn read_query(query: Option<&str>) -> Result<Option<Place>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(Some(after))
}

impl Tried {
    fn of(found: ReceiptRow, around: &Around, zone: Zone, now: DateTime<Utc>) -> Self {
        let last_at = found.row.device.as_ref().and_then(|device| device.tried_at);
        let last_at = last_at.filter(|at| Some(*at) != found.first_tried_at);
        Self {
            first: found.first_tried_at.map(|at| zone.brief(at, now)),
            last: last_at.map(|at| zone.brief(at, now)),
            recall: words::recall(found.recall),
            row: Row::of(found.row, around, zone, now),
        }
    }
}
