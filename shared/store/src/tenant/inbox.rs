//! A person's portal inbox: the messages of all portal accounts that the roster gives them, and which are read.

use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, JobKey};

use super::Tenant;
use crate::StoreError;

/// A message as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    pub key: JobKey,
    pub subject: String,
    pub created_at: DateTime<Utc>,
    /// Since when it is marked as read.
    pub read_at: Option<DateTime<Utc>>,
    /// Of a campaign that is only a test.
    pub test: bool,
}

/// Which messages, in which order; within it the newest come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    All,
    UnreadFirst,
    UnreadOnly,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    pub unread: bool,
    pub created_at: DateTime<Utc>,
    pub key: JobKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Read,
    Unread,
}

impl Tenant {
    /// A page of a person's messages. None: the district has no such person.
    pub async fn inbox(
        &self,
        person: &str,
        show: Show,
        after: Option<&After>,
        rows_max: u32,
    ) -> Result<Option<Vec<InboxEntry>>, StoreError> {
        let (unread_only, unread_first) = (show == Show::UnreadOnly, show == Show::UnreadFirst);
        let unread = after.map(|after| after.unread || !unread_first);
        let created_at = after.map(|after| after.created_at);
        let campaign = after.map(|after| after.key.campaign.0);
        let job = after.map(|after| after.key.job);
        let rows = self
            .rows(
                "inbox",
                INBOX,
                &[
                    &person,
                    &unread_only,
                    &unread_first,
                    &unread,
                    &created_at,
                    &campaign,
                    &job,
                    &i64::from(rows_max),
                ],
            )
            .await?;
        Ok(entries(&rows))
    }

    /// One message with its text. None: the district has no such person.
    pub async fn inbox_message(
        &self,
        person: &str,
        key: JobKey,
    ) -> Result<Option<Option<(InboxEntry, String)>>, StoreError> {
        let rows = self.rows("inbox_message", INBOX_MESSAGE, &[&person, &key.campaign.0, &key.job]).await?;
        let Some(found) = rows.first() else { return Ok(None) };
        Ok(Some(entry(found).map(|entry| (entry, found.get("body")))))
    }

    /// Marks one message; what is marked so already stays as it is. None: no such person; Some(None): no such message.
    pub async fn mark_inbox_message(
        &self,
        person: &str,
        key: JobKey,
        mark: Mark,
        now: DateTime<Utc>,
    ) -> Result<Option<Option<InboxEntry>>, StoreError> {
        let read = mark == Mark::Read;
        let rows = self
            .rows(
                "mark_inbox_message",
                MARK_INBOX_MESSAGE,
                &[&person, &key.campaign.0, &key.job, &read, &now],
            )
            .await?;
        Ok(rows.first().map(entry))
    }

    /// Marks every message that was there at `until` as read, and counts those that were not. None: no such person.
    pub async fn mark_inbox_read(
        &self,
        person: &str,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<i64>, StoreError> {
        let rows = self.rows("mark_inbox_read", MARK_INBOX_READ, &[&person, &until, &now]).await?;
        Ok(rows.first().and_then(|row| row.get("marked")))
    }

    /// How many of a person's messages are not read. None: no such person.
    pub async fn inbox_unread(&self, person: &str) -> Result<Option<i64>, StoreError> {
        let rows = self.rows("inbox_unread", INBOX_UNREAD, &[&person]).await?;
        Ok(rows.first().map(|row| row.get("unread")))
    }
}

/// A person without messages is one row of nulls.
fn entries(rows: &[tokio_postgres::Row]) -> Option<Vec<InboxEntry>> {
    (!rows.is_empty()).then(|| rows.iter().filter_map(entry).collect())
}

fn entry(found: &tokio_postgres::Row) -> Option<InboxEntry> {
    let campaign = CampaignId(found.get::<_, Option<uuid::Uuid>>("campaign_id")?);
    Some(InboxEntry {
        key: JobKey { campaign, job: found.get("job_id") },
        subject: found.get("subject"),
        created_at: found.get("created_at"),
        read_at: found.get("read_at"),
        test: found.get("test"),
    })
}

/// The messages of a person's portal accounts: `p` is the person, 4 the inbox.
macro_rules! of_person {
    () => {
        "devices d join inbox_messages m on m.district_id = d.district_id and m.account = d.address
  where d.district_id = p.district_id and d.person_id = p.id and d.channel = 4"
    };
}

/// Of whichever messages are answered: campaigns are told by few of them.
macro_rules! marked_as_tests {
    () => {
        "select m.*, coalesce((select c.test from campaigns c where c.id = m.campaign_id), false) as test"
    };
}

/// The order's first part is true for all where unread messages do not come first.
const INBOX: &str = concat!(
    "-- store.inbox
",
    marked_as_tests!(),
    " from people p left join lateral (
  select m.campaign_id, m.job_id, m.subject, m.created_at, m.read_at
  from ",
    of_person!(),
    "
    and (not $2 or m.read_at is null)
    and ($4::boolean is null or
      (not $3 or m.read_at is null, m.created_at, m.campaign_id, m.job_id) < ($4, $5::timestamptz, $6::uuid, $7::int))
  order by (not $3 or m.read_at is null) desc, m.created_at desc, m.campaign_id desc, m.job_id desc
  limit $8) m on true
where p.source_id = $1"
);

const INBOX_MESSAGE: &str = concat!(
    "-- store.inbox_message
",
    marked_as_tests!(),
    " from people p left join lateral (
  select m.campaign_id, m.job_id, m.subject, m.created_at, m.read_at, m.body
  from ",
    of_person!(),
    "
    and m.campaign_id = $2 and m.job_id = $3) m on true
where p.source_id = $1"
);

const MARK_INBOX_MESSAGE: &str = concat!(
    "-- store.mark_inbox_message
with marked as (
  update inbox_messages t
  set read_at = case when $4 then coalesce(t.read_at, $5) end,
    first_read_at = case when $4 then coalesce(t.first_read_at, $5) else t.first_read_at end
  from people p cross join lateral (
    select m.campaign_id, m.job_id from ",
    of_person!(),
    "
      and m.campaign_id = $2 and m.job_id = $3) m
  where p.source_id = $1 and t.campaign_id = m.campaign_id and t.job_id = m.job_id
  returning t.campaign_id, t.job_id, t.subject, t.created_at, t.read_at
)
",
    marked_as_tests!(),
    " from people p left join marked m on true where p.source_id = $1"
);

/// Locked in the order of their keys, as every batch is.
const MARK_INBOX_READ: &str = concat!(
    "-- store.mark_inbox_read
with unread as (
  select t.campaign_id, t.job_id from inbox_messages t
  join (
    select m.campaign_id, m.job_id from people p cross join lateral (
      select m.campaign_id, m.job_id from ",
    of_person!(),
    "
        and m.read_at is null and m.created_at <= $2) m
    where p.source_id = $1) m on t.campaign_id = m.campaign_id and t.job_id = m.job_id
  where t.read_at is null
  order by t.campaign_id, t.job_id for update of t
), marked as (
  update inbox_messages t set read_at = $3, first_read_at = coalesce(t.first_read_at, $3)
  from unread u where t.campaign_id = u.campaign_id and t.job_id = u.job_id
  returning 1
)
select (select count(*) from marked) as marked from people p where p.source_id = $1"
);

const INBOX_UNREAD: &str = concat!(
    "-- store.inbox_unread
select (select count(*) from ",
    of_person!(),
    "
    and m.read_at is null) as unread
from people p where p.source_id = $1"
);
