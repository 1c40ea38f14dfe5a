//! Expansion: an audience becomes recipients and jobs, chunk by chunk, emergencies first.

use std::collections::HashMap;

use tocsin_domain::trace::TraceId;
use tocsin_domain::{CampaignId, JobKey, Lane};
use tocsin_runtime::Progress;
use tocsin_runtime::telemetry::names;
use tocsin_store::expand::{Chunk, Expansion};
use tocsin_store::others::Why;

use crate::{Planner, PlannerError, emergency};

/// People a chunk. Some three devices each, and a transaction stays near 50 ms.
pub const PEOPLE_PER_CHUNK: i64 = 1_000;
/// Campaigns that are expanded in turns.
const CAMPAIGNS_MAX: i64 = 16;
/// A chunk that fails this often for another reason than an outage fails its campaign.
const FAILURES_MAX: u32 = 3;

/// What an expander expands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Of {
    #[default]
    All,
    Emergencies,
    Others,
}

/// Expands campaigns in turns, one chunk each.
#[derive(Debug, Default)]
pub struct Expander {
    of: Of,
    failures: HashMap<CampaignId, u32>,
}

impl Expander {
    pub fn of(of: Of) -> Self {
        Self { of, ..Self::default() }
    }

    /// Makes one chunk of each campaign whose expansion is due. While an emergency is among them, of no
    /// other, and of none over a channel on which an emergency job is still to be claimed (promise 5). One that falls
    /// due meanwhile waits for no more than the chunk that is being made.
    pub async fn tick(&mut self, planner: &Planner) -> Result<Progress, PlannerError> {
        let due = planner.store.expansions_due(planner.clock.now(), CAMPAIGNS_MAX).await?;
        let emergency = due.iter().any(|expansion| expansion.lane == Lane::Emergency);
        self.tell(planner, &due);
        let held =
            if emergency || due.is_empty() { vec![] } else { emergency::channels_held(planner).await? };
        let may = |expansion: &&Expansion| match expansion.lane {
            Lane::Emergency => self.of != Of::Others,
            Lane::Priority | Lane::General => {
                self.of != Of::Emergencies
                    && !emergency
                    && expansion.channels.iter().all(|channel| !held.contains(channel))
            }
        };
        let mut progress = Progress::Idle;
        let may: Vec<&Expansion> = due.iter().filter(may).collect();
        for expansion in may {
            if progress == Progress::More && !emergency && emergency_is_due(planner).await? {
                break;
            }
            self.chunk(planner, expansion).await?;
            progress = Progress::More;
        }
        Ok(progress)
    }

    /// Workers hear of emergencies until all their jobs are made.
    fn tell(&self, planner: &Planner, due: &[Expansion]) {
        if self.of != Of::Others {
            let emergencies = due.iter().filter(|expansion| expansion.lane == Lane::Emergency);
            let channels = emergencies.flat_map(|expansion| expansion.channels.iter().copied());
            planner.wakes.urgent.expanding(channels);
        }
    }

    async fn chunk(&mut self, planner: &Planner, expansion: &Expansion) -> Result<(), PlannerError> {
        let campaign = expansion.campaign;
        let begun = planner.clock.now();
        let chunk = planner.store.expand(expansion, planner.people_per_chunk, begun).await;
        if let Ok(Chunk::Made { jobs, .. } | Chunk::Complete { jobs, .. }) = &chunk {
            let made = (begun, planner.clock.now());
            planner.campaign_spans().did(campaign, names::span::EXPAND, made, |span| {
                span.with(names::JOBS_MADE, i64::from(*jobs)).with(names::LANE, expansion.lane.as_str())
            });
        }
        match &chunk {
            Ok(Chunk::Moved) => {}
            Ok(Chunk::Made { jobs, .. }) => {
                self.failures.remove(&campaign);
                if expansion.lane == Lane::Emergency && *jobs > 0 {
                    expansion.channels.iter().for_each(|channel| planner.wakes.emergency(*channel));
                }
            }
            Ok(Chunk::Complete { .. }) => {
                self.failures.remove(&campaign);
                tracing::info!(campaign.id = %campaign, trace_id = %TraceId::of_campaign(campaign),
                    "expansion complete");
                expansion.channels.iter().for_each(|channel| match expansion.lane {
                    Lane::Emergency => planner.wakes.emergency(*channel),
                    Lane::Priority | Lane::General => planner.wakes.release(*channel),
                });
                planner.wakes.close.notify_one();
            }
            Err(_) => {}
        }
        match chunk {
            // Last, for the jobs that were made must not wait for it.
            Ok(chunk) => {
                let barred: Vec<JobKey> =
                    chunk.barred_texts().iter().map(|job| JobKey { campaign, job: *job }).collect();
                planner.store.tell_others_left(&barred, Why::Barred).await;
            }
            Err(error) if error.is_outage() => return Err(error.into()),
            Err(error) => {
                let failures = self.failures.entry(campaign).or_default();
                *failures += 1;
                if *failures < FAILURES_MAX {
                    return Err(error.into());
                }
                self.failures.remove(&campaign);
                let reason = "its recipients could not be worked out";
                let failed = planner.store.fail_expansion(campaign, reason, planner.clock.now()).await?;
                tracing::error!(campaign.id = %campaign, trace_id = %TraceId::of_campaign(campaign), %error,
                    failed = failed.is_some(), "expansion failed");
                if let Some(closed) = failed {
                    let (whole, request) = ((closed.created_at, begun), closed.traceparent.as_deref());
                    planner.campaign_spans().closed(campaign, whole, closed.state.as_str(), request);
                }
            }
        }
        Ok(())
    }
}

/// They come first in what is due.
async fn emergency_is_due(planner: &Planner) -> Result<bool, PlannerError> {
    let first = planner.store.expansions_due(planner.clock.now(), 1).await?;
    Ok(first.iter().any(|expansion| expansion.lane == Lane::Emergency))
}
