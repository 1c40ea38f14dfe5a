//! The transaction of a renewal, in two round trips: all that is read goes out at once, and the commit with what is
//! written.
//!
//! One statement would read by a snapshot older than the lock that it waits for, and so hand out twice what another
//! renewal has just given away (docs/adr/0020-paced-requests.md).

use deadpool_postgres::Object;
use futures::future::join;
use futures::join;
use tocsin_domain::WorkerId;
use tocsin_domain::policy::SEND_BY;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::NAME;
use crate::StoreError;
use crate::accounts::best_other;

/// A transaction that locks accounts. Its statements are sent before the one ahead is answered, each of them prepared
/// before. Dropped without its commit it takes its connection with it, and so its locks.
pub(super) struct Locked {
    client: Option<Object>,
}

/// What a renewal reads, all of it under the lock.
pub(super) struct Read {
    pub accounts: Vec<Row>,
    pub leases: Vec<Row>,
    pub held: Vec<Row>,
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Locked {
    /// Nothing is sent yet.
    pub fn begin(client: Object) -> Self {
        Self { client: Some(client) }
    }

    pub async fn read(
        &self,
        worker: WorkerId,
        channels: &[i16],
        named: Option<&[i32]>,
    ) -> Result<Read, StoreError> {
        let client = self.client()?;
        let prepare = async |sql| client.prepare_cached(sql).await.map_err(StoreError::statement(NAME));
        let (accounts, leases, held) =
            (prepare(ACCOUNTS).await?, prepare(LEASES).await?, prepare(HELD).await?);
        let send_by = SEND_BY.as_secs_f64();
        let (of, of_worker): (Parameters, Parameters) =
            (&[&channels, &named], &[&channels, &named, &worker.0, &send_by]);
        let answers = join!(
            client.batch_execute("begin"),
            client.query(&accounts, of),
            client.query(&leases, of_worker),
            client.query(&held, of),
        );
        let failed = StoreError::statement(NAME);
        match answers {
            (Ok(()), Ok(accounts), Ok(leases), Ok(held)) => Ok(Read { accounts, leases, held }),
            (Err(error), ..) | (_, Err(error), ..) | (.., Err(error), _) | (.., Err(error)) => {
                Err(failed(error))
            }
        }
    }

    /// A statement in between.
    pub async fn query(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, StoreError> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await.map_err(StoreError::statement(NAME))?;
        client.query(&statement, parameters).await.map_err(StoreError::statement(NAME))
    }

    /// Writes the shares and commits.
    pub async fn write(mut self, parameters: Parameters<'_>) -> Result<Vec<Row>, StoreError> {
        let client = self.client()?;
        let statement = client.prepare_cached(WRITE).await.map_err(StoreError::statement(NAME))?;
        // A commit behind a statement that failed rolls back, and is answered as well as any.
        let (written, committed) =
            join(client.query(&statement, parameters), client.batch_execute("commit")).await;
        let written = written.map_err(StoreError::statement(NAME))?;
        committed.map_err(StoreError::statement(NAME))?;
        drop(self.client.take());
        Ok(written)
    }

    /// It is there until the commit is answered.
    fn client(&self) -> Result<&Object, StoreError> {
        self.client.as_ref().ok_or(StoreError::Contended { statement: NAME, rows: 0 })
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

/// The accounts and senders that $2 names, null all, and the accounts of such senders.
macro_rules! named {
    () => {
        "a.channel = any($1) and a.stopped_at is null
  and ($2::int[] is null or a.id = any($2)
    or exists (select from provider_accounts s where s.parent_id = a.id and s.id = any($2)))
  and not exists (select from provider_accounts p where p.id = a.parent_id and p.stopped_at is not null)"
    };
}

/// The lock makes renewals of one account take turns: the sum is computed over what is committed.
const ACCOUNTS: &str = concat!(
    "-- store.renew_leases accounts
select id, parent_id, name, address, channel, rate_per_second, burst, concurrency, reserve, backoff_rate,
  backoff_full, backoff_since, held_until, health, health_since, health_epoch, falls, ",
    best_other!(),
    " as best_other
from provider_accounts a
where ",
    named!(),
    "
order by id
for no key update"
);

/// The worker's own, and all that still count. One row at least, for the time.
const LEASES: &str = concat!(
    "-- store.renew_leases leases
select t.now, l.account_id, l.worker_id, l.epoch, l.rate_per_second, l.burst, l.concurrency, l.general,
  l.counted_rate, l.counted_burst, l.counted_concurrency, l.counted_general, l.demand, l.used_per_second,
  l.turn_at, l.health_epoch, l.answers, l.failures, l.expires_at > t.now as live, l.expires_at + $4 * interval '1 second' > t.now as counts
from (select tocsin_now() as now) t
left join (select a.id from provider_accounts a where ",
    named!(),
    ") u on true
left join leases l on l.account_id = u.id
  and (l.worker_id = $3 or l.expires_at + $4 * interval '1 second' > t.now)"
);

/// An account holds what its senders hold. Attempts of voice (1) take places until they end.
const HELD: &str = concat!(
    "-- store.renew_leases held
select h.account_id, o.parent_id, h.worker_id, sum(h.attempts)::int as attempts
from provider_accounts o join held h on h.account_id = o.id
where o.channel = 1 and exists (
  select from provider_accounts a
  where (a.id = o.id or a.id = o.parent_id) and a.concurrency is not null and ",
    named!(),
    ")
group by 1, 2, 3 having sum(h.attempts) > 0"
);

pub(super) const SLOWED: &str = "-- store.renew_leases slowed
update provider_accounts set backoff_rate = $2, backoff_full = $3, backoff_since = $4, held_until = $5,
  updated_at = $6
where id = $1";

pub(super) const HEALTH_CHANGED: &str = "-- store.renew_leases health_changed
update provider_accounts set health = $2, health_since = $3, falls = $4, health_epoch = $5
where id = $1";

/// Leases of workers long gone are removed on the way.
const WRITE: &str = "-- store.renew_leases write
with gone as (
  delete from leases where account_id = any($1) and worker_id <> $2
    and expires_at < tocsin_now() - interval '1 minute'
)
insert into leases as l (account_id, worker_id, epoch, rate_per_second, burst, concurrency, general,
  counted_rate, counted_burst, counted_concurrency, counted_general, demand, used_per_second, turn_at,
  expires_at, answers, failures, health_epoch)
select u.account_id, $2, 1, u.rate, u.burst, u.concurrency, u.general, u.counted_rate, u.counted_burst,
  u.counted_concurrency, u.counted_general, u.demand, u.used, u.turn_at,
  tocsin_now() + $14 * interval '1 second', u.answers, u.failures, u.health_epoch
from unnest($1::int[], $3::float8[], $4::int[], $5::int[], $6::int[], $7::float8[], $8::int[], $9::int[],
    $10::int[], $11::int[], $12::float8[], $13::timestamptz[], $15::int[], $16::int[], $17::int[])
  u(account_id, rate, burst, concurrency, general, counted_rate, counted_burst, counted_concurrency,
    counted_general, demand, used, turn_at, answers, failures, health_epoch)
order by u.account_id
on conflict (account_id, worker_id) do update set epoch = l.epoch + 1,
  rate_per_second = excluded.rate_per_second, burst = excluded.burst, concurrency = excluded.concurrency,
  general = excluded.general, counted_rate = excluded.counted_rate, counted_burst = excluded.counted_burst,
  counted_concurrency = excluded.counted_concurrency, counted_general = excluded.counted_general,
  demand = excluded.demand, used_per_second = excluded.used_per_second, turn_at = excluded.turn_at,
  expires_at = excluded.expires_at, answers = excluded.answers, failures = excluded.failures,
  health_epoch = excluded.health_epoch
returning account_id, expires_at, epoch";
