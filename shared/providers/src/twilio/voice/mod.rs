//! Voice: calls that speak a text (wire A.2, A.3).

mod callback;
mod detection;
mod keys;
mod phrases;
mod recall;
mod send;
mod status;
mod twiml;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::account::{Collection, TwilioAccount};
use super::{look_up, redaction};
use crate::{
    AccountClient, AccountSettings, AfterKey, Answer, CallbackReport, Capabilities, LookUpAnswer,
    LookUpQuery, ParseError, Provider, ProvidersError, RawRequest, RecallAnswer, Reply, SendRequest, Spoken,
    VerifyError,
};

/// One Twilio account with a number to call from.
#[derive(Debug)]
pub struct TwilioVoice {
    account: TwilioAccount,
}

impl TwilioVoice {
    pub fn new(settings: &AccountSettings, client: AccountClient) -> Result<Self, ProvidersError> {
        Ok(Self { account: TwilioAccount::new(settings, client, Collection::Calls)? })
    }
}

#[async_trait]
impl Provider for TwilioVoice {
    fn name(&self) -> &'static str {
        "twilio-voice"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { recall: true, look_up: true, batch_max: 1 }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        send::send(&self.account, request).await
    }

    async fn recall(&self, provider_id: &str) -> RecallAnswer {
        recall::recall(&self.account, provider_id).await
    }

    async fn look_up(&self, query: &LookUpQuery) -> LookUpAnswer {
        look_up::look_up(&self.account, query, status::report).await
    }

    fn verify(&self, raw: &RawRequest, now: DateTime<Utc>) -> Result<(), VerifyError> {
        self.account.verify(raw, now)
    }

    fn parse(&self, raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
        callback::parse(raw)
    }

    fn speak(&self, spoken: &Spoken<'_>) -> Option<Reply> {
        Some(twiml::reply(twiml::document(spoken)))
    }

    fn after_key(&self, raw: &RawRequest) -> Option<AfterKey> {
        Some(keys::after(raw))
    }

    fn redact(&self, raw: &RawRequest) -> String {
        redaction::redact(&raw.body)
    }
}
