//! Emergency first (promise 5): while an emergency job is due, released or unclaimed, nothing else is released on its
//! channel, nor is another campaign expanded over it; and no later lane takes the token that one waits for.

use anyhow::Result;
use chrono::{DateTime, Utc};
use tocsin_domain::{Channel, Lane};
use tocsin_worker::stages::{Pending, Permitted};

use super::{Promise, hold};
use crate::broker::PublishedJob;
use crate::database::Database;

pub fn released(channel: Channel, was_open: bool, published: &[PublishedJob]) -> Result<()> {
    let other = published.iter().find(|job| job.channel == channel && job.lane != Lane::Emergency);
    hold(Promise::EmergencyFirst, !was_open || other.is_none(), || {
        format!("{other:?} was released while an emergency job was open on {channel}")
    })
}

/// How expansion stands.
#[derive(Debug, Clone, Copy)]
pub struct Expansions {
    pub emergency_due: bool,
    /// Recipients of campaigns that are none.
    pub others_made: i64,
}

pub async fn expansions(database: &Database, now: DateTime<Utc>) -> Result<Expansions> {
    let row = database.query_one(EXPANSIONS, &[&now]).await?;
    Ok(Expansions { emergency_due: row.get("due"), others_made: row.get("others") })
}

/// What is expanded, and is no emergency, is not ahead of one.
pub fn expanded(was_due: bool, others_made: bool) -> Result<()> {
    hold(Promise::EmergencyFirst, !was_due || !others_made, || {
        "another campaign was expanded before an emergency's".to_owned()
    })
}

/// `waiting` found no permit in the look that gave `permitted`.
pub fn permitted<'a>(permitted: &[Permitted], waiting: impl Iterator<Item = &'a Pending>) -> Result<()> {
    for job in waiting {
        let passed =
            permitted.iter().find(|taken| taken.job.account == job.account && taken.job.lane > job.lane);
        hold(Promise::EmergencyFirst, passed.is_none(), || {
            let passed = passed.map(|taken| (taken.job.key, taken.job.lane));
            format!("{passed:?} was permitted before job {} of lane {}", job.key, job.lane)
        })?;
    }
    Ok(())
}

const EXPANSIONS: &str = "select
  coalesce(bool_or(lane = 1 and expanded_at is null and cancel_epoch is null and closed_at is null
    and state in (1, 2, 3) and scheduled_at <= $1), false) as due,
  coalesce(sum(recipients_made) filter (where lane <> 1), 0)::bigint as others
from campaigns";
