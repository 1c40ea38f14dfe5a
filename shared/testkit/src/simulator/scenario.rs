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
    /// Mail that comes over SMTP.
    pub smtp: SmtpScenario,
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
    pub smtp_user: String,
    #[serde(skip_serializing)]
    pub smtp_password: Secret,
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
    /// What was accepted is worked off at this rate, and reported from then on, as calls are by an account's calls per
    /// second. None: at once.
    pub drain_per_second: Option<f64>,
    /// How many may wait for that; more are refused as the vendor refuses them. None: any number.
    pub queue_max: Option<usize>,
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

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpScenario {
    /// From the end of a mail to its reply.
    pub latency: Delay,
    /// As of a channel: `invalid` is refused at RCPT, `soft_bounced` greylisted there, `rejected` refused with the mail;
    /// every other is accepted.
    pub fates: Vec<BTreeMap<Fate, f64>>,
    pub faults: SmtpFaults,
    /// How long a greylisted address has to wait.
    pub greylist_seconds: f64,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Whether a mail is taken only after AUTH.
    pub auth_required: bool,
    /// In bytes.
    pub size_max: usize,
    /// After so many the server says 421 and hangs up.
    pub mails_per_connection_max: Option<u32>,
}

/// Shares of mails that are not taken as they should be. At most one fault meets a mail.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpFaults {
    /// 421 to MAIL, and the connection is closed.
    pub closing: f64,
    /// 550 to RCPT.
    pub recipient_refused: f64,
    /// 451 to RCPT.
    pub recipient_deferred: f64,
    /// 554 to the end of the mail.
    pub refused: f64,
    /// 451 to the end of the mail.
    pub deferred: f64,
    /// No reply to the end of the mail, which is not taken.
    pub hang: f64,
    /// The mail is taken, and the connection dropped in place of the reply.
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
            smtp_user: "simulated".to_owned(),
            smtp_password: Secret::new("simulated-password"),
        }
    }
}

/// As large as submission servers commonly take.
const MAIL_BYTES_MAX: usize = 10 * 1024 * 1024;

impl Default for SmtpScenario {
    fn default() -> Self {
        Self {
            latency: Delay::default(),
            fates: Vec::new(),
            faults: SmtpFaults::default(),
            greylist_seconds: 1.0,
            starttls: true,
            auth_required: false,
            size_max: MAIL_BYTES_MAX,
            mails_per_connection_max: None,
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
            smtp: SmtpScenario::default(),
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
        self.smtp.check()
    }
}

/// `name` is where they stand in the scenario.
fn check_fates(name: &str, fates: &[BTreeMap<Fate, f64>], channel: Channel) -> anyhow::Result<()> {
    for (fate, weight) in fates.iter().flatten() {
        ensure!(fate.fits(channel), "{name}.fates: {fate:?} cannot happen on this channel");
        ensure!(
            weight.is_finite() && *weight >= 0.0,
            "{name}.fates: the weight of {fate:?} is {weight}: take 0 or more"
        );
    }
    for weights in fates {
        ensure!(weights.values().sum::<f64>() > 0.0, "{name}.fates: no weight is above 0");
    }
    Ok(())
}

fn check_shares(name: &str, shares: &[f64]) -> anyhow::Result<()> {
    let sum: f64 = shares.iter().sum();
    ensure!(
        shares.iter().all(|share| *share >= 0.0) && sum <= 1.0,
        "{name}: the shares must be between 0 and 1, and together at most 1"
    );
    Ok(())
}

impl SmtpScenario {
    fn check(&self) -> anyhow::Result<()> {
        check_fates("smtp", &self.fates, Channel::Email)?;
        let SmtpFaults { closing, recipient_refused, recipient_deferred, refused, deferred, hang, dropped } =
            self.faults;
        check_shares(
            "smtp.faults",
            &[closing, recipient_refused, recipient_deferred, refused, deferred, hang, dropped],
        )?;
        let seconds = self.greylist_seconds;
        ensure!(
            seconds.is_finite() && seconds >= 0.0,
            "smtp.greylist_seconds: {seconds} is no time: take 0 or more"
        );
        Ok(())
    }
}

impl ChannelScenario {
    fn check(&self, channel: Channel) -> anyhow::Result<()> {
        check_fates(channel.as_str(), &self.fates, channel)?;
        for (name, faults) in [("faults", &self.faults), ("recall_faults", &self.recall_faults)] {
            let shares = [faults.throttled, faults.server_error, faults.hang, faults.dropped];
            check_shares(&format!("{channel}.{name}"), &shares)?;
        }
        if let Some(rate) = self.drain_per_second {
            ensure!(
                rate.is_finite() && rate > 0.0,
                "{channel}.drain_per_second: {rate} is no rate: take more than 0, or leave it out"
            );
        }
        ensure!(
            self.queue_max.is_none() || self.drain_per_second.is_some(),
            "{channel}.queue_max: nobody waits without a drain_per_second"
        );
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
            r#"{"voice":{"drain_per_second":0}}"#,
            r#"{"smtp":{"fates":[{"busy":1}]}}"#,
            r#"{"smtp":{"faults":{"refused":0.6,"hang":0.6}}}"#,
            r#"{"smtp":{"greylist_seconds":-1}}"#,
            r#"{"voice":{"queue_max":10}}"#,
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
