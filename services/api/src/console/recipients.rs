//! `/campaigns/{id}/recipients`: what became of each device, and why (requirements 61-63, 76, 188, 189, 191).

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptResult, Channel, JobState, Outcome, window};
use tocsin_store::tenant::matching::{Filter, Matching, Standing};
use tocsin_store::tenant::recipients::{After, DeviceRow, RecipientRow};

use super::access::Visitor;
use super::detail::existing;
use super::live::Live;
use super::page::{Refused, Shell, answer};
use super::when::{Stamp, Zone, reading};
use super::words::{self, Tone};
use crate::fields::{Fault, Faults, Fields, named};
use crate::page::read_cursor;
use crate::recipients::{Around, last_of, parse_cursor, write_cursor};
use crate::server::Api;

const ROWS_MAX: u32 = 50;

/// What a row may be looked for by: where its job stands, its result, and whether the person was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Open,
    Successful,
    Error,
    Canceled,
    NotSent,
    Duplicate,
    NoDevice,
    Reached,
    NotReached,
    Confirmed,
}

#[derive(Template)]
#[template(path = "recipients.html")]
struct RecipientsPage {
    shell: Shell,
    live: Live,
    channels: Vec<Choice>,
    results: Vec<Choice>,
    people: Vec<Choice>,
    filtered: bool,
    rows: Vec<Row>,
    further: bool,
    /// The query of the next page.
    next: Option<String>,
}

/// An entry of a filter's list.
struct Choice {
    value: &'static str,
    name: &'static str,
    chosen: bool,
}

pub(super) struct Row {
    /// Of the campaign, if there is a device to tell of.
    pub number: Option<i32>,
    pub recipient: String,
    pub student: Option<String>,
    pub channel: &'static str,
    pub address: Option<Address>,
    pub status: &'static str,
    pub tone: Tone,
    pub result: &'static str,
    /// The 1.0 call code, where the status has one.
    pub code: Option<i16>,
    /// The name of the status in the API and in exports.
    pub name: &'static str,
    pub provider_code: Option<String>,
    /// None: not known yet.
    pub reached: Option<bool>,
    pub attempts: i16,
    pub time: Option<Stamp>,
    pub reason: String,
    pub duplicate: bool,
}

/// In two parts, between which a line may break.
pub(super) struct Address {
    pub name: String,
    /// From the @ on, of email addresses.
    pub host: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    channel: Option<Channel>,
    status: Option<Status>,
    after: Option<After>,
}

impl Status {
    const RESULTS: [Self; 7] = [
        Self::Open,
        Self::Successful,
        Self::Error,
        Self::Canceled,
        Self::NotSent,
        Self::Duplicate,
        Self::NoDevice,
    ];
    const PEOPLE: [Self; 3] = [Self::Reached, Self::NotReached, Self::Confirmed];
    const ALL: [Self; 10] = [
        Self::Open,
        Self::Successful,
        Self::Error,
        Self::Canceled,
        Self::NotSent,
        Self::Duplicate,
        Self::NoDevice,
        Self::Reached,
        Self::NotReached,
        Self::Confirmed,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Successful => "successful",
            Self::Error => "error",
            Self::Canceled => "canceled",
            Self::NotSent => "not_sent",
            Self::Duplicate => "duplicate",
            Self::NoDevice => "no_device",
            Self::Reached => "reached",
            Self::NotReached => "not_reached",
            Self::Confirmed => "confirmed",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Open => "Waiting or under way",
            Self::Successful => "Successful",
            Self::Error => "Error",
            Self::Canceled => "Canceled",
            Self::NotSent => "Not sent",
            Self::Duplicate => "Duplicate",
            Self::NoDevice => "No device",
            Self::Reached => "Reached",
            Self::NotReached => "Not reached",
            Self::Confirmed => "Confirmed by pressing 0",
        }
    }

    /// The filter that finds it.
    fn filter(self, channel: Option<Channel>) -> Filter {
        let ended = |is: &dyn Fn(Outcome) -> bool| {
            Standing::EndedAs(Outcome::all().filter(|outcome| is(*outcome)).collect())
        };
        // Duplicates are in none of the totals, so they are no part of what was not sent either.
        let result = |wanted| ended(&|it| it.result() == wanted && it != Outcome::Duplicate);
        let standing = match self {
            Self::NoDevice => return Filter::WithoutDevice,
            Self::Open => Standing::Open,
            Self::Successful => result(AttemptResult::Successful),
            Self::Error => result(AttemptResult::Error),
            Self::Canceled => result(AttemptResult::Canceled),
            Self::NotSent => result(AttemptResult::NotDispatched),
            Self::Duplicate => Standing::EndedAs(vec![Outcome::Duplicate]),
            Self::Reached => ended(&|it| it.contacted()),
            Self::Confirmed => Standing::EndedAs(vec![Outcome::Confirmed]),
            Self::NotReached => ended(&|it| !it.contacted() && it != Outcome::Duplicate),
        };
        Filter::Devices { channel, standing }
    }
}

impl Wanted {
    fn filter(self) -> Option<Filter> {
        match (self.status, self.channel) {
            (None, None) => None,
            (None, channel) => Some(Filter::Devices { channel, standing: Standing::Any }),
            (Some(status), channel) => Some(status.filter(channel)),
        }
    }

    /// The query of the page that begins after `after`.
    fn query(self, after: After) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(channel) = self.channel {
            query.append_pair("channel", channel.as_str());
        }
        if let Some(status) = self.status {
            query.append_pair("status", status.as_str());
        }
        query.append_pair("cursor", &write_cursor(after)).finish()
    }
}

/// `GET /campaigns/{id}/recipients?channel=&status=&cursor=`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let wanted = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let (live, id) = existing(&visitor, &api, &id).await?;
    let after = wanted.after.unwrap_or_default();
    let Matching { rows, next } = match wanted.filter() {
        Some(filter) => visitor.tenant.recipients_matching(id, &filter, after, ROWS_MAX).await?,
        None => {
            let mut rows = visitor.tenant.recipients(id, after, ROWS_MAX + 1).await?;
            let more = rows.len() > ROWS_MAX as usize;
            rows.truncate(ROWS_MAX as usize);
            Matching { next: more.then(|| last_of(after, &rows)), rows }
        }
    };
    let now = api.clock.now();
    let campaign = crate::campaigns::existing(&visitor.tenant, id).await?;
    let around = Around::of(&visitor.tenant, campaign, rows.iter(), reading(now)).await?;
    let choice = |status: &Status| Choice {
        value: status.as_str(),
        name: status.name(),
        chosen: wanted.status == Some(*status),
    };
    let page = RecipientsPage {
        shell: Shell::new(format!("Recipients of {}", live.subject), &visitor.who, ""),
        channels: Channel::ALL
            .into_iter()
            .map(|channel| Choice {
                value: channel.as_str(),
                name: words::channel(channel),
                chosen: wanted.channel == Some(channel),
            })
            .collect(),
        results: Status::RESULTS.iter().map(choice).collect(),
        people: Status::PEOPLE.iter().map(choice).collect(),
        filtered: wanted.channel.is_some() || wanted.status.is_some(),
        rows: rows.into_iter().map(|row| Row::of(row, &around, visitor.zone, now)).collect(),
        further: wanted.after.is_some(),
        next: next.map(|after| wanted.query(after)),
        live,
    };
    Ok(answer(StatusCode::OK, &page))
}

fn read_query(query: Option<&str>) -> Result<Wanted, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    // A form sends what was not chosen as an empty text.
    let channel = fields.take("channel").and_then(|field| {
        field.parsed(&mut faults, |text| match text {
            "" => Ok(None),
            text => named(text, &Channel::ALL, Channel::as_str).map(Some),
        })
    });
    let status = fields.take("status").and_then(|field| {
        field.parsed(&mut faults, |text| match text {
            "" => Ok(None),
            text => named(text, &Status::ALL, Status::as_str).map(Some),
        })
    });
    let after = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(Some(Wanted { channel: channel.flatten(), status: status.flatten(), after }))
}

impl Address {
    pub fn of(address: &str) -> Self {
        let (name, host) = address.split_at(address.rfind('@').unwrap_or(address.len()));
        Self { name: name.to_owned(), host: host.to_owned() }
    }
}

impl Row {
    pub fn of(row: RecipientRow, around: &Around, zone: Zone, now: DateTime<Utc>) -> Self {
        let outcome = match &row.device {
            None => Outcome::NoDevice,
            Some(device) => device.outcome.unwrap_or(Outcome::InProgress),
        };
        let (result, tone) = words::result(outcome.result());
        let bare = Self {
            number: row.device.as_ref().map(|_| row.recipient),
            recipient: row.name,
            student: row.student,
            channel: "",
            address: None,
            status: outcome.label(),
            tone,
            result,
            code: outcome.call_code(),
            name: outcome.code(),
            provider_code: None,
            reached: Some(false),
            attempts: 0,
            time: None,
            reason: words::reason(outcome).to_owned(),
            duplicate: false,
        };
        match row.device {
            None => bare,
            Some(device) => {
                let reason = waiting(&device, row.zone, around).unwrap_or(bare.reason);
                let reason = match around.others_left(&device) {
                    None => reason,
                    Some(others) => format!("{reason} {}", words::others_left(others)),
                };
                Self { reason, ..bare }.with(device, outcome, zone, now)
            }
        }
    }

    fn with(self, device: DeviceRow, outcome: Outcome, zone: Zone, now: DateTime<Utc>) -> Self {
        let ended = device.state == JobState::Ended;
        Self {
            channel: words::channel(device.channel),
            time: device.ended_at.or(device.tried_at).map(|at| zone.brief(at, now)),
            reached: if ended || outcome.contacted() { Some(outcome.contacted()) } else { None },
            reason: stopped(&device, outcome).unwrap_or(self.reason),
            attempts: device.attempts,
            duplicate: device.duplicate,
            provider_code: device.provider_code,
            address: Some(Address::of(&device.address)),
            tone: if ended { self.tone } else { Tone::Active },
            result: if ended { self.result } else { "under way" },
            ..self
        }
    }
}

/// A device that was taken up when the cancel came, and recalled or held back.
fn stopped(device: &DeviceRow, outcome: Outcome) -> Option<String> {
    let taken_up = device.attempts > 0 && outcome == Outcome::Canceled;
    taken_up.then(|| "Stopped on its way: the message was canceled.".to_owned())
}

/// Why a device is not tried yet, and until when (promise 9).
fn waiting(device: &DeviceRow, zone: Option<window::Zone>, around: &Around) -> Option<String> {
    match device.state {
        JobState::Waiting => around.wait_in_words(device, zone).map(|words| format!("Waiting: {words}.")),
        JobState::Queued => Some("Waiting: about to be sent.".to_owned()),
        JobState::Claimed | JobState::Ended => None,
    }
}
