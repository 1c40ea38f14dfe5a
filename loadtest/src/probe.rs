//! SQL that only a measurement needs. What the engine needs is in the store.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use serde::Serialize;
use tocsin_domain::CampaignId;
use tocsin_runtime::Tasks;
use tocsin_testkit::wait_until;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

const POLL: Duration = Duration::from_millis(100);

/// A connection of the measurement's own, as the owner of the database.
#[derive(Debug)]
pub struct Probe {
    client: Client,
}

/// When the store did what to a canceled campaign.
#[derive(Debug, Clone, Copy)]
pub struct CancelTimes {
    /// Read within the cancel's statement: a little before its commit.
    pub canceled_at: DateTime<Utc>,
    /// A whole pass of the sweep found nothing left.
    pub swept_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    /// Jobs that were never claimed.
    pub never_tried: i64,
}

/// When a cancel was committed, by the store's clock.
#[derive(Debug, Clone, Copy)]
pub struct Committed {
    /// None where the server keeps no times of commits.
    pub at: Option<DateTime<Utc>>,
    pub seen_at: DateTime<Utc>,
}

/// From a claim to its outcome, by attempt.
#[derive(Debug)]
pub struct Attempts {
    pub first_release: DateTime<Utc>,
    pub last_settled: DateTime<Utc>,
    /// Milliseconds from the claim to the settled outcome.
    pub milliseconds: Vec<f64>,
    /// Microseconds since 1970 of each settlement, sorted.
    pub settled_micros: Vec<i64>,
}

/// A campaign's way, in milliseconds since it was stored. None: not yet.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Stages {
    pub expanded_ms: Option<f64>,
    pub released_ms: Option<f64>,
    pub first_claimed_ms: Option<f64>,
    pub last_claimed_ms: Option<f64>,
}

/// How long a campaign took, in seconds from when it was due.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub last_first_attempt: f64,
    pub completion: f64,
}

impl Probe {
    pub async fn connect(database_url: &str, tasks: &Tasks) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(database_url, NoTls).await.context("probe")?;
        // A connection that breaks shows as an error of the next statement.
        tasks.spawn("probe", async move { drop(connection.await) });
        Ok(Self { client })
    }

    /// Makes the store write beside each attempt when the statement that claimed it had arrived: its snapshot is no
    /// older. For a database of our own only.
    pub async fn stamp_claims(&self) -> Result<()> {
        let sql = "alter table attempts add column if not exists claim_asked_at timestamptz default statement_timestamp()";
        self.client.batch_execute(sql).await.context("attempts cannot be stamped")
    }

    /// Waits until the cancel's commit is seen, and returns the store's clock read after it. Asked again and again
    /// without a pause: the answer is late by one round trip at most.
    pub async fn cancel_committed(&self, campaign: CampaignId) -> Result<Committed> {
        // The row as the cancel left it: the sweep writes it again.
        let sql = "select clock_timestamp() as seen_at, case
              when swept_at is null and current_setting('track_commit_timestamp')::boolean
              then pg_xact_commit_timestamp(xmin) end as at
            from campaigns where id = $1 and cancel_epoch is not null";
        let seen = self.client.prepare(sql).await?;
        loop {
            if let Some(row) = self.client.query_opt(&seen, &[&campaign.0]).await? {
                return Ok(Committed { at: row.get("at"), seen_at: row.get("seen_at") });
            }
        }
    }

    /// Attempts of which the claim began after `instant`.
    pub async fn claims_asked_after(&self, campaign: CampaignId, instant: DateTime<Utc>) -> Result<i64> {
        let sql = "select count(*) from attempts where campaign_id = $1 and claim_asked_at > $2";
        Ok(self.client.query_one(sql, &[&campaign.0, &instant]).await?.get(0))
    }

    pub async fn cancel_times(&self, campaign: CampaignId) -> Result<CancelTimes> {
        let sql = "select canceled_at, swept_at, ended_at,
              (select count(*) from jobs where campaign_id = c.id and attempt = 0) as never_tried
            from campaigns c where id = $1";
        let row = self.client.query_one(sql, &[&campaign.0]).await?;
        Ok(CancelTimes {
            canceled_at: row.try_get("canceled_at").context("the campaign was not canceled")?,
            swept_at: row.try_get("swept_at").context("the campaign was not swept")?,
            ended_at: row.try_get("ended_at").context("the campaign has not ended")?,
            never_tried: row.get("never_tried"),
        })
    }

    /// Waits until a cancel is answered: no attempt of the campaign is asking any more.
    pub async fn canceled(&self, campaign: CampaignId, within: Duration) -> Result<()> {
        let sql = "select canceled_at is not null from campaigns where id = $1";
        wait_until("the campaign to be canceled", within, async || {
            self.client.query_one(sql, &[&campaign.0]).await.is_ok_and(|row| row.get(0))
        })
        .await?;
        Ok(())
    }

    /// Waits until the provider holds the attempts of so many jobs.
    pub async fn accepted_reach(&self, campaign: CampaignId, jobs: usize, within: Duration) -> Result<()> {
        // Attempt state 2 is accepted.
        let sql = "select count(*) from attempts where campaign_id = $1 and state = 2";
        wait_until(&format!("{jobs} accepted attempts"), within, async || {
            tokio::time::sleep(POLL).await;
            let counted = self.client.query_one(sql, &[&campaign.0]).await;
            counted.is_ok_and(|row| usize::try_from(row.get::<_, i64>(0)) == Ok(jobs))
        })
        .await?;
        Ok(())
    }

    /// Waits until every job was claimed or has ended.
    pub async fn all_tried(&self, within: Duration) -> Result<()> {
        // Job states 1 waiting, 2 queued.
        let sql = "select not exists (select from jobs where state in (1, 2))";
        wait_until("every job to be tried", within, async || {
            tokio::time::sleep(POLL).await;
            self.client.query_one(sql, &[]).await.is_ok_and(|row| row.get(0))
        })
        .await?;
        Ok(())
    }

    /// Waits until no attempt of these campaigns is in doubt any more, by the engine's own rules.
    pub async fn no_doubts(&self, campaigns: &[CampaignId], within: Duration) -> Result<()> {
        // Attempt states 1 asking, 4 unknown; job states 1 waiting, 2 queued.
        let sql = "select not exists (select from attempts where campaign_id = any($1) and state in (1, 4))
            and not exists (select from jobs where campaign_id = any($1) and state in (1, 2))";
        let ids: Vec<Uuid> = campaigns.iter().map(|campaign| campaign.0).collect();
        wait_until("the doubts of emergencies to end", within, async || {
            tokio::time::sleep(POLL).await;
            self.client.query_one(sql, &[&ids]).await.is_ok_and(|row| row.get(0))
        })
        .await?;
        Ok(())
    }

    /// Puts the times of attempts that nobody answered for, or that were never reported, so far back that their doubt
    /// and their silence are over: neither is waited for. For a database of our own only.
    pub async fn end_doubts(&self) -> Result<()> {
        // Attempt states 1 asking, 2 accepted, 4 unknown. A text may be silent for 15 minutes.
        let sql = "begin;
            update attempts set claimed_at = claimed_at - interval '20 min', send_by = send_by - interval '20 min'
              where state in (1, 2, 4);
            update claim_batches set check_at = check_at - interval '20 min';
            commit";
        self.client.batch_execute(sql).await.context("doubts cannot be ended")
    }

    /// What became of a campaign when, in milliseconds since it was stored: expanded, first released, first claimed and
    /// last claimed for the first time.
    pub async fn stages(&self, campaign: CampaignId) -> Result<Stages> {
        let sql = "select extract(epoch from expanded_at - created_at)::float8 * 1000,
              extract(epoch from started_at - created_at)::float8 * 1000,
              extract(epoch from first_claimed_at - created_at)::float8 * 1000,
              extract(epoch from last_claimed_at - created_at)::float8 * 1000
            from campaigns c cross join lateral (
              select min(claimed_at) as first_claimed_at, max(claimed_at) as last_claimed_at
              from attempts where campaign_id = c.id and number = 1) a
            where id = $1";
        let row = self.client.query_one(sql, &[&campaign.0]).await?;
        Ok(Stages {
            expanded_ms: row.get(0),
            released_ms: row.get(1),
            first_claimed_ms: row.get(2),
            last_claimed_ms: row.get(3),
        })
    }

    /// Microseconds since 1970 of each claim, sorted.
    pub async fn claimed_micros(&self, campaign: CampaignId) -> Result<Vec<i64>> {
        let sql = "select claimed_at from attempts where campaign_id = $1 order by claimed_at";
        let rows = self.client.query(sql, &[&campaign.0]).await?;
        Ok(rows.iter().map(|row| row.get::<_, DateTime<Utc>>(0).timestamp_micros()).collect())
    }

    /// Of a campaign that has ended.
    pub async fn took(&self, campaign: CampaignId) -> Result<Took> {
        let sql = "select extract(epoch from c.ended_at - c.scheduled_at)::float8 as completion,
              (select extract(epoch from max(claimed_at) - c.scheduled_at)::float8 from attempts
               where campaign_id = c.id and number = 1) as last_first_attempt
            from campaigns c where id = $1";
        let row = self.client.query_one(sql, &[&campaign.0]).await?;
        Ok(Took {
            last_first_attempt: row.try_get("last_first_attempt").context("nothing was tried")?,
            completion: row.try_get("completion").context("the campaign has not ended")?,
        })
    }

    pub async fn attempts(&self, campaign: CampaignId) -> Result<Attempts> {
        let started = "select started_at from campaigns where id = $1";
        let first_release = self.client.query_one(started, &[&campaign.0]).await?.try_get(0);
        let sql =
            "select claimed_at, settled_at from attempts where campaign_id = $1 and settled_at is not null
            order by settled_at";
        // One row after the other: all at once they would be many times what is kept of them.
        let rows = self.client.query_raw(sql, [&campaign.0]).await?;
        let mut rows = pin!(rows);
        let (mut milliseconds, mut settled_micros) = (Vec::new(), Vec::new());
        let mut last_settled = None;
        while let Some(row) = rows.try_next().await? {
            let (claimed, settled): (DateTime<Utc>, DateTime<Utc>) = (row.get(0), row.get(1));
            milliseconds.push((settled - claimed).as_seconds_f64() * 1_000.0);
            settled_micros.push(settled.timestamp_micros());
            last_settled = Some(settled);
        }
        Ok(Attempts {
            first_release: first_release.context("the campaign was never started")?,
            last_settled: last_settled.context("no attempt was settled")?,
            milliseconds,
            settled_micros,
        })
    }
}
