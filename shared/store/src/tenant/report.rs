//! The rows of a report, in recipient order, by short pages (requirements 60 to 63, 189).
//!
//! Never one long snapshot, which would make every release slower: each page is a statement of its own, and rows that change
//! meanwhile are shown as they are when their page is read.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, Channel, JobState, Outcome};

use super::Tenant;
use super::matching::WITHOUT_DEVICE;
use crate::{StoreError, row};

/// Jobs of one page: tens of milliseconds, and what a report holds.
const JOBS_MAX: i32 = 2_000;
/// Recipients among which one statement looks for those without any device.
const RECIPIENTS_MAX: i32 = 10_000;

/// One recipient and one of its devices; or a recipient without any.
#[derive(Debug, Clone)]
pub struct ReportRow {
    /// The store's number of the person. Rows of one person follow one another.
    pub person: i64,
    pub recipient: i32,
    pub name: String,
    pub student: Option<String>,
    pub device: Option<ReportDevice>,
}

#[derive(Debug, Clone)]
pub struct ReportDevice {
    pub channel: Channel,
    pub address: String,
    pub duplicate: bool,
    pub ended: bool,
    /// Final when it has ended; else the best so far.
    pub outcome: Option<Outcome>,
    /// Of a duplicate: the outcome of the job that is sent in its place.
    pub sent_outcome: Option<Outcome>,
    /// The provider's own word for the latest attempt's outcome.
    pub provider_code: Option<String>,
    /// Of the last status; until there is one, of the latest attempt.
    pub time: Option<DateTime<Utc>>,
}

/// Are recipients without any device asked for, too?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutDevice {
    LeftOut,
    Included,
}

/// A report's rows as far as they were read.
#[derive(Debug)]
pub struct ReportRows {
    tenant: Tenant,
    campaign: CampaignId,
    devices: Ahead,
    without: Ahead,
}

/// One kind of row: what was read and not given yet, and how far the reading is.
#[derive(Debug)]
struct Ahead {
    rows: VecDeque<ReportRow>,
    read_to: i32,
    last: i32,
}

impl Tenant {
    /// The rows that `campaign` has now, to be read page by page.
    pub async fn report_rows(
        &self,
        campaign: CampaignId,
        without_device: WithoutDevice,
    ) -> Result<ReportRows, StoreError> {
        let rows = self.rows("report_extent", REPORT_EXTENT, &[&campaign.0]).await?;
        let last = |name: &str| rows.first().map_or(0, |found| found.get(name));
        let recipients = match without_device {
            WithoutDevice::LeftOut => 0,
            WithoutDevice::Included => last("recipients_made"),
        };
        Ok(ReportRows {
            tenant: self.clone(),
            campaign,
            devices: Ahead::of(last("jobs_made")),
            without: Ahead::of(recipients),
        })
    }

    /// The names of these schools, in no order; those that are not known are left out.
    pub async fn school_names(&self, source_ids: &[String]) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self.rows("school_names", SCHOOL_NAMES, &[&self.district.0, &source_ids]).await?;
        Ok(rows.iter().map(|found| (found.get("source_id"), found.get("name"))).collect())
    }
}

impl ReportRows {
    /// The next rows; none: that was all. It holds what one statement answers of each kind of row, and no more.
    pub async fn page(&mut self) -> Result<Vec<ReportRow>, StoreError> {
        let mut page = Vec::new();
        while page.len() < JOBS_MAX as usize {
            // A page ends where the next statement begins: it holds no more than one statement answers.
            if self.devices.is_read_out() && !page.is_empty() {
                break;
            }
            while self.devices.is_read_out() {
                self.read_devices().await?;
            }
            // Everybody without a device who stands before the next one with a device.
            let before = self.devices.rows.front().map_or(self.without.last, |row| row.recipient);
            while self.without.rows.is_empty() && self.without.read_to < before.min(self.without.last) {
                self.read_without_device().await?;
            }
            let without_first = match (self.without.rows.front(), self.devices.rows.front()) {
                (Some(without), Some(device)) => without.recipient < device.recipient,
                (Some(_), None) => true,
                (None, _) => false,
            };
            let from = if without_first { &mut self.without } else { &mut self.devices };
            match from.rows.pop_front() {
                Some(row) => page.push(row),
                None => break,
            }
        }
        Ok(page)
    }

    async fn read_devices(&mut self) -> Result<(), StoreError> {
        let (from, to) = self.devices.window(JOBS_MAX);
        let rows =
            self.tenant.rows("report_devices", REPORT_DEVICES, &[&self.campaign.0, &from, &to]).await?;
        self.devices.rows = rows.iter().map(read_with_device).collect::<Result<_, _>>()?;
        Ok(())
    }

    async fn read_without_device(&mut self) -> Result<(), StoreError> {
        let (from, to) = self.without.window(RECIPIENTS_MAX);
        let all = i64::from(RECIPIENTS_MAX);
        let rows =
            self.tenant.rows("without_device", WITHOUT_DEVICE, &[&self.campaign.0, &from, &to, &all]).await?;
        self.without.rows = rows.iter().map(|found| read_row(found, None)).collect();
        Ok(())
    }
}

impl Ahead {
    fn of(last: i32) -> Self {
        Self { rows: VecDeque::new(), read_to: 0, last }
    }

    fn is_read_out(&self) -> bool {
        self.rows.is_empty() && self.read_to < self.last
    }

    /// The next so many numbers, which are read then.
    fn window(&mut self, numbers_max: i32) -> (i32, i32) {
        let from = self.read_to;
        self.read_to = from.saturating_add(numbers_max).min(self.last);
        (from, self.read_to)
    }
}

fn read_with_device(found: &tokio_postgres::Row) -> Result<ReportRow, StoreError> {
    const NAME: &str = "report_devices";
    let device = ReportDevice {
        channel: row::channel(NAME, found.get("channel"))?,
        address: found.get("address"),
        duplicate: found.get("duplicate"),
        ended: row::job_state(NAME, found.get("state"))? == JobState::Ended,
        outcome: row::optional_outcome(NAME, found.get("outcome"))?,
        sent_outcome: row::optional_outcome(NAME, found.get("sent_outcome"))?,
        provider_code: found.get("provider_code"),
        time: found.get("time"),
    };
    Ok(read_row(found, Some(device)))
}

fn read_row(found: &tokio_postgres::Row, device: Option<ReportDevice>) -> ReportRow {
    ReportRow {
        person: found.get("person_id"),
        recipient: found.get("id"),
        name: found.get("name"),
        student: found.get("student_name"),
        device,
    }
}

const REPORT_EXTENT: &str = "-- store.report_extent
select jobs_made, recipients_made from campaigns where id = $1";

const SCHOOL_NAMES: &str = "-- store.school_names
select source_id, name from schools where district_id = $1 and source_id = any($2)";

/// Jobs are numbered from 1 without a gap, so that a window of numbers is a page. Each part is one row by its key: joined
/// otherwise, a table without statistics would be read whole for each page.
pub(crate) const REPORT_DEVICES: &str = "-- store.report_devices
select r.person_id, j.recipient_id as id, r.name, r.student_name, j.channel, d.address, d.duplicate, j.state, j.outcome,
  sent.outcome as sent_outcome, a.provider_code, coalesce(j.ended_at, a.claimed_at) as time
from (
  select * from jobs where campaign_id = $1 and id > $2 and id <= $3 order by id offset 0) j
cross join lateral (
  select person_id, name, student_name from recipients
  where campaign_id = $1 and id = j.recipient_id limit 1) r
cross join lateral (
  select channel, address, student_id, duplicate from destinations
  where campaign_id = $1 and job_id = j.id limit 1) d
left join lateral (
  select claimed_at, provider_code from attempts
  where campaign_id = $1 and job_id = j.id and number = j.attempt limit 1) a on true
left join lateral (
  select k.outcome from (
    select job_id from destinations
    where d.duplicate and campaign_id = $1 and channel = d.channel and address = d.address
      and student_id is not distinct from d.student_id and not duplicate limit 1) first
  cross join lateral (
    select outcome from jobs where campaign_id = $1 and id = first.job_id limit 1) k) sent on true
order by j.id";
