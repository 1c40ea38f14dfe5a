//! What a campaign came to: the promises held against the simulator's record, and the counters against the rows.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tocsin_domain::counters::{self, recount};
use tocsin_domain::{AttemptResult, CampaignId, Channel, JobState, Outcome};
use tocsin_providers::TokenKeys;
use tocsin_store::Store;
use tocsin_testkit::promises::{self, Facts};
use tocsin_testkit::simulator::Record;
use tocsin_testkit::wait_until;

use crate::client::Client;

/// Many times what a small campaign takes, for machines that do much else.
pub const WITHIN: Duration = Duration::from_secs(120);
/// Longer than `send_by`, request deadline, margin and the doubt period of any lane.
pub const DOUBT_IS_OVER: Duration = Duration::from_secs(360);
pub const EVERY_JOB_TRIED: &str = "count(*) = 0 from jobs where state in (1, 2)";

const COUNTERS: [&str; 9] = [
    "devices",
    "attempts",
    "successful",
    "error",
    "canceled",
    "open",
    "duplicates",
    "not_dispatched",
    "confirmed",
];

/// Waits until no job of the campaign is open and the campaign is closed.
pub async fn closed(store: &Store, campaign: CampaignId) -> Result<()> {
    let is_closed = async || {
        let facts = store.campaign_facts(campaign).await;
        facts.is_ok_and(|facts| facts.is_some_and(|facts| facts.closed_at.is_some()))
    };
    wait_until(&format!("campaign {campaign} to be closed"), WITHIN, is_closed).await?;
    Ok(())
}

/// Promises 1 to 3, by the record of what reached the providers. Returns the rows they were held against.
pub async fn promises_hold(
    store: &Store,
    records: &[Record],
    token_keys: &TokenKeys,
    campaign: CampaignId,
) -> Result<Facts> {
    let violations = promises::check(store, records, token_keys, &[campaign]).await?;
    ensure!(violations.is_empty(), "a promise is broken: {violations:#?}");
    let facts = promises::facts(store, campaign).await?;
    for job in &facts.jobs {
        ensure!(
            job.state == JobState::Ended && job.outcome.is_some(),
            "job {} has no final outcome",
            job.job
        );
    }
    Ok(facts)
}

/// Promise 10: what the API shows is what the rows say, on every channel.
///
/// Reports that come after the end are applied as they come, so the two are compared until they agree.
pub async fn counters_are_the_rows(client: &Client, store: &Store, campaign: CampaignId) -> Result<()> {
    let (mut shown, mut counted) = (BTreeMap::new(), BTreeMap::new());
    let agree = wait_until("the counters to be the rows", Duration::from_secs(20), async || {
        let (Ok(detail), Ok(facts)) = (client.detail(campaign).await, promises::facts(store, campaign).await)
        else {
            return false;
        };
        shown = shown_counters(&detail);
        counted = counted_counters(&facts);
        shown == counted
    });
    agree.await.with_context(|| format!("shown {shown:#?}, counted {counted:#?}"))
}

/// How many jobs of `channel` ended with each outcome.
pub fn outcomes(facts: &Facts, channel: Channel) -> BTreeMap<Outcome, usize> {
    let mut outcomes = BTreeMap::new();
    for job in facts.jobs.iter().filter(|job| job.channel == channel) {
        if let Some(outcome) = job.outcome {
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    outcomes
}

type Counters = BTreeMap<String, [u64; COUNTERS.len()]>;

fn shown_counters(detail: &Value) -> Counters {
    let channels = detail["by_channel"].as_object().into_iter().flatten();
    channels
        .map(|(channel, counts)| {
            let numbers = COUNTERS.map(|name| counts[name].as_u64().unwrap_or(u64::MAX));
            (channel.clone(), numbers)
        })
        // A channel that nobody has is shown, and has no rows to be counted from.
        .filter(|(_, numbers)| numbers.iter().any(|number| *number > 0))
        .collect()
}

fn counted_counters(facts: &Facts) -> Counters {
    let mut attempts: HashMap<i32, Vec<AttemptResult>> = HashMap::new();
    for attempt in &facts.attempts {
        let result = attempt.outcome.map_or(AttemptResult::Open, Outcome::result);
        attempts.entry(attempt.job).or_default().push(result);
    }
    let rows = facts.jobs.iter().map(|job| counters::Row {
        person: i64::from(job.recipient),
        device: Some(counters::Device {
            channel: job.channel,
            // Plays no part in a channel's counters.
            address: "",
            student: None,
            repeats: false,
            duplicate: job.duplicate,
            ended: job.state == JobState::Ended,
            outcome: job.outcome,
            attempts: attempts.get(&job.job).cloned().unwrap_or_default(),
            first_attempt: None,
        }),
    });
    let counted = recount(rows).channels;
    counted
        .into_iter()
        .map(|channel| {
            let numbers = [
                channel.devices,
                channel.attempts,
                channel.successful,
                channel.error,
                channel.canceled,
                channel.open,
                channel.duplicates,
                channel.not_dispatched,
                channel.confirmed,
            ];
            (channel.channel.to_string(), numbers)
        })
        .collect()
}
