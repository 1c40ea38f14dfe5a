//! Message templates of a district: what messages are begun from. They are checked as the campaigns that they become.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tocsin_domain::Channel;
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use tocsin_store::Tenant;
use tocsin_store::tenant::templates::{Template, TemplateContent, Written};
use uuid::{NoContext, Timestamp, Uuid};

use crate::auth::Caller;
use crate::campaigns::validated;
use crate::fields::{Fault, Faults, Field, Fields};
use crate::openapi::shapes::{MessageTypeName, Text, Varied, shape, varied};
use crate::openapi::{Operation, Placed};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::{ACTOR_CHARS_MAX, CampaignRequest};
use crate::{json, needs};

const NAME_CHARS_MAX: usize = 120;
/// What a campaign has and a template has not.
const FOREIGN: [&str; 7] =
    ["scheduled_at", "expires_in_seconds", "redial", "calling_window", "limits", "created_by", "test"];

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Template")]
pub(crate) struct TemplateView {
    id: Uuid,
    version: i32,
    name: String,
    #[schemars(with = "MessageTypeName")]
    message_type: String,
    subject: String,
    channels: Vec<Channel>,
    contents: Vec<Content>,
    audience: Option<Audience>,
    created_by: String,
    created_at: DateTime<Utc>,
    modified_by: Option<String>,
    modified_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TemplatePage")]
pub(crate) struct ListView {
    templates: Vec<TemplateView>,
    next_cursor: Option<String>,
}

varied!(TemplateRequest, |generator| {
    Varied::of::<CampaignRequest>(generator)
        .without(&FOREIGN)
        .optional(&["audience"])
        .with::<Named>(generator)
});

varied!(TemplateReplacement, |generator| {
    Varied::of::<TemplateRequest>(generator).with::<Seen>(generator)
});

shape! {
    /// What messages are begun from.
    struct Named {
        /// Once in the district.
        name: Text<NAME_CHARS_MAX>,
        /// Who says so; the key's name unless said.
        by: Option<Text<ACTOR_CHARS_MAX>>,
        /// Of a replacement: the version that was seen.
        #[schemars(range(min = 1, max = i32::MAX))]
        version: Option<i32>,
    }
}

shape! {
    /// All of a template anew.
    struct Seen {
        /// The version that was seen.
        #[schemars(range(min = 1, max = i32::MAX))]
        version: i32,
    }
}

/// A request for a template.
struct Read {
    content: TemplateContent,
    by: String,
    /// Of a replacement: the version that was seen.
    version: Option<i32>,
}

impl TemplateView {
    fn of(found: Template) -> Self {
        let content = found.content;
        Self {
            id: found.id,
            version: found.version,
            name: content.name,
            message_type: content.message_type,
            subject: content.subject,
            channels: content.channels,
            contents: content.contents,
            audience: content.audience,
            created_by: found.created_by,
            created_at: found.created_at,
            modified_by: found.modified_by,
            modified_at: found.modified_at,
        }
    }
}

pub(crate) const CREATE: Operation = Operation::new("createTemplate", "Make a template")
    .takes::<TemplateRequest>()
    .example(r#"{"name": "Snow day", "subject": "School is closed", "channels": ["sms", "email"], "body": "{{ school_name | School }} is closed today."}"#)
    .answers(&[(201, "It was made.")])
    .refuses(&[Kind::NameTaken, Kind::UnknownCampaign, Kind::NotCanceled, Kind::NobodyContacted]);

/// `POST /v1/templates`. Its name is its key: made twice, it is refused.
pub(crate) async fn create(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Placed<TemplateView>, Problem> {
    let id = make(&api, &tenant, json::required(&headers, body)?).await?;
    let view = TemplateView::of(existing(&tenant, id).await?);
    Ok(Placed { status: StatusCode::CREATED, location: format!("/v1/templates/{id}"), view })
}

/// The one command behind every place where templates are made.
pub(crate) async fn make(api: &Api, tenant: &Tenant, request: Value) -> Result<Uuid, Problem> {
    let now = api.clock.now();
    let read = read(tenant, request, now).await?;
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let id = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
    tenant.use_attachments(&read.content.contents, now).await?;
    match tenant.create_template(id, &read.content, &read.by, now).await? {
        Written::Done => {}
        Written::NameTaken | Written::Moved => return Err(name_taken()),
    }
    Ok(id)
}

pub(crate) const LIST: Operation =
    Operation::new("listTemplates", "List templates by name").asks::<PageQuery>();

/// `GET /v1/templates?limit=&cursor=`, in the order of names.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let (limit, after) =
        read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let mut found = tenant.templates(after.as_deref(), limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.content.name));
    Ok(Json(ListView { templates: found.into_iter().map(TemplateView::of).collect(), next_cursor }))
}

fn read_query(query: Option<&str>) -> Result<(u32, Option<String>), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, |text| (!text.contains('\0')).then(|| text.to_owned()));
    fields.finish(&mut faults);
    faults.or(limit.map(|limit| (limit, after)))
}

pub(crate) const SHOW: Operation =
    Operation::new("showTemplate", "Show a template").refuses(&[Kind::UnknownTemplate]);

/// `GET /v1/templates/{id}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<TemplateView>, Problem> {
    Ok(Json(TemplateView::of(existing(&tenant, template_id(id)?).await?)))
}

pub(crate) const REPLACE: Operation =
    Operation::new("replaceTemplate", "Replace a template").takes::<TemplateReplacement>()
    .example(r#"{"version": 1, "name": "Snow day, all day", "subject": "School is closed", "channels": ["sms", "email"], "body": "{{ school_name | School }} is closed all day."}"#).refuses(&[
        Kind::UnknownTemplate,
        Kind::NameTaken,
        Kind::EditedMeanwhile,
        Kind::UnknownCampaign,
        Kind::NotCanceled,
        Kind::NobodyContacted,
    ]);

/// `PUT /v1/templates/{id}`: all of it, and the version that was seen.
pub(crate) async fn replace(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<TemplateView>, Problem> {
    let id = template_id(id)?;
    existing(&tenant, id).await?;
    change(&api, &tenant, id, json::required(&headers, body)?).await?;
    Ok(Json(TemplateView::of(existing(&tenant, id).await?)))
}

/// The one command behind every place where a template is replaced.
pub(crate) async fn change(api: &Api, tenant: &Tenant, id: Uuid, request: Value) -> Result<(), Problem> {
    let found = existing(tenant, id).await?;
    needs::may_send(tenant, &found.content.message_type)?;
    let now = api.clock.now();
    let read = read(tenant, request, now).await?;
    let Some(version) = read.version else {
        let reason = "is missing: give the version that you saw, so that nobody else's edit is lost";
        let fault = Fault { field: "version".to_owned(), reason: reason.to_owned() };
        return Err(Problem::faulty(Kind::InvalidBody, vec![fault]));
    };
    tenant.use_attachments(&read.content.contents, now).await?;
    match tenant.replace_template(id, version, &read.content, &read.by, now).await? {
        Written::Done => Ok(()),
        Written::NameTaken => Err(name_taken()),
        Written::Moved => {
            let found = existing(tenant, id).await?;
            Err(Problem::edited_meanwhile(found.version, found.modified_by.as_deref()))
        }
    }
}

pub(crate) const REMOVE: Operation = Operation::new("removeTemplate", "Remove a template")
    .answers(&[(204, "It is gone.")])
    .refuses(&[Kind::UnknownTemplate]);

/// `DELETE /v1/templates/{id}`: 204, once.
pub(crate) async fn remove(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    take_off(&api, &tenant, template_id(id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one command behind every place where a template is removed.
pub(crate) async fn take_off(api: &Api, tenant: &Tenant, id: Uuid) -> Result<(), Problem> {
    let found = existing(tenant, id).await?;
    needs::may_send(tenant, &found.content.message_type)?;
    tenant.delete_template(id, tenant.acts_as(), api.clock.now()).await?;
    Ok(())
}

pub(crate) async fn existing(tenant: &Tenant, id: Uuid) -> Result<Template, Problem> {
    let unknown = || Problem::new(Kind::UnknownTemplate, "this district has no template of that id");
    tenant.template(id).await?.ok_or_else(unknown)
}

pub(crate) fn template_id(path: Result<Path<String>, PathRejection>) -> Result<Uuid, Problem> {
    let unknown = || Problem::new(Kind::UnknownTemplate, "this district has no template of that id");
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)
}

fn name_taken() -> Problem {
    Problem::new(Kind::NameTaken, "another template of the district has this name: give another one")
}

/// The rest of the request is a campaign's, to everybody where it names no audience.
async fn read(tenant: &Tenant, request: Value, now: DateTime<Utc>) -> Result<Read, Problem> {
    let mut faults = Faults::default();
    let (own, mut members) = match request {
        Value::Object(mut members) => {
            let own = ["name", "by", "version"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), members.remove(name)?)))
                .collect();
            (Value::Object(own), members)
        }
        other => (other, serde_json::Map::new()),
    };
    let named = Field::root(own).object(&mut faults).map(|mut fields| {
        let remedy = "say under which name it is found";
        let name = fields
            .required("name", remedy, &mut faults)
            .and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let by = fields.take("by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        let version = fields
            .take("version")
            .and_then(|field| field.integer(1..=i32::MAX.unsigned_abs(), &mut faults))
            .and_then(|version| i32::try_from(version).ok());
        (name, by.unwrap_or_else(|| tenant.acts_as().to_owned()), version)
    });
    for name in FOREIGN {
        if members.remove(name).is_some() {
            faults.add(name, "is no part of a template: leave it out");
        }
    }
    let has_audience = members.get("audience").is_some_and(|audience| !audience.is_null());
    if !has_audience {
        members.insert("audience".to_owned(), json!({ "all": true }));
    }
    let campaign = match validated(tenant, Value::Object(members), now).await {
        Ok(submission) => Some(submission.into_campaign(String::new(), Vec::new(), now)),
        Err(problem) if !problem.errors().is_empty() => {
            faults.extend(problem.errors().to_vec());
            None
        }
        Err(problem) => return Err(problem),
    };
    let read = campaign.zip(named).and_then(|(campaign, (name, by, version))| {
        let content = TemplateContent {
            name: name?.trim().to_owned(),
            message_type: campaign.message_type,
            subject: campaign.subject,
            channels: campaign.channels,
            contents: campaign.contents,
            audience: Some(campaign.audience).filter(|_| has_audience),
        };
        Some(Read { content, by, version })
    });
    faults.or(read).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))
}
