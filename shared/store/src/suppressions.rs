//! What providers tell of an address itself: it bounces, complains, takes no texts, or opted out.

use chrono::{DateTime, Utc};
use tocsin_domain::consent::ConsentChange;
use tocsin_domain::suppression::{AddressFact, SuppressionReason};
use tocsin_domain::{AttemptKey, Channel, DistrictId, JobKey};
use uuid::Uuid;

use crate::consents::PhoneChange;
use crate::{Store, StoreError, row};

/// Who told it.
const SOURCE: &str = "provider";

/// Something that was learned of an attempt's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    pub attempt: AttemptKey,
    pub fact: AddressFact,
    pub at: DateTime<Utc>,
    /// The report that told it.
    pub event: Option<Uuid>,
}

/// A reader who unsubscribed by the link in a mail, which names its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribed {
    pub attempt: AttemptKey,
    pub at: DateTime<Utc>,
}

/// Something that was learned of an email address by a report that names no attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedOfAddress {
    pub address: String,
    pub reason: SuppressionReason,
    pub at: DateTime<Utc>,
    /// The account that the report came to. Of a district's own account nothing is learned about others' people.
    pub account: String,
}

/// Whose attempt it was and whom it was to reach.
pub(crate) struct Address {
    pub district: DistrictId,
    pub channel: Channel,
    pub address: String,
}

impl Store {
    /// Keeps what was learned: opt-outs as consent, the rest as suppressions. What is suppressed already stays as it
    /// is, with its first reason. An attempt of a job that does not exist teaches nothing. Returns how many rows
    /// changed.
    pub async fn learn(&self, learned: &[Learned]) -> Result<u64, StoreError> {
        if learned.is_empty() {
            return Ok(0);
        }
        let jobs: Vec<JobKey> = learned.iter().map(|one| one.attempt.job).collect();
        let addresses = self.addresses(&jobs).await?;
        let mut opt_outs = Vec::new();
        let mut suppressed = Vec::new();
        for (Learned { fact, at, event, .. }, found) in learned.iter().zip(addresses) {
            let Some(Address { district, channel, address }) = found else { continue };
            match *fact {
                AddressFact::OptedOut => {
                    opt_outs.push(PhoneChange { district, phone: address, at: *at, event: *event });
                }
                AddressFact::Suppress(reason) if reason.channels().contains(&channel) => {
                    suppressed.push((district, channel, address, reason, *at));
                }
                AddressFact::Suppress(_) => {}
            }
        }
        Ok(self.change_phones(ConsentChange::Stop, &opt_outs, SOURCE).await?
            + self.suppress(&suppressed).await?)
    }

    /// Keeps who unsubscribed, from mails of the message type of the one that had the link. Nobody unsubscribes from
    /// emergencies. Returns how many are new.
    pub async fn unsubscribe(&self, unsubscribed: &[Unsubscribed]) -> Result<u64, StoreError> {
        if unsubscribed.is_empty() {
            return Ok(0);
        }
        let campaigns: Vec<Uuid> = unsubscribed.iter().map(|one| one.attempt.job.campaign.0).collect();
        let jobs: Vec<i32> = unsubscribed.iter().map(|one| one.attempt.job.job).collect();
        let ats: Vec<DateTime<Utc>> = unsubscribed.iter().map(|one| one.at).collect();
        self.count("unsubscribe", UNSUBSCRIBE, &[&campaigns, &jobs, &ats]).await
    }

    /// Suppresses addresses in every district that has them: whoever reports without an attempt names no district, and
    /// suppresses them for all whose mails it sends. Returns how many rows are new.
    pub async fn learn_of_addresses(&self, learned: &[LearnedOfAddress]) -> Result<u64, StoreError> {
        if learned.is_empty() {
            return Ok(0);
        }
        let addresses: Vec<&str> = learned.iter().map(|one| one.address.as_str()).collect();
        let outcomes: Vec<i16> = learned.iter().map(|one| one.reason.outcome().number()).collect();
        let reasons: Vec<&str> = learned.iter().map(|one| one.reason.as_str()).collect();
        let ats: Vec<DateTime<Utc>> = learned.iter().map(|one| one.at).collect();
        let accounts: Vec<&str> = learned.iter().map(|one| one.account.as_str()).collect();
        self.count(
            "suppress_anywhere",
            SUPPRESS_ANYWHERE,
            &[&addresses, &outcomes, &reasons, &ats, &SOURCE, &accounts],
        )
        .await
    }

    /// In the order of `jobs`; None for one that does not exist.
    pub(crate) async fn addresses(&self, jobs: &[JobKey]) -> Result<Vec<Option<Address>>, StoreError> {
        const NAME: &str = "addresses";
        let campaigns: Vec<Uuid> = jobs.iter().map(|job| job.campaign.0).collect();
        let numbers: Vec<i32> = jobs.iter().map(|job| job.job).collect();
        let rows = self.rows(NAME, ADDRESSES, &[&campaigns, &numbers]).await?;
        rows.iter()
            .map(|found| {
                let Some(address) = found.get::<_, Option<String>>("address") else { return Ok(None) };
                let district = DistrictId(found.get("district_id"));
                Ok(Some(Address { district, channel: row::channel(NAME, found.get("channel"))?, address }))
            })
            .collect()
    }

    async fn suppress(
        &self,
        suppressed: &[(DistrictId, Channel, String, SuppressionReason, DateTime<Utc>)],
    ) -> Result<u64, StoreError> {
        if suppressed.is_empty() {
            return Ok(0);
        }
        let districts: Vec<Uuid> = suppressed.iter().map(|one| one.0.0).collect();
        let channels: Vec<i16> = suppressed.iter().map(|one| one.1.number()).collect();
        let addresses: Vec<&str> = suppressed.iter().map(|one| one.2.as_str()).collect();
        let outcomes: Vec<i16> = suppressed.iter().map(|one| one.3.outcome().number()).collect();
        let reasons: Vec<&str> = suppressed.iter().map(|one| one.3.as_str()).collect();
        let ats: Vec<DateTime<Utc>> = suppressed.iter().map(|one| one.4).collect();
        self.count(
            "suppress",
            SUPPRESS,
            &[&districts, &channels, &addresses, &outcomes, &reasons, &ats, &SOURCE],
        )
        .await
    }
}

pub(crate) const ADDRESSES: &str = "-- store.addresses
select d.district_id, d.channel, d.address
from unnest($1::uuid[], $2::int[]) with ordinality u(campaign_id, job_id, place)
left join lateral (
  select district_id, channel, address from destinations
  where campaign_id = u.campaign_id and job_id = u.job_id limit 1) d on true
order by u.place";

pub(crate) const SUPPRESS: &str = "-- store.suppress
insert into suppressions (district_id, channel, address, outcome, reason, created_at, source)
select distinct on (district_id, channel, address) u.*, $7::text
from unnest($1::uuid[], $2::smallint[], $3::text[], $4::smallint[], $5::text[], $6::timestamptz[])
  u(district_id, channel, address, outcome, reason, at)
order by district_id, channel, address, at
on conflict (district_id, channel, address) do nothing";

/// Channel 3 is email, lane 1 emergencies.
pub(crate) const UNSUBSCRIBE: &str = "-- store.unsubscribe
insert into unsubscribes (district_id, address, message_type, created_at)
select d.district_id, d.address, c.message_type, min(u.at)
from unnest($1::uuid[], $2::int[], $3::timestamptz[]) u(campaign_id, job_id, at)
cross join lateral (
  select district_id, address from destinations
  where campaign_id = u.campaign_id and job_id = u.job_id and channel = 3 limit 1) d
cross join lateral (select message_type from campaigns where id = u.campaign_id and lane <> 1 limit 1) c
group by 1, 2, 3
on conflict (district_id, address, message_type) do nothing";

/// Channel 3 is email.
pub(crate) const SUPPRESS_ANYWHERE: &str = "-- store.suppress_anywhere
insert into suppressions (district_id, channel, address, outcome, reason, created_at, source)
select distinct on (d.district_id, u.address) d.district_id, 3, u.address, u.outcome, u.reason, u.at, $5::text
from unnest($1::text[], $2::smallint[], $3::text[], $4::timestamptz[], $6::text[])
  u(address, outcome, reason, at, account)
left join lateral (select district_id as owner from provider_accounts where name = u.account limit 1) o on true
cross join lateral (
  select district_id from devices
  where channel = 3 and address = u.address and (o.owner is null or district_id = o.owner) offset 0) d
order by d.district_id, u.address, u.at
on conflict (district_id, channel, address) do nothing";
