//! `/imports`: a delivery of a roster is sent, looked at before it changes anything, and applied as it was shown.

use askama::Template;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use tocsin_store::directory::{DirectoryReport, DirectorySamples, TableReport, TableSamples};
use tocsin_store::tenant::imports::{Import, ImportState};
use uuid::Uuid;

use super::access::Visitor;
use super::multipart::{Part, parts};
use super::page::{Count, Refused, Shell, answer};
use super::when::{Stamp, Zone};
use super::words::Tone;
use crate::directory::NAME_CHARS_MAX;
use crate::fields::{Fault, Faults, Fields};
use crate::imports::{
    DELIVERY_BYTES_MAX, Wanted, apply_order, broken_off, existing, import_id, receive, standing,
    unknown_import,
};
use crate::page::{encode, read_cursor};
use crate::problem::{Kind, Problem};
use crate::server::Api;

const IMPORTS_MAX: u32 = 25;
/// Faults of rows that the page shows; the file has all.
const PROBLEMS_SHOWN: usize = 50;
/// They are in the first so many characters of the file.
const PROBLEMS_CHARS_MAX: i32 = 20_000;
/// What a form says beside the file.
const FORM_BYTES_MAX: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "imports.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    strict: bool,
    fault: Option<String>,
    further: bool,
    next: Option<String>,
}

struct Row {
    id: Uuid,
    name: String,
    state: (&'static str, Tone),
    by: String,
    at: Stamp,
    changes: Option<Count>,
    faults: Option<Count>,
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    shell: Shell,
    id: Uuid,
    name: String,
    state: ImportState,
    badge: (&'static str, Tone),
    reason: Option<String>,
    strict: bool,
    by: String,
    at: Stamp,
    applied: Option<(String, Stamp)>,
    summary: Option<Shown>,
    problems: Vec<RowProblem>,
    problems_max: usize,
    fault: Option<String>,
}

/// What came of reading and comparing a delivery, as `imports/work.rs` writes it.
#[derive(Debug, Deserialize)]
struct Summary {
    files: Vec<File>,
    errors: u64,
    warnings: u64,
    tables: Option<DirectoryReport>,
    #[serde(default)]
    samples: DirectorySamples,
}

#[derive(Debug, Deserialize)]
struct File {
    file: String,
    mode: String,
    rows: u64,
    rows_left_out: u64,
}

struct Shown {
    files: Vec<(String, &'static str, Count, Count)>,
    errors: Count,
    warnings: Count,
    tables: Vec<Table>,
    changes: Count,
    unresolved: Count,
}

/// How one table changes.
struct Table {
    name: &'static str,
    added: Count,
    changed: Count,
    gone: Count,
    unchanged: Count,
    samples: TableSamples,
}

/// A fault of a row: file, line, column, kind and what is wrong.
#[derive(Debug, Deserialize)]
struct RowProblem {
    file: String,
    line: String,
    column: String,
    kind: String,
    problem: String,
}

fn badge(state: ImportState) -> (&'static str, Tone) {
    match state {
        ImportState::Reading => ("Reading", Tone::Active),
        ImportState::Compared => ("Waits to be applied", Tone::Stopped),
        ImportState::Applying => ("Applying", Tone::Active),
        ImportState::Applied => ("Applied", Tone::Good),
        ImportState::Refused => ("Refused", Tone::Bad),
        ImportState::GivenUp => ("Given up", Tone::Quiet),
    }
}

/// The whole form may be longer than the file.
pub(crate) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(DELIVERY_BYTES_MAX + FORM_BYTES_MAX)
}

/// `GET /imports?cursor=`.
pub(crate) async fn list(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let before = read_query(query.as_deref()).map_err(Refused::faulty)?;
    Ok(answer(StatusCode::OK, &list_page(&visitor, &api, before).await?))
}

fn read_query(query: Option<&str>) -> Result<Option<Uuid>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, |text| Uuid::parse_str(text).ok());
    fields.finish(&mut faults);
    faults.or(Some(before))
}

async fn list_page(visitor: &Visitor, api: &Api, before: Option<Uuid>) -> Result<ListPage, Refused> {
    let mut found = visitor.tenant.imports(before, IMPORTS_MAX + 1).await?;
    let more = found.len() > IMPORTS_MAX as usize;
    found.truncate(IMPORTS_MAX as usize);
    let next = found.last().filter(|_| more).map(|last| encode(&last.id.to_string()));
    let now = api.clock.now();
    Ok(ListPage {
        shell: Shell::new("Roster imports", &visitor.who, "imports"),
        rows: found.iter().map(|import| Row::of(import, visitor.zone, now)).collect(),
        strict: false,
        fault: None,
        further: before.is_some(),
        next,
    })
}

impl Row {
    fn of(import: &Import, zone: Zone, now: DateTime<Utc>) -> Self {
        let summary = Summary::of(import);
        let changes =
            summary.as_ref().and_then(|summary| summary.tables.as_ref()).map(|tables| tables.changes());
        Self {
            id: import.id,
            name: import.file_name.clone(),
            state: badge(standing(import, now).0),
            by: import.created_by.clone(),
            at: zone.stamp(import.created_at, now),
            changes: changes.map(count),
            faults: summary.map(|summary| count(summary.errors)),
        }
    }
}

impl Summary {
    /// None: it was not read yet, or by a release that wrote otherwise.
    fn of(import: &Import) -> Option<Self> {
        import.summary.clone().and_then(|summary| serde_json::from_value(summary).ok())
    }
}

impl Shown {
    fn of(summary: Summary) -> Self {
        let Summary { files, errors, warnings, tables, samples } = summary;
        let report = tables.unwrap_or_default();
        let shown = [
            ("Schools", report.schools, samples.schools),
            ("People", report.people, samples.people),
            ("Enrolments", report.students, samples.students),
            ("Contacts", report.contacts, samples.contacts),
            ("Devices", report.devices, samples.devices),
            ("Sessions", report.sessions, samples.sessions),
            ("Classes", report.classes, samples.classes),
            ("Members of classes", report.class_members, samples.class_members),
        ];
        let files = files.into_iter().map(|file| {
            let mode = match file.mode.as_str() {
                "bulk" => "complete",
                "delta" => "changes only",
                _ => "not in it",
            };
            (file.file, mode, count(file.rows), count(file.rows_left_out))
        });
        Self {
            files: files.collect(),
            errors: count(errors),
            warnings: count(warnings),
            tables: match tables {
                Some(_) => shown.into_iter().map(|(name, report, of)| Table::of(name, report, of)).collect(),
                None => Vec::new(),
            },
            changes: count(report.changes()),
            unresolved: count(report.unresolved),
        }
    }
}

impl Table {
    fn of(name: &'static str, report: TableReport, samples: TableSamples) -> Self {
        Self {
            name,
            added: count(report.added),
            changed: count(report.changed),
            gone: count(report.gone),
            unchanged: count(report.unchanged()),
            samples,
        }
    }

    fn kinds(&self) -> [(&'static str, &[String]); 3] {
        let TableSamples { added, changed, gone } = &self.samples;
        [("Added", added), ("Changed", changed), ("Gone", gone)]
    }

    fn has_samples(&self) -> bool {
        self.kinds().iter().any(|(_, names)| !names.is_empty())
    }
}

fn count(number: u64) -> Count {
    Count(i64::try_from(number).unwrap_or(i64::MAX))
}

/// `POST /imports`, a form with `file` and `strict`: leads to what the delivery would change.
pub(crate) async fn send(
    visitor: Visitor,
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let parts = match body {
        Ok(body) => parts(&headers, &body).ok_or("The form broke off on its way: send it again.".to_owned()),
        Err(rejection) => Err(sentence(&broken_off(&rejection))),
    };
    let strict = parts.as_ref().is_ok_and(|parts| parts.iter().any(|part| part.name == "strict"));
    let sent = match parts {
        Ok(parts) => sent(&visitor, &api, parts, strict).await,
        Err(fault) => Ok(Err(fault)),
    };
    match sent? {
        Ok(id) => Ok(Redirect::to(&format!("/imports/{id}")).into_response()),
        Err(fault) => {
            let page = list_page(&visitor, &api, None).await?;
            let page = ListPage { fault: Some(fault), strict, ..page };
            Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

/// The delivery's id, or what is wrong with the form.
async fn sent(
    visitor: &Visitor,
    api: &Api,
    parts: Vec<Part>,
    strict: bool,
) -> Result<Result<Uuid, String>, Refused> {
    let file = parts.into_iter().find(|part| part.name == "file");
    let Some(file) = file.filter(|file| file.file_name.as_deref().is_some_and(|name| !name.is_empty()))
    else {
        return Ok(Err("No file is chosen: choose the zip of the OneRoster export.".to_owned()));
    };
    let name: String = file.file_name.unwrap_or_default().chars().take(NAME_CHARS_MAX).collect();
    let wanted = Wanted { name: name.replace('\0', ""), strict, by: visitor.actor.clone() };
    match receive(api, &visitor.tenant, &wanted, file.body).await {
        Ok(id) => Ok(Ok(id)),
        Err(problem) if problem.kind() == Kind::NotADelivery => {
            let fault = format!("“{}” is no zip: choose the zip with the OneRoster CSV files.", wanted.name);
            Ok(Err(fault))
        }
        Err(problem) => Err(problem.into()),
    }
}

fn sentence(problem: &Problem) -> String {
    format!("{}: {}.", problem.title(), problem.detail())
}

/// `GET /imports/{id}`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let import = existing(&visitor.tenant, import_id(Ok(Path(id)))?).await?;
    Ok(answer(StatusCode::OK, &page(&visitor, &import, api.clock.now()).await?))
}

async fn page(visitor: &Visitor, import: &Import, now: DateTime<Utc>) -> Result<ImportPage, Refused> {
    let (state, reason) = standing(import, now);
    let begin = visitor.tenant.import_problems_begin(import.id, PROBLEMS_CHARS_MAX).await?;
    let stamp = |at| visitor.zone.stamp(at, now);
    Ok(ImportPage {
        shell: Shell::new(&import.file_name, &visitor.who, "imports"),
        id: import.id,
        name: import.file_name.clone(),
        state,
        badge: badge(state),
        reason,
        strict: import.strict,
        by: import.created_by.clone(),
        at: stamp(import.created_at),
        applied: import.applied_by.clone().zip(import.applied_at.map(stamp)),
        summary: Summary::of(import).map(Shown::of),
        problems: row_problems(&begin.unwrap_or_default()),
        problems_max: PROBLEMS_SHOWN,
        fault: None,
    })
}

/// The last line of the beginning of a file may be broken off: what is not whole is left out.
fn row_problems(csv: &str) -> Vec<RowProblem> {
    let whole = csv.rfind('\n').map_or("", |end| csv.get(..=end).unwrap_or_default());
    let mut reader = csv::Reader::from_reader(whole.as_bytes());
    reader.deserialize().filter_map(Result::ok).take(PROBLEMS_SHOWN).collect()
}

/// `GET /imports/{id}/problems`: the faults of its rows as a file.
pub(crate) async fn problems(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refused> {
    let id = import_id(Ok(Path(id)))?;
    let csv = visitor.tenant.import_problems(id).await?.ok_or_else(unknown_import)?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"problems.csv\""),
    ];
    Ok((headers, csv.unwrap_or_default()).into_response())
}

/// `POST /imports/{id}/apply`.
pub(crate) async fn apply(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = import_id(Ok(Path(id)))?;
    match apply_order(&api, &visitor.tenant, id, visitor.actor.clone()).await {
        Ok(()) => Ok(Redirect::to(&format!("/imports/{id}")).into_response()),
        // Pressed twice, or after somebody else: the page says where it is by now.
        Err(problem) if matches!(problem.kind(), Kind::ImportNotReady | Kind::DirectoryMoved) => {
            let import = existing(&visitor.tenant, id).await?;
            let page = page(&visitor, &import, api.clock.now()).await?;
            let page = ImportPage { fault: Some(sentence(&problem)), ..page };
            Ok(answer(problem.status(), &page))
        }
        Err(problem) => Err(problem.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_that_is_cut_off_the_whole_lines_are_shown() {
        let csv = "file,line,column,kind,problem\nusers.csv,4,email,error,\"no address, but\na line\"\nusers.csv,5,,war";
        let found = row_problems(csv);
        assert_eq!((found.len(), found[0].problem.as_str()), (1, "no address, but\na line"));
        assert!(row_problems("").is_empty() && row_problems("file,line").is_empty());
    }
}
