//! Windows are data (promise 9): no request outside its recipient's hours, by a clock of our own; none where nobody
//! knows the zone; nor any that may start after its campaign is over.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use tocsin_domain::policy::SEND_BY;
use tocsin_domain::window::zone_named;
use tocsin_domain::{AttemptKey, JobKey};

use super::{Promise, hold};
use crate::database::Database;
use crate::provider::Request;
use crate::world::Campaign;

/// A request may start as late as `send_by`: then, too, its campaign must not be over.
pub fn granted(campaign: &Campaign, attempt: AttemptKey, now: DateTime<Utc>) -> Result<()> {
    let left = campaign.expires_at - now;
    hold(Promise::WindowsAreData, left > TimeDelta::from_std(SEND_BY)?, || {
        format!("attempt {attempt} was granted {left} before its campaign's expiry")
    })
}

pub async fn judge(database: &Database, campaigns: &[Campaign], requests: &[Request]) -> Result<()> {
    for campaign in campaigns {
        let of_campaign = || requests.iter().filter(|request| request.attempt.job.campaign == campaign.id);
        let late = of_campaign().find(|request| request.at >= campaign.expires_at);
        hold(Promise::WindowsAreData, late.is_none(), || {
            format!("{late:?} was made after its campaign's expiry, {}", campaign.expires_at)
        })?;
        let Some((opens, closes)) = campaign.submission.window else { continue };
        let rows = database.query(ZONES, &[&campaign.id.0]).await?;
        let zones: HashMap<i32, Option<String>> =
            rows.iter().map(|row| (row.get("id"), row.get("zone"))).collect();
        for request in of_campaign() {
            let JobKey { job, .. } = request.attempt.job;
            let zone = zones.get(&job).and_then(Option::as_deref).and_then(zone_named);
            let hour = zone.map(|zone| request.at.with_timezone(&zone).hour());
            hold(Promise::WindowsAreData, hour.is_some_and(|hour| (opens..closes).contains(&hour)), || {
                format!("attempt {} was sent at {hour:?} h, open are {opens} to {closes}", request.attempt)
            })?;
        }
    }
    Ok(())
}

const ZONES: &str = "select j.id, coalesce(r.time_zone, d.time_zone) as zone
from jobs j
join recipients r on r.campaign_id = j.campaign_id and r.id = j.recipient_id
join districts d on d.id = j.district_id
where j.campaign_id = $1";
