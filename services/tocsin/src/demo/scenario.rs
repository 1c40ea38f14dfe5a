//! How the simulated providers behave, and how fast their accounts may be used.

use std::collections::BTreeMap;

use tocsin_domain::Channel;
use tocsin_testkit::simulator::{CallbackEvents, Callbacks, ChannelScenario, Delay, Fate, Faults, Scenario};

use crate::system::ChannelLimits;

/// Slow enough that a first round takes some ten seconds, so that there is a half-way to cancel at.
const PER_SECOND: [(Channel, f64); 4] =
    [(Channel::Voice, 250.0), (Channel::Sms, 400.0), (Channel::Email, 400.0), (Channel::Inbox, 400.0)];
/// Of a second's sends, how many may be at once.
const BURST_SHARE: f64 = 0.1;

pub fn limits() -> Vec<ChannelLimits> {
    PER_SECOND
        .into_iter()
        .map(|(channel, rate_per_second)| ChannelLimits {
            channel,
            rate_per_second: Some(rate_per_second),
            burst: Some((rate_per_second * BURST_SHARE) as i32),
            concurrency: None,
        })
        .collect()
}

/// What happens in a district on any day: busy lines, machines, landlines that take no text, bounces; and
/// reports that come twice, in the wrong order, or before the request is answered.
pub fn scenario() -> Scenario {
    let first_call = [
        (Fate::Human, 0.55),
        (Fate::Machine, 0.15),
        (Fate::NoAnswer, 0.15),
        (Fate::Busy, 0.12),
        (Fate::Failed, 0.03),
    ];
    let later_call = [(Fate::Human, 0.5), (Fate::Machine, 0.3), (Fate::NoAnswer, 0.1), (Fate::Busy, 0.1)];
    let text = [(Fate::Delivered, 0.95), (Fate::Undelivered, 0.03), (Fate::OptedOut, 0.02)];
    let mail = [(Fate::Delivered, 0.94), (Fate::Bounced, 0.02), (Fate::SoftBounced, 0.04)];
    Scenario {
        voice: channel(&[&first_call, &later_call]),
        sms: channel(&[&text]),
        email: channel(&[&mail]),
        ..Scenario::default()
    }
}

fn channel(fates: &[&[(Fate, f64)]]) -> ChannelScenario {
    ChannelScenario {
        latency: Delay::Uniform(20, 80),
        fates: fates.iter().map(|weights| weights.iter().copied().collect::<BTreeMap<_, _>>()).collect(),
        faults: Faults::default(),
        recall_faults: Faults::default(),
        callbacks: Callbacks {
            events: CallbackEvents::All,
            delay: Delay::Uniform(50, 800),
            duplicate: 0.05,
            reorder: 0.05,
            early: 0.05,
            lost: 0.0,
            ..Callbacks::default()
        },
        ..ChannelScenario::default()
    }
}
