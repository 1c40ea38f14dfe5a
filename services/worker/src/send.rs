//! Last look and send: the request to the provider, each under a deadline.

mod ask;
mod batch;
mod heard;
mod request;

use futures::future::join_all;
use tocsin_domain::Channel;
use tocsin_domain::policy::SEND_BY;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::suppression::AddressFact;
use tocsin_providers::{Answer, SendRequest};
use tocsin_store::suppressions::Learned;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use self::ask::{At, Read, ask};
pub use self::batch::{Batch, Claimed, batches};
use self::heard::{fact_of, heard};
use self::request::request;
use crate::Worker;
use crate::record::{Outcomes, Settled};
use crate::slots::Slot;
use crate::traced::{self, Asking, Traced};

/// Starts the sends of one account's claims: one by one, or as batches where the provider takes them.
pub fn launch(
    worker: &Worker,
    channel: Channel,
    claims: Vec<Claimed>,
    sends: &TaskTracker,
    outcomes: &mpsc::Sender<Outcomes>,
) {
    for batch in batches(worker, channel, claims) {
        let (worker, outcomes) = (worker.clone(), outcomes.clone());
        sends.spawn(async move {
            let batch = batch.with_files(&worker, channel).await.enter(&worker.requests).await;
            let Sent { settled, places } = send(&worker, channel, batch.turn().await).await;
            // Closed only when the recorder is gone: then the attempts become unknown in time.
            if outcomes.send(settled).await.is_err() {
                tracing::error!("outcomes could not be recorded");
            }
            // Free from here: a recorder that falls behind holds sending back.
            drop(places);
        });
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Sent {
    pub settled: Outcomes,
    /// Taken until the outcomes wait to be recorded.
    pub places: Vec<Vec<Slot>>,
}

/// Asks the provider, unless it is too late to.
pub async fn send(worker: &Worker, channel: Channel, batch: Batch) -> Sent {
    let Batch { provider, claims, missed, open } = batch;
    let provider = provider.as_deref();
    let mut settled = Vec::with_capacity(claims.len());
    let mut asking = Vec::with_capacity(claims.len());
    for claimed in claims {
        let made = if missed { Err(ReportKind::NotAsked) } else { request(worker, channel, &claimed) };
        match made {
            Ok(request) => asking.push((claimed, request)),
            Err(kind) => settled.push(settled_as(worker, &claimed, kind, None)),
        }
    }
    // The last look, as late as it can be: nothing is awaited between it and the request.
    let (mut kept, mut requests) = (Vec::with_capacity(asking.len()), Vec::with_capacity(asking.len()));
    for (claimed, request) in asking {
        if is_late(worker, &claimed) || provider.is_none() {
            settled.push(settled_as(worker, &claimed, ReportKind::NotAsked, None));
        } else {
            kept.push(claimed);
            requests.push(request);
        }
    }
    let answers = match (provider, kept.first()) {
        (Some(provider), Some(first)) => {
            let at = At { provider, share: &first.share, channel };
            let (said, asking) = ask(worker, at, &requests, read(&kept)).await;
            drop(open);
            let each = said.into_iter().zip(requests).zip(&kept);
            join_all(each.map(async |((answer, request), claimed)| match answer {
                Answer::RefusedTogether { .. } => ask_alone(worker, at, request, claimed).await,
                answer => Some((answer, asking.clone())),
            }))
            .await
        }
        // Without a provider nothing was kept.
        (None, _) | (_, None) => Vec::new(),
    };
    for (claimed, answered) in kept.iter_mut().zip(answers) {
        let Some((answer, asking)) = answered else {
            settled.push(settled_as(worker, claimed, ReportKind::NotAsked, None));
            continue;
        };
        if let Some(traced) = &mut claimed.traced {
            traced.asking = asking;
            traced::asked(&worker.spans, &claimed.view, traced, &answer);
        }
        let fact = fact_of(provider, &answer);
        let kind = heard(worker, claimed, answer).await;
        settled.push(settled_as(worker, claimed, kind, fact));
    }
    Sent { settled, places: kept.into_iter().map(|claimed| claimed.places).collect() }
}

/// Asks for one of a batch that was refused as a whole, of which nothing was sent, after a last look of its own. None: it was
/// too late to.
async fn ask_alone(
    worker: &Worker,
    at: At<'_>,
    request: SendRequest,
    claimed: &Claimed,
) -> Option<(Answer, Option<Asking>)> {
    let turn = async {
        let open = worker.requests.enter(claimed.brief.lane).await;
        // Nobody knows whether the provider counts what it refused.
        claimed.share.turn(1).await;
        open
    };
    let left = SEND_BY.saturating_sub(claimed.since.elapsed());
    let _open = tokio::time::timeout(left, turn).await.ok()?;
    if is_late(worker, claimed) {
        return None;
    }
    let start_within = SEND_BY.saturating_sub(claimed.since.elapsed());
    let request = SendRequest { start_within, ..request };
    let (mut said, asking) = ask(worker, at, &[request], read(std::slice::from_ref(claimed))).await;
    Some((said.pop()?, asking))
}

/// Is a trace kept of any of them?
fn read(claims: &[Claimed]) -> Read {
    let is_kept = |claimed: &Claimed| claimed.traced.as_ref().is_some_and(Traced::is_kept);
    if claims.iter().any(is_kept) { Read::Yes } else { Read::No }
}

/// May the request not start any more? Its campaign is canceled, its sending was stopped since, it is past `send_by`, or its
/// lease is over or was given up.
fn is_late(worker: &Worker, claimed: &Claimed) -> bool {
    worker.cancels.contains(claimed.grant.attempt.job.campaign)
        || worker.stops.withhold(claimed.brief.district, &claimed.since)
        || claimed.since.elapsed() >= SEND_BY
        || claimed.share.is_over()
        || claimed.share.is_given_up()
}

/// `fact` is what the answer tells of the address itself.
fn settled_as(worker: &Worker, claimed: &Claimed, kind: ReportKind, fact: Option<AddressFact>) -> Settled {
    let (at, view) = (worker.clock.now(), &claimed.view);
    let learned = fact.map(|fact| Learned { attempt: view.key, fact, at, event: None });
    Settled {
        report: Report { attempt: view.key, at, sequence: None, kind },
        view: view.clone(),
        learned,
        traced: claimed.traced.clone(),
    }
}

#[cfg(test)]
mod tests;
