//! The traces of a campaign, as a collector has them (docs/adr/0041-traces.md).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::trace::TraceId;
use tocsin_domain::{AttemptKey, AttemptState, CampaignId, Channel, JobKey, Outcome};
use tocsin_providers::AccountSettings;
use tocsin_runtime::Tasks;
use tocsin_runtime::config::{OtlpProtocol, TraceConfig};
use tocsin_runtime::telemetry::Spans;
use tocsin_store::audit::AttemptFact;
use tocsin_testkit::otlp::{OtlpReceiver, Received, faults};
use tocsin_testkit::promises::{self, Facts};
use tocsin_testkit::simulator::{
    Callbacks, ChannelScenario, Delay, Fate, Scenario, Simulator, SimulatorConfig,
};
use tocsin_testkit::wait_until;

use crate::district::message;
use crate::facts::{WITHIN, closed};
use crate::journeys::campaign::busy_at_first;
use crate::journeys::over_both_brokers;
use crate::journeys::stage::{BrokerKind, Stage};

/// What a client sends with its request: a trace of its own.
const CALLERS_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "00f067aa0ba902b7";
/// Of which some are not begun yet.
const CALLS_HELD: usize = 10;
/// From then on an attempt is slow.
const SLOW: Duration = Duration::from_secs(2);
/// Nothing is slow.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
/// What a job passes on its way to its provider's last word.
const STEPS: [&str; 6] =
    ["wait turn", "publish voice.general", "process voice.general", "wait limiter", "claim", "ask"];

over_both_brokers!(every_attempt_has_one_connected_trace);

/// Every first call finds the line busy and is made again.
async fn every_attempt_has_one_connected_trace(broker: BrokerKind) -> Result<()> {
    let collecting = Collecting::start(broker, 1.0, SLOW).await?;
    let scenario = Scenario { voice: busy_at_first(), ..Scenario::default() };
    let stage = collecting.stage(broker, scenario).await?;
    let header = format!("00-{CALLERS_TRACE}-{CALLERS_SPAN}-01");
    let campaign = stage.client.send_within(&message("general", &[Channel::Voice]), &header).await?;
    closed(&stage.system.store, campaign).await?;
    stage.system.simulator.callbacks_done(WITHIN).await?;
    let facts = promises::facts(&stage.system.store, campaign).await?;
    let calls = facts.attempts.len();
    ensure!(calls >= 40, "{calls} calls, of which every second is a redial");
    let traces = collecting.traces_of(stage, &keys(campaign, &facts)).await?;

    let outside = BTreeSet::from([CALLERS_SPAN.to_owned()]);
    let found = faults(&traces, &outside);
    ensure!(found.is_empty(), "{found:#?}");
    let campaign_trace = TraceId::of_campaign(campaign);
    let names = names(&traces, &campaign_trace.to_string());
    for name in ["campaign", "create", "expand", "close"] {
        ensure!(names.contains(name), "the campaign's trace lacks {name}: {names:?}");
    }
    let mut called_back = 0;
    for attempt in keys(campaign, &facts) {
        let trace = TraceId::of_attempt(attempt);
        let names = self::names(&traces, &trace.to_string());
        for step in STEPS.into_iter().chain(["attempt voice", "plan", "POST"]) {
            ensure!(names.contains(step), "attempt {attempt:?} lacks {step}: {names:?}");
        }
        called_back += usize::from(names.contains("POST /callbacks/{account}/{token}"));
        let root = root(&traces, trace).context("no root")?;
        let links: Vec<String> = root.links().into_iter().map(|(trace, _)| trace).collect();
        let earlier = (attempt.number > 1)
            .then(|| TraceId::of_attempt(AttemptKey { number: attempt.number - 1, ..attempt }));
        let expected: Vec<String> =
            [Some(campaign_trace), earlier].into_iter().flatten().map(|trace| trace.to_string()).collect();
        ensure!(links == expected, "attempt {attempt:?} leads to {links:?}, not {expected:?}");
        let spans = &traces[&trace.to_string()];
        if let Some(earlier) = earlier {
            let planned = linked(spans, |span| span.name == "plan");
            let root = (earlier.to_string(), earlier.root().to_string());
            ensure!(planned.contains(&root), "{attempt:?}: the plan leads to {planned:?}");
        }
        // Which of its reports settled it depends on how they came.
        let applied = linked(spans, |span| span.name == "process status.general");
        let reports = spans.iter().filter(|span| span.name.starts_with("POST /callbacks"));
        let mut reports = reports.map(|span| (span.trace.clone(), span.id.clone()));
        ensure!(reports.any(|report| applied.contains(&report)), "{attempt:?}: no report led to {applied:?}");
    }
    ensure!(called_back * 100 >= calls * 99, "{called_back} of {calls} attempts have their callback");
    the_request_is_the_callers(&traces, campaign)?;
    nothing_is_told_of_anybody(&traces)
}

over_both_brokers!(slow_attempts_and_emergencies_are_kept_whatever_is_sampled);

/// Texts take longer than what is slow; nothing is sampled.
async fn slow_attempts_and_emergencies_are_kept_whatever_is_sampled(broker: BrokerKind) -> Result<()> {
    let collecting = Collecting::start(broker, 0.0, SLOW).await?;
    let latency = u64::try_from(SLOW.as_millis())? + 500;
    let sms = ChannelScenario { latency: Delay::Fixed(latency), ..ChannelScenario::default() };
    let stage = collecting.stage(broker, Scenario { sms, ..Scenario::default() }).await?;
    let texts = stage.client.send(&message("general", &[Channel::Sms])).await?;
    let mails = stage.client.send(&message("general", &[Channel::Inbox])).await?;
    let calls = stage.client.send(&message("emergency", &[Channel::Voice])).await?;
    for campaign in [texts, mails, calls] {
        closed(&stage.system.store, campaign).await?;
    }
    stage.system.simulator.callbacks_done(WITHIN).await?;
    let of_texts = promises::facts(&stage.system.store, texts).await?;
    let of_mails = promises::facts(&stage.system.store, mails).await?;
    let of_calls = promises::facts(&stage.system.store, calls).await?;
    let traces = collecting.traces_of(stage, &keys(calls, &of_calls)).await?;

    let found = faults(&traces, &BTreeSet::new());
    ensure!(found.is_empty(), "{found:#?}");
    for attempt in keys(texts, &of_texts) {
        let root = root(&traces, TraceId::of_attempt(attempt));
        let root = root.with_context(|| format!("attempt {attempt:?} was slow and is not kept"))?;
        ensure!(root.attribute("tocsin.reconstructed").as_deref() == Some("true"), "{root:?}");
        let names = names(&traces, &root.trace);
        ensure!(names.contains("claim"), "{names:?}");
    }
    let left_out = |attempt: &AttemptKey| root(&traces, TraceId::of_attempt(*attempt)).is_none();
    ensure!(keys(mails, &of_mails).iter().any(left_out), "what was neither slow nor sampled is kept");
    for attempt in keys(calls, &of_calls) {
        let root = root(&traces, TraceId::of_attempt(attempt)).context("an emergency is not kept")?;
        ensure!(root.attribute("tocsin.reconstructed").is_none(), "{root:?}");
    }
    Ok(())
}

over_both_brokers!(errors_are_kept_whatever_is_sampled);

/// One provider of calls cannot be reached, which the worker finds out; some texts are told to have failed, which the collector
/// hears. Nothing is sampled.
async fn errors_are_kept_whatever_is_sampled(broker: BrokerKind) -> Result<()> {
    let collecting = Collecting::start(broker, 0.0, NEVER).await?;
    let fates = vec![BTreeMap::from([(Fate::Delivered, 0.5), (Fate::Failed, 0.5)])];
    let sms = ChannelScenario { fates, ..ChannelScenario::default() };
    let stage =
        collecting.stage_beside(broker, Scenario { sms, ..Scenario::default() }, vec![away().await?]).await?;
    let campaign = stage.client.send(&message("general", &[Channel::Voice, Channel::Sms])).await?;
    closed(&stage.system.store, campaign).await?;
    stage.system.simulator.callbacks_done(WITHIN).await?;
    let facts = promises::facts(&stage.system.store, campaign).await?;
    let faulty = attempts_with(campaign, &facts, &[Outcome::ProviderUnavailable, Outcome::FailedToSend]);
    let traces = collecting.traces_of(stage, &faulty).await?;

    let found = faults(&traces, &BTreeSet::new());
    ensure!(found.is_empty(), "{found:#?}");
    for (outcome, steps) in [
        (Outcome::ProviderUnavailable, ["claim", "ask", "record"]),
        (Outcome::FailedToSend, ["claim", "POST /callbacks/{account}/{token}", "process status.general"]),
    ] {
        let such = attempts_with(campaign, &facts, &[outcome]);
        ensure!(!such.is_empty(), "no attempt came to {outcome:?}");
        for attempt in such {
            let root = root(&traces, TraceId::of_attempt(attempt)).context("an error is not kept")?;
            ensure!(root.attribute("tocsin.reconstructed").as_deref() == Some("true"), "{root:?}");
            ensure!(root.attribute("error.type").as_deref() == Some(outcome.code()), "{root:?}");
            let names = names(&traces, &root.trace);
            ensure!(steps.iter().all(|step| names.contains(step)), "{outcome:?}: {names:?}");
        }
    }
    let sound = attempts_with(campaign, &facts, &[Outcome::Delivered]);
    ensure!(!sound.is_empty(), "no attempt was sound: {:?}", facts.attempts);
    let kept: Vec<AttemptKey> = sound
        .into_iter()
        .filter(|attempt| traces.contains_key(&TraceId::of_attempt(*attempt).to_string()))
        .collect();
    ensure!(kept.is_empty(), "what was neither an error nor sampled is kept: {kept:?}");
    nothing_is_told_of_anybody(&traces)
}

over_both_brokers!(a_recall_is_told_in_the_trace_of_its_attempt);

/// Calls wait at the provider, so that there is something to recall.
async fn a_recall_is_told_in_the_trace_of_its_attempt(broker: BrokerKind) -> Result<()> {
    let collecting = Collecting::start(broker, 1.0, SLOW).await?;
    // What the provider's own callback says first is told of by that. Of the calls that are held by what is known here, as
    // many may be over as end within that time: most of them must not be.
    let callbacks = Callbacks { delay: Delay::Fixed(3_000), ..Callbacks::default() };
    let voice = ChannelScenario { drain_per_second: Some(1.0), callbacks, ..ChannelScenario::default() };
    let stage = collecting.stage(broker, Scenario { voice, ..Scenario::default() }).await?;
    let campaign = stage.client.send(&message("general", &[Channel::Voice])).await?;
    // Only what the provider is known to hold is recalled.
    let is_held = |attempt: &AttemptFact| attempt.state == AttemptState::Accepted;
    wait_until("calls under way", WITHIN, async || {
        let attempts = stage.system.store.attempt_facts(campaign).await.unwrap_or_default();
        attempts.into_iter().filter(is_held).count() >= CALLS_HELD
    })
    .await?;
    stage.client.cancel(campaign).await?;
    closed(&stage.system.store, campaign).await?;
    let facts = promises::facts(&stage.system.store, campaign).await?;
    let traces = collecting.traces_of(stage, &keys(campaign, &facts)).await?;

    let found = faults(&traces, &BTreeSet::new());
    ensure!(found.is_empty(), "{found:#?}");
    let recalls: Vec<&Received> = traces.values().flatten().filter(|span| span.name == "recall").collect();
    ensure!(!recalls.is_empty(), "nothing was recalled");
    for recall in recalls {
        let orders = traces[&recall.trace].iter().filter(|span| span.name == "publish voice.recall");
        let mut orders = orders.map(|order| (order.trace.clone(), order.id.clone()));
        ensure!(orders.any(|order| recall.links() == [order]), "{recall:?}");
    }
    Ok(())
}

/// Another account for calls, with a provider that is gone.
async fn away() -> Result<AccountSettings> {
    let gone = Simulator::start(SimulatorConfig::default()).await?;
    let account = gone.account(Channel::Voice).context("calls have a vendor")?;
    Ok(AccountSettings {
        name: "voice-away".to_owned(),
        base_url: "http://127.0.0.1:9".to_owned(),
        ..account
    })
}

/// A collector and this process's way to it.
struct Collecting {
    tasks: Tasks,
    receiver: OtlpReceiver,
    spans: Spans,
}

impl Collecting {
    /// Each protocol with one of the brokers.
    async fn start(broker: BrokerKind, sample_ratio: f64, slow: Duration) -> Result<Self> {
        let tasks = Tasks::new();
        let (receiver, addresses) = OtlpReceiver::start(&tasks).await?;
        let (protocol, endpoint) = match broker {
            BrokerKind::Memory => (OtlpProtocol::Http, addresses.http),
            BrokerKind::RabbitMq => (OtlpProtocol::Grpc, addresses.grpc),
        };
        let config = TraceConfig { endpoint: Some(endpoint), protocol, sample_ratio, slow };
        Ok(Self { tasks, receiver, spans: Spans::start(&config, "test")? })
    }

    async fn stage(&self, broker: BrokerKind, scenario: Scenario) -> Result<Stage> {
        self.stage_beside(broker, scenario, Vec::new()).await
    }

    /// With more accounts than the simulator's own.
    async fn stage_beside(
        &self,
        broker: BrokerKind,
        scenario: Scenario,
        others: Vec<AccountSettings>,
    ) -> Result<Stage> {
        Stage::set_traced(broker, scenario, Vec::new(), others, self.spans.clone()).await
    }

    /// Stops everything once the trace of each of these attempts has ended, and returns what was collected.
    async fn traces_of(
        self,
        stage: Stage,
        expected: &[AttemptKey],
    ) -> Result<BTreeMap<String, Vec<Received>>> {
        wait_until("the root of every attempt", WITHIN, async || {
            let traces = self.receiver.traces();
            expected.iter().all(|attempt| root(&traces, TraceId::of_attempt(*attempt)).is_some())
        })
        .await?;
        stage.strike().await?;
        self.spans.close(WITHIN).await;
        ensure!(self.spans.dropped() == 0, "{} spans were lost", self.spans.dropped());
        let traces = self.receiver.traces();
        self.tasks.stop(WITHIN).await;
        Ok(traces)
    }
}

fn keys(campaign: CampaignId, facts: &Facts) -> Vec<AttemptKey> {
    facts.attempts.iter().map(|attempt| key(campaign, attempt)).collect()
}

/// What the spans of a kind lead to.
fn linked(spans: &[Received], which: impl Fn(&Received) -> bool) -> Vec<(String, String)> {
    spans.iter().filter(|span| which(span)).flat_map(Received::links).collect()
}

/// Those that came to one of `outcomes`.
fn attempts_with(campaign: CampaignId, facts: &Facts, outcomes: &[Outcome]) -> Vec<AttemptKey> {
    let came = |attempt: &&AttemptFact| attempt.outcome.is_some_and(|outcome| outcomes.contains(&outcome));
    facts.attempts.iter().filter(came).map(|attempt| key(campaign, attempt)).collect()
}

fn key(campaign: CampaignId, attempt: &AttemptFact) -> AttemptKey {
    AttemptKey { job: JobKey { campaign, job: attempt.job }, number: attempt.number }
}

fn root(traces: &BTreeMap<String, Vec<Received>>, trace: TraceId) -> Option<&Received> {
    traces.get(&trace.to_string())?.iter().find(|span| span.id == trace.root().to_string())
}

fn names<'a>(traces: &'a BTreeMap<String, Vec<Received>>, trace: &str) -> BTreeSet<&'a str> {
    traces.get(trace).into_iter().flatten().map(|span| span.name.as_str()).collect()
}

/// The request that made the campaign is in its caller's trace, and the campaign leads there.
fn the_request_is_the_callers(traces: &BTreeMap<String, Vec<Received>>, campaign: CampaignId) -> Result<()> {
    let request =
        traces.get(CALLERS_TRACE).and_then(|spans| spans.first()).context("no span of the request")?;
    ensure!(request.name == "POST /v1/campaigns" && request.parent == CALLERS_SPAN, "{request:?}");
    let root = root(traces, TraceId::of_campaign(campaign)).context("the campaign's trace has no root")?;
    let expected = vec![(CALLERS_TRACE.to_owned(), request.id.clone())];
    ensure!(root.links() == expected, "the campaign leads to {:?}", root.links());
    Ok(())
}

/// Neither a number nor an address nor a text is in any attribute or name.
fn nothing_is_told_of_anybody(traces: &BTreeMap<String, Vec<Received>>) -> Result<()> {
    for received in traces.values().flatten() {
        let span = &received.span;
        let told = format!("{} {:?} {:?}", span.name, span.attributes, span.events);
        for secret in
            ["+1202", "12022000", "example.org", "guardian", "Ortiz", "closed today", "callbacks/voice/"]
        {
            ensure!(!told.contains(secret), "{secret:?} is in {told}");
        }
    }
    Ok(())
}
