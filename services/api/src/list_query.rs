//! What lists of campaigns are narrowed and sorted by, as the API and the console read it (requirements 31 and 37 to 43).

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde_json::json;
use tocsin_domain::recurrence::instant;
use tocsin_domain::window::Zone;
use tocsin_domain::{CampaignState, MessageType};
use tocsin_store::tenant::campaigns::lists::{Direction, Group, ListQuery, Listed, Place, Sort};

use crate::fields::{Faults, Fields, named, quoted};
use crate::openapi::shapes::{MessageTypeName, Text, shape, shapes, words};
use crate::page::{PageQuery, encode, read_cursor};

const TEXT_CHARS_MAX: usize = 255;

/// The states a list can show. Discarded campaigns are off the lists (decision D4).
const LISTED: [CampaignState; 9] = [
    CampaignState::Scheduled,
    CampaignState::Processing,
    CampaignState::Sending,
    CampaignState::Canceling,
    CampaignState::Sent,
    CampaignState::Errored,
    CampaignState::Canceled,
    CampaignState::NoRecipients,
    CampaignState::Failed,
];

const GROUPS: [Group; 3] = [Group::Scheduled, Group::InProgress, Group::Sent];

shapes! {
    ListedState = words(LISTED.map(CampaignState::as_str));
    GroupName = words(GROUPS.map(group_name));
    SortName = words(Sort::ALL.map(Sort::as_str));
    DirectionName = words([Direction::Descending, Direction::Ascending].map(direction_name));
    DayOrTime = json!({ "type": "string", "anyOf": [{ "format": "date" }, { "format": "date-time" }] });
}

shape! {
    pub(crate) struct CampaignQuery {
        #[schemars(flatten)]
        page: PageQuery,
        /// Only campaigns in one of these states.
        #[schemars(length(min = 1))]
        state: Option<Vec<ListedState>>,
        /// `in_progress`: processing, sending, canceling, or failed within seven days; `sent`: the log, all that ended.
        group: Option<GroupName>,
        /// The Message ID.
        #[schemars(range(min = 1))]
        number: Option<i64>,
        /// Of `scheduled_at`: an instant, or a day of the district.
        from: Option<DayOrTime>,
        /// An instant, which is not included, or a day, which is.
        to: Option<DayOrTime>,
        /// The source id of a school that the audience names, or that is among all.
        school: Option<Text<TEXT_CHARS_MAX>>,
        /// A part of it, in any case.
        subject: Option<Text<TEXT_CHARS_MAX>>,
        /// A part of the name, in any case.
        created_by: Option<Text<TEXT_CHARS_MAX>>,
        /// Only those that the key made.
        mine: Option<bool>,
        #[schemars(length(min = 1))]
        message_type: Option<Vec<MessageTypeName>>,
        sort: Option<SortName>,
        order: Option<DirectionName>,
    }
}

fn group_name(group: Group) -> &'static str {
    match group {
        Group::Scheduled => "scheduled",
        Group::InProgress => "in_progress",
        Group::Sent => "sent",
    }
}

pub(crate) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Descending => "desc",
        Direction::Ascending => "asc",
    }
}

/// Every filter but whose, and the order. Days are read in `zone`. What an empty text would narrow is not narrowed.
pub(crate) fn read_filters(fields: &mut Fields, zone: Zone, faults: &mut Faults) -> ListQuery {
    let states = fields.take("state").and_then(|field| field.parsed(faults, read_states));
    let group =
        fields.take("group").and_then(|field| field.parsed(faults, |text| named(text, &GROUPS, group_name)));
    let number = fields.take("number").and_then(|field| {
        field.parsed(faults, |text| match text.trim().trim_start_matches('#').parse::<i64>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("is {}, no Message ID: use its digits", quoted(text))),
        })
    });
    let from = fields.take("from").and_then(|field| field.parsed(faults, |text| read_from(text, zone)));
    let to = fields.take("to").and_then(|field| field.parsed(faults, |text| read_to(text, zone)));
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        faults.add("to", "comes before from: give a later one, or the same day");
    }
    let text =
        |fields: &mut Fields, name, faults: &mut Faults| fields.take(name)?.text(TEXT_CHARS_MAX, faults);
    let school = text(fields, "school", faults);
    let subject = text(fields, "subject", faults);
    let author = text(fields, "created_by", faults);
    let message_types =
        fields.take("message_type").and_then(|field| field.parsed(faults, read_message_types));
    let sort = fields
        .take("sort")
        .and_then(|field| field.parsed(faults, |text| named(text, &Sort::ALL, Sort::as_str)))
        .unwrap_or_default();
    let direction = fields
        .take("order")
        .and_then(|field| {
            let all = [Direction::Descending, Direction::Ascending];
            field.parsed(faults, |text| named(text, &all, direction_name))
        })
        .unwrap_or_default();
    let after = read_cursor(fields, faults, |text| read_place(text, sort, direction));
    ListQuery {
        states: states.unwrap_or_default(),
        group,
        number,
        from,
        to,
        school,
        subject,
        author,
        own: false,
        message_types: message_types.unwrap_or_default(),
        sort,
        direction,
        after,
        campaigns_max: 0,
    }
}

/// The cursor behind the last of `found`, if there are more than `shown` of them; the others are dropped.
pub(crate) fn page(query: &ListQuery, found: &mut Vec<Listed>, shown: u32) -> Option<String> {
    let more = found.len() > shown as usize;
    found.truncate(shown as usize);
    let last = found.last().filter(|_| more)?;
    let (sort, direction) = (query.sort.as_str(), direction_name(query.direction));
    Some(encode(&format!("{sort} {direction} {} {}", last.place.id, last.place.key)))
}

/// A place of another order leads nowhere.
fn read_place(text: &str, sort: Sort, direction: Direction) -> Option<Place> {
    let mut parts = text.splitn(4, ' ');
    let (of, to, id, key) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let fits = of == sort.as_str() && to == direction_name(direction) && sort.takes(key);
    Some(Place { id: id.parse().ok()?, key: key.to_owned() }).filter(|_| fits)
}

fn read_states(text: &str) -> Result<Vec<CampaignState>, String> {
    text.split(',').map(|state| named(state, &LISTED, CampaignState::as_str)).collect()
}

fn read_message_types(text: &str) -> Result<Vec<String>, String> {
    let read = |name| named(name, &MessageType::ALL, MessageType::as_str).map(|it| it.as_str().to_owned());
    text.split(',').map(read).collect()
}

/// A day, from its begin, or an instant.
fn read_from(text: &str, zone: Zone) -> Result<DateTime<Utc>, String> {
    match day(text) {
        Some(day) => Ok(begin(day, zone)),
        None => read_instant(text),
    }
}

/// A day, with the whole of it, or an instant.
fn read_to(text: &str, zone: Zone) -> Result<DateTime<Utc>, String> {
    match day(text) {
        Some(day) => Ok(begin(day + Days::new(1), zone)),
        None => read_instant(text),
    }
}

/// Far from the ends of what can be told.
fn day(text: &str) -> Option<NaiveDate> {
    use chrono::Datelike as _;
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (1970..=9000).contains(&day.year()).then_some(day)
}

fn begin(day: NaiveDate, zone: Zone) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    // A day that the zone left out begins with the next.
    instant(zone, midnight).unwrap_or_else(|| midnight.and_utc())
}

fn read_instant(text: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let fault =
        || format!("is {}: write a day as 2026-09-01, or a time as 2026-09-01T08:00:00-05:00", quoted(text));
    read.map_err(|_| fault())
}
