//! Every metric of the catalogue is in a scrape of a system at work, and says what the rows say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::trace::TraceId;
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey};
use tocsin_runtime::metrics::{By, CATALOGUE, Kind, sample_names};
use tocsin_store::audit::AttemptFact;
use tocsin_testkit::promises::Facts;
use tocsin_testkit::simulator::{CallbackEvents, Callbacks, ChannelScenario, Delay, Fate, Scenario};
use tocsin_testkit::{TestVhost, wait_until};

use crate::district::message;
use crate::facts::{EVERY_JOB_TRIED, WITHIN};
use crate::fleet::{Fleet, Settings};

/// Samples by their name and labels, as one process shows them.
type Samples = BTreeMap<String, f64>;

fn samples(scrape: &str) -> Result<Samples> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let line = line.split(" # ").next().unwrap_or(line);
            let (series, value) = line.rsplit_once(' ').context("a line without a value")?;
            Ok((series.to_owned(), value.parse().with_context(|| line.to_owned())?))
        })
        .collect()
}

/// The sum over all series of a name whose labels hold each of `labels`.
fn sum(samples: &Samples, name: &str, labels: &[&str]) -> f64 {
    let of = |series: &str| series.split('{').next() == Some(name);
    let such =
        samples.iter().filter(|(series, _)| of(series) && labels.iter().all(|label| series.contains(label)));
    such.map(|(_, value)| value).sum()
}

fn names(samples: &Samples) -> BTreeSet<&str> {
    samples.keys().filter_map(|series| series.split('{').next()).collect()
}

/// Some texts are refused, and every channel reports.
fn scenario() -> Scenario {
    let quick = || ChannelScenario { latency: Delay::Fixed(20), ..ChannelScenario::default() };
    let callbacks = Callbacks { events: CallbackEvents::All, duplicate: 0.5, ..Callbacks::default() };
    let fates = vec![BTreeMap::from([(Fate::Delivered, 0.7), (Fate::Invalid, 0.3)])];
    let sms = ChannelScenario { fates, callbacks: callbacks.clone(), ..quick() };
    Scenario { voice: ChannelScenario { callbacks, ..quick() }, sms, email: quick(), ..Scenario::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_in_a_scrape_of_a_system_at_work() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let settings = Settings { scenario: scenario(), rate_per_second: Some(10.0), in_flight_max: None };
    let mut fleet = Fleet::start(&vhost.amqp_url, settings).await?;
    fleet.set("TOCSIN_METRICS__DATABASE_SIZE_MAX_BYTES", "1000000000");
    let planner = fleet.planner().await?;
    let worker = fleet.worker(&Channel::ALL).await?;
    let sent = fleet.client.send(&message("priority", &Channel::ALL)).await?;
    fleet.until("every job to be tried", EVERY_JOB_TRIED).await?;
    let canceled = fleet.client.send(&message("general", &Channel::ALL)).await?;
    fleet
        .until(
            "the second campaign to be sending",
            "count(*) = 2 from campaigns where started_at is not null",
        )
        .await?;
    fleet.client.cancel(canceled).await?;
    let facts = fleet.ends_well(sent).await?;
    let rest = fleet.ends_well(canceled).await?;
    let forged = format!("{}/callbacks/sms/no-token", fleet.public_url());
    let answer = tocsin_providers::http_client()?.post(forged).send().await?;
    ensure!(answer.status() == 404, "a callback without a token of ours: {}", answer.status());

    // Observed again when all was over, and the slow look is taken at start.
    let over = async || {
        let Ok(scrape) = planner.scrape().await else { return false };
        samples(&scrape).is_ok_and(|samples| {
            samples.contains_key("tocsin_database_bytes")
                && sum(&samples, "tocsin_cancel_seconds_count", &[]) > 0.0
                && sum(&samples, "tocsin_queued_jobs", &[]) == 0.0
                && sum(&samples, "tocsin_due_jobs", &[]) == 0.0
                && sum(&samples, "tocsin_held_attempts", &[]) == 0.0
        })
    };
    wait_until("the planner to have observed the end", WITHIN, over).await?;
    let open_metrics = worker.process.scrape().await?;
    let mut shown = BTreeMap::new();
    for (by, scrape) in [
        ("api", fleet.api.scrape().await?),
        ("planner", planner.scrape().await?),
        ("worker", open_metrics.clone()),
        ("status-collector", fleet.collector.scrape().await?),
    ] {
        ensure!(scrape.ends_with("# EOF\n"), "{by} does not end as OpenMetrics does");
        let samples = samples(&scrape)?;
        let known = sample_names();
        let unknown: Vec<_> = names(&samples).into_iter().filter(|name| !known.contains(*name)).collect();
        ensure!(unknown.is_empty(), "{by} shows what the catalogue does not name: {unknown:?}");
        shown.insert(by, samples);
    }
    every_metric_is_there(&shown)?;
    they_say_what_the_rows_say(&fleet, &shown).await?;

    // An exemplar leads to an attempt that there was.
    let both = [(sent, &facts), (canceled, &rest)].into_iter();
    let attempts: BTreeSet<String> = both.flat_map(|(campaign, facts)| traces(campaign, facts)).collect();
    let trace = |line: &str| line.split("trace_id=\"").nth(1)?.split('"').next().map(str::to_owned);
    let exemplars: Vec<String> = open_metrics.lines().filter_map(trace).collect();
    ensure!(!exemplars.is_empty(), "no exemplars in {open_metrics}");
    ensure!(exemplars.iter().all(|trace| attempts.contains(trace)), "{exemplars:?} are traces of no attempt");
    Ok(())
}

fn traces(campaign: CampaignId, facts: &Facts) -> Vec<String> {
    let key = |attempt: &AttemptFact| AttemptKey {
        job: JobKey { campaign, job: attempt.job },
        number: attempt.number,
    };
    facts.attempts.iter().map(|attempt| TraceId::of_attempt(key(attempt)).to_string()).collect()
}

fn every_metric_is_there(shown: &BTreeMap<&str, Samples>) -> Result<()> {
    let of_every = ["tocsin_build_info", "tocsin_draining", "tocsin_dependency_up"];
    for about in CATALOGUE.iter().map(|metric| metric.about()) {
        let name = match about.kind {
            Kind::Histogram => format!("{}_bucket", about.name),
            Kind::Counter | Kind::Gauge => about.name.to_owned(),
        };
        let by: Vec<&str> = match about.by {
            By::Every => shown.keys().copied().collect(),
            one => vec![one.as_str()],
        };
        let has = |role: &&&str| names(&shown[**role]).contains(name.as_str());
        let found = by.iter().filter(has).count();
        let needed = if of_every.contains(&about.name) { by.len() } else { 1 };
        ensure!(found >= needed, "{} is shown by {found} of {by:?}", about.name);
    }
    Ok(())
}

async fn they_say_what_the_rows_say(fleet: &Fleet, shown: &BTreeMap<&str, Samples>) -> Result<()> {
    let count = async |sql: &str| -> Result<f64> {
        Ok(fleet.ask(&format!("select count(*) from {sql}")).await?.context("no count")?.parse()?)
    };
    let (worker, planner, collector) = (&shown["worker"], &shown["planner"], &shown["status-collector"]);
    let attempts = count("attempts").await?;
    let granted = sum(worker, "tocsin_claims_total", &["verdict=\"granted\""]);
    ensure!(granted == attempts, "{granted} claims were granted, and there are {attempts} attempts");
    let permits = sum(worker, "tocsin_permit_wait_seconds_count", &[]);
    ensure!(permits >= attempts, "{permits} waits for {attempts} attempts");
    let released = sum(planner, "tocsin_released_jobs_total", &[]);
    ensure!(released >= attempts, "{released} jobs were released for {attempts} attempts");
    for (answer, least) in [("accepted", 1.0), ("refused", 1.0)] {
        let told = sum(worker, "tocsin_requests_total", &[&format!("answer=\"{answer}\"")]);
        ensure!(told >= least, "{answer}: {told}");
    }
    let outcomes = |of: &Samples, outcome: &str| {
        sum(of, "tocsin_outcomes_total", &["channel=\"sms\"", &format!("outcome=\"{outcome}\"")])
    };
    let delivered = count(
        "attempts a join jobs j on j.campaign_id = a.campaign_id and j.id = a.job_id
        where j.channel = 2 and a.result = 1",
    )
    .await?;
    let told = outcomes(worker, "delivered") + outcomes(collector, "delivered");
    ensure!(told == delivered, "{told} texts were told to be delivered, and {delivered} are");
    for result in ["taken", "applied"] {
        let label = format!("result=\"{result}\"");
        ensure!(sum(collector, "tocsin_callbacks_total", &["account=\"sms\"", &label]) > 0.0, "{result}");
    }
    let malformed = sum(collector, "tocsin_callbacks_total", &["result=\"malformed_token\""]);
    ensure!(malformed == 1.0, "{malformed} malformed tokens");
    let expected = [
        ("tocsin_account_limit_per_second", 10.0),
        ("tocsin_account_stopped", 0.0),
        ("tocsin_held_attempts", 0.0),
    ];
    for (name, value) in expected {
        let told = sum(planner, name, &["account=\"sms\""]);
        ensure!(told == value, "{name} is {told}");
    }
    ensure!(sum(planner, "tocsin_database_size_max_bytes", &[]) == 1e9, "what the database may take");
    ensure!(sum(planner, "tocsin_partitions_ahead_days", &[]) > 30.0, "partitions ahead");
    ensure!(sum(planner, "tocsin_counter_drift_total", &[]) == 0.0, "a counter drifted");
    for (role, samples) in shown {
        ensure!(
            sum(samples, "tocsin_dependency_up", &["dependency=\"store\""]) == 1.0,
            "{role} has no store"
        );
        ensure!(
            sum(samples, "tocsin_dependency_up", &["dependency=\"broker\""]) == 1.0,
            "{role} has no broker"
        );
        ensure!(
            sum(samples, "tocsin_build_info", &[&format!("role=\"{role}\"")]) == 1.0,
            "{role} says not what it is"
        );
    }
    Ok(())
}
