//! What the number of workers is worked out from (docs/adr/0047-autoscaling.md).

use chrono::{DateTime, Utc};
use tocsin_domain::{AccountId, Channel, DistrictId, Lane, WorkerId};
use tokio_postgres::types::ToSql;

use crate::accounts::{ACCOUNTS, Account, read_accounts};
use crate::release::{QUEUED_COUNTS, QueuedCount, read_queued_counts};
use crate::tallies::{NOW, read_now};
use crate::{Store, StoreError, row};

/// So many due jobs of a campaign are counted one by one. Of a larger campaign those count that were never tried, so that
/// the cost does not grow with it.
const COUNTED_MAX: i64 = 20_000;

/// Of one channel.
#[derive(Debug, Clone)]
pub struct ScalingFacts {
    pub now: DateTime<Utc>,
    pub due: Vec<DueCount>,
    pub queued: Vec<QueuedCount>,
    /// With their senders.
    pub accounts: Vec<Account>,
    pub used: Vec<Used>,
}

/// Due jobs of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueCount {
    /// The district, if accounts of its own serve it.
    pub served: Option<DistrictId>,
    pub lane: Lane,
    pub jobs: i64,
    pub since: DateTime<Utc>,
}

/// What a worker sent lately with an account, by its lease that is not over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    pub account: AccountId,
    pub worker: WorkerId,
    pub per_second: f64,
}

impl Store {
    /// Sends its statements together, and they run one after another on one connection.
    pub async fn scaling_facts(&self, channel: Channel) -> Result<ScalingFacts, StoreError> {
        const NAME: &str = "scaling_facts";
        let number = channel.number();
        let counted: &[&(dyn ToSql + Sync)] = &[&number, &COUNTED_MAX];
        let client = self.client().await?;
        let statement = async |sql| client.prepare_cached(sql).await.map_err(StoreError::statement(NAME));
        let (now, due, queued, accounts, used) = (
            statement(NOW).await?,
            statement(SCALING_DUE).await?,
            statement(QUEUED_COUNTS).await?,
            statement(ACCOUNTS).await?,
            statement(SCALING_USED).await?,
        );
        let (now, due, queued, accounts, used) = futures::try_join!(
            client.query(&now, &[]),
            client.query(&due, counted),
            client.query(&queued, &[]),
            client.query(&accounts, &[]),
            client.query(&used, &counted[..1]),
        )
        .map_err(StoreError::statement(NAME))?;
        let mut queued = read_queued_counts(queued)?;
        queued.retain(|count| count.channel == channel);
        let mut accounts = read_accounts(accounts)?;
        accounts.retain(|account| account.limits.channel == channel);
        Ok(ScalingFacts {
            now: self.told_now().map_or_else(|| read_now(&now), Ok)?,
            due: due.iter().map(|found| read_due(NAME, found)).collect::<Result<_, _>>()?,
            queued,
            accounts,
            used: used.iter().map(read_used).collect(),
        })
    }
}

fn read_due(name: &'static str, found: &tokio_postgres::Row) -> Result<DueCount, StoreError> {
    Ok(DueCount {
        served: found.get::<_, Option<uuid::Uuid>>("served").map(DistrictId),
        lane: row::lane(name, found.get("lane"))?,
        jobs: found.get("jobs"),
        since: found.get("since"),
    })
}

fn read_used(found: &tokio_postgres::Row) -> Used {
    Used {
        account: AccountId(found.get("account_id")),
        worker: WorkerId(found.get("worker_id")),
        per_second: found.get("used_per_second"),
    }
}

/// $1 is the channel, $2 how many of a campaign are counted. Campaigns as in `open_campaigns`, for workers are of no use to
/// what an operator stopped or has to decide on; but what is being expanded (state 2) is counted too, for workers take
/// longer to come than the rest of its jobs.
const SCALING_DUE: &str = "-- store.scaling_due
with open as materialized (
  select c.id, c.lane, case when exists (
      select from provider_accounts a where a.district_id = c.district_id and a.channel = $1
        and a.parent_id is null and a.stopped_at is null) then c.district_id end as served
  from campaigns c
  where c.closed_at is null and c.state in (2, 3) and c.cancel_epoch is null and c.undecided_since is null
    and c.expires_at > (select tocsin_now()) and $1 = any(c.channels)
    and not exists (select from stops s where s.district_id is null or s.district_id = c.district_id)
)
select o.served, o.lane, min(due.since) as since,
  sum(case when due.jobs < $2::bigint then due.jobs else greatest(due.jobs, untried.jobs) end)::bigint as jobs
from open o
cross join lateral (
  select count(*) as jobs, min(due_at) as since from (
    select j.due_at from jobs j
    where j.campaign_id = o.id and j.channel = $1 and j.due_at <= (select tocsin_now())
    order by j.due_at, j.id
    limit $2) first_few) due
cross join lateral (
  select coalesce(sum(t.untried), 0)::bigint as jobs from tallies t
  where due.jobs >= $2::bigint and t.campaign_id = o.id and t.channel = $1) untried
where due.jobs > 0
group by 1, 2
order by 2, 1";

/// A worker that met no job lately holds no lease, and has nothing to do.
const SCALING_USED: &str = "-- store.scaling_used
select l.account_id, l.worker_id, l.used_per_second
from leases l join provider_accounts a on a.id = l.account_id
where a.channel = $1 and a.parent_id is null and l.expires_at > tocsin_now()";
