//! One text to everybody in a district.

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::policy::{RedialPolicy, default_expiry};
use tocsin_domain::{CampaignId, Channel, Lane};
use tocsin_runtime::{Clock as _, Stopwatch, SystemClock};
use tocsin_store::Store;
use tocsin_store::tenant::campaigns::NewCampaign;
use uuid::Uuid;

use crate::district::District;

const SUBJECT: &str = "Load test";
const BODY: &str = "School is closed today, {{ student_given_name }} stays at home.";
const ACTOR: &str = "load test";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    General,
    Emergency,
}

impl Kind {
    fn message_type(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Emergency => "emergency",
        }
    }

    fn lane(self) -> Lane {
        match self {
            Self::General => Lane::General,
            Self::Emergency => Lane::Emergency,
        }
    }
}

/// Posts a campaign to everybody to the district's API.
pub async fn send(district: &District, kind: Kind) -> Result<CampaignId> {
    send_to(district, kind, &json!({ "all": true })).await
}

async fn send_to(district: &District, kind: Kind, audience: &Value) -> Result<CampaignId> {
    let message = json!({
        "subject": SUBJECT,
        "message_type": kind.message_type(),
        "channels": ["sms"],
        "audience": audience,
        "body": BODY,
        "created_by": ACTOR,
    });
    Ok(district.client.send(&message).await?.id)
}

/// A campaign whose POST was answered.
#[derive(Debug, Clone, Copy)]
pub struct Posted {
    pub campaign: CampaignId,
    pub answered_at: DateTime<Utc>,
    pub took: Duration,
}

/// As `send`, and notes when the answer came.
pub async fn post(district: &District, kind: Kind) -> Result<Posted> {
    post_to(district, kind, &json!({ "all": true })).await
}

/// To those whom the audience, as the API takes it, means.
pub async fn post_to(district: &District, kind: Kind, audience: &Value) -> Result<Posted> {
    let started = Stopwatch::start();
    let campaign = send_to(district, kind, audience).await?;
    Ok(Posted { campaign, answered_at: SystemClock.now(), took: started.elapsed() })
}

/// Puts the campaign into the store, past the API: for a scenario without roles.
pub async fn store(store: &Store, district: &District, kind: Kind) -> Result<CampaignId> {
    let (id, now) = (CampaignId(Uuid::now_v7()), SystemClock.now());
    let lane = kind.lane();
    let new = NewCampaign {
        id,
        client_key: id.to_string(),
        request_hash: id.0.as_bytes().to_vec(),
        lane,
        mode: DedupeMode::PerDevice,
        consent_class: 2,
        message_type: kind.message_type().to_owned(),
        subject: SUBJECT.to_owned(),
        channels: vec![Channel::Sms],
        audience: Audience { all: true, ..Audience::default() },
        test: false,
        redial: RedialPolicy::default_for(lane),
        calling_window: None,
        limits: Default::default(),
        contents: vec![Content {
            language: None,
            channel: None,
            subject: None,
            audio_url: None,
            attachments: Vec::new(),
            body: BODY.to_owned(),
        }],
        created_by: ACTOR.to_owned(),
        created_at: now,
        scheduled_at: now,
        expires_at: now + default_expiry(lane),
    };
    store.tenant(district.id).create_campaign(&new).await?;
    Ok(id)
}
