//! Email over Mailgun (wire B).
//!
//! Mailgun posts all events of a domain to one fixed address, so the attempt's token travels as a
//! user variable with the message and comes back in the event: see [`Provider::token`].

mod account;
mod event;
mod letter;
mod look_up;
mod redaction;
mod send;
pub mod signature;
mod status;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tocsin_domain::address::Email;
use tocsin_domain::suppression::{AddressFact, SuppressionReason};

use crate::{
    AccountClient, AccountSettings, Answer, CallbackReport, Capabilities, LookUpAnswer, LookUpQuery,
    ParseError, Provider, ProvidersError, RawRequest, RecallAnswer, SendRequest, VerifyError,
};
use account::MailgunAccount;

/// The user variable that carries the attempt's token. Recipients can see it in the mail's headers;
/// it tells them nothing and lets them report nothing, for events are signed by Mailgun.
pub const TOKEN_VARIABLE: &str = "tocsin-token";

/// One Mailgun sending domain.
#[derive(Debug)]
pub struct MailgunEmail {
    account: MailgunAccount,
}

impl MailgunEmail {
    pub fn new(settings: &AccountSettings, client: AccountClient) -> Result<Self, ProvidersError> {
        Ok(Self { account: MailgunAccount::new(settings, client)? })
    }
}

#[async_trait]
impl Provider for MailgunEmail {
    fn name(&self) -> &'static str {
        "mailgun"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { recall: false, look_up: true, batch_max: letter::RECIPIENTS_MAX }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        send::send(&self.account, request).await
    }

    async fn send_batch(&self, requests: &[SendRequest]) -> Vec<Answer> {
        send::send_batch(&self.account, requests).await
    }

    /// Mailgun cannot take back one message that it has accepted.
    async fn recall(&self, _provider_id: &str) -> RecallAnswer {
        RecallAnswer::Unsupported
    }

    async fn look_up(&self, query: &LookUpQuery) -> LookUpAnswer {
        look_up::look_up(&self.account, query).await
    }

    fn verify(&self, raw: &RawRequest, now: DateTime<Utc>) -> Result<(), VerifyError> {
        self.account.keys.verify(&raw.body, now)
    }

    fn parse(&self, raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
        event::parse(&raw.body)
    }

    fn token(&self, raw: &RawRequest) -> Option<String> {
        event::token(&raw.body)
    }

    fn address_fact(&self, provider_code: &str) -> Option<AddressFact> {
        status::address_fact(provider_code)
    }

    fn facts_of_addresses(&self, raw: &RawRequest) -> Vec<(Email, SuppressionReason)> {
        event::fact_of_address(&raw.body).into_iter().collect()
    }

    fn nonce(&self, raw: &RawRequest) -> Option<String> {
        signature::nonce(&raw.body)
    }

    fn redact(&self, raw: &RawRequest) -> String {
        redaction::redact(&raw.body)
    }
}
