//! `/audit`: what was done, by whom and when.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::Value;
use tocsin_store::tenant::audit::{AuditQuery, AuditRow};

use super::access::Visitor;
use super::page::{Count, Refused, Shell, answer};
use super::when::Stamp;
use crate::audit_log::{parse_cursor, write_cursor};
use crate::fields::{Fault, Faults, Field, Fields, quoted};
use crate::page::read_cursor;
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

const ROWS_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    wanted: Wanted,
    rows: Vec<Row>,
    further: bool,
    next: Option<String>,
}

struct Row {
    at: Stamp,
    actor: String,
    action: String,
    subject: String,
    /// Of what has a page for good, that page.
    link: Option<String>,
    details: String,
}

/// What the filters hold.
#[derive(Debug, Default)]
struct Wanted {
    actor: String,
    action: String,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

impl Wanted {
    /// The filters again, for the link to the next page.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("actor", &self.actor), ("action", &self.action)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        for (name, day) in [("from", self.from), ("to", self.to)] {
            if let Some(day) = day {
                query.append_pair(name, &day.to_string());
            }
        }
        query.finish()
    }

    fn day(day: Option<NaiveDate>) -> String {
        day.map(|day| day.to_string()).unwrap_or_default()
    }

    fn first_day(&self) -> String {
        Self::day(self.from)
    }

    fn to_day(&self) -> String {
        Self::day(self.to)
    }
}

/// `GET /audit?actor=&action=&from=&to=&cursor=`, days in the district's time zone.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let (wanted, before) = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let wanted_rows = AuditQuery {
        actor: given(&wanted.actor),
        action: given(&wanted.action),
        from: wanted.from.map(|day| visitor.zone.beginning_of(day)),
        // The day itself is among them.
        to: wanted
            .to
            .and_then(|day| day.checked_add_days(Days::new(1)))
            .map(|day| visitor.zone.beginning_of(day)),
        before,
        rows_max: ROWS_MAX + 1,
    };
    let mut found = visitor.tenant.audit_log(&wanted_rows).await?;
    let more = found.len() > ROWS_MAX as usize;
    found.truncate(ROWS_MAX as usize);
    let next = found.last().filter(|_| more).map(write_cursor);
    let now = api.clock.now();
    let rows = found.into_iter().map(|row| Row::of(row, |at| visitor.zone.exact(at, now))).collect();
    let shell = Shell::new("Audit", &visitor.who, "audit");
    Ok(answer(StatusCode::OK, &AuditPage { shell, wanted, rows, further: before.is_some(), next }))
}

type Place = (DateTime<Utc>, i64);

/// A filter that was left empty is none.
fn read_query(query: Option<&str>) -> Result<(Wanted, Option<Place>), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let mut text = |name: &'static str, faults: &mut Faults| {
        let typed = fields.take(name).and_then(|field| field.string(faults)).unwrap_or_default();
        let typed = typed.trim().to_owned();
        if typed.chars().count() > ACTOR_CHARS_MAX {
            faults.add(name, format!("has more than {ACTOR_CHARS_MAX} characters: shorten it"));
        }
        typed
    };
    let actor = text("actor", &mut faults);
    let action = text("action", &mut faults);
    let from = fields.take("from").and_then(|field| read_day(field, &mut faults));
    let to = fields.take("to").and_then(|field| read_day(field, &mut faults));
    let before = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(Some((Wanted { actor, action, from, to }, before)))
}

fn read_day(field: Field, faults: &mut Faults) -> Option<NaiveDate> {
    field.parsed(faults, |text| match text {
        "" => Ok(None),
        text => {
            text.parse().map(Some).map_err(|_| format!("{} is no day: write it as 2026-09-01", quoted(text)))
        }
    })?
}

impl Row {
    fn of(row: AuditRow, stamp: impl Fn(DateTime<Utc>) -> Stamp) -> Self {
        let page = match row.action.split('.').next() {
            Some("campaign") => Some("campaigns"),
            Some("approval") => Some("approvals"),
            Some("series") => Some("series"),
            Some(_) | None => None,
        };
        Self {
            at: stamp(row.at),
            actor: row.actor,
            action: row.action,
            link: page.map(|page| format!("/{page}/{}", row.subject)),
            subject: row.subject,
            details: details(&row.details, &stamp),
        }
    }
}

/// Members as `name: value`, one after the other, in words: no brackets, and of several counts those of something.
fn details(value: &Value, stamp: &impl Fn(DateTime<Utc>) -> Stamp) -> String {
    let Value::Object(members) = value else { return String::new() };
    let told = members.iter().filter_map(|(name, value)| {
        let told = in_words(value, stamp);
        (!told.is_empty()).then(|| format!("{}: {told}", name.replace('_', " ")))
    });
    told.collect::<Vec<_>>().join("; ")
}

fn in_words(value: &Value, stamp: &impl Fn(DateTime<Utc>) -> Stamp) -> String {
    let joined =
        |parts: Vec<String>| parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => {
            number.as_i64().map_or(number.to_string(), |number| Count(number).to_string())
        }
        Value::String(text) => match DateTime::parse_from_rfc3339(text) {
            Ok(at) => stamp(at.to_utc()).text,
            Err(_) => text.clone(),
        },
        Value::Array(items) => joined(items.iter().map(|item| in_words(item, stamp)).collect()),
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !matches!(value.as_i64(), Some(0)));
            let told = members.map(|(name, value)| (name.replace('_', " "), in_words(value, stamp)));
            joined(
                told.filter(|(_, told)| !told.is_empty())
                    .map(|(name, told)| format!("{name} {told}"))
                    .collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::console::when::Zone;

    #[test]
    fn details_are_told_in_words_and_in_the_districts_time() {
        let now = "2026-11-26T23:00:00Z".parse().unwrap();
        let stamp = |at| Zone::of(Some("America/Chicago")).stamp(at, now);
        for (value, told) in [
            (json!({ "roles": ["secretary", "nurse"], "name": "Lee" }), "name: Lee; roles: secretary, nurse"),
            (json!({ "expires_at": "2026-11-26T23:32:03.104505+00:00" }), "expires at: today, 5:32 PM"),
            (
                json!({ "classes": { "added": 0, "gone": 0 }, "people": { "added": 1848, "gone": 0 }, "unresolved": 0 }),
                "people: added 1,848; unresolved: 0",
            ),
            (json!({ "second_person": true, "reason": null, "test_people": [] }), "second person: yes"),
            (json!("nothing"), ""),
        ] {
            assert_eq!(details(&value, &stamp), told);
        }
    }
}
