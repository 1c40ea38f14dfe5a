//! Last look and send: the request to the provider, each under a deadline.

use std::sync::Arc;

use futures::future::join_all;
use tocsin_domain::content::{self, Message};
use tocsin_domain::failover::Answers;
use tocsin_domain::policy::{REQUEST_DEADLINE, SEND_BY};
use tocsin_domain::segments::segments;
use tocsin_domain::settlement::{AttemptView, Report, ReportKind};
use tocsin_domain::suppression::AddressFact;
use tocsin_domain::trace::{SpanId, TraceId};
use tocsin_domain::{Channel, Lane, Outcome};
use tocsin_providers::{
    Answer, Provider, RefusalClass, SendRequest, call_url, callback_url, observed, unsubscribe_url,
};
use tocsin_runtime::Stopwatch;
use tocsin_store::campaigns::CampaignBrief;
use tocsin_store::claim::Granted;
use tocsin_store::suppressions::Learned;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, field};

use crate::files::Loaded;
use crate::open_requests::{Open, OpenRequests};
use crate::places::Call;
use crate::record::{Outcomes, Settled};
use crate::shares::AccountShare;
use crate::slots::Slot;
use crate::traced::{self, Asking, Traced};
use crate::{Worker, answers, tally};

/// What was not taken so often is not asked for together with others any more.
const ALONE_AFTER: i16 = 2;

/// The longest that a provider may keep a message waiting, whatever the campaign's expiry.
const VALID_FOR_MAX: std::time::Duration = std::time::Duration::from_secs(36_000);

/// A claimed job, on its way to its provider.
#[derive(Debug)]
pub struct Claimed {
    pub grant: Granted,
    pub view: AttemptView,
    pub brief: Arc<CampaignBrief>,
    /// Of mails: what goes along.
    pub files: Loaded,
    pub share: Arc<AccountShare>,
    /// Started before the claim was asked for.
    pub since: Stopwatch,
    /// Its places in its shares and in the process, until its outcome waits to be recorded.
    pub places: Vec<Slot>,
    /// Where calls are limited: they keep the places of the shares while the call goes on.
    pub calls: Vec<Call>,
    /// For its trace. None: there are no traces.
    pub traced: Option<Traced>,
}

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

/// Claims that are sent together.
#[derive(Debug)]
pub struct Batch {
    provider: Option<Arc<dyn Provider>>,
    pub claims: Vec<Claimed>,
    /// Its turn did not come by `send_by`.
    missed: bool,
    /// None: the process may have no request open for it.
    open: Option<Open>,
}

impl Batch {
    /// With the files of its mails, which the first of a message reads for all.
    async fn with_files(mut self, worker: &Worker, channel: Channel) -> Self {
        if channel == Channel::Email {
            for claimed in &mut self.claims {
                claimed.files = worker.files.get(&claimed.brief).await;
            }
        }
        self
    }

    /// Waits until the process may have its request open. One that waits until `send_by` is not sent.
    async fn enter(self, requests: &OpenRequests) -> Self {
        let Some(first) = self.claims.first() else { return self };
        let left = SEND_BY.saturating_sub(first.since.elapsed());
        let open = tokio::time::timeout(left, requests.enter(first.brief.lane)).await.ok();
        Self { missed: open.is_none(), open, ..self }
    }

    /// Waits until its requests may start, by the rates of their shares: what the claim took brought it closer to
    /// others, or further away. A claim that waits until `send_by` is not sent.
    pub async fn turn(self) -> Self {
        let Some(first) = self.claims.first() else { return self };
        let requests = u32::try_from(self.claims.len()).unwrap_or(u32::MAX);
        let left = SEND_BY.saturating_sub(first.since.elapsed());
        let missed = self.missed || tokio::time::timeout(left, first.share.turn(requests)).await.is_err();
        Self { missed, ..self }
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Sent {
    pub settled: Outcomes,
    /// Taken until the outcomes wait to be recorded.
    pub places: Vec<Vec<Slot>>,
}

/// One account's claims, as its provider takes them.
pub fn batches(worker: &Worker, channel: Channel, claims: Vec<Claimed>) -> Vec<Batch> {
    let Some(share) = claims.first().map(|claimed| Arc::clone(&claimed.share)) else { return Vec::new() };
    let provider = worker.provider(channel, &share.name);
    let batch_max = provider.as_ref().map_or(1, |provider| provider.capabilities().batch_max.max(1));
    let batch = |claims| Batch { provider: provider.clone(), claims, missed: false, open: None };
    // What was not taken again and again goes alone: it may be what those beside it are refused for.
    let (alone, claims): (Vec<Claimed>, Vec<Claimed>) =
        claims.into_iter().partition(|claimed| batch_max > 1 && times_not_taken(claimed) >= ALONE_AFTER);
    let mut batches: Vec<Batch> = alone.into_iter().map(|claimed| batch(vec![claimed])).collect();
    let mut claims = claims.into_iter().peekable();
    while claims.peek().is_some() {
        batches.push(batch(claims.by_ref().take(batch_max).collect()));
    }
    batches
}

/// Asks the provider, unless it is too late to. What it refuses as one it is asked for one by one, each after a last look
/// of its own: nothing of it was sent.
pub async fn send(worker: &Worker, channel: Channel, batch: Batch) -> Sent {
    let Batch { provider, claims: batch, missed, open } = batch;
    let provider = provider.as_deref();
    let mut settled = Vec::with_capacity(batch.len());
    let mut asking = Vec::with_capacity(batch.len());
    let mut requests = Vec::with_capacity(batch.len());
    for claimed in batch {
        if missed {
            settled.push(settled_as(worker, &claimed, ReportKind::NotAsked, None));
            continue;
        }
        match request(worker, channel, &claimed) {
            Ok(request) => {
                requests.push(request);
                asking.push(claimed);
            }
            Err(kind) => settled.push(settled_as(worker, &claimed, kind, None)),
        }
    }
    // The last look, as late as it can be: nothing is awaited between it and the request.
    let late = |claimed: &Claimed| late(worker, claimed, provider.is_some());
    let (mut kept, mut kept_requests) =
        (Vec::with_capacity(asking.len()), Vec::with_capacity(requests.len()));
    for (claimed, request) in asking.into_iter().zip(requests) {
        if late(&claimed) {
            settled.push(settled_as(worker, &claimed, ReportKind::NotAsked, None));
        } else {
            kept.push(claimed);
            kept_requests.push(request);
        }
    }
    let answers = match (provider, kept.first()) {
        (Some(provider), Some(first)) => {
            let is_read = |claimed: &Claimed| claimed.traced.as_ref().is_some_and(Traced::is_kept);
            let read = if kept.iter().any(is_read) { Read::Yes } else { Read::No };
            let at = At { provider, share: &first.share, channel };
            let (said, asking) = ask(worker, at, &kept_requests, read).await;
            drop(open);
            let each = said.into_iter().zip(&kept_requests).zip(&kept);
            join_all(each.map(async |((answer, request), claimed)| match answer {
                Answer::RefusedTogether { .. } => {
                    // Nobody knows whether the provider counts what it refused.
                    let left = SEND_BY.saturating_sub(claimed.since.elapsed());
                    let turn = async {
                        let open = worker.requests.enter(claimed.brief.lane).await;
                        claimed.share.turn(1).await;
                        open
                    };
                    let Ok(_open) = tokio::time::timeout(left, turn).await else { return (None, None) };
                    if late(claimed) {
                        return (None, None);
                    }
                    let start_within = SEND_BY.saturating_sub(claimed.since.elapsed());
                    let request = SendRequest { start_within, ..request.clone() };
                    let (mut said, asking) = ask(worker, at, &[request], read).await;
                    (said.pop(), asking)
                }
                answer => (Some(answer), asking.clone()),
            }))
            .await
        }
        (None, _) | (_, None) => Vec::new(),
    };
    for (claimed, (answer, asking)) in kept.iter_mut().zip(answers) {
        let Some(answer) = answer else {
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

/// Does anybody read of a request in a trace?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Yes,
    No,
}

/// Who is asked, and for which account.
#[derive(Clone, Copy)]
struct At<'a> {
    provider: &'a dyn Provider,
    share: &'a AccountShare,
    channel: Channel,
}

/// Asks, and counts what comes of it for the account.
async fn ask(
    worker: &Worker,
    At { provider, share, channel }: At<'_>,
    requests: &[SendRequest],
    read: Read,
) -> (Vec<Answer>, Option<Asking>) {
    let epoch = share.health_epoch();
    let asking = async {
        match requests {
            [one] => vec![provider.send(one).await],
            many => provider.send_batch(many).await,
        }
    };
    // For what an HTTP client logs, which is nothing above debug: else every request would pay for it.
    let span = tracing::debug_span!(
        "provider.send",
        account = share.name,
        provider = provider.name(),
        trace_id = alone(requests).map(|one| field::display(TraceId::of_attempt(one.attempt))),
    );
    let asking = answers::timed(asking.instrument(span), || {
        share.answered(epoch, Answers { all: 1, failed: 1 });
    });
    let began = Stopwatch::start();
    let ((answers, slow), traced) = match worker.spans.on() {
        false => (asking.await, None),
        true => {
            let begun = worker.clock.now();
            let (answered, exchanges) = match read {
                Read::Yes => {
                    let (answered, exchanges) = observed(asking).await;
                    (answered, Some(exchanges))
                }
                Read::No => (asking.await, None),
            };
            let times = (begun, worker.clock.now());
            (answered, Some(Asking::new(provider.name(), requests.len(), times, exchanges)))
        }
    };
    if !slow && let Some(told) = answers::of_request(&answers) {
        share.answered(epoch, told);
    }
    tally::asked((&share.name, channel), requests, &answers, began.elapsed());
    (answers, traced)
}

/// The one that is asked for by itself.
fn alone(requests: &[SendRequest]) -> Option<&SendRequest> {
    match requests {
        [one] => Some(one),
        _ => None,
    }
}

/// Where what is logged of an answer is in the trace of its attempt, whether or not that is kept.
fn place(claimed: &Claimed) -> (TraceId, SpanId) {
    let trace = TraceId::of_attempt(claimed.grant.attempt);
    let asking = claimed.traced.as_ref().and_then(|traced| traced.asking.as_ref());
    (trace, asking.map_or_else(|| trace.root(), |asking| asking.span(trace)))
}

/// May the request not start any more? Its campaign is canceled, its sending was stopped since, it is past `send_by`, its
/// lease is over or was given up, or this worker does not know the account.
fn late(worker: &Worker, claimed: &Claimed, known: bool) -> bool {
    !known
        || worker.cancels.contains(claimed.grant.attempt.job.campaign)
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

/// Renders the message. An error is what the attempt ends with: the content was checked when the campaign
/// was made, so this is a value that one recipient lacks.
fn request(worker: &Worker, channel: Channel, claimed: &Claimed) -> Result<SendRequest, ReportKind> {
    let Granted { attempt, address, extension, language, merge_values, .. } = &claimed.grant;
    let not_initiated = |code: String| ReportKind::Status {
        outcome: match channel {
            Channel::Voice => Outcome::CallNotInitiated,
            Channel::Sms => Outcome::TextNotInitiated,
            Channel::Email | Channel::Inbox => Outcome::FailedToSend,
        },
        provider_code: Some(code),
        provider_id: None,
    };
    let files = match &claimed.files {
        Loaded::Ready(files) => Arc::clone(files),
        Loaded::Unread => return Err(ReportKind::NotAsked),
        Loaded::Missing => return Err(not_initiated("an attachment is missing".to_owned())),
    };
    let Message { language, subject, body, audio_url, attachments: _ } =
        content::message(&claimed.brief.contents, channel, language.as_deref(), merge_values)
            .map_err(|why| not_initiated(why.to_string()))?;
    if channel == Channel::Sms {
        let segments = segments(&body).count;
        claimed.share.charge(segments.saturating_sub(1));
    }
    let token = worker.settings.token_keys.mint(*attempt, claimed.brief.lane);
    let left = (claimed.brief.expires_at - worker.clock.now()).to_std().unwrap_or_default();
    Ok(SendRequest {
        attempt: *attempt,
        from: claimed.share.sender.as_ref().map(|sender| sender.address.clone()),
        to: address.clone(),
        extension: extension.clone(),
        language,
        subject,
        body,
        files,
        audio_url,
        call_url: Some(call_url(&worker.settings.public_url, &claimed.share.name, &token))
            .filter(|_| channel == Channel::Voice),
        confirm: claimed.brief.redial.confirm && channel == Channel::Voice,
        unsubscribe_url: may_unsubscribe(channel, claimed.brief.lane).then(|| {
            unsubscribe_url(
                &worker.settings.public_url,
                &worker.settings.token_keys.mint_unsubscribe(*attempt),
            )
        }),
        tag: Some(claimed.brief.message_type.clone()).filter(|_| channel == Channel::Email),
        detection: claimed.brief.redial.detection(claimed.grant.tries).filter(|_| channel == Channel::Voice),
        callback_url: callback_url(&worker.settings.public_url, &claimed.share.name, &token),
        valid_for: left.min(VALID_FOR_MAX),
        start_within: SEND_BY.saturating_sub(claimed.since.elapsed()),
        deadline: REQUEST_DEADLINE,
    })
}

/// Nobody is offered to end emergencies.
fn may_unsubscribe(channel: Channel, lane: Lane) -> bool {
    channel == Channel::Email && lane != Lane::Emergency
}

/// The provider's answer in the settlement's words. What concerns more than this attempt is done here.
async fn heard(worker: &Worker, claimed: &Claimed, answer: Answer) -> ReportKind {
    let attempt = claimed.grant.attempt;
    if may_go_on(&answer) {
        claimed.calls.iter().for_each(Call::goes_on);
    }
    if matches!(answer, Answer::Accepted { .. }) {
        claimed.share.accepted();
    }
    match answer {
        Answer::Accepted { provider_id, outcome: None } => ReportKind::Accepted { provider_id },
        Answer::Accepted { provider_id, outcome: Some(outcome) } => {
            ReportKind::Status { outcome, provider_code: None, provider_id }
        }
        Answer::Refused { outcome, provider_code, class } => {
            match class {
                // Nothing was sent, and another sender may do: the job is due again, and this one gets none.
                RefusalClass::Sender if claimed.share.sender.is_some() => {
                    stop(worker, &claimed.share, provider_code.as_deref(), place(claimed)).await;
                    return ReportKind::Throttled { provider_code, retry_after: None };
                }
                // It is not this message's fault: another account may send it, or this one once it is put right. One
                // that an account did not take before is believed for another one's sake only: alone it would stop one
                // account after the other.
                RefusalClass::Configuration | RefusalClass::Sender
                    if claimed.share.refused(claimed.grant.attempt.job) || is_first_asked(claimed) =>
                {
                    stop(worker, claimed.share.of_account(), provider_code.as_deref(), place(claimed)).await;
                    return ReportKind::Throttled { provider_code, retry_after: None };
                }
                RefusalClass::Configuration | RefusalClass::Sender => {
                    let (trace, span) = place(claimed);
                    tracing::warn!(
                        account = claimed.share.name,
                        code = provider_code.as_deref(),
                        trace_id = %trace,
                        span_id = %span,
                        "a message that no account takes: none is stopped for it"
                    );
                }
                RefusalClass::Permanent | RefusalClass::OptOut => {}
            }
            ReportKind::Status { outcome, provider_code, provider_id: None }
        }
        // Asked for by itself, nothing is refused so.
        Answer::RefusedTogether { provider_code } => {
            ReportKind::Status { outcome: Outcome::ProviderRejected, provider_code, provider_id: None }
        }
        Answer::Throttled { provider_code, retry_after, whose } => {
            worker.shares.throttled(&claimed.share, whose, retry_after);
            ReportKind::Throttled { provider_code, retry_after }
        }
        // It took too long here, and says nothing of the account.
        Answer::NotStarted => ReportKind::NotAsked,
        Answer::NotSent { why } => {
            let (trace, span) = place(claimed);
            tracing::warn!(account = claimed.share.name, why, campaign.id = %attempt.job.campaign,
                job.id = attempt.job.job, attempt.id = attempt.number, trace_id = %trace, span_id = %span,
                "provider could not be reached");
            ReportKind::Status {
                outcome: Outcome::ProviderUnavailable,
                provider_code: None,
                provider_id: None,
            }
        }
        Answer::Lost { why } => {
            let (trace, span) = place(claimed);
            tracing::warn!(account = claimed.share.name, why, campaign.id = %attempt.job.campaign,
                job.id = attempt.job.job, attempt.id = attempt.number, trace_id = %trace, span_id = %span,
                "outcome unknown: the provider's answer was lost");
            ReportKind::Lost
        }
    }
}

/// Has every earlier attempt of the job been taken?
fn is_first_asked(claimed: &Claimed) -> bool {
    times_not_taken(claimed) == 0
}

/// Earlier attempts that no provider took: they used up no try.
fn times_not_taken(claimed: &Claimed) -> i16 {
    claimed.grant.attempt.number - claimed.grant.tries
}

/// Does the provider hold the attempt, or is it unknown whether it does?
fn may_go_on(answer: &Answer) -> bool {
    match answer {
        Answer::Accepted { outcome, .. } => outcome.is_none_or(|outcome| !outcome.terminal()),
        Answer::Lost { .. } => true,
        Answer::Refused { .. }
        | Answer::RefusedTogether { .. }
        | Answer::Throttled { .. }
        | Answer::NotStarted
        | Answer::NotSent { .. } => false,
    }
}

/// Stops an account or a sender that its provider refuses, as it said to one request.
async fn stop(worker: &Worker, refused: &AccountShare, code: Option<&str>, (trace, span): (TraceId, SpanId)) {
    // Many messages are refused together.
    if refused.is_given_up() {
        return;
    }
    let what = if refused.sender.is_some() { "sender" } else { "account" };
    let reason = format!("the provider refuses the {what}: {}", code.unwrap_or("no code"));
    match worker.store.stop_account(refused.account, &reason, worker.clock.now()).await {
        Ok(true) => {
            tracing::error!(
                account = refused.name,
                account.id = refused.account.0,
                code,
                trace_id = %trace,
                span_id = %span,
                "{what} stopped: its provider refuses it; put it right, then `tocsin {what} resume` it"
            );
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, account = refused.name, "{what} could not be stopped"),
    }
    // After it is so for all: what goes back to its row is not released to it again.
    worker.shares.stopped(refused.account);
}

/// What a refusal tells of the address itself: who opted out at the provider has opted out here, and a phone
/// without texts is not texted again.
fn fact_of(provider: Option<&dyn Provider>, answer: &Answer) -> Option<AddressFact> {
    let Answer::Refused { provider_code, class, .. } = answer else { return None };
    let said =
        provider.zip(provider_code.as_deref()).and_then(|(provider, code)| provider.address_fact(code));
    match class {
        RefusalClass::Permanent => said,
        RefusalClass::Configuration | RefusalClass::Sender => None,
        RefusalClass::OptOut => said.or(Some(AddressFact::OptedOut)),
    }
}

#[cfg(test)]
mod tests;
