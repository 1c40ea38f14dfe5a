//! The one table of the pipeline, written in batches.

use anyhow::{Context as _, Result};
use tocsin_runtime::Tasks;
use tokio_postgres::{Client, NoTls, Statement};

const MAKE: &str = "
create table if not exists ceiling_attempts (
  job_id int primary key,
  provider_id text,
  recorded_at timestamptz,
  outcome smallint,
  provider_code text,
  settled_at timestamptz
);
truncate ceiling_attempts";

/// A callback may come before the answer is kept: whichever is second adds its part.
const RECORD: &str = "
insert into ceiling_attempts (job_id, provider_id, recorded_at)
select u.job_id, u.provider_id, clock_timestamp() from unnest($1::int[], $2::text[]) u(job_id, provider_id)
on conflict (job_id) do update set provider_id = excluded.provider_id, recorded_at = excluded.recorded_at";
const APPLY: &str = "
insert into ceiling_attempts (job_id, outcome, provider_code, settled_at)
select u.job_id, 2, u.code, clock_timestamp() from unnest($1::int[], $2::text[]) u(job_id, code)
on conflict (job_id) do update set outcome = excluded.outcome, provider_code = excluded.provider_code,
  settled_at = excluded.settled_at";

/// One connection.
pub struct Table {
    client: Client,
}

impl Table {
    pub async fn open(url: &str, tasks: &Tasks) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("the database")?;
        tasks.spawn("ceiling's table", async move { drop(connection.await) });
        Ok(Self { client })
    }

    pub async fn make(&self) -> Result<()> {
        Ok(self.client.batch_execute(MAKE).await?)
    }

    pub async fn recording(&self) -> Result<Statement> {
        Ok(self.client.prepare(RECORD).await?)
    }

    pub async fn applying(&self) -> Result<Statement> {
        Ok(self.client.prepare(APPLY).await?)
    }

    /// Writes rows of a job and a text. In the jobs' order, or two batches would wait for each other.
    pub async fn write(&self, statement: &Statement, mut rows: Vec<(i32, String)>) -> Result<u64> {
        rows.sort_unstable();
        rows.dedup_by_key(|(job, _)| *job);
        let (jobs, texts): (Vec<i32>, Vec<String>) = rows.into_iter().unzip();
        Ok(self.client.execute(statement, &[&jobs, &texts]).await?)
    }
}
