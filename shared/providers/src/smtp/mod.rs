//! Email over an SMTP relay (wire C.1), its bounces and complaints posted by the mail server that gets them (C.2).
//!
//! Every mail has a return path of its own, `bounce+<token>@<domain>`: whatever comes back to it is about that
//! attempt. The mail server of that domain pipes it to the collector: docs/BOUNCES.md.

mod account;
mod bounce;
mod complaint;
mod fields;
mod mail;
mod message;
mod redaction;
mod relay;
mod reply;
mod send;
mod status;
pub mod verp;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tocsin_domain::suppression::AddressFact;

use crate::passwords::basic_password;
use crate::{
    AccountSettings, Answer, CallbackReport, Capabilities, LookUpAnswer, LookUpQuery, ParseError, Provider,
    ProvidersError, RawRequest, RecallAnswer, SendRequest, VerifyError,
};
use account::SmtpAccount;

/// One login at one relay.
#[derive(Debug)]
pub struct SmtpEmail {
    account: SmtpAccount,
}

impl SmtpEmail {
    pub fn new(settings: &AccountSettings) -> Result<Self, ProvidersError> {
        Ok(Self { account: SmtpAccount::new(settings)? })
    }
}

#[async_trait]
impl Provider for SmtpEmail {
    fn name(&self) -> &'static str {
        "smtp"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { recall: false, look_up: false, batch_max: 1 }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        send::send(&self.account, request).await
    }

    /// A mail that a relay has taken cannot be taken back.
    async fn recall(&self, _provider_id: &str) -> RecallAnswer {
        RecallAnswer::Unsupported
    }

    /// SMTP has no question for what became of a mail.
    async fn look_up(&self, _query: &LookUpQuery) -> LookUpAnswer {
        LookUpAnswer::Unsupported
    }

    fn verify(&self, raw: &RawRequest, _now: DateTime<Utc>) -> Result<(), VerifyError> {
        self.account.passwords.verify(raw, basic_password)
    }

    fn parse(&self, raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
        mail::parse(&raw.body)
    }

    fn token(&self, raw: &RawRequest) -> Option<String> {
        mail::token(raw)
    }

    fn address_fact(&self, provider_code: &str) -> Option<AddressFact> {
        status::address_fact(provider_code)
    }

    fn redact(&self, raw: &RawRequest) -> String {
        redaction::redact(&raw.body)
    }
}

#[cfg(test)]
mod tests;
