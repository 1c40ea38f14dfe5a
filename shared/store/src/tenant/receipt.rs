//! The receipt of a cancel: whom it reached, counted and listed by its four parts.
//!
//! No index knows the parts, as none knows outcomes: the lists are read as `matching.rs` reads, by windows of
//! jobs in their order.

use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;
use tocsin_domain::receipt::Part;

use super::Tenant;
use super::matching::WITHOUT_DEVICE;
use super::recipients::{RecipientRow, read_recipient};
use crate::StoreError;
use crate::receipt::part_of_attempt;

/// Jobs that one statement looks at, at most: tens of milliseconds.
const WINDOW: i32 = 10_000;
/// Statements of one page, at most.
const WINDOWS_MAX: usize = 20;

/// The audience of a canceled campaign by what the cancel reached, as known now. The four parts hold every job, and
/// every recipient without a device, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub contacted: i64,
    pub in_flight_or_unknown: i64,
    pub recalled: i64,
    pub never_tried: i64,
}

/// A row of a part's list.
#[derive(Debug, Clone)]
pub struct ReceiptRow {
    pub row: RecipientRow,
    /// None: never.
    pub first_tried_at: Option<DateTime<Utc>>,
    /// Of the latest attempt.
    pub recall: Recall,
}

/// What a provider was asked to stop. The numbers are those stored in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    None,
    Ordered,
    Stopped,
    /// The provider could not stop it any more, or cannot stop any.
    TooLate,
}

/// Where a page of a part ended: at a job, or, behind all jobs, at a recipient without a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Job(i32),
    Recipient(i32),
}

/// A page of a part's list.
#[derive(Debug, Clone)]
pub struct Page {
    pub rows: Vec<ReceiptRow>,
    /// Where to go on; None: nothing follows.
    pub next: Option<Place>,
}

impl Place {
    pub const HEAD: Self = Self::Job(0);

    fn of(found: &ReceiptRow) -> Self {
        match &found.row.device {
            Some(device) => Self::Job(device.job),
            None => Self::Recipient(found.row.recipient),
        }
    }
}

impl Recall {
    fn from_number(number: i16) -> Self {
        match number {
            1 => Self::Ordered,
            2 => Self::Stopped,
            3 => Self::TooLate,
            _ => Self::None,
        }
    }
}

impl Tenant {
    /// What the cancel reached, counted over the campaign's rows.
    pub async fn receipt(&self, campaign: CampaignId) -> Result<Receipt, StoreError> {
        let rows = self.rows("receipt", RECEIPT, &[&campaign.0]).await?;
        let count = |name: &str| rows.first().map_or(0, |found| found.get::<_, i64>(name));
        Ok(Receipt {
            contacted: count("contacted"),
            in_flight_or_unknown: count("in_flight_or_unknown"),
            recalled: count("recalled"),
            never_tried: count("never_tried"),
        })
    }

    /// Did the cancel come too late for anybody, or may it have?
    pub async fn was_anybody_contacted(&self, campaign: CampaignId) -> Result<bool, StoreError> {
        let rows = self.rows("anybody_contacted", ANYBODY_CONTACTED, &[&campaign.0]).await?;
        Ok(rows.first().is_some_and(|found| found.get("anybody")))
    }

    /// Up to `rows_max` rows of `part` after `after`: devices in their order, then, among the never tried,
    /// recipients without any. It may be none of them although `next` leads on.
    pub async fn receipt_part(
        &self,
        campaign: CampaignId,
        part: Part,
        after: Place,
        rows_max: u32,
    ) -> Result<Page, StoreError> {
        let extent = self.receipt_extent(campaign).await?;
        let (mut place, mut rows) = (after, Vec::new());
        for _ in 0..WINDOWS_MAX {
            let Some(to) = extent.window_after(place, part) else { return Ok(Page { rows, next: None }) };
            let wanted = rows_max.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            // One more than is wanted tells whether another page follows.
            let mut found = self.receipt_window(campaign, part, place, to, wanted.saturating_add(1)).await?;
            let more = found.len() > wanted as usize;
            found.truncate(wanted as usize);
            rows.append(&mut found);
            if more {
                return Ok(Page { next: rows.last().map(Place::of), rows });
            }
            place = to;
        }
        Ok(Page { rows, next: Some(place) })
    }

    async fn receipt_window(
        &self,
        campaign: CampaignId,
        part: Part,
        after: Place,
        to: Place,
        rows_max: u32,
    ) -> Result<Vec<ReceiptRow>, StoreError> {
        let rows_max = i64::from(rows_max);
        let rows = match (after, to) {
            (after, Place::Recipient(to)) => {
                let after = if let Place::Recipient(after) = after { after } else { 0 };
                self.rows("without_device", WITHOUT_DEVICE, &[&campaign.0, &after, &to, &rows_max]).await?
            }
            (Place::Job(after), Place::Job(to)) => {
                let part = i32::from(part.number());
                self.rows("receipt_part", RECEIPT_PART, &[&campaign.0, &after, &to, &part, &rows_max]).await?
            }
            (Place::Recipient(_), Place::Job(_)) => Vec::new(),
        };
        rows.iter().map(read_row).collect()
    }

    async fn receipt_extent(&self, campaign: CampaignId) -> Result<Extent, StoreError> {
        let rows = self.rows("receipt_extent", EXTENT, &[&campaign.0]).await?;
        let last = |name: &str| rows.first().map_or(0, |found| found.get(name));
        Ok(Extent { jobs: last("jobs_made"), recipients: last("recipients_made") })
    }
}

/// The last job and the last recipient of a campaign.
#[derive(Debug, Clone, Copy)]
struct Extent {
    jobs: i32,
    recipients: i32,
}

impl Extent {
    /// Where the window after `place` ends; None: nothing of `part` is behind it.
    fn window_after(self, place: Place, part: Part) -> Option<Place> {
        match place {
            Place::Job(after) if after < self.jobs => {
                Some(Place::Job(after.saturating_add(WINDOW).min(self.jobs)))
            }
            _ if part != Part::NeverTried => None,
            Place::Job(_) if self.recipients > 0 => Some(Place::Recipient(WINDOW.min(self.recipients))),
            Place::Recipient(after) if after < self.recipients => {
                Some(Place::Recipient(after.saturating_add(WINDOW).min(self.recipients)))
            }
            Place::Job(_) | Place::Recipient(_) => None,
        }
    }
}

fn read_row(found: &tokio_postgres::Row) -> Result<ReceiptRow, StoreError> {
    let row = read_recipient(found)?;
    let tried = row.device.is_some();
    Ok(ReceiptRow {
        first_tried_at: if tried { found.get("first_tried_at") } else { None },
        recall: Recall::from_number(if tried { found.get("recall") } else { 0 }),
        row,
    })
}

const EXTENT: &str = "-- store.receipt_extent
select jobs_made, recipients_made from campaigns where id = $1";

/// Jobs without an attempt are counted, not looked at.
const RECEIPT: &str = concat!(
    "-- store.receipt
with tried as (
  select a.job_id, min(",
    part_of_attempt!(),
    ") as part
  from attempts a where a.campaign_id = $1 group by a.job_id
), parts as (
  select count(*) filter (where part = 1) as contacted, count(*) filter (where part = 2) as open,
    count(*) filter (where part = 3) as recalled
  from tried
)
select contacted, open as in_flight_or_unknown, recalled,
  (select count(*) from jobs where campaign_id = $1)
    + (select count(*) from recipients where campaign_id = $1 and no_device)
    - contacted - open - recalled as never_tried
from parts"
);

const ANYBODY_CONTACTED: &str = concat!(
    "-- store.anybody_contacted
select exists (
  select from attempts a where a.campaign_id = $1 and (",
    part_of_attempt!(),
    ") <= 2) as anybody"
);

pub(crate) const RECEIPT_PART: &str = concat!(
    "-- store.receipt_part
select r.id, r.name, r.student_name, r.language, r.time_zone, j.id as job_id, j.channel, d.address, d.duplicate,
  j.state, j.outcome, j.wait_reason, j.due_at, j.attempt, j.tries, j.ended_at, j.first_tried_at, l.claimed_at,
  l.provider_code, coalesce(l.recall, 0::smallint) as recall, i.first_read_at
from (
  select j.*, t.first_tried_at
  from jobs j cross join lateral (
    select coalesce(min(",
    part_of_attempt!(),
    "), 4) as part, min(a.claimed_at) as first_tried_at
    from attempts a where a.campaign_id = $1 and a.job_id = j.id) t
  where j.campaign_id = $1 and j.id > $2 and j.id <= $3 and t.part = $4
  order by j.id limit $5) j
join recipients r on r.campaign_id = $1 and r.id = j.recipient_id
join destinations d on d.campaign_id = $1 and d.job_id = j.id
left join attempts l on l.campaign_id = $1 and l.job_id = j.id and l.number = j.attempt
left join inbox_messages i on j.channel = 4 and i.campaign_id = $1 and i.job_id = j.id
order by j.id"
);
