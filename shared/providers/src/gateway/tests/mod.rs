//! Profiles, and what an account makes of each: requests, answers, callbacks.

mod answers;
mod callbacks;
mod codes;
mod profiles;
mod requests;
mod signatures;

use std::time::Duration;

use bytes::Bytes;
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey, Lane};
use uuid::Uuid;

use super::profile::Profile;
use super::{Gateway, Verifier};
use crate::{
    AccountClient, AccountSettings, ProviderKind, RawRequest, Secret, SendRequest, TokenKeys, callback_url,
};

/// The least that a profile says.
pub const LEAST: &str = r#"
channels = ["voice", "sms"]

[statuses]
ringing = "in_progress"
busy = "busy"
5 = "live_person"
canceled = "canceled"

[send]
path = "/calls"
"#;

pub fn profile(more: &str) -> Profile {
    Profile::parse(&format!("{LEAST}{more}")).unwrap()
}

/// The key of each fault, and the whole of their texts.
pub fn faults(text: &str) -> (Vec<String>, String) {
    let faults = Profile::parse(text).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    (faults.into_iter().map(|fault| fault.key).collect(), told.join("\n"))
}

pub fn account() -> AccountSettings {
    AccountSettings {
        name: "gateway".into(),
        channel: Channel::Voice,
        kind: ProviderKind::Gateway,
        base_url: "https://api.example.org/v1/".into(),
        user: "us er".into(),
        secret: Secret::new("hush"),
        signing_keys: vec![Secret::new("new hush"), Secret::new("old hush")],
        sender: "+15005550006".into(),
        domain: None,
        ca_file: None,
        profile: Some("call-codes".into()),
        connections_max: None,
    }
}

/// An account at a gateway that `more` describes.
pub fn gateway(more: &str) -> Gateway {
    let (settings, profile) = (account(), profile(more));
    let verifier =
        profile.callback.as_ref().map(|callback| Verifier::new(&callback.verify, &settings.signing_keys));
    let endpoint = super::endpoint(&settings, &profile, AccountClient::new(1).unwrap()).unwrap();
    Gateway { endpoint, profile, verifier, room: Default::default() }
}

pub fn attempt() -> AttemptKey {
    let campaign = CampaignId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
    AttemptKey { job: JobKey { campaign, job: 70_001 }, number: 2 }
}

pub fn token() -> String {
    TokenKeys::new(&Secret::new("callback key"), None).mint(attempt(), Lane::General)
}

pub fn request() -> SendRequest {
    SendRequest {
        attempt: attempt(),
        from: None,
        to: "+14155550100".into(),
        extension: None,
        language: Some("en".into()),
        subject: None,
        body: "No \"school\" & {to} today\n".into(),
        files: Default::default(),
        audio_url: None,
        call_url: None,
        confirm: false,
        unsubscribe_url: None,
        tag: None,
        detection: None,
        callback_url: callback_url("https://bell.example", "gateway", &token()),
        valid_for: Duration::from_secs(3600),
        start_within: Duration::from_secs(2),
        deadline: Duration::from_secs(10),
    }
}

pub fn posted(url: &str, headers: &[(&str, &str)], body: &str) -> RawRequest {
    RawRequest {
        method: "POST".into(),
        url: url.into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}
