//! `GET /v1/people/{person}/communications`: what a contact was sent, and what was sent on behalf of a student
//! (requirements 168 to 173 and 195).

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::{CampaignId, Channel, JobState, Outcome};
use tocsin_store::Tenant;
use tocsin_store::tenant::communications::{Communication, CommunicationsQuery, Place, Sort};

use crate::MessageType;
use crate::auth::Caller;
use crate::directory::{NAME_CHARS_MAX, PersonPath, existing, person_of};
use crate::fields::{Fault, Faults, Fields, named, quoted};
use crate::openapi::Operation;
use crate::openapi::shapes::{MessageTypeName, Text, shape, shapes, words};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::server::Api;

/// Requirement 169.
pub(crate) const DAYS_DEFAULT: i64 = 7;
/// More is asked for year by year.
pub(crate) const DAYS_MAX: i64 = 366;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CommunicationPage")]
pub(crate) struct ListView {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    communications: Vec<RowView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Communication")]
struct RowView {
    campaign: CampaignId,
    number: i64,
    /// Of the campaign: what its message is asked for by.
    recipient_id: i32,
    recipient: String,
    student: Option<String>,
    /// Sent to the person, and not to somebody on their behalf.
    own: bool,
    #[schemars(with = "MessageTypeName")]
    message_type: String,
    subject: String,
    /// Of a message to the district's test people.
    test: bool,
    channel: Option<Channel>,
    address: Option<String>,
    status: &'static str,
    #[schemars(with = "Outcome")]
    status_code: &'static str,
    provider_code: Option<String>,
    state: Option<JobState>,
    duplicate: bool,
    scheduled_at: DateTime<Utc>,
    time: DateTime<Utc>,
}

/// What a page of communications is asked for by.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub channel: Option<Channel>,
    pub outcomes: Option<Vec<Outcome>>,
    pub message_type: Option<String>,
    pub subject: Option<String>,
    pub sort: Sort,
    pub descending: bool,
    pub after: Option<Place>,
    pub limit: u32,
}

shapes! {
    SortName = words(Sort::ALL.map(sort_name));
    OrderName = words(["asc", "desc"]);
}

shape! {
    pub(crate) struct CommunicationQuery {
        #[schemars(flatten)]
        page: PageQuery,
        /// By when messages were to go; the last 7 days unless said.
        from: Option<DateTime<Utc>>,
        /// At most 366 days after `from`.
        to: Option<DateTime<Utc>>,
        mode: Option<Channel>,
        #[schemars(length(min = 1))]
        status: Option<Vec<Outcome>>,
        message_type: Option<MessageTypeName>,
        /// A part of it.
        subject: Option<Text<NAME_CHARS_MAX>>,
        /// `time` unless said.
        sort: Option<SortName>,
        order: Option<OrderName>,
    }
}

pub(crate) const LIST: Operation = Operation::new("listCommunications", "List what a person was sent")
    .telling("And, of a student, what was sent on their behalf: one row for each message and device.")
    .asks::<CommunicationQuery>()
    .refuses(&[Kind::UnknownPerson]);

pub(crate) async fn list(
    Caller(tenant): Caller,
    State(api): State<Api>,
    person: PersonPath,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let person = person_of(person)?;
    let wanted = read_query(query.as_deref(), api.clock.now())
        .map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let person = existing(&tenant, &person).await?;
    let (found, next_cursor) = page(&tenant, person.id, &wanted).await?;
    Ok(Json(ListView {
        from: wanted.from,
        to: wanted.until,
        communications: found.into_iter().map(RowView::of).collect(),
        next_cursor,
    }))
}

/// A page, and the cursor of the next.
pub(crate) async fn page(
    tenant: &Tenant,
    person: i64,
    wanted: &Wanted,
) -> Result<(Vec<Communication>, Option<String>), Problem> {
    let Wanted { from, until, channel, outcomes, message_type, subject, sort, descending, after, limit } =
        wanted.clone();
    // One more than is shown tells whether another page follows.
    let rows_max = limit + 1;
    let query = CommunicationsQuery {
        person,
        from,
        until,
        channel,
        outcomes,
        message_type,
        subject,
        sort,
        descending,
        after,
        rows_max,
    };
    let mut found = tenant.communications(&query).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| write_cursor(&last.place));
    Ok((found, next_cursor))
}

fn read_query(query: Option<&str>, now: DateTime<Utc>) -> Result<Wanted, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let until = fields
        .take("to")
        .map(|field| field.parsed(&mut faults, read_time))
        .map_or(Some(None), |it| it.map(Some));
    let from = fields
        .take("from")
        .map(|field| field.parsed(&mut faults, read_time))
        .map_or(Some(None), |it| it.map(Some));
    let channel =
        fields.take("mode").and_then(|field| field.one_of(&Channel::ALL, Channel::as_str, &mut faults));
    let outcomes = fields.take("status").and_then(|field| field.parsed(&mut faults, read_outcomes));
    let message_type = fields
        .take("message_type")
        .and_then(|field| field.one_of(&MessageType::ALL, MessageType::as_str, &mut faults));
    let subject = fields.take("subject").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
    let sort = match fields.take("sort") {
        None => Some(Sort::Time),
        Some(field) => field.one_of(&Sort::ALL, sort_name, &mut faults),
    };
    let order = fields.take("order").map(|field| {
        field
            .parsed(&mut faults, |text| named(text, &[true, false], |down| if down { "desc" } else { "asc" }))
    });
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    let read = (|| {
        let sort = sort?;
        let (from, until) =
            range(from?, until?, now).map_err(|(field, reason)| faults.add(field, reason)).ok()?;
        Some(Wanted {
            from,
            until,
            channel,
            outcomes,
            message_type: message_type.map(|kind| kind.as_str().to_owned()),
            subject,
            sort,
            descending: order.flatten().unwrap_or(sort == Sort::Time),
            after,
            limit: limit?,
        })
    })();
    faults.or(read)
}

/// From when, and until when.
pub(crate) type Span = (DateTime<Utc>, DateTime<Utc>);

/// The last days, or those that were asked for; what is wrong with them, and of which field.
pub(crate) fn range(
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Span, (&'static str, String)> {
    // What was sent this very moment is among it.
    let until = until.unwrap_or(now + TimeDelta::seconds(1));
    let from = from.unwrap_or(until - TimeDelta::days(DAYS_DEFAULT));
    if from >= until {
        return Err(("from", "is not before to: give an earlier time, or a later to".to_owned()));
    }
    if until - from > TimeDelta::days(DAYS_MAX) {
        return Err(("from", format!("is more than {DAYS_MAX} days before to: ask for one year at a time")));
    }
    Ok((from, until))
}

fn read_time(text: &str) -> Result<DateTime<Utc>, String> {
    let at = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    at.map_err(|_| format!("{} is no time: write it as 2026-01-31T08:00:00Z", quoted(text)))
}

/// Codes of statuses, with commas.
pub(crate) fn read_outcomes(text: &str) -> Result<Vec<Outcome>, String> {
    let known = |code: &str| Outcome::all().find(|outcome| outcome.code() == code);
    text.split(',')
        .map(|code| {
            known(code).ok_or_else(|| format!("{} is no status: use a status_code of the list", quoted(code)))
        })
        .collect()
}

pub(crate) fn sort_name(sort: Sort) -> &'static str {
    match sort {
        Sort::Time => "time",
        Sort::Mode => "mode",
        Sort::Status => "status",
        Sort::MessageType => "message_type",
        Sort::Subject => "subject",
        Sort::Recipient => "recipient",
    }
}

fn write_cursor(place: &Place) -> String {
    encode(&serde_json::json!([place.key, place.campaign, place.recipient, place.job]).to_string())
}

pub(crate) fn parse_cursor(text: &str) -> Option<Place> {
    let (key, campaign, recipient, job): (String, _, _, _) = serde_json::from_str(text).ok()?;
    (!key.contains('\0')).then_some(Place { key, campaign, recipient, job })
}

impl RowView {
    fn of(found: Communication) -> Self {
        Self {
            campaign: found.campaign,
            number: found.number,
            recipient_id: found.recipient,
            recipient: found.name,
            student: found.student,
            own: found.own,
            message_type: found.message_type,
            subject: found.subject,
            test: found.test,
            channel: found.channel,
            address: found.address,
            status: found.outcome.label(),
            status_code: found.outcome.code(),
            provider_code: found.provider_code,
            state: found.state,
            duplicate: found.duplicate,
            scheduled_at: found.scheduled_at,
            time: found.time,
        }
    }
}
