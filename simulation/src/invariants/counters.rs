//! Counters equal the log (promise 10): the auditor finds no drift, nor does whoever counts what providers hold and
//! what is queued.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;

use super::{Promise, hold};
use crate::database::Database;

pub async fn judge(database: &Database, campaign: CampaignId, now: DateTime<Utc>) -> Result<()> {
    let drift = database.store.audit_campaign(campaign, now).await?.context("a campaign without a row")?;
    hold(Promise::CountersEqualTheLog, drift.is_empty(), || {
        format!("counters of campaign {campaign} drifted: {drift:?}")
    })
}

pub async fn judge_queues(database: &Database) -> Result<()> {
    let off_by = database.store.recount_held().await?;
    hold(Promise::CountersEqualTheLog, off_by == 0, || {
        format!("what providers hold was off by {off_by} attempts")
    })?;
    let drift = database.query(QUEUED, &[]).await?;
    hold(Promise::CountersEqualTheLog, drift.is_empty(), || {
        let drift: Vec<(i32, i64)> =
            drift.iter().map(|row| (row.get("account_id"), row.get("off_by"))).collect();
        format!("what is queued by account was off by {drift:?}")
    })
}

const QUEUED: &str = "select account_id, sum(queued)::bigint as off_by from (
  select channel, lane, account_id, queued::bigint from flow
  union all
  select channel, lane, account_id, -1 from jobs where state = 2) counted
group by channel, lane, account_id having sum(queued) <> 0";
