//! What a planner writes into the traces of attempts before they are claimed: that they wait, and for what; that their jobs
//! were released. Nothing is noted of jobs that nobody reads about.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tocsin_domain::settlement::{AttemptView, Change};
use tocsin_domain::trace::Context;
use tocsin_domain::{AttemptKey, CampaignId, Channel, DistrictId, JobKey, Lane, WaitReason};
use tocsin_queue::Queue;
use tocsin_runtime::telemetry::{
    By, Decided, Part, Settling, Spans, Subject, Told, moment, names, plan, untried,
};
use tocsin_store::release::{Due, Hold, OpenCampaign, Released};
use tocsin_store::sweep::Untried;

/// Due jobs whose attempts' traces are kept, until they are released.
#[derive(Debug, Default)]
pub struct Dues(HashMap<JobKey, (Due, DistrictId)>);

/// A message's jobs, as they were published.
#[derive(Debug, Clone, Copy)]
pub struct Publication {
    pub channel: Channel,
    pub lane: Lane,
    /// When they were marked, by the store's clock.
    pub released_at: DateTime<Utc>,
    pub begun: DateTime<Utc>,
    pub ended: DateTime<Utc>,
}

impl Dues {
    /// Forgets what was noted before.
    pub fn note(&mut self, spans: &Spans, campaigns: &[&OpenCampaign], due: &[(Due, DateTime<Utc>)]) {
        self.0.clear();
        if !spans.on() {
            return;
        }
        let campaigns = by_id(campaigns);
        let kept = due.iter().filter_map(|(due, _)| {
            let campaign = campaigns.get(&due.key.campaign)?;
            spans
                .keeps(next_attempt(due.key, due.attempt), campaign.lane)
                .then_some((due.key, (*due, campaign.district)))
        });
        self.0.extend(kept);
    }

    /// What a job's message carries: the span of its release. None: its trace is not kept.
    pub fn context(&self, job: &Released, channel: Channel, lane: Lane) -> Option<Context> {
        let (_, district) = self.0.get(&job.key)?;
        Some(released(job, channel, lane, *district).context(Part::Publish, generation(job)))
    }

    /// The spans of jobs that the broker has: when they were planned, that they waited for their turn, and their release.
    pub fn released<'a>(&self, spans: &Spans, jobs: impl Iterator<Item = &'a Released>, of: Publication) {
        let queue = Queue::Jobs(of.channel, of.lane).destination();
        for job in jobs {
            let Some((due, district)) = self.0.get(&job.key) else { continue };
            let subject = released(job, of.channel, of.lane, *district);
            let reason = due.reason.unwrap_or(WaitReason::Turn);
            // A first try is planned when its job is made, which is when it is due.
            if reason == WaitReason::Turn {
                spans.emit(plan(&subject, due.due_at, reason, due.due_at));
            }
            let turn = subject.span(Part::Turn, generation(job), names::span::WAIT_TURN);
            spans.emit(
                turn.between(due.due_at, of.released_at)
                    .with(names::WAIT_REASON, reason.as_str())
                    .with(names::WAIT_UNTIL, due.due_at.to_rfc3339()),
            );
            let publish = subject.publishes(Part::Publish, generation(job), &queue);
            spans.emit(
                publish.between(of.begun, of.ended).with(names::GENERATION, i64::from(job.generation.0)),
            );
        }
    }
}

/// Jobs that wait on: for what, and until when. When that will really end nobody knows yet, so it takes no time.
pub fn held(
    spans: &Spans,
    channel: Channel,
    campaigns: &[&OpenCampaign],
    held: &[(Hold, Due)],
    now: DateTime<Utc>,
) {
    if !spans.on() {
        return;
    }
    let campaigns = by_id(campaigns);
    for (hold, due) in held {
        let Some(campaign) = campaigns.get(&hold.key.campaign) else { continue };
        let attempt = next_attempt(hold.key, due.attempt);
        if !spans.keeps(attempt, campaign.lane) {
            continue;
        }
        let subject = Subject {
            attempt,
            channel: Some(channel),
            lane: campaign.lane,
            district: Some(campaign.district),
        };
        let name = format!("{} {}", names::span::WAIT, hold.reason);
        spans.emit(
            subject
                .span(Part::Hold, moment(now), name)
                .between(now, now)
                .with(names::WAIT_REASON, hold.reason.as_str())
                .with(names::WAIT_UNTIL, hold.due_at.to_rfc3339()),
        );
    }
}

/// Attempts that moved on because nobody answered for them.
pub fn expired(spans: &Spans, written: &[(AttemptView, Change)], begun: DateTime<Utc>, ended: DateTime<Utc>) {
    let settling = Settling { spans, by: By::Expire, begun, ended };
    for (view, change) in written {
        settling.tell(view, change, Decided::ById, |_, _| Told::default());
    }
}

/// Attempts that were planned and are not made.
pub fn swept(spans: &Spans, swept: &[Untried], at: DateTime<Utc>, outcome: &'static str) {
    for Untried { attempt, channel, lane } in swept {
        let subject = Subject { attempt: *attempt, channel: Some(*channel), lane: *lane, district: None };
        untried(spans, &subject, at, outcome);
    }
}

/// An order to a worker about one attempt: its message carries the order's span, which is written here.
pub fn ordered(spans: &Spans, subject: &Subject, part: Part, queue: Queue, now: DateTime<Utc>) -> String {
    if !spans.keeps(subject.attempt, subject.lane) {
        return String::new();
    }
    // Beside those of releases, which go by small numbers.
    let which = moment(now) ^ ((part as u64) << 52);
    spans.emit(subject.publishes(Part::Publish, which, &queue.destination()).between(now, now));
    subject.context(Part::Publish, which).to_string()
}

fn by_id<'a>(campaigns: &[&'a OpenCampaign]) -> HashMap<CampaignId, &'a OpenCampaign> {
    campaigns.iter().map(|campaign| (campaign.id, *campaign)).collect()
}

fn next_attempt(job: JobKey, latest: i16) -> AttemptKey {
    AttemptKey { job, number: latest.saturating_add(1) }
}

fn released(job: &Released, channel: Channel, lane: Lane, district: DistrictId) -> Subject {
    Subject {
        attempt: next_attempt(job.key, job.attempt),
        channel: Some(channel),
        lane,
        district: Some(district),
    }
}

fn generation(job: &Released) -> u64 {
    u64::from(job.generation.0.unsigned_abs())
}
