//! What is known of single devices, so that where they stand can be explained (promise 12).

use std::collections::BTreeMap;

use tocsin_domain::why::{AccountFacts, AttemptFacts, DeviceFacts, ReportFacts};
use tocsin_domain::window::{Zone, zone_named};
use tocsin_domain::{CampaignId, WaitReason};
use tokio_postgres::Row;

use super::Tenant;
use crate::{StoreError, row};

/// Devices that are explained at once: a recipient has a handful.
const DEVICES_MAX: i64 = 50;
/// Of all of them together. A provider that repeats itself must not make an answer endless.
const REPORTS_MAX: i64 = 500;

/// Which devices of a campaign are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// All of one recipient, by its number in the campaign.
    Recipient(i32),
    /// One, by its number in the campaign.
    Device(i32),
    /// Those with this phone number, email address or inbox account.
    Address(String),
}

/// A device with the person whose it is.
#[derive(Debug, Clone)]
pub struct ToldDevice {
    pub recipient: i32,
    pub name: String,
    pub student: Option<String>,
    pub address: String,
    pub facts: DeviceFacts,
}

impl Tenant {
    /// In the order of their numbers; none: there is no such device.
    pub async fn told_devices(
        &self,
        campaign: CampaignId,
        meant: &Meant,
    ) -> Result<Vec<ToldDevice>, StoreError> {
        let (recipient, device, address) = match meant {
            Meant::Recipient(number) => (Some(*number), None, None),
            Meant::Device(number) => (None, Some(*number), None),
            Meant::Address(address) => (None, None, Some(address.as_str())),
        };
        let rows = self
            .rows("told_devices", TOLD_DEVICES, &[&campaign.0, &recipient, &device, &address, &DEVICES_MAX])
            .await?;
        let zone = self.time_zone().await?;
        let mut devices = rows
            .iter()
            .map(|found| Ok((found.get("id"), read_device(found, zone)?)))
            .collect::<Result<BTreeMap<i32, ToldDevice>, StoreError>>()?;
        let jobs: Vec<i32> = devices.keys().copied().collect();
        for found in &self.rows("told_attempts", TOLD_ATTEMPTS, &[&campaign.0, &jobs]).await? {
            let attempt = read_attempt(found)?;
            if let Some(device) = devices.get_mut(&found.get("job_id")) {
                device.facts.attempts.push(attempt);
            }
        }
        for found in &self.rows("told_reports", TOLD_REPORTS, &[&campaign.0, &jobs, &REPORTS_MAX]).await? {
            let report = read_report(found)?;
            if let Some(device) = devices.get_mut(&found.get("job_id")) {
                device.facts.reports.push(report);
            }
        }
        Ok(devices.into_values().collect())
    }
}

fn read_device(found: &Row, district: Option<Zone>) -> Result<ToldDevice, StoreError> {
    const NAME: &str = "told_devices";
    let account = found
        .get::<_, Option<String>>("account_name")
        .map(|name| AccountFacts { name, stopped: found.get::<_, Option<String>>("stop_reason") });
    let facts = DeviceFacts {
        job: found.get("id"),
        channel: row::channel(NAME, found.get("channel"))?,
        duplicate: found.get("duplicate"),
        state: row::job_state(NAME, found.get("state"))?,
        generation: found.get("generation"),
        released_at: found.get("released_at"),
        tries: found.get("tries"),
        outcome: row::optional_outcome(NAME, found.get("outcome"))?,
        due_at: found.get("due_at"),
        wait_reason: found.get::<_, Option<i16>>("wait_reason").and_then(WaitReason::from_number),
        ended_at: found.get("ended_at"),
        undecided: found.get("undecided"),
        told_by: found.get("told_by"),
        account,
        zone: found.get::<_, Option<&str>>("time_zone").and_then(zone_named).or(district),
        attempts: Vec::new(),
        reports: Vec::new(),
    };
    Ok(ToldDevice {
        recipient: found.get("recipient_id"),
        name: found.get("name"),
        student: found.get("student_name"),
        address: found.get("address"),
        facts,
    })
}

fn read_attempt(found: &Row) -> Result<AttemptFacts, StoreError> {
    const NAME: &str = "told_attempts";
    Ok(AttemptFacts {
        number: found.get("number"),
        state: row::attempt_state(NAME, found.get("state"))?,
        account: found.get("account_name"),
        generation: found.get("generation"),
        claimed_at: found.get("claimed_at"),
        settled_at: found.get("settled_at"),
        outcome: row::optional_outcome(NAME, found.get("outcome"))?,
        provider_code: found.get("provider_code"),
    })
}

fn read_report(found: &Row) -> Result<ReportFacts, StoreError> {
    Ok(ReportFacts {
        attempt: found.get("number"),
        received_at: found.get("received_at"),
        outcome: row::optional_outcome("told_reports", found.get("outcome"))?,
        provider_code: found.get("provider_code"),
    })
}

/// A recipient's jobs stand side by side. Both their ends are scalars, for an index takes no other expression past the
/// policy of rows. An address is found by the index that keeps it apart, and its duplicates, which
/// that index leaves out, by their recipients.
pub(crate) const TOLD_DEVICES: &str = "-- store.told_devices
with meant as (
  select id from jobs where campaign_id = $1
    and id >= (select first_job from recipients where campaign_id = $1 and id = $2::int)
    and id < (select coalesce(min(first_job), 2147483647) from recipients where campaign_id = $1 and id = $2::int + 1)
  union all
  select id from jobs where campaign_id = $1 and id = $3::int
  union all
  select d.job_id from unnest(array[1, 2, 3, 4]::smallint[]) c(channel)
  join destinations d on d.campaign_id = $1 and d.channel = c.channel and d.address = $4::text and not d.duplicate
  order by 1 limit $5
)
select j.id, j.recipient_id, j.channel, j.state, j.generation, j.released_at, j.tries, j.outcome, j.due_at, j.wait_reason, j.ended_at,
  d.address, d.duplicate, r.name, r.student_name, r.time_zone, a.name as account_name,
  c.undecided_since is not null as undecided, t.number as told_by,
  case when a.stopped_at is not null then coalesce(a.stop_reason, 'no reason is kept') end as stop_reason
from meant m
join jobs j on j.campaign_id = $1 and j.id = m.id
join destinations d on d.campaign_id = $1 and d.job_id = j.id
join recipients r on r.campaign_id = $1 and r.id = j.recipient_id
join campaigns c on c.id = $1
left join campaigns t on t.id = r.told_by
left join provider_accounts a on a.id = j.account_id
order by j.id";

const TOLD_ATTEMPTS: &str = "-- store.told_attempts
select t.job_id, t.number, t.state, t.generation, t.claimed_at, t.settled_at, t.outcome, t.provider_code,
  coalesce(a.name, t.account_id::text) as account_name
from unnest($2::int[]) j(id)
join attempts t on t.campaign_id = $1 and t.job_id = j.id
left join provider_accounts a on a.id = t.account_id
order by t.job_id, t.number";

const TOLD_REPORTS: &str = "-- store.told_reports
select e.job_id, e.number, e.received_at, e.outcome, e.provider_code
from unnest($2::int[]) j(id)
join events e on e.campaign_id = $1 and e.job_id = j.id
where e.number is not null
order by e.received_at, e.id, e.ordinal limit $3";
