//! `/people/{person}/communications`: what was sent to a contact, and on behalf of a student, in the last days or in
//! others, by any column (requirements 168 to 171 and 195).

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_store::tenant::communications::{Communication, Sort};

use super::access::Visitor;
use super::page::{Refused, Shell, answer};
use super::person::{Heading, existing};
use super::when::{Stamp, Zone};
use super::words::{self, Tone};
use crate::MessageType;
use crate::communications::{DAYS_DEFAULT, Wanted, page, parse_cursor, range, sort_name};
use crate::fields::{Fault, Faults, Fields, named};
use crate::page::read_cursor;
use crate::server::Api;

const ROWS_MAX: u32 = 50;

/// What the status filter offers.
const STATUSES: [(&str, &str, &[Outcome]); 10] = [
    ("open", "Waiting or under way", &[Outcome::InProgress]),
    (
        "delivered",
        "Delivered",
        &[Outcome::Delivered, Outcome::InboxDelivered, Outcome::Opened, Outcome::Clicked],
    ),
    ("sent", "Sent", &[Outcome::Sent, Outcome::EmailSent]),
    (
        "answered",
        "Call answered",
        &[Outcome::LivePerson, Outcome::Confirmed, Outcome::AnsweringMachine, Outcome::Completed],
    ),
    ("unanswered", "Busy or no answer", &[Outcome::Busy, Outcome::NoAnswer, Outcome::FastBusy]),
    ("bounced", "Bounced", &[Outcome::SoftBounce, Outcome::HardBounce]),
    ("opted-out", "Opted out", &[Outcome::OptOut, Outcome::Suppressed, Outcome::Ineligible]),
    ("already-told", "Already told", &[Outcome::AlreadyTold]),
    ("canceled", "Canceled", &[Outcome::Canceled]),
    ("no-device", "No device", &[Outcome::NoDevice]),
];

#[derive(Template)]
#[template(path = "communications.html")]
struct CommunicationsPage {
    shell: Shell,
    who: Heading,
    typed: Typed,
    faults: Vec<(&'static str, String)>,
    channels: Vec<Choice>,
    statuses: Vec<Choice>,
    types: Vec<Choice>,
    tags: Vec<Tag>,
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// The queries of the first page, where this is another, and of the next.
    first: Option<String>,
    next: Option<String>,
}

/// What the form holds.
#[derive(Debug, Clone, Default)]
struct Typed {
    from: String,
    to: String,
    mode: String,
    status: String,
    message_type: String,
    subject: String,
    sort: String,
    order: String,
}

struct Choice {
    value: String,
    name: String,
    chosen: bool,
}

/// A filter that is set, and the query without it.
struct Tag {
    text: String,
    without: String,
}

struct Column {
    name: &'static str,
    /// The query that sorts by it; by the other way, where it is sorted by it.
    query: String,
    /// What a reader is told: ascending, descending or none.
    sorted: &'static str,
}

struct Row {
    path: String,
    subject: String,
    /// Did it go to the district's test people?
    test: bool,
    kind: String,
    number: i64,
    recipient: String,
    student: Option<String>,
    own: bool,
    channel: &'static str,
    address: Option<String>,
    status: &'static str,
    tone: Tone,
    time: Stamp,
}

const COLUMNS: [(&str, Sort); 6] = [
    ("Message", Sort::Subject),
    ("Type", Sort::MessageType),
    ("To", Sort::Recipient),
    ("Mode", Sort::Mode),
    ("Status", Sort::Status),
    ("Time", Sort::Time),
];

/// `GET /people/{person}/communications?from=&to=&mode=&status=&message_type=&subject=&sort=&order=&cursor=`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path(source_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let person = existing(&visitor, &source_id).await?;
    let now = api.clock.now();
    let (mut typed, cursor) = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let (wanted, faults) = wanted(&typed, visitor.zone, now);
    let wanted = wanted.map(|wanted| Wanted { after: cursor.as_deref().and_then(parse_cursor), ..wanted });
    let (found, next_cursor) = match &wanted {
        Some(wanted) => page(&visitor.tenant, person.id, wanted).await?,
        None => (Vec::new(), None),
    };
    if let (Some(wanted), true) = (&wanted, typed.from.is_empty() && typed.to.is_empty()) {
        typed.from = visitor.zone.day_of(wanted.from).to_string();
        typed.to = visitor.zone.day_of(now).to_string();
    }
    let who = Heading::of(&person);
    let path = who.path.clone();
    let page = CommunicationsPage {
        shell: Shell::new(format!("Communications of {}", who.name), &visitor.who, "people"),
        who,
        channels: Channel::ALL
            .iter()
            .map(|it| choice(it.as_str(), words::channel(*it), &typed.mode))
            .collect(),
        statuses: STATUSES.iter().map(|(value, name, _)| choice(value, name, &typed.status)).collect(),
        types: MessageType::ALL
            .iter()
            .map(|it| choice(it.as_str(), &words::message_type(it.as_str()), &typed.message_type))
            .collect(),
        tags: typed.tags(),
        columns: COLUMNS.iter().map(|(name, sort)| typed.column(name, *sort)).collect(),
        rows: found.into_iter().map(|found| Row::of(found, &path, visitor.zone, now)).collect(),
        first: cursor.is_some().then(|| typed.query(None)),
        next: next_cursor.map(|cursor| typed.query(Some(&cursor))),
        typed,
        faults,
    };
    let status = if page.faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(answer(status, &page))
}

fn choice(value: &str, name: &str, chosen: &str) -> Choice {
    Choice { value: value.to_owned(), name: name.to_owned(), chosen: value == chosen }
}

/// What the browser sent, as it was typed. A form sends what was not chosen as an empty text.
fn read_query(query: Option<&str>) -> Result<(Typed, Option<String>), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let mut text = |name: &'static str| {
        fields.take(name).and_then(|field| field.string(&mut faults)).unwrap_or_default()
    };
    let typed = Typed {
        from: text("from"),
        to: text("to"),
        mode: text("mode"),
        status: text("status"),
        message_type: text("message_type"),
        subject: text("subject"),
        sort: text("sort"),
        order: text("order"),
    };
    let cursor = read_cursor(&mut fields, &mut faults, |text| Some(text.to_owned()));
    fields.finish(&mut faults);
    faults.or(Some((typed, cursor)))
}

/// What is asked for, and what is wrong with what was typed; with a fault nothing is looked for.
fn wanted(typed: &Typed, zone: Zone, now: DateTime<Utc>) -> (Option<Wanted>, Vec<(&'static str, String)>) {
    let mut faults = Vec::new();
    let mut day = |field: &'static str, text: &str| match text.trim() {
        "" => None,
        text => {
            let day: Option<NaiveDate> = text.parse().ok();
            if day.is_none() {
                faults.push((field, "is no date: write it as 2026-01-31.".to_owned()));
            }
            day
        }
    };
    let (from, to) = (day("from", &typed.from), day("to", &typed.to));
    let until = to.and_then(|day| day.succ_opt()).map(|day| zone.beginning_of(day));
    // The last days are whole days.
    let from = from.or_else(|| Some(zone.day_of(until.unwrap_or(now) - TimeDelta::days(DAYS_DEFAULT))));
    let channel =
        one_of(&mut faults, "mode", &typed.mode, |text| named(text, &Channel::ALL, Channel::as_str));
    let status = one_of(&mut faults, "status", &typed.status, |text| {
        let known = STATUSES.iter().find(|(value, ..)| *value == text);
        known.map(|(_, _, outcomes)| outcomes.to_vec()).ok_or_else(|| "is unknown: choose one".to_owned())
    });
    let kind = one_of(&mut faults, "message_type", &typed.message_type, |text| {
        named(text, &MessageType::ALL, MessageType::as_str)
    });
    let sort = one_of(&mut faults, "sort", &typed.sort, |text| named(text, &Sort::ALL, sort_name));
    let sort = sort.unwrap_or(Sort::Time);
    let range = range(from.map(|day| zone.beginning_of(day)), until, now);
    let (from, until) = match range {
        Ok(range) => range,
        Err((field, reason)) => {
            faults.push((field, format!("{reason}.")));
            return (None, faults);
        }
    };
    if !faults.is_empty() {
        return (None, faults);
    }
    let descending = match typed.order.as_str() {
        "asc" => false,
        "desc" => true,
        _ => sort == Sort::Time,
    };
    let subject = Some(typed.subject.trim().to_owned()).filter(|subject| !subject.is_empty());
    let wanted = Wanted {
        from,
        until,
        channel,
        outcomes: status,
        message_type: kind.map(|kind| kind.as_str().to_owned()),
        subject,
        sort,
        descending,
        after: None,
        limit: ROWS_MAX,
    };
    (Some(wanted), faults)
}

fn one_of<T>(
    faults: &mut Vec<(&'static str, String)>,
    field: &'static str,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    match text {
        "" => None,
        text => read(text).map_err(|reason| faults.push((field, format!("{reason}.")))).ok(),
    }
}

impl Typed {
    fn pairs(&self) -> [(&'static str, &str); 8] {
        [
            ("from", &self.from),
            ("to", &self.to),
            ("mode", &self.mode),
            ("status", &self.status),
            ("message_type", &self.message_type),
            ("subject", &self.subject),
            ("sort", &self.sort),
            ("order", &self.order),
        ]
    }

    fn query(&self, cursor: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.pairs().into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        query.finish()
    }

    fn tags(&self) -> Vec<Tag> {
        let mut tags = Vec::new();
        let mut tag = |text: String, without: Self| tags.push(Tag { text, without: without.query(None) });
        if let Some(channel) = Channel::ALL.into_iter().find(|it| it.as_str() == self.mode) {
            tag(format!("Mode: {}", words::channel(channel)), Self { mode: String::new(), ..self.clone() });
        }
        if let Some((_, name, _)) = STATUSES.iter().find(|(value, ..)| *value == self.status) {
            tag(format!("Status: {name}"), Self { status: String::new(), ..self.clone() });
        }
        if !self.message_type.is_empty() {
            let text = format!("Type: {}", words::message_type(&self.message_type));
            tag(text, Self { message_type: String::new(), ..self.clone() });
        }
        if !self.subject.trim().is_empty() {
            tag(format!("Subject: {}", self.subject.trim()), Self { subject: String::new(), ..self.clone() });
        }
        tags
    }

    fn column(&self, name: &'static str, sort: Sort) -> Column {
        let by_this = if self.sort.is_empty() { sort == Sort::Time } else { self.sort == sort_name(sort) };
        let descending = if self.order.is_empty() { sort == Sort::Time } else { self.order == "desc" };
        let turned = match (by_this, descending) {
            (true, true) => "asc",
            (true, false) => "desc",
            (false, _) if sort == Sort::Time => "desc",
            (false, _) => "asc",
        };
        let sorted = match (by_this, descending) {
            (false, _) => "none",
            (true, true) => "descending",
            (true, false) => "ascending",
        };
        let query =
            Self { sort: sort_name(sort).to_owned(), order: turned.to_owned(), ..self.clone() }.query(None);
        Column { name, query, sorted }
    }
}

impl CommunicationsPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        self.faults.iter().find(|(of, _)| *of == field).map(|(_, text)| text.as_str())
    }
}

impl Row {
    fn of(found: Communication, person: &str, zone: Zone, now: DateTime<Utc>) -> Self {
        let campaign: CampaignId = found.campaign;
        let query = found.channel.map(|channel| format!("?channel={channel}")).unwrap_or_default();
        let (_, tone) = words::result(found.outcome.result());
        Self {
            path: format!("/people/{person}/communications/{campaign}/{}{query}", found.recipient),
            subject: found.subject,
            test: found.test,
            kind: words::message_type(&found.message_type),
            number: found.number,
            recipient: found.name,
            student: found.student,
            own: found.own,
            channel: found.channel.map_or("", words::channel),
            address: found.address,
            status: found.outcome.label(),
            tone,
            time: zone.stamp(found.time, now),
        }
    }
}
