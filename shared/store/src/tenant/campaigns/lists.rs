//! Lists of campaigns: filtered, in the order of any column, page by page (requirements 11, 31, 37 to 41).
//!
//! Each order has an index that begins with the district, and a page is read along it from where the page before
//! ended. Filters are looked at row by row on the way.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::rights::Outlook;
use tocsin_domain::{CampaignId, CampaignState};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{CampaignSummary, read_summary};
use crate::StoreError;
use crate::tenant::Tenant;
use crate::tenant::schools::by_schools;

/// For so long a campaign that failed while it was prepared stands among those in progress (requirement 11).
pub const FAILED_IN_PROGRESS: TimeDelta = TimeDelta::days(7);

/// Where a campaign stands as its users see it: on which list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Scheduled,
    /// Processing, sending or canceling, or failed within the last seven days.
    InProgress,
    /// In the log: it has ended.
    Sent,
}

/// The column that a list is in the order of. Of equal ones the ids decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// When it was made.
    #[default]
    Created,
    /// For when it was planned, which is when it was made unless it was scheduled.
    Date,
    Number,
    Subject,
    Author,
    MessageType,
    State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    #[default]
    Descending,
    Ascending,
}

/// Where a page ended: what its last row is sorted by, as text, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub key: String,
    pub id: CampaignId,
}

/// Which campaigns to list, and in which order. An empty filter narrows nothing.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    pub states: Vec<CampaignState>,
    pub group: Option<Group>,
    pub number: Option<i64>,
    /// From this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Before this one.
    pub to: Option<DateTime<Utc>>,
    /// Source id of a school that the audience names, or that is among all.
    pub school: Option<String>,
    /// Somewhere in the subject, in any case.
    pub subject: Option<String>,
    /// Somewhere in the author's name, in any case.
    pub author: Option<String>,
    /// What whoever asks made: "my messages".
    pub own: bool,
    pub message_types: Vec<String>,
    pub sort: Sort,
    pub direction: Direction,
    pub after: Option<Place>,
    pub campaigns_max: u32,
}

/// A row of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    pub campaign: CampaignSummary,
    /// Is a file or a recording attached?
    pub attachment: bool,
    pub place: Place,
}

impl Sort {
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Date,
        Self::Number,
        Self::Subject,
        Self::Author,
        Self::MessageType,
        Self::State,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Date => "date",
            Self::Number => "number",
            Self::Subject => "subject",
            Self::Author => "created_by",
            Self::MessageType => "message_type",
            Self::State => "state",
        }
    }

    /// The expression of its index.
    fn key(self) -> &'static str {
        match self {
            Self::Created => "c.id",
            Self::Date => "c.scheduled_at",
            Self::Number => "c.number",
            Self::Subject => "lower(c.subject)",
            Self::Author => "lower(c.created_by)",
            Self::MessageType => "c.message_type",
            Self::State => "c.state",
        }
    }

    /// What of the key a place keeps.
    fn text(self) -> String {
        match self {
            Self::Date => {
                r#"to_char(c.scheduled_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#.to_owned()
            }
            other => format!("({})::text", other.key()),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Created => "uuid",
            Self::Date => "timestamptz",
            Self::Number => "bigint",
            Self::Subject | Self::Author | Self::MessageType => "text",
            Self::State => "smallint",
        }
    }

    /// Can a place of this order have such a key? What cannot is no place that was given out.
    pub fn takes(self, key: &str) -> bool {
        match self {
            Self::Created => Uuid::parse_str(key).is_ok(),
            Self::Date => key.parse::<DateTime<Utc>>().is_ok(),
            Self::Number => key.parse::<i64>().is_ok(),
            Self::Subject | Self::Author | Self::MessageType => !key.contains('\0'),
            Self::State => key.parse::<i16>().is_ok(),
        }
    }
}

impl Direction {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Ascending => ("asc", ">"),
            Self::Descending => ("desc", "<"),
        }
    }
}

impl Tenant {
    /// A page of the district's campaigns that the actor sees; discarded ones are left out (decision D4).
    pub async fn campaigns(&self, query: &ListQuery, now: DateTime<Utc>) -> Result<Vec<Listed>, StoreError> {
        let (outlook, me) = (self.outlook(), self.me());
        if outlook == Outlook::None {
            return Ok(Vec::new());
        }
        let states: Vec<i16> = query.states.iter().map(|state| state.number()).collect();
        let group = query.group.map(|group| match group {
            Group::Scheduled => 1i16,
            Group::InProgress => 2,
            Group::Sent => 3,
        });
        let failed_since = now - FAILED_IN_PROGRESS;
        let pattern = |text: &Option<String>| text.as_deref().map(contains);
        let (subject, author) = (pattern(&query.subject), pattern(&query.author));
        let most = i64::from(query.campaigns_max);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
            &self.district.0,
            &most,
            &states,
            &group,
            &failed_since,
            &query.from,
            &query.to,
            &query.school,
            &subject,
            &author,
            &query.own,
            &query.message_types,
            &query.number,
            &me,
        ];
        if let Some(place) = &query.after {
            parameters.extend([&place.key as &(dyn ToSql + Sync), &place.id.0]);
        }
        let sql = statement(query, outlook);
        let rows = self.rows("campaigns", &sql, &parameters).await?;
        rows.iter()
            .map(|found| {
                let campaign = read_summary(found)?;
                let place = Place { key: found.get("sort_key"), id: campaign.id };
                Ok(Listed { attachment: found.get("attachment"), campaign, place })
            })
            .collect()
    }
}

/// What `like` finds wherever `text` stands.
pub(crate) fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// One text for each order, first page or later, and list: the lists of what is to come or under way are read by the
/// index of these alone. Campaign states 1 scheduled, 2 processing, 3 sending, 4 canceling, 9 failed, 10 discarded.
pub(crate) fn statement(query: &ListQuery, outlook: Outlook) -> String {
    let (direction, beyond) = query.direction.words();
    let (key, kind, text) = (query.sort.key(), query.sort.kind(), query.sort.text());
    let by_schools = by_schools!();
    let mut sql = format!(
        "-- store.campaigns
select c.*, {text} as sort_key,
  coalesce((select true from contents t where t.campaign_id = c.id and (t.audio_url is not null or t.attachments is not null) limit 1), false)
    as attachment
from campaigns c
where c.district_id = $1 and c.state <> 10
  and (cardinality($3::smallint[]) = 0 or c.state = any($3))
  and ($4::smallint is null or case $4
    when 1 then c.state = 1
    when 2 then c.state in (2, 3, 4) or (c.state = 9 and c.ended_at > $5::timestamptz)
    else c.state in (5, 6, 7, 8) or (c.state = 9 and c.ended_at <= $5) end)
  and c.scheduled_at >= coalesce($6::timestamptz, '-infinity') and c.scheduled_at < coalesce($7::timestamptz, 'infinity')
  and ($8::text is null or c.audience->'schools' ? $8 or (c.audience->'schools' = '[]' and {by_schools}))
  and ($9::text is null or lower(c.subject) like $9)
  and ($10::text is null or lower(c.created_by) like $10)
  and (not $11::bool or c.creator_id is not distinct from $14::uuid)
  and (cardinality($12::text[]) = 0 or c.message_type = any($12))
  and ($13::bigint is null or c.number = $13)"
    );
    match outlook {
        Outlook::All => {}
        // Requirement 46.
        Outlook::Own(_) => sql.push_str("\n  and c.creator_id = $14"),
        // Requirement 30.
        Outlook::OwnAndScheduled(_) => sql.push_str("\n  and (c.creator_id = $14 or c.state = 1)"),
        Outlook::None => sql.push_str("\n  and false"),
    }
    match query.group {
        Some(Group::Scheduled | Group::InProgress) => sql.push_str("\n  and c.state in (1, 2, 3, 4, 9)"),
        Some(Group::Sent) | None => {}
    }
    if query.number.is_some() {
        // One row by its index, in whatever order.
        sql.push_str("\n  and c.number = $13");
    }
    if query.after.is_some() {
        let _ = write!(sql, "\n  and ({key}, c.id) {beyond} ($15::text::{kind}, $16)");
    }
    let _ = write!(sql, "\norder by {key} {direction}, c.id {direction}\nlimit $2");
    sql
}
