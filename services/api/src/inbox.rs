//! Portal inboxes: what a portal shows its users, and what they have read.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::attachment::Attachment;
use tocsin_domain::content::attachments;
use tocsin_domain::{CampaignId, JobKey};
use tocsin_store::Tenant;
use tocsin_store::tenant::inbox::{After, InboxEntry, Mark, Show};

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, Fields};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{shape, shapes, words};
use crate::page::{PageQuery, encode, instant, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::server::Api;

const SHOWS: [Show; 3] = [Show::All, Show::UnreadFirst, Show::UnreadOnly];

/// A page, in the order that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "InboxPage")]
pub(crate) struct ListView {
    messages: Vec<MessageView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "InboxMessage")]
pub(crate) struct MessageView {
    id: String,
    campaign: String,
    subject: String,
    created_at: DateTime<Utc>,
    read_at: Option<DateTime<Utc>>,
    /// A portal should mark it: it is to be taken for no more than a test.
    test: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Files that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<Vec<Attachment>>,
}

type PersonPath = Result<Path<String>, PathRejection>;
pub(crate) type PersonMessagePath = MessagePath;
type MessagePath = Result<Path<(String, String)>, PathRejection>;

shapes! {
    ShowName = words(SHOWS.map(show_name));
}

shape! {
    pub(crate) struct InboxQuery {
        #[schemars(flatten)]
        page: PageQuery,
        /// `all` unless said, newest first; `unread_first`; `unread`.
        show: Option<ShowName>,
    }
}

pub(crate) const LIST: Operation = Operation::new("listInbox", "List the messages in a person's inbox")
    .asks::<InboxQuery>()
    .refuses(&[Kind::UnknownPerson]);

/// `GET /v1/people/{person}/inbox?show=&limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    person: PersonPath,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let person = person_of(person)?;
    let Query { show, after, limit } =
        read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    // One more than is shown tells whether another page follows.
    let mut found =
        tenant.inbox(&person, show, after.as_ref(), limit + 1).await?.ok_or_else(unknown_person)?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(write_cursor);
    Ok(Json(ListView {
        messages: found.into_iter().map(|entry| MessageView::of(entry, None)).collect(),
        next_cursor,
    }))
}

/// How many messages are not read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Unread")]
pub(crate) struct UnreadView {
    unread: i64,
}

pub(crate) const UNREAD: Operation =
    Operation::new("countUnread", "Count the messages that are not read").refuses(&[Kind::UnknownPerson]);

/// `GET /v1/people/{person}/inbox/unread`.
pub(crate) async fn unread(Caller(tenant): Caller, person: PersonPath) -> Result<Json<UnreadView>, Problem> {
    let unread = tenant.inbox_unread(&person_of(person)?).await?.ok_or_else(unknown_person)?;
    Ok(Json(UnreadView { unread }))
}

pub(crate) const SHOW: Operation = Operation::new("showInboxMessage", "Show a message of an inbox")
    .telling("To look is not to read: whoever shows it marks it.")
    .refuses(&[Kind::UnknownPerson, Kind::UnknownMessage]);

/// `GET /v1/people/{person}/inbox/{message}`.
pub(crate) async fn show(Caller(tenant): Caller, path: MessagePath) -> Result<Json<MessageView>, Problem> {
    let (person, key) = message_of(path)?;
    let found = tenant.inbox_message(&person, key?).await?.ok_or_else(unknown_person)?;
    let (entry, body) = found.ok_or_else(unknown_message)?;
    let contents = tenant.contents(entry.key.campaign).await?;
    let attached = attachments(&contents).to_vec();
    Ok(Json(MessageView { attachments: Some(attached), ..MessageView::of(entry, Some(body)) }))
}

/// Whose message it is, if the person's inbox has it.
pub(crate) async fn inbox_campaign(tenant: &Tenant, path: PersonMessagePath) -> Result<CampaignId, Problem> {
    let (person, key) = message_of(path)?;
    let found = tenant.inbox_message(&person, key?).await?.ok_or_else(unknown_person)?;
    found.map(|(entry, _)| entry.key.campaign).ok_or_else(unknown_message)
}

pub(crate) const MARK_READ: Operation = Operation::new("markRead", "Mark a message as read")
    .refuses(&[Kind::UnknownPerson, Kind::UnknownMessage]);

/// `PUT /v1/people/{person}/inbox/{message}/read`.
pub(crate) async fn mark_read(
    caller: Caller,
    State(api): State<Api>,
    path: MessagePath,
) -> Result<Json<MessageView>, Problem> {
    mark(caller, &api, path, Mark::Read).await
}

pub(crate) const MARK_UNREAD: Operation = Operation::new("markUnread", "Mark a message as not read")
    .refuses(&[Kind::UnknownPerson, Kind::UnknownMessage]);

/// `DELETE /v1/people/{person}/inbox/{message}/read`.
pub(crate) async fn mark_unread(
    caller: Caller,
    State(api): State<Api>,
    path: MessagePath,
) -> Result<Json<MessageView>, Problem> {
    mark(caller, &api, path, Mark::Unread).await
}

async fn mark(
    Caller(tenant): Caller,
    api: &Api,
    path: MessagePath,
    mark: Mark,
) -> Result<Json<MessageView>, Problem> {
    let (person, key) = message_of(path)?;
    let marked = tenant.mark_inbox_message(&person, key?, mark, api.clock.now()).await?;
    let entry = marked.ok_or_else(unknown_person)?.ok_or_else(unknown_message)?;
    Ok(Json(MessageView::of(entry, None)))
}

shape! {
    pub(crate) struct MarkRequest {
        /// Now unless said.
        until: Option<DateTime<Utc>>,
    }
}

/// How many messages were not read before.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Marked")]
pub(crate) struct MarkedView {
    marked: i64,
}

pub(crate) const MARK_ALL: Operation = Operation::new("markAllRead", "Mark all messages of an inbox as read")
    .telling("Those that were there at `until`.")
    .may_take::<MarkRequest>()
    .refuses(&[Kind::UnknownPerson]);

/// `POST /v1/people/{person}/inbox/read`.
pub(crate) async fn mark_all(
    Caller(tenant): Caller,
    State(api): State<Api>,
    person: PersonPath,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<MarkedView>, Problem> {
    let person = person_of(person)?;
    let until = match json::optional(&headers, body)? {
        None => None,
        Some(body) => read_until(body).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?,
    };
    let now = api.clock.now();
    let marked = tenant.mark_inbox_read(&person, until.unwrap_or(now), now).await?;
    Ok(Json(MarkedView { marked: marked.ok_or_else(unknown_person)? }))
}

fn read_until(body: Value) -> Result<Option<DateTime<Utc>>, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).map(|mut fields| {
        let until = fields.take("until").and_then(|field| {
            field.parsed(&mut faults, |text| {
                let at = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
                at.map_err(|_| "is no time: write it as 2026-01-31T08:00:00Z".to_owned())
            })
        });
        fields.finish(&mut faults);
        until
    });
    faults.or(read)
}

/// What is no text of a person's is nobody's.
fn person_of(path: PersonPath) -> Result<String, Problem> {
    path.ok().map(|Path(person)| person).filter(|person| !person.contains('\0')).ok_or_else(unknown_person)
}

/// Whether there is such a person is said before whether there is such a message, which an id that is none leaves open.
fn message_of(path: MessagePath) -> Result<(String, Result<JobKey, Problem>), Problem> {
    let Path((person, message)) = path.map_err(|_| unknown_person())?;
    let key = key_of(&message).ok_or_else(unknown_message);
    Ok((person_of(Ok(Path(person)))?, key))
}

fn key_of(message: &str) -> Option<JobKey> {
    let (campaign, job) = message.split_once('.')?;
    Some(JobKey { campaign: campaign.parse().ok()?, job: job.parse().ok()? })
}

fn unknown_person() -> Problem {
    Problem::new(Kind::UnknownPerson, "the roster of this district has no person of that source id")
}

fn unknown_message() -> Problem {
    Problem::new(Kind::UnknownMessage, "the inbox of this person has no message of that id")
}

struct Query {
    show: Show,
    after: Option<After>,
    limit: u32,
}

fn read_query(query: Option<&str>) -> Result<Query, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let show = match fields.take("show") {
        None => Some(Show::All),
        Some(field) => field.one_of(&SHOWS, show_name, &mut faults),
    };
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(show.zip(limit).map(|(show, limit)| Query { show, after, limit }))
}

fn show_name(show: Show) -> &'static str {
    match show {
        Show::All => "all",
        Show::UnreadFirst => "unread_first",
        Show::UnreadOnly => "unread",
    }
}

fn write_cursor(entry: &InboxEntry) -> String {
    let unread = if entry.read_at.is_none() { "u" } else { "r" };
    let JobKey { campaign, job } = entry.key;
    encode(&format!("{unread}/{}/{campaign}/{job}", entry.created_at.timestamp_micros()))
}

fn parse_cursor(text: &str) -> Option<After> {
    let mut parts = text.split('/');
    let unread = match parts.next()? {
        "u" => true,
        "r" => false,
        _ => return None,
    };
    let created_at = instant(parts.next()?)?;
    let campaign: CampaignId = parts.next()?.parse().ok()?;
    let job = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(After { unread, created_at, key: JobKey { campaign, job } })
}

impl MessageView {
    fn of(entry: InboxEntry, body: Option<String>) -> Self {
        let InboxEntry { key: JobKey { campaign, job }, subject, created_at, read_at, test } = entry;
        Self {
            id: format!("{campaign}.{job}"),
            campaign: campaign.to_string(),
            subject,
            created_at,
            read_at,
            test,
            body,
            attachments: None,
        }
    }
}
