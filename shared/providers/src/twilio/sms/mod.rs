//! Text messages (wire A.4).

mod callback;
mod inbound;
mod send;
mod status;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tocsin_domain::suppression::AddressFact;

use super::account::{Collection, TwilioAccount};
use super::{look_up, redaction};
use crate::{
    AccountClient, AccountSettings, Answer, CallbackReport, Capabilities, InboundText, LookUpAnswer,
    LookUpQuery, ParseError, Provider, ProvidersError, RawRequest, RecallAnswer, Reply, SendRequest,
    VerifyError,
};

/// One Twilio account with a number to text from.
#[derive(Debug)]
pub struct TwilioSms {
    account: TwilioAccount,
}

impl TwilioSms {
    pub fn new(settings: &AccountSettings, client: AccountClient) -> Result<Self, ProvidersError> {
        Ok(Self { account: TwilioAccount::new(settings, client, Collection::Messages)? })
    }
}

#[async_trait]
impl Provider for TwilioSms {
    fn name(&self) -> &'static str {
        "twilio-sms"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { recall: false, look_up: true, batch_max: 1 }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        send::send(&self.account, request).await
    }

    /// Twilio takes back scheduled messages only, and we schedule none there.
    async fn recall(&self, _provider_id: &str) -> RecallAnswer {
        RecallAnswer::Unsupported
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

    fn address_fact(&self, provider_code: &str) -> Option<AddressFact> {
        status::address_fact(provider_code)
    }

    fn reply(&self, raw: &RawRequest) -> Option<Reply> {
        Some(inbound::reply(raw))
    }

    fn inbound(&self, raw: &RawRequest) -> Result<InboundText, ParseError> {
        inbound::parse(raw)
    }

    fn redact(&self, raw: &RawRequest) -> String {
        redaction::redact(&raw.body)
    }
}
