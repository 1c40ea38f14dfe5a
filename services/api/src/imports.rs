//! Deliveries of a roster over REST: sent, compared with the directory, looked at, and applied exactly as they were
//! compared. The rows are read and stored by the code of `tocsin import`.

mod rows;
mod view;
mod work;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_store::Tenant;
use tocsin_store::tenant::imports::{Begun, Import, NewImport};
use uuid::Uuid;

pub use self::rows::directory_of;
use self::view::ImportView;
pub(crate) use self::view::standing;
use crate::auth::Caller;
use crate::directory::NAME_CHARS_MAX;
use crate::fields::{Fault, Faults, Fields, named};
use crate::openapi::shapes::{Text, shape};
use crate::openapi::{Operation, Placed};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

/// A zip at most. That of a district of 400,000 people is a fifth of it.
pub(crate) const DELIVERY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a zip begins with, whatever it is called.
const ZIP: &[u8] = b"PK\x03\x04";

pub(crate) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(DELIVERY_BYTES_MAX)
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImportPage")]
pub(crate) struct ListView {
    imports: Vec<ImportView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

shape! {
    pub(crate) struct DeliveryQuery {
        /// `roster.zip` unless said.
        name: Option<Text<NAME_CHARS_MAX>>,
        /// Refuse it where a row has faults.
        strict: Option<bool>,
        created_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const CREATE: Operation = Operation::new("createImport", "Send a delivery of a roster")
    .telling(
        "A zip of OneRoster CSV files, 64 MiB at most, as the body itself. It is compared with the directory, and takes the \
         place of one that waits.",
    )
    .takes_file(&["application/zip", "application/octet-stream"])
    .asks::<DeliveryQuery>()
    .answers(&[(202, "It is being read.")])
    .refuses(&[Kind::NotADelivery]);

/// `POST /v1/imports?name=&strict=&created_by=`: 202 with where to ask for what it would change.
pub(crate) async fn create(
    Caller(tenant): Caller,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Placed<ImportView>, Problem> {
    let wanted = read_query(query.as_deref(), tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let zip = body.map_err(|rejection| broken_off(&rejection))?;
    let id = receive(&api, &tenant, &wanted, zip).await?;
    let view = ImportView::of(existing(&tenant, id).await?, api.clock.now());
    Ok(Placed { status: StatusCode::ACCEPTED, location: format!("/v1/imports/{id}"), view })
}

/// Why the bytes of a delivery are not all there.
pub(crate) fn broken_off(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!(
                "the delivery is longer than {DELIVERY_BYTES_MAX} bytes: pack it, or send it in parts"
            );
            Problem::new(Kind::TooLarge, detail)
        }
        _ => Problem::new(Kind::NotADelivery, "the delivery broke off before its end: send it again"),
    }
}

/// The one command behind every place where deliveries are sent.
pub(crate) async fn receive(
    api: &Api,
    tenant: &Tenant,
    wanted: &Wanted,
    zip: Bytes,
) -> Result<Uuid, Problem> {
    if !zip.starts_with(ZIP) {
        let detail =
            "the body is no zip: send a zip with the OneRoster CSV files in its root, as the body itself";
        return Err(Problem::new(Kind::NotADelivery, detail));
    }
    let now = api.clock.now();
    let id = Uuid::now_v7();
    let new = NewImport { id, actor: &wanted.by, file_name: &wanted.name, strict: wanted.strict, zip: &zip };
    tenant.keep_import(&new, now).await?;
    work::compare(api, tenant, id, zip.into(), wanted.strict);
    tracing::info!(import.id = %id, "delivery received");
    Ok(id)
}

pub(crate) const LIST: Operation =
    Operation::new("listImports", "List deliveries of a roster, newest first").asks::<PageQuery>();

/// `GET /v1/imports?limit=&cursor=`, the newest first.
pub(crate) async fn list(
    Caller(tenant): Caller,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query.as_deref(), &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, |text| Uuid::parse_str(text).ok());
    fields.finish(&mut faults);
    let limit = faults.or(limit).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    // One more than is shown tells whether another page follows.
    let mut found = tenant.imports(before, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.id.to_string()));
    let now = api.clock.now();
    Ok(Json(ListView {
        imports: found.into_iter().map(|found| ImportView::of(found, now)).collect(),
        next_cursor,
    }))
}

pub(crate) const SHOW: Operation =
    Operation::new("showImport", "Show a delivery and what it would change").refuses(&[Kind::UnknownImport]);

/// `GET /v1/imports/{id}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ImportView>, Problem> {
    let found = existing(&tenant, import_id(id)?).await?;
    Ok(Json(ImportView::of(found, api.clock.now())))
}

pub(crate) const PROBLEMS: Operation =
    Operation::new("getImportProblems", "Get the faults of a delivery's rows as a file")
        .gives_file(&["text/csv"])
        .refuses(&[Kind::UnknownImport, Kind::ImportNotReady]);

/// `GET /v1/imports/{id}/problems`: the faults of its rows, as CSV to be saved.
pub(crate) async fn problems(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let found = tenant.import_problems(import_id(id)?).await?.ok_or_else(unknown_import)?;
    let csv = found.ok_or_else(|| {
        Problem::new(Kind::ImportNotReady, "the delivery is still being read: ask again in a few seconds")
    })?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"problems.csv\""),
    ];
    Ok((headers, csv).into_response())
}

shape! {
    pub(crate) struct ApplyQuery {
        applied_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const APPLY: Operation = Operation::new("applyImport", "Apply a delivery that was compared")
    .telling("As it was compared, or not at all.")
    .asks::<ApplyQuery>()
    .answers(&[(202, "It is being applied.")])
    .refuses(&[Kind::UnknownImport, Kind::ImportNotReady, Kind::DirectoryMoved]);

/// `POST /v1/imports/{id}/apply?applied_by=`: 202, and applied as it was compared or not at all.
pub(crate) async fn apply(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Placed<ImportView>, Problem> {
    let id = import_id(id)?;
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query.as_deref(), &mut faults);
    let by = fields.take("applied_by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
    fields.finish(&mut faults);
    faults.or(Some(())).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    apply_order(&api, &tenant, id, by.unwrap_or_else(|| tenant.acts_as().to_owned())).await?;
    let view = ImportView::of(existing(&tenant, id).await?, api.clock.now());
    Ok(Placed { status: StatusCode::ACCEPTED, location: format!("/v1/imports/{id}"), view })
}

/// The one command behind every place where deliveries are applied.
pub(crate) async fn apply_order(api: &Api, tenant: &Tenant, id: Uuid, by: String) -> Result<(), Problem> {
    let now = api.clock.now();
    match tenant.begin_import(id, now).await?.ok_or_else(unknown_import)? {
        Begun::Yes => {}
        Begun::Moved => {
            let detail =
                "the directory changed after this delivery was compared with it: send the delivery again";
            return Err(Problem::new(Kind::DirectoryMoved, detail));
        }
        Begun::NotCompared => {
            let state = standing(&existing(tenant, id).await?, now).0.as_str();
            let detail = format!("the delivery is {state}: only one that is compared can be applied");
            return Err(Problem::new(Kind::ImportNotReady, detail));
        }
    }
    work::apply(api, tenant, id, by);
    Ok(())
}

/// What is said of a delivery beside its bytes.
pub(crate) struct Wanted {
    pub name: String,
    /// Is it refused where a row has faults?
    pub strict: bool,
    pub by: String,
}

fn read_query(query: Option<&str>, actor: &str) -> Result<Wanted, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let name = fields.take("name").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
    let strict = fields.take("strict").and_then(|field| {
        let flag = |text: &str| named(text, &[true, false], |flag| if flag { "true" } else { "false" });
        field.parsed(&mut faults, flag)
    });
    let by = fields.take("created_by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
    fields.finish(&mut faults);
    faults.or(Some(Wanted {
        name: name.unwrap_or_else(|| "roster.zip".to_owned()),
        strict: strict.unwrap_or(false),
        by: by.unwrap_or_else(|| actor.to_owned()),
    }))
}

pub(crate) async fn existing(tenant: &Tenant, id: Uuid) -> Result<Import, Problem> {
    tenant.import(id).await?.ok_or_else(unknown_import)
}

pub(crate) fn import_id(path: Result<Path<String>, PathRejection>) -> Result<Uuid, Problem> {
    path.ok().and_then(|Path(id)| Uuid::parse_str(&id).ok()).ok_or_else(unknown_import)
}

pub(crate) fn unknown_import() -> Problem {
    Problem::new(Kind::UnknownImport, "this district has no delivery of that id")
}
