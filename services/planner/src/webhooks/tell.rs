//! What happened, as events. It follows from what the rows say beyond what was told of them, and both change in one
//! transaction: whoever dies in between leaves nothing told twice, and nothing untold.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::webhook::{CampaignFacts, CampaignNews, DEVICES_MAX, DeviceNews, EventType};
use tocsin_runtime::Progress;
use tocsin_store::webhooks::{CLOSED_OVERLAP, DevicePage, NewEvent, Passed};
use tocsin_webhooks::{campaign_body, devices_body};

use super::event_id;
use crate::{Planner, PlannerError};

/// Campaigns of one transaction.
const CAMPAIGNS_MAX: i64 = 200;
/// Jobs of one transaction that are compared with what was told.
const JOBS_MAX: i64 = 2_000;
/// Pages of one tick, so that campaigns' own events do not wait for a large one's devices.
const PAGES_MAX: usize = 20;
/// An open campaign in which nothing ended is looked at again after it.
const REST: TimeDelta = TimeDelta::seconds(2);
/// How far the first look of a process goes back for campaigns that opened and closed while no planner ran.
const FIRST_LOOK: TimeDelta = TimeDelta::days(1);

#[derive(Debug, Default)]
pub struct Teller {
    /// When closed campaigns were looked for last.
    looked_at: Option<DateTime<Utc>>,
}

impl Teller {
    pub async fn tick(&mut self, planner: &Planner) -> Result<Progress, PlannerError> {
        let now = planner.store.now().await?;
        let closed_after = self.looked_at.map_or(now - FIRST_LOOK, |last| last - CLOSED_OVERLAP);
        planner.store.follow_campaigns(closed_after, now).await?;
        self.looked_at = Some(now);
        let campaigns =
            planner.store.tell_campaigns(CAMPAIGNS_MAX, now, |facts| campaign_events(facts, now)).await?;
        let mut progress = if campaigns == CAMPAIGNS_MAX as usize { Progress::More } else { Progress::Idle };
        planner.store.rest_passes(now, now + REST).await?;
        for page in 0..PAGES_MAX {
            let now = planner.store.now().await?;
            match planner.store.tell_devices(JOBS_MAX, now, |page| device_events(page, now)).await? {
                Passed::Nothing => break,
                Passed::Page(_) if page + 1 == PAGES_MAX => progress = Progress::More,
                Passed::Page(_) => {}
            }
        }
        Ok(progress)
    }
}

fn campaign_events(facts: &CampaignFacts, now: DateTime<Utc>) -> Result<Vec<NewEvent>, PlannerError> {
    let event = |news: CampaignNews| -> Result<NewEvent, PlannerError> {
        Ok(NewEvent {
            id: event_id(now),
            district: facts.district.0,
            campaign: facts.campaign,
            event: news.event.as_str(),
            body: campaign_body(facts, news)?,
        })
    };
    facts.news().into_iter().map(event).collect()
}

fn device_events(page: &DevicePage, now: DateTime<Utc>) -> Result<Vec<NewEvent>, PlannerError> {
    let event = |devices: &[DeviceNews]| -> Result<NewEvent, PlannerError> {
        Ok(NewEvent {
            id: event_id(now),
            district: page.district.0,
            campaign: page.campaign,
            event: EventType::DeviceOutcome.as_str(),
            body: devices_body(page.campaign, devices, now)?,
        })
    };
    page.devices.chunks(DEVICES_MAX).map(event).collect()
}
