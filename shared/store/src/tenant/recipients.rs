//! Who a campaign was for, device by device: every recipient has a row, tried or not (requirement 189).

use chrono::{DateTime, Utc};
use tocsin_domain::window::{Zone, zone_named};
use tocsin_domain::{CampaignId, Channel, JobState, Outcome, WaitReason};

use super::Tenant;
use crate::{StoreError, row};

/// One recipient and one of its devices; or a recipient without any.
#[derive(Debug, Clone)]
pub struct RecipientRow {
    pub recipient: i32,
    pub name: String,
    pub student: Option<String>,
    pub language: Option<String>,
    /// The recipient's own.
    pub zone: Option<Zone>,
    pub device: Option<DeviceRow>,
}

/// What became of one device.
#[derive(Debug, Clone)]
pub struct DeviceRow {
    pub job: i32,
    pub channel: Channel,
    pub address: String,
    pub duplicate: bool,
    pub state: JobState,
    /// Final when `state` is Ended; else the best so far.
    pub outcome: Option<Outcome>,
    /// The provider's own word for the latest attempt's outcome.
    pub provider_code: Option<String>,
    pub wait_reason: Option<WaitReason>,
    pub due_at: Option<DateTime<Utc>>,
    pub attempts: i16,
    /// Attempts used up.
    pub tries: i16,
    /// When the latest attempt began.
    pub tried_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Of an inbox message: when it was read first.
    pub read_at: Option<DateTime<Utc>>,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct After {
    pub recipient: i32,
    pub job: i32,
}

impl Tenant {
    /// A page of rows in recipient order, then job order.
    pub async fn recipients(
        &self,
        campaign: CampaignId,
        after: After,
        rows_max: u32,
    ) -> Result<Vec<RecipientRow>, StoreError> {
        let rows = self
            .rows(
                "recipients",
                RECIPIENTS,
                &[&campaign.0, &after.recipient, &after.job, &i64::from(rows_max)],
            )
            .await?;
        rows.iter().map(read_recipient).collect()
    }
}

pub(super) fn read_recipient(found: &tokio_postgres::Row) -> Result<RecipientRow, StoreError> {
    const NAME: &str = "recipients";
    let device = match found.get::<_, Option<i32>>("job_id") {
        None => None,
        Some(job) => Some(DeviceRow {
            job,
            channel: row::channel(NAME, found.get("channel"))?,
            address: found.get("address"),
            duplicate: found.get("duplicate"),
            state: row::job_state(NAME, found.get("state"))?,
            outcome: row::optional_outcome(NAME, found.get("outcome"))?,
            provider_code: found.get("provider_code"),
            wait_reason: found.get::<_, Option<i16>>("wait_reason").and_then(WaitReason::from_number),
            due_at: found.get("due_at"),
            attempts: found.get("attempt"),
            tries: found.get("tries"),
            tried_at: found.get("claimed_at"),
            ended_at: found.get("ended_at"),
            read_at: found.get("first_read_at"),
        }),
    };
    Ok(RecipientRow {
        recipient: found.get("id"),
        name: found.get("name"),
        student: found.get("student_name"),
        language: found.get("language"),
        zone: found.get::<_, Option<&str>>("time_zone").and_then(zone_named),
        device,
    })
}

/// Jobs are numbered in recipient order, so both keys are walked forward together: a page reads the
/// recipients after the last one and the jobs after the last one, and nothing before them.
const RECIPIENTS: &str = "-- store.recipients
select * from (
  select r.id, r.name, r.student_name, r.language, r.time_zone, j.id as job_id, j.channel, d.address, d.duplicate,
    j.state, j.outcome, j.wait_reason, j.due_at, j.attempt, j.tries, j.ended_at, a.claimed_at, a.provider_code,
    i.first_read_at
  from (
    select j.* from jobs j where j.campaign_id = $1 and j.id > $3 order by j.id limit $4) j
  join recipients r on r.campaign_id = $1 and r.id = j.recipient_id
  join destinations d on d.campaign_id = $1 and d.job_id = j.id
  left join attempts a on a.campaign_id = $1 and a.job_id = j.id and a.number = j.attempt
  left join inbox_messages i on j.channel = 4 and i.campaign_id = $1 and i.job_id = j.id
  union all
  select r.id, r.name, r.student_name, r.language, null, null, null, null, null, null, null, null, null, null,
    null, null, null, null, null
  from (
    select r.* from recipients r where r.campaign_id = $1 and r.id > $2 and r.no_device
    order by r.id limit $4) r
) page
order by id, job_id nulls first
limit $4";
