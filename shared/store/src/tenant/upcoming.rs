//! What is to come: scheduled campaigns and series together, the soonest first (requirements 29 to 32).

use chrono::{DateTime, Utc};
use tocsin_domain::rights::Outlook;
use tocsin_domain::{CampaignId, Channel, SeriesId};
use uuid::Uuid;

use super::Tenant;
use super::campaigns::lists::contains;
use super::schools::by_schools;
use crate::{StoreError, row};

/// Which of them. An empty filter narrows nothing.
#[derive(Debug, Clone, Default)]
pub struct UpcomingQuery {
    /// What whoever asks made: "my messages".
    pub own: bool,
    pub author: Option<String>,
    pub subject: Option<String>,
    pub school: Option<String>,
    /// Where the page before ended.
    pub after: Option<(DateTime<Utc>, Uuid)>,
    pub rows_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpcomingId {
    Campaign(CampaignId),
    Series(SeriesId),
}

#[derive(Debug, Clone)]
pub struct Upcoming {
    pub id: UpcomingId,
    pub number: i64,
    pub subject: String,
    pub message_type: String,
    pub channels: Vec<Channel>,
    /// As [`tocsin_domain::audience::Audience::by_schools`] has them.
    pub schools: Option<Vec<String>>,
    pub at: DateTime<Utc>,
    pub attachment: bool,
    /// It goes to the district's test people.
    pub test: bool,
    /// Of a series.
    pub recurrence: Option<serde_json::Value>,
    pub created_by: String,
    pub modified_by: Option<String>,
    pub modified_at: Option<DateTime<Utc>>,
}

impl Upcoming {
    pub fn key(&self) -> Uuid {
        match self.id {
            UpcomingId::Campaign(id) => id.0,
            UpcomingId::Series(id) => id.0,
        }
    }
}

impl Tenant {
    /// Those that the actor sees.
    pub async fn upcoming(&self, query: &UpcomingQuery) -> Result<Vec<Upcoming>, StoreError> {
        const NAME: &str = "upcoming";
        // All that is here is scheduled.
        let own = match self.outlook() {
            Outlook::All | Outlook::OwnAndScheduled(_) => query.own,
            Outlook::Own(_) => true,
            Outlook::None => return Ok(Vec::new()),
        };
        let pattern = |text: &Option<String>| text.as_deref().map(contains);
        let (author, subject) = (pattern(&query.author), pattern(&query.subject));
        let (at, id) = query.after.unzip();
        let most = i64::from(query.rows_max);
        let rows = self
            .rows(
                NAME,
                UPCOMING,
                &[&self.district.0, &own, &author, &subject, &query.school, &at, &id, &most, &self.me()],
            )
            .await?;
        rows.iter()
            .map(|found| {
                let key: Uuid = found.get("id");
                let recurrence: Option<serde_json::Value> = found.get("recurrence");
                let schools: Option<serde_json::Value> = found.get("schools");
                Ok(Upcoming {
                    id: match recurrence {
                        Some(_) => UpcomingId::Series(SeriesId(key)),
                        None => UpcomingId::Campaign(CampaignId(key)),
                    },
                    number: found.get("number"),
                    subject: found.get("subject"),
                    message_type: found.get("message_type"),
                    channels: found
                        .get::<_, Vec<i16>>("channels")
                        .into_iter()
                        .map(|number| row::channel(NAME, number))
                        .collect::<Result<_, _>>()?,
                    schools: schools.map(|schools| row::from_json(NAME, "schools", schools)).transpose()?,
                    at: found.get("at"),
                    attachment: found.get("attachment"),
                    test: found.get("test"),
                    recurrence,
                    created_by: found.get("created_by"),
                    modified_by: found.get("modified_by"),
                    modified_at: found.get("modified_at"),
                })
            })
            .collect()
    }
}

macro_rules! narrowed {
    () => {
        concat!(
            "
    and (not $2::bool or creator_id is not distinct from $9::uuid)
    and ($3::text is null or lower(created_by) like $3)
    and ($4::text is null or lower(subject) like $4)
    and ($5::text is null or audience->'schools' ? $5 or (audience->'schools' = '[]' and ",
            by_schools!(),
            "))"
        )
    };
}

/// Each part is read along its index, up to a page. Campaign state 1 is scheduled.
pub(crate) const UPCOMING: &str = concat!(
    "-- store.upcoming
with campaign as materialized (
  select id, number, subject, message_type, channels, case when ",
    by_schools!(),
    " and not audience ? 'receipt' then audience->'schools' end as schools, scheduled_at as at,
    coalesce((select true from contents t where t.campaign_id = c.id and (t.audio_url is not null or t.attachments is not null) limit 1), false)
      as attachment,
    test, null::jsonb as recurrence, created_by, modified_by, modified_at
  from campaigns c
  where district_id = $1 and state = 1 and state in (1, 2, 3, 4, 9)
    and (scheduled_at, id) > (coalesce($6::timestamptz, '-infinity'), coalesce($7::uuid, '00000000-0000-0000-0000-000000000000'))",
    narrowed!(),
    "
  order by scheduled_at, id limit $8
), recurring as materialized (
  select id, number, subject, message_type, channels, case when ",
    by_schools!(),
    " and not audience ? 'receipt' then audience->'schools' end as schools, next_at as at,
    jsonb_path_exists(contents, '$[*].audio_url ? (@ != null)') or jsonb_path_exists(contents, '$[*].attachments[*]')
      as attachment,
    false as test, recurrence, created_by, modified_by, modified_at
  from series
  where district_id = $1 and next_at is not null
    and (next_at, id) > (coalesce($6::timestamptz, '-infinity'), coalesce($7::uuid, '00000000-0000-0000-0000-000000000000'))",
    narrowed!(),
    "
  order by next_at, id limit $8
)
select * from campaign union all select * from recurring
order by at, id
limit $8"
);
