//! Texts from people to our numbers, posted as Twilio posts them (wire A.4).

use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tocsin_providers::twilio::form::Form;
use tocsin_providers::twilio::signature::{HEADER, SignatureKeys};
use uuid::Uuid;

use super::{SENDER, Shared};

const DEADLINE: Duration = Duration::from_secs(15);

/// What a person texts, and where Twilio is told to post it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonText {
    pub webhook: String,
    pub from: String,
    pub body: String,
    /// Default: a new one. The same once more is a copy of the same text.
    #[serde(default)]
    pub message_sid: Option<String>,
    /// What Advanced Opt-Out took it for: STOP, START or HELP.
    #[serde(default)]
    pub opt_out_type: Option<String>,
}

/// What the webhook answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextAnswer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

pub(super) async fn post(shared: &Shared, text: &PersonText) -> anyhow::Result<TextAnswer> {
    let credentials = &shared.scenario().credentials;
    let sid = text.message_sid.clone().unwrap_or_else(|| format!("SM{}", Uuid::now_v7().simple()));
    let mut fields = vec![
        ("MessageSid", sid.as_str()),
        ("SmsSid", &sid),
        ("SmsMessageSid", &sid),
        ("AccountSid", &credentials.twilio_account),
        ("From", &text.from),
        ("To", SENDER),
        ("Body", &text.body),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsStatus", "received"),
        ("FromCountry", "US"),
        ("ApiVersion", "2010-04-01"),
    ];
    fields.extend(text.opt_out_type.as_deref().map(|word| ("OptOutType", word)));
    let keys = SignatureKeys::new(std::slice::from_ref(&credentials.twilio_token));
    let signature = keys.sign(&text.webhook, &Form::from_pairs(&fields)).context("nothing to sign with")?;
    let body = form_urlencoded::Serializer::new(String::with_capacity(512)).extend_pairs(&fields).finish();
    let request = shared
        .client
        .post(&text.webhook)
        .timeout(DEADLINE)
        .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
        .header(HEADER, signature)
        .body(body);
    let response =
        request.send().await.map_err(reqwest::Error::without_url).context("the webhook does not answer")?;
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    Ok(TextAnswer {
        status: response.status().as_u16(),
        content_type: content_type.unwrap_or_default().to_owned(),
        body: response.text().await.unwrap_or_default(),
    })
}
