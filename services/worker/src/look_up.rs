//! Look-ups: attempts of which nothing was heard are sought at their provider. What is found is a report like a
//! callback's; what is not found changes nothing, and the attempt's deadline decides.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::trace::{Context, TraceId};
use tocsin_domain::{AccountId, AttemptKey, Channel, content};
use tocsin_proto::Envelope;
use tocsin_proto::v1::LookUp;
use tocsin_providers::{CallbackReport, LookUpAnswer, LookUpQuery, Provider, callback_url};
use tocsin_queue::{Acker, Consumer, Delivery};
use tocsin_runtime::metrics::note_outcomes;
use tocsin_runtime::retry;
use tocsin_runtime::telemetry::By;
use tocsin_store::look_up::Sought;
use tocsin_store::suppressions::Learned;
use tokio_util::sync::CancellationToken;

use crate::error::outage_apart;
use crate::recall::attempt_key;
use crate::{Worker, WorkerError, traced};

/// Look-ups taken together.
pub const BATCH_MAX: u16 = 32;
/// Look-ups asked of one account at once. They take no token of its rate, which counts sends.
const AT_ONCE: usize = 8;
/// How long a provider may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Serves one channel's look-ups until `over`.
pub async fn run(worker: Worker, channel: Channel, mut consumer: Consumer, over: CancellationToken) {
    loop {
        let batch = tokio::select! {
            () = over.cancelled() => None,
            batch = consumer.next_batch(usize::from(BATCH_MAX)) => batch,
        };
        let Some(batch) = batch else { break };
        let (looking, acker) = (worker.clone(), consumer.acker());
        let look_up = async move || outage_apart(look_up_all(&looking, batch.clone(), acker.clone()).await);
        match retry("look-ups", &over, look_up).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                // Unsettled, they are delivered again to whoever serves the channel next.
                tracing::warn!(%error, %channel, "look-ups will be tried again");
                break;
            }
            None => break,
        }
    }
    consumer.stop().await;
}

pub async fn look_up_all(worker: &Worker, batch: Vec<Delivery>, acker: Acker) -> Result<(), WorkerError> {
    let mut attempts = Vec::with_capacity(batch.len());
    let mut read_whole = Vec::with_capacity(batch.len());
    let mut traced = HashMap::new();
    for delivery in &batch {
        match read(delivery) {
            Ok((attempt, trace)) => {
                attempts.push(attempt);
                traced.extend(trace.map(|trace| (attempt, trace)));
                read_whole.push(delivery.tag);
            }
            Err(reason) => acker.dead_letter(delivery, &reason).await?,
        }
    }
    // What was settled while the order waited is not sought any more.
    let mut by_account: BTreeMap<AccountId, Vec<Sought>> = BTreeMap::new();
    for sought in worker.store.sought(&attempts).await? {
        by_account.entry(sought.account).or_default().push(sought);
    }
    let begun = worker.clock.now();
    let asked = by_account.into_values().map(|sought| {
        stream::iter(sought)
            .map(|sought| ask(worker.clone(), sought))
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
    });
    let answers: Vec<Vec<Said>> = join_all(asked).await.into_iter().flatten().collect();
    if !answers.is_empty() {
        let found = answers.iter().filter(|said| !said.is_empty()).count();
        tracing::info!(attempts = answers.len(), found, "attempts looked up");
        let (reports, learned): (Vec<Report>, Vec<Option<Learned>>) =
            answers.into_iter().flatten().map(|said| (said.report, said.learned)).unzip();
        let settled = worker.store.settle(reports, Vec::new(), worker.clock.now()).await?;
        note_outcomes(&settled.outcomes);
        traced::followed(&worker.spans, By::LookUp, &settled.written, &traced, (begun, worker.clock.now()));
        worker.store.learn(&learned.into_iter().flatten().collect::<Vec<_>>()).await?;
    }
    acker.ack(&read_whole).await?;
    Ok(())
}

/// The attempt, and the span of the order.
fn read(delivery: &Delivery) -> Result<(AttemptKey, Option<Context>), String> {
    let order = Envelope::<LookUp>::decode(delivery.body.clone()).map_err(|error| error.to_string())?.message;
    let attempt = attempt_key(&order.campaign_id, order.job_id, order.attempt)?;
    Ok((attempt, traced::context(&order.traceparent)))
}

/// A report of an attempt, and what it tells of the address itself.
struct Said {
    report: Report,
    learned: Option<Learned>,
}

/// What the provider says of one attempt: nothing, if it does not know it or does not answer.
async fn ask(worker: Worker, sought: Sought) -> Vec<Said> {
    let attempt = sought.attempt;
    let provider = worker.provider(sought.channel, &sought.account_name);
    let answer = match &provider {
        Some(provider) => look_up(&worker, &**provider, sought).await,
        None => LookUpAnswer::Unknown("this worker does not serve the account".to_owned()),
    };
    let told = |why: &str| {
        let trace = TraceId::of_attempt(attempt);
        tracing::debug!(why, campaign.id = %attempt.job.campaign, job.id = attempt.job.job,
            attempt.id = attempt.number, trace_id = %trace, span_id = %trace.root(),
            "not found at its provider");
    };
    match answer {
        LookUpAnswer::Found(found) => {
            let said = |found: CallbackReport| {
                let code = found.provider_code.as_deref();
                let fact =
                    provider.as_ref().zip(code).and_then(|(provider, code)| provider.address_fact(code));
                let report = as_report(&worker, attempt, found);
                let learned = fact.map(|fact| Learned { attempt, fact, at: report.at, event: None });
                Said { report, learned }
            };
            found.into_iter().map(said).collect()
        }
        LookUpAnswer::NotFound => {
            told("the provider does not know it");
            Vec::new()
        }
        LookUpAnswer::Unsupported => Vec::new(),
        LookUpAnswer::Unknown(why) => {
            told(&why);
            Vec::new()
        }
    }
}

async fn look_up(worker: &Worker, provider: &dyn Provider, sought: Sought) -> LookUpAnswer {
    if !provider.capabilities().look_up {
        return LookUpAnswer::Unsupported;
    }
    let brief = match worker.briefs.get(sought.attempt.job.campaign).await {
        Ok(Some(brief)) => brief,
        Ok(None) => return LookUpAnswer::Unknown("its campaign has no content".to_owned()),
        Err(error) => return LookUpAnswer::Unknown(error.to_string()),
    };
    let body = content::choose(&brief.contents, sought.channel, sought.language.as_deref())
        .and_then(|content| content::render(&content.body, &sought.merge_values).ok());
    let token = worker.settings.token_keys.mint(sought.attempt, brief.lane);
    provider
        .look_up(&LookUpQuery {
            attempt: sought.attempt,
            provider_id: sought.provider_id,
            from: sought.sender,
            to: sought.address,
            body,
            callback_url: callback_url(&worker.settings.public_url, &sought.account_name, &token),
            others: sought.others,
            rival_without_id: sought.rival_without_id,
            asked_at: sought.claimed_at,
            deadline: DEADLINE,
        })
        .await
}

/// In the words of a callback.
fn as_report(worker: &Worker, attempt: AttemptKey, found: CallbackReport) -> Report {
    let CallbackReport { outcome, provider_code, provider_id, at, sequence, .. } = found;
    let kind = ReportKind::Status { outcome, provider_code, provider_id };
    Report { attempt, at: at.unwrap_or_else(|| worker.clock.now()), sequence, kind }
}
