//! The seam: what every vendor adapter can be asked, and the answers in our own words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use tocsin_domain::address::Email;
use tocsin_domain::policy::Detection;
use tocsin_domain::suppression::{AddressFact, SuppressionReason};
use tocsin_domain::{AttemptKey, Outcome};

use crate::callback::{CallbackReport, ParseError, RawRequest, VerifyError};
use crate::file::File;
use crate::inbound::{InboundText, Reply};
use crate::spoken::{AfterKey, Spoken};

/// A vendor account that can send over one channel.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// Names the adapter in logs and metrics: one of a closed set.
    fn name(&self) -> &'static str;

    fn capabilities(&self) -> Capabilities;

    /// Asks the vendor once, within `request.deadline`. Never retries.
    async fn send(&self, request: &SendRequest) -> Answer;

    /// Answers in the order of `requests`, as many. A vendor with a batch request overrides this; the others
    /// are asked concurrently.
    async fn send_batch(&self, requests: &[SendRequest]) -> Vec<Answer> {
        join_all(requests.iter().map(|request| self.send(request))).await
    }

    /// Asks the vendor to stop what it has accepted (promise 3).
    async fn recall(&self, provider_id: &str) -> RecallAnswer;

    /// Asks what became of an attempt whose answer or reports did not arrive (wire A.1, B.1).
    async fn look_up(&self, query: &LookUpQuery) -> LookUpAnswer;

    /// Is this callback signed by the vendor, and recent? `raw.url` must be the public one.
    fn verify(&self, raw: &RawRequest, now: DateTime<Utc>) -> Result<(), VerifyError>;

    /// The reports in a verified callback: none is a valid answer (an event that says nothing about
    /// an attempt).
    fn parse(&self, raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError>;

    /// The attempt's token, where the vendor carries it in the body because its callback address
    /// is fixed per account. None for vendors that call the address given with the request.
    fn token(&self, _raw: &RawRequest) -> Option<String> {
        None
    }

    /// The tokens of several attempts that one body reports of: one for each report of [`Provider::parse`], in its
    /// order. Empty where a body has one attempt.
    fn tokens(&self, _raw: &RawRequest) -> Vec<Option<String>> {
        Vec::new()
    }

    /// What the vendor's own word, in a report or a refusal, tells of the address itself, beyond this
    /// attempt.
    fn address_fact(&self, _provider_code: &str) -> Option<AddressFact> {
        None
    }

    /// What the vendor's words tell of addresses that a callback names without an attempt: an address, and why it is
    /// not to be tried.
    fn facts_of_addresses(&self, _raw: &RawRequest) -> Vec<(Email, SuppressionReason)> {
        Vec::new()
    }

    /// What makes this callback's signature unlike any other, where the signature does not cover the body: a second
    /// callback of the same is not to be believed. None: it covers the body.
    fn nonce(&self, _raw: &RawRequest) -> Option<String> {
        None
    }

    /// What a call says, for a vendor that fetches it while the call goes on. None: this one's calls fetch nothing.
    fn speak(&self, _spoken: &Spoken<'_>) -> Option<Reply> {
        None
    }

    /// What a call does now that its listener pressed a key. None: this vendor's calls ask for none.
    fn after_key(&self, _raw: &RawRequest) -> Option<AfterKey> {
        None
    }

    /// How a text to this account's number is answered. None: people cannot text it.
    fn reply(&self, _raw: &RawRequest) -> Option<Reply> {
        None
    }

    /// The text in a verified request to this account's number.
    fn inbound(&self, _raw: &RawRequest) -> Result<InboundText, ParseError> {
        Err(ParseError::NotForTexts)
    }

    /// The callback's body with every value that tells of a person replaced, for logs and support.
    fn redact(&self, raw: &RawRequest) -> String;
}

/// What a vendor can do for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Can an accepted attempt still be stopped?
    pub recall: bool,
    /// Can an attempt be found again at the vendor?
    pub look_up: bool,
    /// How many requests [`Provider::send_batch`] turns into one; 1 means one by one.
    pub batch_max: usize,
}

/// One attempt, ready to be sent. Its `Debug` shows the attempt and nothing of the person or text.
#[derive(Clone)]
pub struct SendRequest {
    pub attempt: AttemptKey,
    /// What to send from. None: what the account's configuration names.
    pub from: Option<String>,
    /// E.164 number or email address.
    pub to: String,
    /// Voice: digits to dial once the call is answered.
    pub extension: Option<String>,
    /// Voice: BCP 47 tag of the language of `body`.
    pub language: Option<String>,
    /// Email only.
    pub subject: Option<String>,
    pub body: String,
    /// Email only: what goes along.
    pub files: Arc<[File]>,
    /// Voice: a recording to play in place of `body`.
    pub audio_url: Option<String>,
    /// Voice: public address where the vendor fetches what the call says if the request has no room for it, and
    /// below which it posts the keys that are pressed.
    pub call_url: Option<String>,
    /// Voice: is whoever answers asked to press 0, and so to confirm?
    pub confirm: bool,
    /// Email: public address at which a mail program unsubscribes its reader with one click (RFC 8058).
    pub unsubscribe_url: Option<String>,
    /// Email: what the vendor's statistics are sorted by.
    pub tag: Option<String>,
    /// Voice: is the vendor to find out whether a machine answers, and how?
    pub detection: Option<Detection>,
    /// Public address for reports, with our token in its last path segment.
    pub callback_url: String,
    /// How long the vendor may keep the attempt waiting before it drops it.
    pub valid_for: Duration,
    /// What is left of `send_by`: a request that has not started by then, because there was no place for it, does not.
    pub start_within: Duration,
    /// How long the request may take, waiting for a place, connecting and reading the answer included.
    pub deadline: Duration,
}

impl fmt::Debug for SendRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendRequest")
            .field("attempt", &self.attempt)
            .field("valid_for", &self.valid_for)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What the vendor said to a send, or what its silence means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The vendor holds the attempt. `provider_id` is missing when its answer broke off after the
    /// status line; reports still find the attempt by its token.
    Accepted { provider_id: Option<String>, outcome: Option<Outcome> },
    /// Definitely not sent, and asking again with the same values would not help.
    Refused { outcome: Outcome, provider_code: Option<String>, class: RefusalClass },
    /// Definitely not sent: one of those that were asked for together, or something that they have in common, is refused.
    /// Each is to be asked for by itself.
    RefusedTogether { provider_code: Option<String> },
    /// Definitely not processed: rate or concurrency limit, full queue.
    Throttled { provider_code: Option<String>, retry_after: Option<Duration>, whose: Whose },
    /// There was no place for the request among those of ours that are open: nobody was asked.
    NotStarted,
    /// The request was never written: safe to try again.
    NotSent { why: String },
    /// The request was written and no usable answer came: it may or may not have been sent.
    Lost { why: String },
}

/// Whose limit was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Account,
    /// The number's that it was sent from.
    Sender,
}

/// Whom a refusal concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// This device or this content.
    Permanent,
    /// The account: everything sent over it would be refused, so it must stop.
    Configuration,
    /// What it was sent from: suspended, not ours, not made for this. Other senders of the account may do.
    Sender,
    /// The person opted out at the vendor: the number must be suppressed here too.
    OptOut,
}

/// What came of a recall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecallAnswer {
    Stopped,
    /// It had ended, or had reached the person.
    TooLate,
    /// The vendor cannot stop what it has accepted.
    Unsupported,
    /// No usable answer; the reason holds no personal data.
    Unknown(String),
}

/// Which attempt to find. Its `Debug` hides the address and the text.
#[derive(Clone)]
pub struct LookUpQuery {
    pub attempt: AttemptKey,
    /// The vendor's id where its answer told us.
    pub provider_id: Option<String>,
    /// As in the [`SendRequest`].
    pub from: Option<String>,
    pub to: String,
    /// The text as sent, to tell apart two messages to one number. None when it is not known.
    pub body: Option<String>,
    /// As in the [`SendRequest`].
    pub callback_url: String,
    /// The vendor's ids of other attempts to this address at that time: none of them is the one sought.
    pub others: Vec<String>,
    /// Is there another attempt to this address at that time whose id is not known? Then the address alone
    /// tells nothing.
    pub rival_without_id: bool,
    /// When the request started; the attempt is sought from a little before to shortly after.
    pub asked_at: DateTime<Utc>,
    /// How long the look-up may take.
    pub deadline: Duration,
}

impl fmt::Debug for LookUpQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookUpQuery")
            .field("attempt", &self.attempt)
            .field("provider_id", &self.provider_id)
            .field("asked_at", &self.asked_at)
            .finish_non_exhaustive()
    }
}

/// What the vendor knows of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUpAnswer {
    /// What it reports, with `attempt` filled in.
    Found(Vec<CallbackReport>),
    /// The vendor has no such attempt: it was never accepted.
    NotFound,
    Unsupported,
    /// No usable answer, or several candidates; the reason holds no personal data.
    Unknown(String),
}
