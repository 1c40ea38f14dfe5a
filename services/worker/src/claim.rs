//! Claim and settle: from here the row carries the job, not the message.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tocsin_domain::settlement::{AttemptView, Background, JobView};
use tocsin_domain::trace::TraceId;
use tocsin_domain::{AccountId, Channel, Generation, JobKey, JobState, Lane, WaitReason};
use tocsin_runtime::{Stopwatch, retry};
use tocsin_store::StoreError;
use tocsin_store::claim::{Asked, Claim, Denied, Granted};
use tocsin_store::others::Why;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::field;

use crate::Worker;
use crate::bundle::acknowledge;
use crate::pending::Pending;
use crate::record::Outcomes;
use crate::send::{self, Claimed};
use crate::shares::AccountShare;
use crate::slots::Slot;
use crate::tally::Verdicts;
use crate::traced::{self, Arrival, Claiming};

/// A job with its permit: a token and a place of its share and of its account's, and a place in the process. In this
/// order the places are given back, for the last wakes who looks for all.
#[derive(Debug)]
pub struct Permitted {
    pub job: Pending,
    pub share: Arc<AccountShare>,
    pub places: Vec<Slot>,
}

/// A granted job, with what its permit took.
struct Admitted {
    grant: Granted,
    share: Arc<AccountShare>,
    places: Vec<Slot>,
    arrival: Option<Arrival>,
}

/// The answers to a claim that is committed. The messages are still unsettled.
#[derive(Debug)]
pub struct Answered {
    pub permitted: BTreeMap<(JobKey, AccountId), Permitted>,
    /// What was not asked for, because a later message of the same job was, or the same message.
    pub void: Vec<Permitted>,
    pub answers: Vec<Claim>,
    /// Started before the claim was asked for.
    pub since: Stopwatch,
}

/// Claims `permitted` in one statement, acknowledges, and starts the sends.
pub async fn run(
    worker: &Worker,
    channel: Channel,
    permitted: Vec<Permitted>,
    turn: OwnedSemaphorePermit,
    sends: &TaskTracker,
    outcomes: &mpsc::Sender<Outcomes>,
    over: &CancellationToken,
) {
    let answered = ask(worker, permitted, over).await;
    drop(turn);
    let Some(answered) = answered else { return };
    for claims in settle(worker, channel, answered).await {
        send::launch(worker, channel, claims, sends, outcomes);
    }
}

/// None: there was no answer before `over`.
pub async fn ask(worker: &Worker, permitted: Vec<Permitted>, over: &CancellationToken) -> Option<Answered> {
    let (permitted, void) = latest(permitted);
    let asked: Arc<[Asked]> = permitted
        .iter()
        .map(|((key, account), permitted)| Asked {
            key: *key,
            generation: permitted.job.generation,
            account: *account,
        })
        .collect();
    // An answer that is under way is waited for, even if the session is lost or the process is asked to stop:
    // what it grants is claimed, and would become unknown. Without an answer the claim is asked again: if the
    // first one was committed after all, the second is denied as stale, and the attempts become unknown in time.
    let asking = worker.clone();
    let ask = move || ask_once(asking.clone(), Arc::clone(&asked));
    let claimed = match ask().await {
        Ok(claimed) => Some(claimed),
        Err(_) => retry("claim", over, ask).await,
    };
    claimed.map(|(answers, since)| Answered { permitted, void, answers, since })
}

/// Of two messages of one job the earlier generation's is void, and no statement names a job and account twice. Of two
/// accounts at one generation (a release that the database lost was made again) the row knows which: both are asked for.
fn latest(permitted: Vec<Permitted>) -> (BTreeMap<(JobKey, AccountId), Permitted>, Vec<Permitted>) {
    let mut generations: BTreeMap<JobKey, Generation> = BTreeMap::new();
    for Permitted { job, .. } in &permitted {
        let latest = generations.entry(job.key).or_insert(job.generation);
        *latest = job.generation.max(*latest);
    }
    let mut latest: BTreeMap<(JobKey, AccountId), Permitted> = BTreeMap::new();
    let mut void = Vec::new();
    for permitted in permitted {
        let is_latest = generations.get(&permitted.job.key) == Some(&permitted.job.generation);
        match latest.entry((permitted.job.key, permitted.job.account)) {
            Entry::Vacant(free) if is_latest => {
                free.insert(permitted);
            }
            Entry::Vacant(_) | Entry::Occupied(_) => void.push(permitted),
        }
    }
    (latest, void)
}

/// Boxed, because the compiler cannot see through the borrows of a retried closure that it is `Send`.
fn ask_once(
    worker: Worker,
    asked: Arc<[Asked]>,
) -> BoxFuture<'static, Result<(Vec<Claim>, Stopwatch), StoreError>> {
    async move {
        let since = Stopwatch::start_by(&worker.clock);
        Ok((worker.store.claim(worker.id, &asked).await?, since))
    }
    .boxed()
}

/// Acknowledges what the claim decided, and gives back what it could not. Returns what is to be sent, each
/// account's by itself.
pub async fn settle(worker: &Worker, channel: Channel, answered: Answered) -> Vec<Vec<Claimed>> {
    let Answered { permitted: mut by_key, void, answers, since } = answered;
    let claiming = Claiming::of(worker, &since, answers.len());
    let mut granted = Vec::new();
    let mut settled: Vec<Pending> = void.into_iter().map(|void| void.job).collect();
    let (mut without_lease, mut refused) = (Vec::new(), Vec::new());
    let mut verdicts = Verdicts::default();
    for answer in answers {
        verdicts.note(&answer, &by_key);
        match answer {
            Claim::Granted(grant) => {
                if let Some(Permitted { job, share, places }) =
                    by_key.remove(&(grant.attempt.job, grant.account))
                {
                    let arrival = Arrival::of(worker, &job);
                    settled.push(job);
                    granted.push(Admitted { grant: *grant, share, places, arrival });
                }
            }
            Claim::Denied(key, account, denied) => {
                let Some(permitted) = by_key.remove(&(key, account)) else { continue };
                let at = permitted.job.trace;
                tracing::debug!(campaign.id = %key.campaign, job.id = key.job, ?denied,
                    trace_id = at.map(|at| field::display(at.trace)),
                    span_id = at.map(|at| field::display(at.span)), "claim denied");
                let emergency_text = channel == Channel::Sms && permitted.job.lane == Lane::Emergency;
                if emergency_text && matches!(denied, Denied::Barred(_)) {
                    refused.push(key);
                }
                match denied {
                    Denied::Late | Denied::Stopped => traced::denied(worker, channel, &permitted.job, None),
                    Denied::Barred(outcome) => {
                        traced::denied(worker, channel, &permitted.job, Some(outcome));
                    }
                    Denied::Stale | Denied::Canceled | Denied::NoLease => {}
                }
                match denied {
                    Denied::NoLease => without_lease.push(permitted.job),
                    Denied::Stale | Denied::Canceled | Denied::Late | Denied::Stopped | Denied::Barred(_) => {
                        settled.push(permitted.job);
                    }
                }
            }
        }
    }
    verdicts.count(channel);
    tokio::join!(
        acknowledge(&settled),
        async {
            give_back(worker, &without_lease, WaitReason::Limiter).await;
        },
        worker.store.tell_others_left(&refused, Why::Refused),
    );
    ready(worker, channel, granted, since, claiming).await
}

/// Queued jobs go back to their rows, and their messages away. Returns how many were still queued. Of jobs that
/// another worker told of nothing is done: it has their messages.
pub async fn give_back(worker: &Worker, jobs: &[Pending], reason: WaitReason) -> u64 {
    let own = jobs.iter().filter(|job| job.message.is_some());
    let keys: Vec<(JobKey, Generation)> = own.map(|job| (job.key, job.generation)).collect();
    if keys.is_empty() {
        return 0;
    }
    let given = worker.store.give_back(&keys, worker.clock.now(), reason).await.unwrap_or_else(|error| {
        // The rows stay queued: they are released again in time.
        tracing::warn!(%error, jobs = keys.len(), "jobs could not be given back");
        0
    });
    traced::gave_back(worker, jobs, reason);
    acknowledge(jobs).await;
    given
}

/// Claims with all that their requests need.
async fn ready(
    worker: &Worker,
    channel: Channel,
    granted: Vec<Admitted>,
    since: Stopwatch,
    claiming: Claiming,
) -> Vec<Vec<Claimed>> {
    let mut by_account: BTreeMap<_, Vec<Claimed>> = BTreeMap::new();
    for Admitted { grant, share, places, arrival } in granted {
        let brief = match worker.briefs.get(grant.attempt.job.campaign).await {
            Ok(Some(brief)) => brief,
            // Unrecorded: the attempt becomes unknown in time. A campaign with jobs always has its content.
            Ok(None) => {
                let trace = TraceId::of_attempt(grant.attempt);
                tracing::error!(campaign.id = %grant.attempt.job.campaign, trace_id = %trace,
                    span_id = %trace.root(), "campaign without content");
                continue;
            }
            Err(error) => {
                let trace = TraceId::of_attempt(grant.attempt);
                tracing::warn!(%error, campaign.id = %grant.attempt.job.campaign, trace_id = %trace,
                    span_id = %trace.root(), "content could not be read");
                continue;
            }
        };
        let job = JobView {
            state: JobState::Claimed,
            attempt: grant.attempt.number,
            tries: grant.tries,
            outcome: grant.outcome,
            channel,
            lane: brief.lane,
            redial: brief.redial.clone(),
            expires_at: brief.expires_at,
            canceled: false,
            asks_opt_in: brief.asks_opt_in,
        };
        let background = Background {
            district: Some(brief.district),
            released_at: grant.released_at,
            claimed_at: Some(grant.claimed_at),
        };
        let view = AttemptView { background, ..AttemptView::claimed(grant.attempt, job) };
        let traced = traced::claimed(worker, &view, &share, arrival, claiming);
        let calls = share.calls(channel);
        let claimed = Claimed {
            grant,
            view,
            brief,
            files: Default::default(),
            share,
            since: since.clone(),
            places,
            calls,
            traced,
        };
        by_account.entry(claimed.share.account).or_default().push(claimed);
    }
    by_account.into_values().collect()
}
