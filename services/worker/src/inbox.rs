//! The portal inbox as a provider: it writes to the store, a batch in one statement.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tocsin_domain::Outcome;
use tocsin_providers::{
    Answer, CallbackReport, Capabilities, LookUpAnswer, LookUpQuery, ParseError, Provider, RawRequest,
    RecallAnswer, SendRequest, VerifyError, VerifyFault,
};
use tocsin_runtime::SharedClock;
use tocsin_store::Store;
use tocsin_store::inbox::InboxMessage;

/// Messages written in one statement.
const BATCH_MAX: usize = 500;

#[derive(Debug)]
pub struct Inbox {
    store: Store,
    clock: SharedClock,
}

impl Inbox {
    pub fn new(store: Store, clock: SharedClock) -> Self {
        Self { store, clock }
    }
}

#[async_trait]
impl Provider for Inbox {
    fn name(&self) -> &'static str {
        "inbox"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { recall: false, look_up: false, batch_max: BATCH_MAX }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        let mut answers = self.send_batch(std::slice::from_ref(request)).await;
        answers.pop().unwrap_or(Answer::NotSent { why: "nothing was asked".to_owned() })
    }

    /// All or none: the statement is one transaction, and a job writes one message however often it is
    /// asked to, so that a failure is safe to try again.
    async fn send_batch(&self, requests: &[SendRequest]) -> Vec<Answer> {
        let messages: Vec<InboxMessage> = requests
            .iter()
            .map(|request| InboxMessage {
                key: request.attempt.job,
                account: request.to.clone(),
                subject: request.subject.clone().unwrap_or_default(),
                body: request.body.clone(),
            })
            .collect();
        let answer = match self.store.deliver_to_inbox(&messages, self.clock.now()).await {
            Ok(()) => Answer::Accepted { provider_id: None, outcome: Some(Outcome::InboxDelivered) },
            Err(error) => Answer::NotSent { why: error.to_string() },
        };
        vec![answer; requests.len()]
    }

    async fn recall(&self, _provider_id: &str) -> RecallAnswer {
        RecallAnswer::Unsupported
    }

    async fn look_up(&self, _query: &LookUpQuery) -> LookUpAnswer {
        LookUpAnswer::Unsupported
    }

    /// Nobody calls back for the inbox.
    fn verify(&self, _raw: &RawRequest, _now: DateTime<Utc>) -> Result<(), VerifyError> {
        Err(VerifyError { fault: VerifyFault::Missing, http_status: 404 })
    }

    fn parse(&self, _raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
        Ok(Vec::new())
    }

    fn redact(&self, _raw: &RawRequest) -> String {
        String::new()
    }
}
