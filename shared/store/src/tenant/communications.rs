//! What a person was sent, over all campaigns: of a contact what was sent to them, of a student what was sent on their
//! behalf as well (requirements 168 to 173 and 195).
//!
//! The campaigns of a range of days are the district's few, found by an index of their own. Each is looked into by the
//! person, in that campaign's partition and no other; so the work follows the days that are asked for, and not the
//! years that are kept.

use chrono::{DateTime, Utc};
use tocsin_domain::rights::Outlook;
use tocsin_domain::{CampaignId, Channel, JobState, Outcome};

use super::Tenant;
use crate::{StoreError, row};

/// Which of a person's messages, in which order.
#[derive(Debug, Clone)]
pub struct CommunicationsQuery {
    pub person: i64,
    /// By when the message was to go.
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub channel: Option<Channel>,
    /// Where its job ended so; [`Outcome::InProgress`]: where it has not ended.
    pub outcomes: Option<Vec<Outcome>>,
    pub message_type: Option<String>,
    /// A part of it, whatever its case.
    pub subject: Option<String>,
    pub sort: Sort,
    pub descending: bool,
    pub after: Option<Place>,
    pub rows_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Time,
    Mode,
    Status,
    MessageType,
    Subject,
    Recipient,
}

impl Sort {
    pub const ALL: [Self; 6] =
        [Self::Time, Self::Mode, Self::Status, Self::MessageType, Self::Subject, Self::Recipient];
}

/// Where a page ended: what it was sorted by, and the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub key: String,
    pub campaign: CampaignId,
    pub recipient: i32,
    pub job: i32,
}

/// One message to one device, or one that had no device. Debug output leaves the names out: they end up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Communication {
    pub campaign: CampaignId,
    pub number: i64,
    pub message_type: String,
    pub subject: String,
    /// It was a test, which went to the district's test people.
    pub test: bool,
    pub recipient: i32,
    pub name: String,
    pub student: Option<String>,
    /// Is it the person's own, and not somebody's on their behalf?
    pub own: bool,
    pub channel: Option<Channel>,
    pub address: Option<String>,
    pub state: Option<JobState>,
    pub outcome: Outcome,
    pub provider_code: Option<String>,
    pub duplicate: bool,
    /// Of the last status; until there is one, of the latest attempt, or when it was to go.
    pub time: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub place: Place,
}

impl std::fmt::Debug for Communication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Communication")
            .field("campaign", &self.campaign)
            .field("recipient", &self.recipient)
            .finish_non_exhaustive()
    }
}

impl Tenant {
    /// Those that the actor sees.
    pub async fn communications(
        &self,
        query: &CommunicationsQuery,
    ) -> Result<Vec<Communication>, StoreError> {
        // Of what is only scheduled nothing is here.
        let own = match self.outlook() {
            Outlook::All => false,
            Outlook::Own(_) | Outlook::OwnAndScheduled(_) => true,
            Outlook::None => return Ok(Vec::new()),
        };
        let sql = if query.descending { DESCENDING } else { ASCENDING };
        let outcomes: Option<Vec<i16>> =
            query.outcomes.as_ref().map(|outcomes| outcomes.iter().map(|outcome| outcome.number()).collect());
        let rows = self
            .rows(
                "communications",
                sql,
                &[
                    &self.district.0,
                    &query.person,
                    &query.from,
                    &query.until,
                    &query.message_type,
                    &query.subject.as_deref().map(contains),
                    &query.channel.map(Channel::number),
                    &outcomes,
                    &sort_number(query.sort),
                    &labels(),
                    &query.after.as_ref().map(|after| after.key.as_str()),
                    &query.after.as_ref().map(|after| after.campaign.0),
                    &query.after.as_ref().map(|after| after.recipient),
                    &query.after.as_ref().map(|after| after.job),
                    &i64::from(query.rows_max),
                    &own,
                    &self.me(),
                ],
            )
            .await?;
        rows.iter().map(|found| read(found, query.person)).collect()
    }
}

fn sort_number(sort: Sort) -> i32 {
    match sort {
        Sort::Time => 1,
        Sort::Mode => 2,
        Sort::Status => 3,
        Sort::MessageType => 4,
        Sort::Subject => 5,
        Sort::Recipient => 6,
    }
}

/// What users read under Status, by the outcome's number.
fn labels() -> Vec<&'static str> {
    let mut labels = Vec::new();
    for outcome in Outcome::all() {
        let at = usize::try_from(outcome.number()).unwrap_or_default();
        if labels.len() <= at {
            labels.resize(at + 1, "");
        }
        labels[at] = outcome.label();
    }
    labels
}

/// A pattern of what contains the text, whose own signs mean nothing.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for sign in text.chars() {
        if matches!(sign, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    pattern
}

fn read(found: &tokio_postgres::Row, person: i64) -> Result<Communication, StoreError> {
    const NAME: &str = "communications";
    let channel =
        found.get::<_, Option<i16>>("channel").map(|number| row::channel(NAME, number)).transpose()?;
    let state =
        found.get::<_, Option<i16>>("state").map(|number| row::job_state(NAME, number)).transpose()?;
    let place = Place {
        key: found.get("key"),
        campaign: CampaignId(found.get("campaign_id")),
        recipient: found.get("recipient_id"),
        job: found.get("job_id"),
    };
    Ok(Communication {
        campaign: place.campaign,
        number: found.get("number"),
        message_type: found.get("message_type"),
        subject: found.get("subject"),
        test: found.get("test"),
        recipient: place.recipient,
        name: found.get("name"),
        student: found.get("student_name"),
        own: found.get::<_, i64>("person_id") == person,
        channel,
        address: found.get("address"),
        state,
        outcome: row::outcome(NAME, found.get("status"))?,
        provider_code: found.get("provider_code"),
        duplicate: found.get::<_, Option<bool>>("duplicate").unwrap_or_default(),
        time: found.get("time"),
        scheduled_at: found.get("scheduled_at"),
        place,
    })
}

/// Campaign states 1 scheduled and 10 discarded are no messages: nothing left. Job state 4 is ended; outcomes 20 and 30
/// stand for in progress and no device, which a test holds to the domain's. Recipients and jobs are found by columns alone, for
/// an index takes no expression past the policy of rows. `$order` is the order's direction and
/// `$beyond` its comparison.
macro_rules! communications {
    ($name:literal, $order:literal, $beyond:literal) => {
        concat!(
            "-- store.",
            $name,
            "
with told as materialized (
  select c.id, c.number, c.message_type, c.subject, c.test, c.scheduled_at
  from campaigns c
  where c.district_id = $1 and c.scheduled_at >= $3 and c.scheduled_at < $4 and c.number > 0
    and c.state not in (1, 10)
    and (not $16::bool or c.creator_id = $17::uuid)
    and ($5::text is null or c.message_type = $5)
    and ($6::text is null or c.subject ilike $6)
), concerned as materialized (
  select c.*, r.recipient_id, r.recipient_id + 1 as next_id
  from told c cross join lateral (
    select recipient_id from recipient_people where campaign_id = c.id and person_id = $2 offset 0) r
), shown as (
  select c.id as campaign_id, c.number, c.message_type, c.subject, c.test, c.scheduled_at, c.recipient_id, r.person_id, r.name,
    r.student_name, coalesce(j.id, 0) as job_id, j.channel, j.state, d.address, d.duplicate, a.provider_code,
    coalesce(j.outcome, case when j.id is null then 30 else 20 end)::smallint as status,
    coalesce(j.ended_at, a.claimed_at, c.scheduled_at) as time
  from concerned c
  cross join lateral (
    select person_id, name, student_name, first_job from recipients
    where campaign_id = c.id and id = c.recipient_id limit 1) r
  cross join lateral (
    select coalesce(min(first_job), 2147483647) as first_job from recipients
    where campaign_id = c.id and id = c.next_id) n
  left join lateral (
    select j.* from jobs j
    where j.campaign_id = c.id and j.id >= r.first_job and j.id < n.first_job
    offset 0) j on true
  left join lateral (
    select address, duplicate from destinations where campaign_id = c.id and job_id = j.id limit 1) d on true
  left join lateral (
    select claimed_at, provider_code from attempts
    where campaign_id = c.id and job_id = j.id and number = j.attempt limit 1) a on true
), sorted as (
  select *, (case $9::int
      when 1 then to_char(time at time zone 'UTC', 'YYYYMMDDHH24MISSUS')
      when 2 then coalesce(channel, 0)::text
      when 3 then lower(($10::text[])[status + 1])
      when 4 then message_type
      when 5 then lower(subject)
      else lower(name) end) collate \"C\" as key
  from shown
  where ($7::smallint is null or channel = $7)
    and ($8::smallint[] is null or case when state = 4 or state is null then status else 20 end = any($8))
)
select * from sorted
where $11::text is null or (key, campaign_id, recipient_id, job_id) ",
            $beyond,
            " ($11 collate \"C\", $12::uuid, $13::int, $14::int)
order by key ",
            $order,
            ", campaign_id ",
            $order,
            ", recipient_id ",
            $order,
            ", job_id ",
            $order,
            "
limit $15"
        )
    };
}

pub(crate) const ASCENDING: &str = communications!("communications", "asc", ">");
pub(crate) const DESCENDING: &str = communications!("communications_descending", "desc", "<");

#[cfg(test)]
mod tests {
    use tocsin_domain::CampaignState;

    use super::*;

    #[test]
    fn the_numbers_written_into_the_statement_are_the_domains() {
        assert_eq!((Outcome::InProgress.number(), Outcome::NoDevice.number()), (20, 30));
        assert_eq!((CampaignState::Scheduled.number(), CampaignState::Discarded.number()), (1, 10));
        assert_eq!(JobState::Ended.number(), 4);
    }

    #[test]
    fn a_text_that_is_looked_for_has_no_signs_of_a_pattern() {
        assert_eq!(contains(r"50%_\"), r"%50\%\_\\%");
    }
}
