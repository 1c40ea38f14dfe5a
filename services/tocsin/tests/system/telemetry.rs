//! What real processes tell of a campaign: lines of the log that lead to the traces which a collector has, and name nobody; and
//! traces that are whole although one process has another ratio than the rest.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tocsin_domain::trace::TraceId;
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey};
use tocsin_runtime::Tasks;
use tocsin_testkit::otlp::{OtlpReceiver, Received};
use tocsin_testkit::promises::Facts;
use tocsin_testkit::{TestVhost, wait_until};

use crate::district::message;
use crate::facts::WITHIN;
use crate::fleet::{Fleet, Settings, away_toml};

const RATIO: &str = "TOCSIN_TRACE__SAMPLE_RATIO";

type Traces = BTreeMap<String, Vec<Received>>;

/// Every process writes all that it can; half of the calls meet a provider that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_the_log_lead_to_their_traces_and_name_nobody() -> Result<()> {
    let (vhost, tasks) = (TestVhost::create().await?, Tasks::new());
    let (receiver, collector) = OtlpReceiver::start(&tasks).await?;
    let others = away_toml(Channel::Voice);
    let fleet = Fleet::traced_beside(&vhost.amqp_url, Settings::default(), &collector.grpc, &others).await?;
    let planner = fleet.planner().await?;
    let mut worker = fleet.worker(&Channel::ALL).await?;
    for process in [&fleet.api, &fleet.collector, &planner, &worker.process] {
        process.filter_log("debug").await?;
    }
    let campaign = fleet.client.send(&message("general", &Channel::ALL)).await?;
    let facts = fleet.ends_well(campaign).await?;
    forge_a_callback(&fleet).await?;
    worker.process.ask_to_leave()?;
    worker.process.left().await?;
    let ended = [TraceId::of_campaign(campaign)].into_iter().chain(attempts(campaign, &facts));
    let traces = all_ended(&receiver, &ended.collect::<Vec<_>>()).await?;

    let away = worker.process.lines("provider could not be reached");
    ensure!(!away.is_empty(), "every call met its provider");
    for line in &away {
        let number = |name: &str| line[name].as_i64().with_context(|| format!("no {name} in {line}"));
        let job = JobKey { campaign, job: i32::try_from(number("job.id")?)? };
        let attempt = AttemptKey { job, number: i16::try_from(number("attempt.id")?)? };
        ensure!(line["trace_id"] == TraceId::of_attempt(attempt).to_string(), "{line}");
        ensure!(span_of(&traces, line)?.name == "ask", "{line}");
    }
    let refused = fleet.collector.lines("callback refused");
    ensure!(refused.len() == 1, "{refused:?}");
    ensure!(span_of(&traces, &refused[0])?.name == "attempt voice", "{refused:?}");
    for process in [&fleet.api, &fleet.collector, &planner] {
        let debugs = process.said().iter().any(|line| line.contains("\"level\":\"DEBUG\""));
        ensure!(debugs, "a process whose log level was changed writes as before");
    }
    let secrets = whom_it_was_sent(&fleet).await?;
    let mut named = BTreeSet::new();
    for process in [&fleet.api, &fleet.collector, &planner, &worker.process] {
        for line in process.said() {
            let told = secrets.iter().find(|secret| line.contains(secret.as_str()));
            ensure!(told.is_none(), "{told:?} is in {line}");
            let line: Value = serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))?;
            if line.get("job.id").is_some() {
                span_of(&traces, &line)?;
            }
            if line.get("campaign.id").is_some() {
                trace_of(&traces, &line)?;
                named.insert(line["message"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
    for message in ["campaign stored", "expansion complete", "campaign closed"] {
        ensure!(named.contains(message), "no {message:?} among {named:?}");
    }
    Ok(())
}

/// What travels with the jobs holds: a worker's own ratio is not asked, be it more or less than the planner's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_keeps_the_traces_that_the_release_decided_to_keep() -> Result<()> {
    let (vhost, tasks) = (TestVhost::create().await?, Tasks::new());
    let (receiver, collector) = OtlpReceiver::start(&tasks).await?;
    let mut fleet = Fleet::traced(&vhost.amqp_url, Settings::default(), &collector.grpc).await?;
    let mut campaigns = Vec::new();
    for (by_planner, by_worker) in [("1", "0"), ("0", "1")] {
        let mut planner = fleet.planner_with(&[(RATIO, by_planner)]).await?;
        fleet.set(RATIO, by_worker);
        let mut worker = fleet.worker(&[Channel::Inbox]).await?;
        let campaign = fleet.client.send(&message("general", &[Channel::Inbox])).await?;
        campaigns.push((campaign, fleet.ends_well(campaign).await?));
        for process in [&mut worker.process, &mut planner] {
            process.ask_to_leave()?;
            process.left().await?;
        }
    }
    let ((kept, of_kept), (left_out, of_left_out)) = (&campaigns[0], &campaigns[1]);
    let roots = [TraceId::of_campaign(*kept), TraceId::of_campaign(*left_out)];
    let ended: Vec<TraceId> = attempts(*kept, of_kept).chain(roots).collect();
    let traces = all_ended(&receiver, &ended).await?;
    for trace in attempts(*kept, of_kept) {
        let names: BTreeSet<&str> =
            traces[&trace.to_string()].iter().map(|span| span.name.as_str()).collect();
        for step in ["publish inbox.general", "process inbox.general", "claim", "ask", "record"] {
            ensure!(names.contains(step), "no {step} among {names:?}");
        }
    }
    for trace in attempts(*left_out, of_left_out) {
        let found = traces.get(&trace.to_string());
        ensure!(found.is_none(), "a trace without its release: {found:?}");
    }
    Ok(())
}

fn attempts(campaign: CampaignId, facts: &Facts) -> impl Iterator<Item = TraceId> {
    let key = move |job, number| AttemptKey { job: JobKey { campaign, job }, number };
    facts.attempts.iter().map(move |attempt| TraceId::of_attempt(key(attempt.job, attempt.number)))
}

/// Once the root of each of them came, and what they lead to.
async fn all_ended(receiver: &OtlpReceiver, expected: &[TraceId]) -> Result<Traces> {
    wait_until("the root of every trace", WITHIN, async || {
        let traces = receiver.traces();
        expected.iter().all(|trace| {
            let spans = traces.get(&trace.to_string());
            spans.is_some_and(|spans| spans.iter().any(|span| span.id == trace.root().to_string()))
        })
    })
    .await?;
    receiver.connected(WITHIN).await
}

/// Where a line says that it is: beside its message, or, of a request to the api, in the span of the log.
fn place<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get(name).or_else(|| line["span"].get(name))?.as_str()
}

/// The trace that a line names.
fn trace_of<'a>(traces: &'a Traces, line: &Value) -> Result<&'a [Received]> {
    let trace = place(line, "trace_id").with_context(|| format!("no trace in {line}"))?;
    let spans = traces.get(trace).with_context(|| format!("nobody has the trace of {line}"))?;
    Ok(spans)
}

/// The span that a line names.
fn span_of<'a>(traces: &'a Traces, line: &Value) -> Result<&'a Received> {
    let id = place(line, "span_id").with_context(|| format!("no span in {line}"))?;
    let span = trace_of(traces, line)?.iter().find(|span| span.id == id);
    span.with_context(|| format!("nobody has the span of {line}"))
}

/// Numbers, addresses and names of those whom the messages were to, and what they said.
async fn whom_it_was_sent(fleet: &Fleet) -> Result<Vec<String>> {
    let listed = fleet.ask("select string_agg(distinct address, ' ') from destinations").await?;
    let listed = listed.context("nobody was sent anything")?;
    let addresses = listed.split_whitespace().map(|address| address.trim_start_matches('+').to_owned());
    let secrets: Vec<String> =
        addresses.chain(["Rivera", "Ortiz", "closed today"].map(str::to_owned)).collect();
    ensure!(secrets.len() > 100, "{} addresses", secrets.len());
    Ok(secrets)
}

/// A report of a call that its provider did not sign.
async fn forge_a_callback(fleet: &Fleet) -> Result<()> {
    let sends = fleet.simulator.sends();
    let call = sends.iter().find(|send| send.channel == Channel::Voice).context("no call")?;
    let token = call.token.as_deref().context("a call without a token")?;
    let forged = format!("{}/callbacks/voice/{token}", fleet.public_url());
    let answer = tocsin_providers::http_client()?.post(forged).body("CallStatus=completed").send().await?;
    ensure!(answer.status().is_client_error(), "a report that nobody signed: {}", answer.status());
    Ok(())
}
