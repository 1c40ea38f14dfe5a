//! `/templates`: what messages are begun from. Their forms are `compose/templating.rs`.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use tocsin_store::tenant::templates::Template as Kept;
use uuid::Uuid;

use super::access::Visitor;
use super::page::{Refused, Shell, answer};
use super::rows::modes;
use super::when::Stamp;
use super::words;
use crate::fields::{Fault, Faults, Fields};
use crate::needs::may_send;
use crate::page::{encode, read_cursor};
use crate::server::Api;

const TEMPLATES_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "templates.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    saved: bool,
    further: bool,
    next: Option<String>,
}

struct Row {
    id: Uuid,
    name: String,
    subject: String,
    kind: String,
    modes: Vec<&'static str>,
    languages: String,
    by: String,
    at: Stamp,
    /// May whoever looks send such messages, and so change it?
    usable: bool,
}

/// `GET /templates?cursor=`, in the order of names.
pub(crate) async fn list(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let saved = query.as_deref() == Some("saved");
    let query = query.filter(|_| !saved);
    let after = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let mut found = visitor.tenant.templates(after.as_deref(), TEMPLATES_MAX + 1).await?;
    let more = found.len() > TEMPLATES_MAX as usize;
    found.truncate(TEMPLATES_MAX as usize);
    let next = found.last().filter(|_| more).map(|last| encode(&last.content.name));
    let now = api.clock.now();
    let row = |kept: Kept| {
        let content = kept.content;
        let spoken = content.contents.iter().filter_map(|content| content.language.as_deref());
        let mut languages: Vec<_> = spoken.map(words::language).collect();
        languages.dedup();
        let (by, at) = kept.modified_by.zip(kept.modified_at).unwrap_or((kept.created_by, kept.created_at));
        Row {
            id: kept.id,
            usable: may_send(&visitor.tenant, &content.message_type).is_ok(),
            name: content.name,
            subject: content.subject,
            kind: words::message_type(&content.message_type),
            modes: modes(&content.channels),
            languages: languages.join(", "),
            by,
            at: visitor.zone.stamp(at, now),
        }
    };
    let page = ListPage {
        rows: found.into_iter().map(row).collect(),
        shell: Shell::new("Templates", &visitor.who, "templates"),
        saved,
        further: after.is_some(),
        next,
    };
    Ok(answer(StatusCode::OK, &page))
}

fn read_query(query: Option<&str>) -> Result<Option<String>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, |text| (!text.contains('\0')).then(|| text.to_owned()));
    fields.finish(&mut faults);
    faults.or(Some(after))
}
