//! Look-ups: attempts whose provider is asked what became of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tocsin_domain::{AccountId, AttemptKey, CampaignId, Channel, JobKey};
use uuid::Uuid;

use crate::expire::OpenAttempt;
use crate::{Store, StoreError, row};

/// An attempt that is to be looked up, as it was when that was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookUpOrder {
    pub attempt: AttemptKey,
    /// When it was last looked up.
    pub looked_up_at: Option<DateTime<Utc>>,
}

/// All that a provider needs to find an attempt, beside the campaign's content.
#[derive(Debug, Clone)]
pub struct Sought {
    pub attempt: AttemptKey,
    pub account: AccountId,
    /// The account's name, as configured.
    pub account_name: String,
    /// What it was sent from. None: what the account's configuration names.
    pub sender: Option<String>,
    pub channel: Channel,
    pub provider_id: Option<String>,
    pub address: String,
    pub language: Option<String>,
    pub merge_values: BTreeMap<String, String>,
    pub claimed_at: DateTime<Utc>,
    /// The provider's ids of other attempts to this address at that time. Empty where `provider_id` is known.
    pub others: Vec<String>,
    /// Is there another one whose id nobody knows?
    pub rival_without_id: bool,
}

impl Store {
    /// Takes campaigns that somebody wants to know of, the longest waiting first: who took one has its providers asked, and
    /// nobody else has.
    pub async fn take_refreshes(&self, campaigns_max: i64) -> Result<Vec<CampaignId>, StoreError> {
        let rows = self.rows("take_refreshes", TAKE_REFRESHES, &[&campaigns_max]).await?;
        Ok(rows.iter().map(|found| CampaignId(found.get("id"))).collect())
    }

    /// Open attempts of a campaign that were claimed and last looked up before `before`: at most `attempts_max`, those
    /// of which nothing was asked for longest first.
    pub async fn open_since(
        &self,
        campaign: CampaignId,
        before: DateTime<Utc>,
        attempts_max: i64,
    ) -> Result<Vec<OpenAttempt>, StoreError> {
        let rows = self.rows("open_since", OPEN_SINCE, &[&campaign.0, &before, &attempts_max]).await?;
        let jobs: Vec<i32> = rows.iter().map(|found| found.get("job_id")).collect();
        let numbers: Vec<i16> = rows.iter().map(|found| found.get("number")).collect();
        self.open_attempts(&vec![campaign.0; jobs.len()], &jobs, &numbers).await
    }

    /// Marks attempts as looked up at `now`, where they are still open and nobody else ordered it since.
    /// Returns those marked: theirs is the look-up.
    pub async fn order_look_ups(
        &self,
        orders: &[LookUpOrder],
        now: DateTime<Utc>,
    ) -> Result<Vec<AttemptKey>, StoreError> {
        let (campaigns, jobs, numbers) = columns(orders.iter().map(|order| order.attempt));
        let before: Vec<Option<DateTime<Utc>>> = orders.iter().map(|order| order.looked_up_at).collect();
        let rows = self
            .rows("order_look_ups", ORDER_LOOK_UPS, &[&campaigns, &jobs, &numbers, &before, &now])
            .await?;
        Ok(rows.iter().map(key).collect())
    }

    /// Those of `attempts` that are still open, each with what its provider is to be asked.
    pub async fn sought(&self, attempts: &[AttemptKey]) -> Result<Vec<Sought>, StoreError> {
        const NAME: &str = "sought";
        let (campaigns, jobs, numbers) = columns(attempts.iter().copied());
        let rows = self.rows(NAME, SOUGHT, &[&campaigns, &jobs, &numbers]).await?;
        rows.iter()
            .map(|found| {
                Ok(Sought {
                    attempt: key(found),
                    account: AccountId(found.get("account_id")),
                    account_name: found.get("account"),
                    sender: found.get("sender"),
                    channel: row::channel(NAME, found.get("channel"))?,
                    provider_id: found.get("provider_id"),
                    address: found.get("address"),
                    language: found.get("language"),
                    merge_values: row::from_json(NAME, "merge values", found.get("merge_values"))?,
                    claimed_at: found.get("claimed_at"),
                    others: found.get("others"),
                    rival_without_id: found.get("rival_without_id"),
                })
            })
            .collect()
    }
}

fn columns(attempts: impl Iterator<Item = AttemptKey>) -> (Vec<Uuid>, Vec<i32>, Vec<i16>) {
    let (mut campaigns, mut jobs, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for attempt in attempts {
        campaigns.push(attempt.job.campaign.0);
        jobs.push(attempt.job.job);
        numbers.push(attempt.number);
    }
    (campaigns, jobs, numbers)
}

fn key(found: &tokio_postgres::Row) -> AttemptKey {
    AttemptKey {
        job: JobKey { campaign: CampaignId(found.get("campaign_id")), job: found.get("job_id") },
        number: found.get("number"),
    }
}

/// Attempt states: 2 accepted, 4 unknown. Compares the time of the last look-up, so that of two planners one
/// orders.
pub(crate) const ORDER_LOOK_UPS: &str = "-- store.order_look_ups
with locked as materialized (
  select a.campaign_id, a.job_id, a.number
  from (
    select * from unnest($1::uuid[], $2::int[], $3::smallint[], $4::timestamptz[])
      u(campaign_id, job_id, number, looked_up_at)
    order by campaign_id, job_id, number) u
  cross join lateral (
    select * from attempts k
    where k.campaign_id = u.campaign_id and k.job_id = u.job_id and k.number = u.number
      and k.state in (2, 4) and k.looked_up_at is not distinct from u.looked_up_at
    for update) a
)
update attempts a set looked_up_at = $5
from locked l
where a.campaign_id = any(array[l.campaign_id]) and a.job_id = l.job_id and a.number = l.number
returning a.campaign_id, a.job_id, a.number";

/// Most often there is none: then nothing is locked.
const TAKE_REFRESHES: &str = "-- store.take_refreshes
update campaigns set refresh_due_at = null
where id = any(array(
  select id from campaigns where refresh_due_at is not null
  order by refresh_due_at limit $1 for no key update skip locked))
returning id";

/// Attempt states: 2 accepted, 4 unknown. What a restore left in doubt is sought by its id alone, for rivals at its address may
/// be lost. Reads the whole campaign: it is for one that somebody looks at, once a minute.
pub(crate) const OPEN_SINCE: &str = "-- store.open_since
select job_id, number from attempts
where campaign_id = $1 and state in (2, 4) and claimed_at < $2 and (looked_up_at is null or looked_up_at < $2)
  and (provider_id is not null
    or (select undecided_since is null or cancel_epoch is not null from campaigns where id = $1))
order by coalesce(looked_up_at, claimed_at), job_id, number
limit $3";

/// Attempt states: 2 accepted, 3 settled, 4 unknown; outcome 2 is No Call Status. Rivals are the attempts over
/// the same account, from whichever of its senders, to the same address within a minute, of whatever district and
/// campaign: where the provider has no id of ours to go by, the address could lead to one of them. Beside the open
/// campaigns those of the last day are searched, for a rival's may be closed already.
pub(crate) const SOUGHT: &str = "-- store.sought
select a.campaign_id, a.job_id, a.number, a.account_id, p.name as account, p.sender, j.channel, a.provider_id,
  d.address, r.language, r.merge_values, a.claimed_at, coalesce(rival.ids, '{}') as others,
  coalesce(rival.without_id, false) as rival_without_id
from unnest($1::uuid[], $2::int[], $3::smallint[]) u(campaign_id, job_id, number)
cross join lateral (
  select * from attempts
  where campaign_id = u.campaign_id and job_id = u.job_id and number = u.number and state in (2, 4) limit 1) a
cross join lateral (
  select channel, recipient_id from jobs where campaign_id = u.campaign_id and id = u.job_id limit 1) j
cross join lateral (
  select address from destinations where campaign_id = u.campaign_id and job_id = u.job_id limit 1) d
cross join lateral (
  select language, merge_values from recipients
  where campaign_id = u.campaign_id and id = j.recipient_id limit 1) r
cross join lateral (
  select coalesce((select name from provider_accounts where id = o.parent_id), o.name) as name,
    o.address as sender, coalesce(o.parent_id, o.id) as root_id
  from provider_accounts o where o.id = a.account_id limit 1) p
left join lateral (
  select array_agg(k.provider_id) filter (where k.provider_id is not null) as ids,
    bool_or(k.provider_id is null and (k.state <> 3 or k.outcome = 2)) as without_id
  from (
    select id from campaigns where closed_at is null
    union
    select id from campaigns where id >= uuid7_floor(a.claimed_at - interval '1 day')) c
  cross join lateral (
    select job_id from destinations
    where campaign_id = c.id and channel = j.channel and address = d.address and not duplicate offset 0) e
  cross join lateral (
    select * from attempts
    where campaign_id = c.id and job_id = e.job_id
      and (select coalesce(parent_id, id) from provider_accounts where id = account_id) = p.root_id
      and claimed_at between a.claimed_at - interval '1 minute' and a.claimed_at + interval '1 minute'
      and (campaign_id, job_id, number) <> (a.campaign_id, a.job_id, a.number) offset 0) k
  where a.provider_id is null
) rival on true";
