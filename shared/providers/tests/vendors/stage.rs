//! A simulator, a callback receiver and the three adapters, set up alike for every test.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey, Lane};
use tocsin_providers::{
    AccountSettings, LookUpQuery, Provider, Registry, Secret, SendRequest, TokenKeys, callback_url,
};
use tocsin_testkit::simulator::{CallbackReceiver, Scenario, Simulator, SimulatorConfig};
use uuid::Uuid;

pub const CHANNELS: [Channel; 3] = [Channel::Voice, Channel::Sms, Channel::Email];
/// Bounds a wait; nothing takes nearly as long.
pub const LIMIT: Duration = Duration::from_secs(20);

pub struct Stage {
    pub simulator: Simulator,
    pub receiver: CallbackReceiver,
    pub registry: Registry,
    pub tokens: TokenKeys,
}

impl Stage {
    pub async fn set(scenario: Scenario) -> Self {
        let receiver = CallbackReceiver::start().await.unwrap();
        let webhook = format!("{}/callbacks/email", receiver.base_url);
        let scenario = Scenario { mailgun_webhook: Some(webhook), ..scenario };
        let simulator = Simulator::start(SimulatorConfig { listen: None, scenario }).await.unwrap();
        let accounts = CHANNELS.iter().filter_map(|&channel| simulator.account(channel)).collect();
        let registry = Registry::build(accounts).unwrap();
        Self { simulator, receiver, registry, tokens: TokenKeys::new(&Secret::new("callback key"), None) }
    }

    pub fn provider(&self, channel: Channel) -> Arc<dyn Provider> {
        self.registry.get(channel.as_str()).unwrap()
    }

    /// An adapter whose account differs from the simulator's own in what `change` changes.
    pub fn provider_with(
        &self,
        channel: Channel,
        change: impl FnOnce(&mut AccountSettings),
    ) -> Arc<dyn Provider> {
        let mut account = self.simulator.account(channel).unwrap();
        change(&mut account);
        let name = account.name.clone();
        Registry::build(vec![account]).unwrap().get(&name).unwrap()
    }

    /// The first attempt of job `job`, to a person that every vendor can reach.
    pub fn request(&self, channel: Channel, job: i32) -> SendRequest {
        let attempt = attempt(job);
        let token = self.tokens.mint(attempt, Lane::General);
        SendRequest {
            attempt,
            from: None,
            to: if channel == Channel::Email { "ann@example.org".into() } else { "+14155550100".into() },
            extension: None,
            language: Some("en".into()),
            subject: Some("Snow day".into()),
            body: "No school today & tomorrow.".into(),
            files: Default::default(),
            detection: None,
            audio_url: None,
            call_url: None,
            confirm: false,
            unsubscribe_url: None,
            tag: None,
            callback_url: callback_url(&self.receiver.base_url, channel.as_str(), &token),
            valid_for: Duration::from_secs(3600),
            start_within: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
        }
    }

    pub fn query(&self, channel: Channel, job: i32, provider_id: Option<String>) -> LookUpQuery {
        let request = self.request(channel, job);
        LookUpQuery {
            attempt: request.attempt,
            provider_id,
            from: request.from,
            to: request.to,
            body: Some(request.body),
            others: Vec::new(),
            rival_without_id: false,
            callback_url: request.callback_url,
            asked_at: now(),
            deadline: Duration::from_secs(5),
        }
    }
}

pub fn attempt(job: i32) -> AttemptKey {
    AttemptKey { job: JobKey { campaign: CampaignId(Uuid::from_u128(7 << 76)), job }, number: 1 }
}

/// The simulator lives in the real time, and so do its signatures.
#[allow(clippy::disallowed_methods, reason = "signatures of the outside world are checked against its clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
