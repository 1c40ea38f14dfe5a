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
pub mod rate;
pub mod throughput;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;
use tocsin_providers::TokenKeys;
use tocsin_testkit::simulator::{CallbackEvents, Callbacks, ChannelScenario, Delay, Record, Scenario};

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
fn arrivals(sends: &[Record], token_keys: &TokenKeys) -> HashMap<CampaignId, Vec<DateTime<Utc>>> {
    let mut arrivals: HashMap<CampaignId, Vec<DateTime<Utc>>> = HashMap::new();
    for send in sends {
        // What carries no token of ours is the checker's to tell.
        if let Ok((attempt, _)) = token_keys.read(send.token.as_deref().unwrap_or_default()) {
            arrivals.entry(attempt.job.campaign).or_default().push(send.arrived_at);
        }
    }
    arrivals
}

fn milliseconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64() * 1_000.0
}
