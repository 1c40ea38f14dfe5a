//! The adapter against a relay that says what a test wants, over real TCP; and against mails as they come back.

mod answers;
mod bounces;
mod connections;
mod letters;
mod relay;
mod settings;

use std::time::Duration;

use bytes::Bytes;
use tocsin_domain::{AttemptKey, CampaignId, JobKey, Lane};
use uuid::Uuid;

use super::SmtpEmail;
use crate::{
    AccountSettings, Answer, Provider as _, ProviderKind, RawRequest, Secret, SendRequest, TokenKeys,
    callback_url,
};

pub const DOMAIN: &str = "mail.example.org";
pub const MESSAGE_ID: &str =
    "01900000-0000-7000-8000-000000000001.70001.52a018565738bcc38792@mail.example.org";

/// An account at a relay on this machine.
pub fn account(base_url: &str) -> AccountSettings {
    AccountSettings {
        name: "relay".into(),
        channel: tocsin_domain::Channel::Email,
        kind: ProviderKind::Smtp,
        base_url: base_url.into(),
        user: String::new(),
        secret: Secret::new(""),
        signing_keys: vec![Secret::new("new hush"), Secret::new("old hush")],
        sender: "Example School <office@example.org>".into(),
        domain: Some(DOMAIN.into()),
        ca_file: None,
        profile: None,
        connections_max: None,
    }
}

pub fn attempt(number: i16) -> AttemptKey {
    let campaign = CampaignId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
    AttemptKey { job: JobKey { campaign, job: 70_001 }, number }
}

pub fn token() -> String {
    TokenKeys::new(&Secret::new("callback key"), None).mint(attempt(1), Lane::General)
}

pub fn return_path() -> String {
    super::verp::return_path(&token(), DOMAIN).unwrap().to_string()
}

pub fn request(body: &str) -> SendRequest {
    SendRequest {
        attempt: attempt(1),
        from: None,
        to: "ann@example.net".into(),
        extension: None,
        language: None,
        subject: Some("Snow day".into()),
        body: body.into(),
        files: Default::default(),
        detection: None,
        audio_url: None,
        call_url: None,
        confirm: false,
        unsubscribe_url: None,
        tag: None,
        callback_url: callback_url("https://bell.example", "relay", &token()),
        valid_for: Duration::from_secs(3600),
        start_within: Duration::from_secs(2),
        deadline: Duration::from_secs(10),
    }
}

pub async fn sent(provider: &SmtpEmail) -> Answer {
    provider.send(&request("No school today.")).await
}

pub fn accepted() -> Answer {
    Answer::Accepted {
        provider_id: Some(MESSAGE_ID.into()),
        outcome: Some(tocsin_domain::Outcome::EmailSent),
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
