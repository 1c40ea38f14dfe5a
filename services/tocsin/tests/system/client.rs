//! The REST API as any other client uses it.

use anyhow::{Context as _, Result, ensure};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tocsin_domain::CampaignId;
use uuid::Uuid;

/// A district's access.
pub struct Client {
    http: reqwest::Client,
    pub url: String,
    pub key: String,
}

impl Client {
    /// `url` is `http://host:port`; `key` one of the district's API keys.
    pub fn new(url: &str, key: String) -> Result<Self> {
        Ok(Self { http: tocsin_providers::http_client()?, url: url.to_owned(), key })
    }

    /// Posts a campaign under a key of its own.
    pub async fn send(&self, message: &Value) -> Result<CampaignId> {
        self.send_by(self.http.post(format!("{}/v1/campaigns", self.url)).json(message)).await
    }

    /// The same within a trace of the client's.
    pub async fn send_within(&self, message: &Value, traceparent: &str) -> Result<CampaignId> {
        let request = self.http.post(format!("{}/v1/campaigns", self.url)).json(message);
        self.send_by(request.header("traceparent", traceparent)).await
    }

    async fn send_by(&self, request: RequestBuilder) -> Result<CampaignId> {
        let answer = self.ask(request.header("idempotency-key", Uuid::now_v7().to_string())).await?;
        let id = answer["id"].as_str().context("an answer without an id")?;
        Ok(CampaignId(id.parse()?))
    }

    /// The campaign with its delivery information.
    pub async fn detail(&self, campaign: CampaignId) -> Result<Value> {
        self.ask(self.http.get(format!("{}/v1/campaigns/{campaign}", self.url))).await
    }

    /// Cancels; the answer is the receipt.
    pub async fn cancel(&self, campaign: CampaignId) -> Result<Value> {
        let request = self.http.post(format!("{}/v1/campaigns/{campaign}/cancel", self.url));
        self.ask(request.json(&json!({ "by": "Principal Ortiz", "reason": "the wrong day" }))).await
    }

    pub async fn refresh(&self, campaign: CampaignId) -> Result<Value> {
        self.ask(self.http.post(format!("{}/v1/campaigns/{campaign}/refresh", self.url))).await
    }

    pub async fn receipt(&self, campaign: CampaignId) -> Result<Value> {
        self.ask(self.http.get(format!("{}/v1/campaigns/{campaign}/receipt", self.url))).await
    }

    /// One part of the receipt, whole.
    pub async fn receipt_part(&self, campaign: CampaignId, part: &str) -> Result<Vec<Value>> {
        let path = format!("{}/v1/campaigns/{campaign}/receipt/{part}?limit=500", self.url);
        rows(self.ask(self.http.get(path)).await?)
    }

    /// A correction of a canceled campaign.
    pub async fn correct(&self, campaign: CampaignId, body: &str) -> Result<CampaignId> {
        let request = self.http.post(format!("{}/v1/campaigns/{campaign}/correction", self.url));
        let request = request.header("idempotency-key", Uuid::now_v7().to_string());
        let answer = self.ask(request.json(&json!({ "body": body }))).await?;
        let id = answer["id"].as_str().context("an answer without an id")?;
        Ok(CampaignId(id.parse()?))
    }

    /// The first page of the recipients' rows, which holds all of a small campaign.
    pub async fn recipients(&self, campaign: CampaignId) -> Result<Vec<Value>> {
        let path = format!("{}/v1/campaigns/{campaign}/recipients?limit=500", self.url);
        rows(self.ask(self.http.get(path)).await?)
    }

    /// What the district allows of each channel from now on.
    pub async fn limit(&self, channels: &Value) -> Result<Value> {
        let request = self.http.put(format!("{}/v1/limits", self.url));
        self.ask(request.json(&json!({ "channels": channels }))).await
    }

    /// Where a phone stands, with its history.
    pub async fn consent(&self, phone: &str) -> Result<Value> {
        self.ask(self.http.get(format!("{}/v1/consents/{phone}", self.url))).await
    }

    pub async fn ask_get(&self, path: &str) -> Result<Value> {
        self.ask(self.http.get(format!("{}{path}", self.url))).await
    }

    /// Posts under a key of its own.
    pub async fn ask_post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        self.ask(request.header("idempotency-key", Uuid::now_v7().to_string())).await
    }

    pub async fn ask_put(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(self.http.put(format!("{}{path}", self.url)).json(body)).await
    }

    /// Posts bytes as they are.
    pub async fn ask_upload(&self, path: &str, body: Vec<u8>) -> Result<Value> {
        self.ask(self.http.post(format!("{}{path}", self.url)).body(body)).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value> {
        let answer = request.bearer_auth(&self.key).send().await.context("the API does not answer")?;
        let status = answer.status();
        let body: Value = answer.json().await.context("the API's answer is no JSON")?;
        ensure!(status.is_success(), "the API answered {status}: {body}");
        Ok(body)
    }
}

/// A page that is the only one.
fn rows(mut answer: Value) -> Result<Vec<Value>> {
    ensure!(answer["next_cursor"].is_null(), "the campaign has more than one page of recipients");
    match answer["recipients"].take() {
        Value::Array(rows) => Ok(rows),
        other => anyhow::bail!("recipients are {other}"),
    }
}
