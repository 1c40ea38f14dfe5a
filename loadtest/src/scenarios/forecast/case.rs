//! One case: two campaigns from which the forecast learns, with another mix of outcomes each, then the forecast of a
//! third, and that third.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};
use tocsin_domain::{CampaignId, Channel};
use tocsin_testkit::simulator::{CallbackEvents, Callbacks, ChannelScenario, Delay, Fate, Scenario};
use tocsin_testkit::wait_until;

use crate::district::District;
use crate::probe::Probe;
use crate::stage::{Stage, Wait};

/// The shortest that a policy may set.
const REDIAL_WAIT_SECONDS: u32 = 10;
const POLL: Duration = Duration::from_millis(50);
/// The first campaign is this much smaller: it only shows what is not so any more.
const FIRST_IS_SMALLER: usize = 4;

/// What becomes of attempts, the first and those after it: parts of a hundred.
type Mix = [&'static [(Fate, f64)]; 2];

const CALLS_BEFORE: Mix =
    [&[(Fate::Completed, 90.0), (Fate::NoAnswer, 10.0)], &[(Fate::Completed, 90.0), (Fate::NoAnswer, 10.0)]];
const CALLS: Mix = [
    &[(Fate::Completed, 55.0), (Fate::Busy, 20.0), (Fate::NoAnswer, 25.0)],
    &[(Fate::Completed, 60.0), (Fate::Busy, 15.0), (Fate::NoAnswer, 25.0)],
];
const TEXTS_BEFORE: Mix = [&[(Fate::Delivered, 100.0)], &[(Fate::Delivered, 100.0)]];
const TEXTS: Mix = [
    &[(Fate::Delivered, 70.0), (Fate::Undelivered, 30.0)],
    &[(Fate::Delivered, 90.0), (Fate::Undelivered, 10.0)],
];

/// The simulator's behaviour, changed for one channel while the other goes on.
pub(super) struct Mixes(Mutex<Scenario>);

impl Mixes {
    pub fn new(seed: u64) -> Self {
        // A call reports its beginning, its ringing, its answer and its end, each so long after the one before.
        let voice = ChannelScenario {
            latency: Delay::Fixed(20),
            callbacks: Callbacks { delay: Delay::Uniform(300, 900), ..Callbacks::default() },
            ..ChannelScenario::default()
        };
        let sms = ChannelScenario {
            latency: Delay::Fixed(20),
            callbacks: Callbacks {
                events: CallbackEvents::Final,
                delay: Delay::Exponential(200),
                ..Callbacks::default()
            },
            ..ChannelScenario::default()
        };
        Self(Mutex::new(Scenario { seed, voice, sms, ..Scenario::default() }))
    }

    pub fn scenario(&self) -> Scenario {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on. Another seed: nobody meets the same fate as before.
    fn change(&self, stage: &Stage, channel: Channel, mix: Mix) -> Result<()> {
        let mut scenario = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        scenario.seed += 1;
        let fates: Vec<BTreeMap<Fate, f64>> =
            mix.iter().map(|weights| weights.iter().copied().collect()).collect();
        match channel {
            Channel::Voice => scenario.voice.fates = fates,
            Channel::Sms | Channel::Email | Channel::Inbox => scenario.sms.fates = fates,
        }
        stage.simulator.set_scenario(scenario.clone())
    }
}

pub(super) struct Case<'a> {
    pub name: &'static str,
    pub channel: Channel,
    pub devices: usize,
    pub stage: &'a Stage,
    pub probe: &'a Probe,
    pub mixes: &'a Mixes,
}

/// What a case came to.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    case: &'static str,
    devices: u64,
    pub first_attempt: Against,
    pub completion: Against,
    notes: Value,
    #[serde(skip)]
    pub campaigns: Vec<CampaignId>,
}

/// Seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Against {
    p50: f64,
    p90: f64,
    actual: f64,
}

impl Against {
    fn of(forecast: &Value, actual: f64) -> Result<Self> {
        let read = |name: &str| forecast[name].as_f64().with_context(|| format!("no {name} in {forecast}"));
        Ok(Self { p50: read("p50")?, p90: read("p90")?, actual })
    }

    /// How far the forecast was off, as a part of what it took: below zero where it said too little.
    pub fn error_ratio(&self) -> f64 {
        (self.p50 - self.actual) / self.actual.max(f64::MIN_POSITIVE)
    }
}

impl Serialize for Against {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { p50, p90, actual } = self;
        json!({ "p50": p50, "p90": p90, "actual": actual, "error_ratio": self.error_ratio() })
            .serialize(serializer)
    }
}

impl Case<'_> {
    pub async fn run(&self) -> Result<Shown> {
        let [before, now] = match self.channel {
            Channel::Voice => [CALLS_BEFORE, CALLS],
            Channel::Sms | Channel::Email | Channel::Inbox => [TEXTS_BEFORE, TEXTS],
        };
        let district = self.stage.district_over(self.devices, &[self.channel]).await?;
        self.mixes.change(self.stage, self.channel, before)?;
        let some: Vec<String> =
            (0..self.devices.div_ceil(FIRST_IS_SMALLER)).map(|number| format!("guardian-{number}")).collect();
        let first = self.send(&district, &self.message(&json!({ "people": some }))).await?;
        self.mixes.change(self.stage, self.channel, now)?;
        let everybody = self.message(&json!({ "all": true }));
        let second = self.send(&district, &everybody).await?;
        // The same mix, other people's luck.
        self.mixes.change(self.stage, self.channel, now)?;
        let forecast = district.client.forecast(&everybody).await?;
        let third = self.send(&district, &everybody).await?;
        let took = self.probe.took(third).await?;
        Ok(Shown {
            case: self.name,
            devices: forecast["devices"][self.channel.as_str()].as_u64().unwrap_or_default(),
            first_attempt: Against::of(&forecast["seconds_to_last_first_attempt"], took.last_first_attempt)?,
            completion: Against::of(&forecast["seconds_to_completion"], took.completion)?,
            notes: forecast["notes"].clone(),
            campaigns: vec![first, second, third],
        })
    }

    fn message(&self, audience: &Value) -> Value {
        // Texts once, or their two cases would not end within two minutes.
        let (attempts_max, again) = match self.channel {
            Channel::Voice => (3, json!(["busy", "no_answer"])),
            Channel::Sms | Channel::Email | Channel::Inbox => (2, json!(["undelivered"])),
        };
        json!({
            "subject": "Load test",
            "channels": [self.channel],
            "audience": audience,
            "body": "School is closed today.",
            "redial": { "attempts_max": attempts_max, "wait_seconds": REDIAL_WAIT_SECONDS, "outcomes": again },
            "created_by": "load test",
        })
    }

    /// Sends it and waits for its end.
    async fn send(&self, district: &District, message: &Value) -> Result<CampaignId> {
        let campaign = district.client.send(message).await?.id;
        let bound = Wait::for_requests(self.devices * 3);
        wait_until(self.name, bound.within, async || {
            tokio::time::sleep(POLL).await;
            self.stage.facts(campaign).await.is_ok_and(|facts| facts.closed_at.is_some())
        })
        .await?;
        Ok(campaign)
    }
}
