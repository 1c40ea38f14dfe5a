//! What `loadtest run` can do.

pub mod callbacks;
pub mod cancel;
pub mod ceiling;
pub mod chaos;
pub mod emergency;
pub mod expand;
pub mod fairness;
pub mod forecast;
pub mod growth;
pub mod latency;
pub mod memory;
pub mod pages;
pub mod rate;
pub mod throughput;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;
use tocsin_providers::TokenKeys;
use tocsin_testkit::simulator::{
    self, CallbackEvents, Callbacks, ChannelScenario, Delay, Scenario, Simulator,
};

use crate::campaign::Posted;
use crate::options::Sizes;
use crate::report::{Line, Plot};
use crate::stage::{Setup, Workers};
use crate::stats::per_step_since;

const PLOT_STEP: Duration = Duration::from_millis(250);
/// How long a campaign may take until it is in full flow.
const FLOWING_WITHIN: Duration = Duration::from_secs(600);

/// What drives a campaign, and how fast its provider is.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Load {
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    /// From a request to its answer, and from there to its callback.
    #[arg(long, default_value_t = 50, value_name = "MS")]
    latency_ms: u64,
    /// Requests open at once, over all workers.
    #[arg(long, default_value_t = 400, value_name = "N")]
    in_flight: usize,
}

impl Load {
    fn of(self, jobs: usize) -> Sizes {
        Sizes { jobs, workers: self.workers, in_flight: self.in_flight }
    }

    fn setup(self) -> Setup {
        Setup {
            scenario: delivered_after(self.latency_ms),
            workers: Workers::of(self.workers),
            in_flight: self.in_flight,
            ..Setup::default()
        }
    }

    /// Requests after which a campaign is in full flow: every stage holds work of it.
    fn flowing_after(self, jobs: usize) -> u64 {
        (self.in_flight as u64 * 4).min(jobs as u64 / 4).max(1)
    }
}

/// Texts that are answered after this time, and reported as delivered so long after that.
fn delivered_after(latency_ms: u64) -> Scenario {
    let sms = ChannelScenario {
        latency: Delay::Fixed(latency_ms),
        callbacks: Callbacks {
            events: CallbackEvents::Final,
            delay: Delay::Fixed(latency_ms),
            ..Callbacks::default()
        },
        ..ChannelScenario::default()
    };
    Scenario { sms, ..Scenario::default() }
}

/// When the sends of each campaign arrived, in their order.
fn arrivals(simulator: &Simulator, token_keys: &TokenKeys) -> HashMap<CampaignId, Vec<DateTime<Utc>>> {
    let mut arrivals: HashMap<CampaignId, Vec<DateTime<Utc>>> = HashMap::new();
    simulator.read_records(|page| {
        for send in page.iter().filter(|record| record.kind == simulator::Kind::Send) {
            // What carries no token of ours is the checker's to tell.
            if let Ok((attempt, _)) = token_keys.read(send.token.as_deref().unwrap_or_default()) {
                arrivals.entry(attempt.job.campaign).or_default().push(send.arrived_at);
            }
        }
    });
    arrivals
}

/// Requests per second over time of several kinds, from an instant on.
fn rates<'a>(
    title: &'static str,
    since: DateTime<Utc>,
    kinds: impl IntoIterator<Item = (&'static str, Vec<&'a [DateTime<Utc>]>)>,
) -> Plot {
    let line = |(name, arrivals): (&'static str, Vec<&'a [DateTime<Utc>]>)| {
        let mut micros: Vec<i64> = arrivals.into_iter().flatten().map(DateTime::timestamp_micros).collect();
        micros.sort_unstable();
        let counts = per_step_since(since.timestamp_micros(), &micros, PLOT_STEP);
        Line::per_second(name, &counts, PLOT_STEP.as_secs_f64())
    };
    Plot {
        title,
        x: "seconds since the answered POST",
        y: "per second",
        lines: kinds.into_iter().map(line).collect(),
        limit: None,
    }
}

/// From the answered POST to each request.
fn waits(posted: &Posted, arrivals: &[DateTime<Utc>]) -> Vec<f64> {
    arrivals.iter().map(|arrived| milliseconds(posted.answered_at, *arrived).max(0.0)).collect()
}

fn milliseconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64() * 1_000.0
}
