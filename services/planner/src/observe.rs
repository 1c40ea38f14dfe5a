//! What the store and the broker know, put into gauges (docs/METRICS.md). Every planner shows the same.

mod stalls;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::{AccountId, Channel, Lane};
use tocsin_proto::Envelope;
use tocsin_proto::v1::Control;
use tocsin_queue::{Destination, Message, Queue, Session};
use tocsin_runtime::metrics::{self, Family, Gauge};
use tocsin_runtime::{Progress, Stopwatch};
use tocsin_store::accounts::Account;
use tocsin_store::observe::{Batch, DUE_COUNTED_MAX, Leased, Work};
use tocsin_store::release::QueuedCount;

use self::stalls::Stalls;
use crate::{Planner, PlannerError};

/// What could not be read for so long is not shown any more: an old number would be taken for today's.
const SHOWN_FOR: Duration = Duration::from_secs(30);

/// A broker that takes longer to take a message takes none.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Looks every few seconds.
#[derive(Debug, Default)]
pub struct Observer {
    stalls: Stalls,
    /// The broker took nothing when it was tried last.
    alarm: bool,
    failing: Option<Stopwatch>,
}

impl Observer {
    pub async fn tick(&mut self, planner: &Planner) -> Result<Progress, PlannerError> {
        self.alarm = is_alarmed(planner, self.alarm).await;
        metrics::BROKER_ALARM.set(f64::from(u8::from(self.alarm)));
        match self.look(planner).await {
            Ok(()) => self.failing = None,
            Err(error) => {
                let failing = self.failing.get_or_insert_with(|| Stopwatch::start_by(&planner.clock));
                if failing.elapsed() >= SHOWN_FOR {
                    forget();
                }
                return Err(error);
            }
        }
        Ok(Progress::Idle)
    }

    async fn look(&mut self, planner: &Planner) -> Result<(), PlannerError> {
        let store = &planner.store;
        let now = store.now().await?;
        let work = store.observe_work(now).await?;
        show_work(&work, now);
        let unsure = self.stalls.look(&work, now);
        if !unsure.is_empty() {
            let queued = store.observe_queued(&unsure).await?;
            self.stalls.learn(&unsure, &queued, now);
        }
        let stalled = self.stalls.stalled(now);
        metrics::STALLED_CAMPAIGNS.replace(Lane::ALL.map(|lane| {
            let here = stalled.iter().filter(|known| **known == lane).count();
            ([lane.to_string()], here as f64)
        }));
        show_queues(&store.queued_counts().await?, &store.observe_releases().await?, now);
        show_accounts(&store.accounts().await?, &store.observe_leases().await?);
        let kept = store.observe_kept(now).await?;
        metrics::UNMATCHED_CALLBACKS.set(kept.unmatched as f64);
        metrics::WAITING_APPROVALS.set(kept.waiting_approvals as f64);
        metrics::STOPS.set(kept.stops as f64);
        metrics::PARTITIONS_AHEAD.set(kept.partitions_ahead_days);
        Ok(())
    }
}

/// Does the broker hold up whoever publishes? It tells that only who tries: so a message is published that says nothing to
/// anybody. A session whose message was held up is given up in time, and what it was told with it; until another one has
/// an answer, what was seen before holds.
async fn is_alarmed(planner: &Planner, before: bool) -> bool {
    if planner.publisher.is_blocked() {
        return true;
    }
    let body = Envelope::new(Control { command: None }).into_bytes();
    let message = Message { to: Destination::Control, body, headers: Vec::new(), persistent: false };
    match tokio::time::timeout(ANSWER_WITHIN, planner.publisher.publish(vec![message])).await {
        Ok(Ok(_)) => false,
        Ok(Err(_)) | Err(_) => before || planner.publisher.is_blocked(),
    }
}

/// What costs more, once a minute.
pub async fn tick_slow(planner: &Planner) -> Result<Progress, PlannerError> {
    let doubt = planner.store.observe_doubt().await?;
    metrics::UNKNOWN_ATTEMPTS.replace(by_lane(|channel, lane| {
        let here = doubt.iter().filter(|some| (some.channel, some.lane) == (channel, lane));
        here.map(|some| some.attempts as f64).sum()
    }));
    let server = planner.store.observe_server().await?;
    metrics::OLDEST_SNAPSHOT.set(server.oldest_snapshot_seconds);
    metrics::DATABASE_BYTES.set(server.database_bytes as f64);
    Ok(Progress::Idle)
}

/// What waits at the broker. `session` is one that publishes nothing: those that do are not answered while the broker is
/// short of memory.
pub async fn show_depths(session: &Arc<dyn Session>) -> Result<(), PlannerError> {
    for lane in Lane::ALL {
        let waiting = session.depth(Queue::Status(lane)).await?;
        metrics::STATUS_QUEUE_MESSAGES.of([lane.as_str()]).set(f64::from(waiting));
    }
    metrics::DEAD_LETTERS.set(f64::from(session.depth(Queue::DeadLetters).await?));
    Ok(())
}

/// Nobody knows what waits there.
pub fn forget_depths() {
    metrics::STATUS_QUEUE_MESSAGES.clear();
    metrics::DEAD_LETTERS.clear();
}

/// Counters begin at zero, or nobody could tell that the first one is one more.
pub fn begin() {
    for channel in Channel::ALL {
        for lane in Lane::ALL {
            metrics::RELEASED_JOBS.of([channel.as_str(), lane.as_str()]);
        }
    }
    metrics::COUNTER_DRIFT.of([]);
    metrics::CANCEL_SECONDS.of([]);
    for result in ["delivered", "again", "failed", "gone"] {
        metrics::WEBHOOK_DELIVERIES.of([result]);
    }
}

fn forget() {
    for gauge in [&metrics::DUE_JOBS, &metrics::DUE_AGE, &metrics::QUEUED_JOBS, &metrics::QUEUE_AGE] {
        gauge.clear();
    }
    for gauge in PER_ACCOUNT {
        gauge.clear();
    }
    metrics::STALLED_CAMPAIGNS.clear();
    for gauge in [
        &metrics::UNMATCHED_CALLBACKS,
        &metrics::WAITING_APPROVALS,
        &metrics::STOPS,
        &metrics::PARTITIONS_AHEAD,
    ] {
        gauge.clear();
    }
}

static PER_ACCOUNT: [&Family<Gauge, 2>; 7] = [
    &metrics::ACCOUNT_STOPPED,
    &metrics::ACCOUNT_LIMIT,
    &metrics::ACCOUNT_HEADROOM,
    &metrics::ACCOUNT_SHARED,
    &metrics::ACCOUNT_LEASES,
    &metrics::HELD_ATTEMPTS,
    &metrics::HELD_WORK,
];

/// Every channel and lane, also those where there is nothing: zero is an answer.
fn by_lane(value: impl Fn(Channel, Lane) -> f64) -> impl Iterator<Item = ([String; 2], f64)> {
    let places = Channel::ALL.into_iter().flat_map(|channel| Lane::ALL.map(|lane| (channel, lane)));
    places.map(move |(channel, lane)| ([channel.to_string(), lane.to_string()], value(channel, lane)))
}

fn show_work(work: &[Work], now: DateTime<Utc>) {
    let of = |channel: Channel, lane: Lane| {
        work.iter().filter(move |some| (some.channel, some.lane) == (channel, lane))
    };
    metrics::DUE_JOBS.replace(by_lane(|channel, lane| of(channel, lane).map(due).sum::<i64>() as f64));
    metrics::DUE_AGE.replace(by_lane(|channel, lane| {
        let oldest = of(channel, lane).filter_map(|some| some.oldest).min();
        oldest.map_or(0.0, |oldest| seconds(oldest, now))
    }));
}

/// Of many nobody counts each.
fn due(work: &Work) -> i64 {
    if work.due < DUE_COUNTED_MAX { work.due } else { work.open.max(work.due) }
}

fn show_queues(queued: &[QueuedCount], releases: &[Batch], now: DateTime<Utc>) {
    let of = |channel: Channel, lane: Lane| -> i64 {
        let here = queued.iter().filter(|count| (count.channel, count.lane) == (channel, lane));
        here.map(|count| count.queued).sum::<i64>().max(0)
    };
    metrics::QUEUED_JOBS.replace(by_lane(|channel, lane| of(channel, lane) as f64));
    metrics::QUEUE_AGE.replace(by_lane(|channel, lane| {
        let here = releases.iter().filter(|batch| (batch.channel, batch.lane) == (channel, lane));
        oldest_queued(of(channel, lane), here).map_or(0.0, |released_at| seconds(released_at, now))
    }));
}

/// When the oldest of so many queued jobs was released, if queues are worked off in order. `releases` are the latest
/// first.
fn oldest_queued<'a>(queued: i64, releases: impl Iterator<Item = &'a Batch>) -> Option<DateTime<Utc>> {
    let mut left = queued;
    let mut oldest = None;
    for batch in releases {
        if left <= 0 {
            break;
        }
        left -= batch.jobs;
        oldest = Some(batch.released_at);
    }
    oldest
}

fn show_accounts(accounts: &[Account], leased: &[Leased]) {
    let leased: HashMap<AccountId, &Leased> = leased.iter().map(|leased| (leased.account, leased)).collect();
    let none = Leased { account: AccountId(0), leases: 0, rate_per_second: 0.0, used_per_second: 0.0 };
    // Of an account together with its senders.
    let rows: Vec<([String; 2], [Option<f64>; 7])> = accounts
        .iter()
        .filter(|account| account.sender.is_none())
        .map(|account| {
            let leased = leased.get(&account.id).copied().unwrap_or(&none);
            let limit = if account.pace.held { Some(0.0) } else { account.pace.rate_per_second };
            let held = account.pace.holds.max(0) as f64;
            let pace = account.pace.rate_per_second.unwrap_or(leased.used_per_second);
            let values = [
                Some(f64::from(u8::from(account.stopped))),
                limit,
                limit.map(|limit| (limit - leased.used_per_second).max(0.0)),
                Some(leased.rate_per_second),
                Some(leased.leases as f64),
                Some(held),
                if held == 0.0 { Some(0.0) } else { (pace > 0.0).then(|| held / pace) },
            ];
            ([account.limits.name.clone(), account.limits.channel.to_string()], values)
        })
        .collect();
    for (at, gauge) in PER_ACCOUNT.into_iter().enumerate() {
        gauge.replace(rows.iter().filter_map(|(labels, values)| Some((labels.clone(), values[at]?))));
    }
}

fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_queue_is_that_of_the_release_which_its_last_job_came_with() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let batch = |seconds, jobs| Batch {
            channel: Channel::Sms,
            lane: Lane::General,
            released_at: at(seconds),
            jobs,
        };
        let releases = [batch(30, 10), batch(20, 500), batch(10, 500)];
        let oldest = |queued| oldest_queued(queued, releases.iter());
        assert_eq!(oldest(0), None);
        assert_eq!(oldest(10), Some(at(30)));
        assert_eq!(oldest(11), Some(at(20)));
        assert_eq!(oldest(5_000), Some(at(10)), "older ones are forgotten");
    }
}
