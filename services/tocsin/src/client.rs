//! The REST API as the demo and `tocsin campaign` use it: like any other client.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tocsin_domain::content::Content;
use tocsin_domain::{CampaignId, CampaignState, Channel, host};
use uuid::Uuid;

use crate::exit::Failure;

/// Does the address lead to this machine? One that cannot be read does not.
pub fn is_this_machine(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(host::is_this_machine))
}

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
    /// It went to the district's test people.
    #[serde(default)]
    pub test: bool,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Null unless it was canceled; the receipt says more.
    #[serde(default)]
    pub cancel: Value,
    pub recipients: u64,
    pub no_device: u64,
    pub totals: Counters,
    pub by_channel: BTreeMap<Channel, ChannelDetail>,
    pub delivery_summary: DeliverySummary,
    pub seconds: Option<f64>,
    pub first_attempt_seconds: Option<f64>,
    #[serde(default)]
    pub redial: Redial,
    /// As written, before any merge value.
    pub contents: Vec<Content>,
}

/// Of the redial policy, what is shown.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Redial {
    /// Are those who are called asked to press 0?
    pub confirm: bool,
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
    /// At which somebody pressed 0.
    #[serde(default)]
    pub confirmed: u64,
}

/// Requirements 66 to 73: addresses once each, and people by calls and texts.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct DeliverySummary {
    pub inbox: u64,
    pub emails: u64,
    pub voice: u64,
    pub text: u64,
    pub inbox_attempted: u64,
    pub emails_attempted: u64,
    pub voice_attempted: u64,
    pub text_attempted: u64,
    pub contacted_by_phone: u64,
    pub not_contacted_by_phone: u64,
    pub email_progress_percent: Option<u8>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ChannelDetail {
    #[serde(flatten)]
    pub counters: Counters,
    pub first_attempt_seconds: Option<f64>,
}

/// What a cancel reached: the four counts partition the audience, duplicates and people without a device included.
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
        read(self.send_raw(message, &Uuid::now_v7().to_string()).await?)
    }

    pub async fn detail(&self, campaign: CampaignId) -> Result<Detail> {
        read(self.get(&format!("/v1/campaigns/{campaign}")).await?)
    }

    pub async fn cancel(&self, campaign: CampaignId, by: &str, reason: &str) -> Result<Receipt> {
        read(self.cancel_raw(campaign, by, Some(reason)).await?)
    }

    /// As [`Client::cancel`], without waiting for the receipt.
    pub async fn press_cancel(&self, campaign: CampaignId, by: &str, reason: Option<&str>) -> Result<Value> {
        let request = self.http.post(format!("{}/v1/campaigns/{campaign}/cancel", self.url));
        self.ask(request.json(&json!({ "by": by, "reason": reason }))).await
    }

    pub async fn receipt(&self, campaign: CampaignId) -> Result<Receipt> {
        read(self.get(&format!("/v1/campaigns/{campaign}/receipt")).await?)
    }

    /// Posting twice with one key makes one campaign.
    pub async fn send_raw(&self, message: &Value, key: &str) -> Result<Value> {
        self.post_with_key("/v1/campaigns", message, key).await
    }

    /// As [`Client::send_raw`], to those whom the canceled `campaign` reached, or may have.
    pub async fn correct_raw(&self, campaign: CampaignId, message: &Value, key: &str) -> Result<Value> {
        self.post_with_key(&format!("/v1/campaigns/{campaign}/correction"), message, key).await
    }

    /// What the campaign that `message` describes would take. Nothing is sent.
    pub async fn forecast(&self, message: &Value) -> Result<Value> {
        self.ask(self.http.post(format!("{}/v1/campaigns/forecast", self.url)).json(message)).await
    }

    /// Of a campaign whose time has not come.
    pub async fn forecast_of(&self, campaign: CampaignId) -> Result<Value> {
        self.get(&format!("/v1/campaigns/{campaign}/forecast")).await
    }

    async fn post_with_key(&self, path: &str, message: &Value, key: &str) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url));
        self.ask(request.header("idempotency-key", key).json(message)).await
    }

    /// With its receipt, which the answer to the cancel of a large campaign does not count.
    pub async fn cancel_raw(&self, campaign: CampaignId, by: &str, reason: Option<&str>) -> Result<Value> {
        let answer = self.press_cancel(campaign, by, reason).await?;
        if !answer["canceled"].is_null() && answer["contacted"].is_null() {
            return self.get(&format!("/v1/campaigns/{campaign}/receipt")).await;
        }
        Ok(answer)
    }

    /// An answer as the API gave it.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask(self.http.get(format!("{}{path}", self.url))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(self.http.patch(format!("{}{path}", self.url)).json(body)).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value> {
        let answer = request.bearer_auth(&self.key).send().await.map_err(|error| self.no_answer(error))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| self.no_answer(error))?;
        let body: Option<Value> = serde_json::from_str(&body).ok();
        match body {
            Some(body) if status.is_success() => Ok(body),
            Some(body) => Err(refusal(status, &body)),
            None => Err(anyhow!(
                "what answers at {} ({status}) is not Tocsin's API: check --url and TOCSIN_URL",
                self.url
            )),
        }
    }

    fn no_answer(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_builder() {
            let what = format!("--url {:?} is no address: write it as http://127.0.0.1:8080", self.url);
            return Failure::usage(what).into();
        }
        let what = format!(
            "no answer from {}: is `tocsin api` running there? --url or TOCSIN_URL say where it is",
            self.url
        );
        anyhow::Error::from(error).context(Failure::unreachable(what))
    }
}

/// An answer as the type that it should have.
pub fn read<T: DeserializeOwned>(answer: Value) -> Result<T> {
    serde_json::from_value(answer).context("the API's answer is not as expected: is it of another release?")
}

/// A problem-details answer in words, each fault on a line of its own.
fn refusal(status: StatusCode, body: &Value) -> anyhow::Error {
    let title = body["title"].as_str().unwrap_or("the API refused");
    let mut what = format!("{title} ({})", status.as_u16());
    if let Some(detail) = body["detail"].as_str() {
        what.push_str(&format!(": {detail}"));
    }
    for fault in body["errors"].as_array().into_iter().flatten() {
        let part = |name: &str| fault[name].as_str().unwrap_or("-").to_owned();
        what.push_str(&format!("\n  {}: {}", part("field"), part("reason")));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        Failure::unreachable(what).into()
    } else if status.is_client_error() {
        Failure::refused(what).into()
    } else {
        anyhow!(what)
    }
}
