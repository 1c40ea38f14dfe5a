//! How the simulated vendors behave: a JSON document with a default for everything.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use rand::Rng;
use serde::{Deserialize, Serialize};
use tocsin_domain::Channel;
use tocsin_providers::Secret;

use super::fate::Fate;

/// Shares are between 0 and 1, weights any positive numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// The same seed gives the same person the same fate.
    pub seed: u64,
    pub credentials: Credentials,
    /// Where mail events are posted; `{token}` in it stands for the mail's own token. Mailgun has one
    /// fixed address per domain. Without one, mail events are only in the log.
    pub mailgun_webhook: Option<String>,
    pub voice: ChannelScenario,
    pub sms: ChannelScenario,
    pub email: ChannelScenario,
}

/// What the simulator accepts and signs with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credentials {
    pub twilio_account: String,
    #[serde(skip_serializing)]
    pub twilio_token: Secret,
    #[serde(skip_serializing)]
    pub mailgun_key: Secret,
    #[serde(skip_serializing)]
    pub mailgun_signing_key: Secret,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelScenario {
    /// From the request's arrival to its answer.
    pub latency: Delay,
    /// Weights of what becomes of a first attempt, a second, …; the last entry holds for all later
    /// ones. Empty: completed or delivered.
    pub fates: Vec<BTreeMap<Fate, f64>>,
    pub faults: Faults,
    /// The same for recalls and look-ups.
    pub recall_faults: Faults,
    pub callbacks: Callbacks,
}

/// Shares of requests that are not answered as they should be. At most one fault meets a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// 429, not processed.
    pub throttled: f64,
    /// With a `Retry-After` of so many seconds; without the header when absent.
    pub retry_after_seconds: Option<u64>,
    /// 503, not processed.
    pub server_error: f64,
    /// Never answered, not processed.
    pub hang: f64,
    /// Processed, callbacks and all, and the connection dropped instead of an answer.
    pub dropped: f64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Callbacks {
    pub events: CallbackEvents,
    /// Before the first report, and between each and the next.
    pub delay: Delay,
    /// Share of reports that are posted twice.
    pub duplicate: f64,
    /// Share of attempts whose reports are posted in the wrong order.
    pub reorder: f64,
    /// Share of attempts whose first report is posted before the request is answered.
    pub early: f64,
    /// Share of reports that are never posted.
    pub lost: f64,
    /// Share of calls whose detection beside the call is told only after their end, by `detection_delay`.
    pub detection_late: f64,
    pub detection_delay: Delay,
    /// Share of calls whose detection beside the call is never told.
    pub detection_lost: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackEvents {
    /// Every step that the request subscribed to.
    #[default]
    All,
    /// Only how it ended.
    Final,
}

/// A distribution of times, in milliseconds: `{"fixed":50}`, `{"uniform":[10,90]}`,
/// `{"exponential":50}` (the mean).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delay {
    Fixed(u64),
    Uniform(u64, u64),
    Exponential(u64),
}

/// An exponential draw has no end; a vendor's time has.
const EXPONENTIAL_MEANS_MAX: f64 = 10.0;

impl Delay {
    pub(super) fn draw(self, rng: &mut impl Rng) -> Duration {
        match self {
            Self::Fixed(ms) => Duration::from_millis(ms),
            Self::Uniform(from, to) => Duration::from_millis(rng.random_range(from..=to.max(from))),
            Self::Exponential(mean) => {
                let means = -(1.0 - rng.random::<f64>()).ln();
                Duration::from_millis(mean).mul_f64(means.min(EXPONENTIAL_MEANS_MAX))
            }
        }
    }
}

impl Default for Delay {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            twilio_account: "AC000000000000000000000000000051f0".to_owned(),
            twilio_token: Secret::new("simulated-auth-token"),
            mailgun_key: Secret::new("key-simulated"),
            mailgun_signing_key: Secret::new("simulated-signing-key"),
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            credentials: Credentials::default(),
            mailgun_webhook: None,
            voice: ChannelScenario::default(),
            sms: ChannelScenario::default(),
            email: ChannelScenario::default(),
        }
    }
}

impl Scenario {
    /// The inbox has no vendor; it is answered as texts are, and never asked.
    pub fn channel(&self, channel: Channel) -> &ChannelScenario {
        match channel {
            Channel::Voice => &self.voice,
            Channel::Sms | Channel::Inbox => &self.sms,
            Channel::Email => &self.email,
        }
    }

    /// Names the first value that makes no sense.
    pub fn check(&self) -> anyhow::Result<()> {
        for channel in [Channel::Voice, Channel::Sms, Channel::Email] {
            self.channel(channel).check(channel)?;
        }
        Ok(())
    }
}

impl ChannelScenario {
    fn check(&self, channel: Channel) -> anyhow::Result<()> {
        for (fate, weight) in self.fates.iter().flatten() {
            ensure!(fate.fits(channel), "{channel}.fates: {fate:?} cannot happen on this channel");
            ensure!(
                weight.is_finite() && *weight >= 0.0,
                "{channel}.fates: the weight of {fate:?} is {weight}"
            );
        }
        for weights in &self.fates {
            ensure!(weights.values().sum::<f64>() > 0.0, "{channel}.fates: no weight is above 0");
        }
        for (name, faults) in [("faults", &self.faults), ("recall_faults", &self.recall_faults)] {
            let shares = [faults.throttled, faults.server_error, faults.hang, faults.dropped];
            let sum: f64 = shares.iter().sum();
            ensure!(
                shares.iter().all(|share| *share >= 0.0) && sum <= 1.0,
                "{channel}.{name}: the shares must be between 0 and 1, and together at most 1"
            );
        }
        let callbacks = &self.callbacks;
        let detection = [callbacks.detection_late, callbacks.detection_lost];
        let reports = [callbacks.duplicate, callbacks.reorder, callbacks.early, callbacks.lost];
        for share in reports.into_iter().chain(detection) {
            ensure!((0.0..=1.0).contains(&share), "{channel}.callbacks: {share} is no share");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_scenario_needs_to_say_only_what_differs() {
        let scenario: Scenario = serde_json::from_str(
            r#"{"seed":7,"voice":{"latency":{"uniform":[10,20]},"fates":[{"busy":1,"human":3},{"human":1}],
                "faults":{"throttled":0.1,"retry_after_seconds":2},"callbacks":{"events":"final","early":0.5}}}"#,
        )
        .unwrap();
        scenario.check().unwrap();
        assert_eq!(scenario.voice.fates[0][&Fate::Human], 3.0);
        assert_eq!(scenario.voice.callbacks.events, CallbackEvents::Final);
        assert_eq!(scenario.sms.latency, Delay::Fixed(0));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            r#"{"email":{"fates":[{"busy":1}]}}"#,
            r#"{"sms":{"fates":[{"delivered":0}]}}"#,
            r#"{"sms":{"fates":[{"delivered":-1}]}}"#,
            r#"{"sms":{"faults":{"throttled":0.6,"hang":0.6}}}"#,
            r#"{"sms":{"callbacks":{"lost":1.1}}}"#,
        ] {
            let scenario: Scenario = serde_json::from_str(text).unwrap();
            assert!(scenario.check().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Scenario>(r#"{"vocie":{}}"#).is_err());
    }

    #[test]
    fn a_time_stays_within_its_distribution() {
        let mut rng = StdRng::seed_from_u64(1);
        let ms = |delay: Delay, rng: &mut StdRng| delay.draw(rng).as_millis();
        for _ in 0..1000 {
            assert_eq!(ms(Delay::Fixed(50), &mut rng), 50);
            assert!((10..=90).contains(&ms(Delay::Uniform(10, 90), &mut rng)));
            assert!(ms(Delay::Exponential(50), &mut rng) <= 500);
        }
        let mean = (0..10_000).map(|_| ms(Delay::Exponential(50), &mut rng)).sum::<u128>() / 10_000;
        assert!((45..=55).contains(&mean), "{mean}");
    }
}
