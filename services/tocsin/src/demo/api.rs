//! The REST API as the demo uses it: like any other client.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tocsin_domain::content::Content;
use tocsin_domain::{CampaignId, CampaignState, Channel};
use uuid::Uuid;

/// A district's access.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// A campaign with its delivery information (requirements 47-55).
#[derive(Debug, Clone, Deserialize)]
pub struct Detail {
    pub id: CampaignId,
    /// The Message ID.
    pub number: i64,
    pub state: CampaignState,
    pub subject: String,
    pub message_type: String,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub recipients: u64,
    pub no_device: u64,
    pub totals: Counters,
    pub by_channel: BTreeMap<Channel, ChannelDetail>,
    pub seconds: Option<f64>,
    pub first_attempt_seconds: Option<f64>,
    /// As written, before any merge value.
    pub contents: Vec<Content>,
}

/// Requirement 51. Duplicates are in none of the other numbers.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Counters {
    pub devices: u64,
    pub attempts: u64,
    pub successful: u64,
    pub error: u64,
    pub canceled: u64,
    pub not_dispatched: u64,
    pub open: u64,
    pub duplicates: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ChannelDetail {
    #[serde(flatten)]
    pub counters: Counters,
    pub first_attempt_seconds: Option<f64>,
}

/// What a cancel reached: the four counts partition the campaign's devices, duplicates included.
#[derive(Debug, Clone, Deserialize)]
pub struct Receipt {
    pub canceled: Option<Canceled>,
    pub contacted: u64,
    pub in_flight_or_unknown: u64,
    pub recalled: u64,
    pub never_tried: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Canceled {
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Client {
    pub fn new(url: String, key: String) -> Result<Self> {
        Ok(Self { http: tocsin_providers::http_client()?, url, key })
    }

    pub async fn send(&self, message: &Value) -> Result<Detail> {
        let request = self.http.post(format!("{}/v1/campaigns", self.url));
        self.ask(request.header("idempotency-key", Uuid::now_v7().to_string()).json(message)).await
    }

    pub async fn detail(&self, campaign: CampaignId) -> Result<Detail> {
        self.ask(self.http.get(format!("{}/v1/campaigns/{campaign}", self.url))).await
    }

    pub async fn cancel(&self, campaign: CampaignId, by: &str, reason: &str) -> Result<Receipt> {
        let request = self.http.post(format!("{}/v1/campaigns/{campaign}/cancel", self.url));
        self.ask(request.json(&json!({ "by": by, "reason": reason }))).await
    }

    pub async fn receipt(&self, campaign: CampaignId) -> Result<Receipt> {
        self.ask(self.http.get(format!("{}/v1/campaigns/{campaign}/receipt", self.url))).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let answer = request.bearer_auth(&self.key).send().await.context("the API does not answer")?;
        let status = answer.status();
        let body: Value = answer.json().await.context("the API's answer is no JSON")?;
        if !status.is_success() {
            bail!("the API answered {status}: {body}");
        }
        serde_json::from_value(body).context("the API's answer is not as expected")
    }
}
