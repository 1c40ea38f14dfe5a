//! `/people/{person}/activities`: what was done about a person, beside what was sent to them (requirement 168).

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tocsin_domain::rights::Right;
use tocsin_store::tenant::directory::activities::{Activity, Consents, Hand, Link, LinkChange, What};

use super::access::Visitor;
use super::consents;
use super::page::{Refused, Shell, answer};
use super::person::{Heading, existing};
use super::when::Stamp;
use crate::server::Api;

const ROWS_MAX: u32 = 100;

#[derive(Template)]
#[template(path = "activities.html")]
struct ActivitiesPage {
    shell: Shell,
    who: Heading,
    rows: Vec<Row>,
    /// Are these all?
    whole: bool,
}

struct Row {
    what: String,
    by: String,
    at: Stamp,
}

/// `GET /people/{person}/activities`, the latest first.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path(source_id): Path<String>,
) -> Result<Response, Refused> {
    let person = existing(&visitor, &source_id).await?;
    let may_see = visitor.tenant.may(Right::Consents);
    let consents = if may_see { Consents::Shown } else { Consents::Hidden };
    let found = visitor.tenant.activities(&person.source_id, consents, ROWS_MAX).await?;
    let (now, whole) = (api.clock.now(), found.len() < ROWS_MAX as usize);
    let row = |activity: Activity| Row {
        what: in_words(activity.what),
        by: activity.by,
        at: visitor.zone.stamp(activity.at, now),
    };
    let rows = found.into_iter().map(row).collect();
    let who = Heading::of(&person);
    let shell = Shell::new(&who.name, &visitor.who, "people");
    Ok(answer(StatusCode::OK, &ActivitiesPage { shell, who, rows, whole }))
}

fn in_words(what: What) -> String {
    match what {
        What::Consent { phone, from: None, to } => format!("{phone}: {}", consents::name(to).0),
        What::Consent { phone, from: Some(from), to } => {
            format!("{phone}: {} after {}", consents::name(to).0, consents::name(from).0)
        }
        What::Linked { link, change, by } => {
            let what = linked(&link, change);
            match by {
                Hand::District => what,
                Hand::Roster => format!("{what}, by a delivery of the roster"),
            }
        }
        What::Changed { action } => match action.as_str() {
            "directory.person.add" => "Added by hand".to_owned(),
            "directory.person.rename" => "Name changed".to_owned(),
            "directory.person.active" => "Activated or deactivated".to_owned(),
            "directory.person.prefer" => "Preferences changed".to_owned(),
            "directory.device.add" => "Device added".to_owned(),
            "directory.device.remove" => "Device removed".to_owned(),
            other => other.to_owned(),
        },
    }
}

fn linked(link: &Link, change: LinkChange) -> String {
    match (link, change) {
        (Link::Contact(name), LinkChange::Began) => format!("{name} became a contact"),
        (Link::Contact(name), LinkChange::Ended) => format!("{name} is no contact any more"),
        (Link::Student(name), LinkChange::Began) => format!("Became a contact of {name}"),
        (Link::Student(name), LinkChange::Ended) => format!("No contact of {name} any more"),
        (Link::School(name), LinkChange::Began) => format!("Enrolled at {name}"),
        (Link::School(name), LinkChange::Ended) => format!("Not enrolled at {name} any more"),
    }
}
