//! Calls that ask back while they go on: what to say, and what comes of a key.
//!
//! A key is a report like any other, and is with the broker before the call hears anything. The words of a call that is
//! to say them again stand in the store: the one thing that a provider's request asks it for, under a short deadline.
//! While it is away, what somebody pressed is taken all the same, and the call asks again without its message.

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use tocsin_domain::trace::TraceId;
use tocsin_domain::{AttemptKey, Channel, Lane, content};
use tocsin_providers::{AfterKey, Provider, RawRequest, Reply, Spoken, call_url};
use tocsin_store::StoreError;
use tokio::time::timeout;

use crate::ingress::{Ingress, Refusal, read_body};

/// Somebody is on the line.
const STORE_DEADLINE: Duration = Duration::from_secs(3);

/// What one call says.
struct Words {
    body: String,
    language: Option<String>,
    audio_url: Option<String>,
    confirm: bool,
}

impl Ingress {
    /// A call fetches what it says.
    pub(crate) async fn answer_call(&self, account: &str, token: &str, request: Request) -> Response {
        self.in_words(account, self.tell(account, token, request)).await
    }

    /// A key was pressed in a call.
    pub(crate) async fn answer_key(&self, account: &str, token: &str, request: Request) -> Response {
        self.in_words(account, self.take_key(account, token, request)).await
    }

    async fn tell(&self, account: &str, token: &str, request: Request) -> Result<Reply, Refusal> {
        let (attempt, _) = self.read_token(token)?;
        let (provider, _) = self.verified(account, request).await?;
        let says = self.says(provider.as_ref(), account, token, attempt).await;
        says.ok_or(Refusal::Unavailable)
    }

    async fn take_key(&self, account: &str, token: &str, request: Request) -> Result<Reply, Refusal> {
        let (attempt, lane): (AttemptKey, Lane) = self.read_token(token)?;
        let (provider, raw) = self.verified(account, request).await?;
        let after = provider.after_key(&raw).ok_or(Refusal::UnknownAccount)?;
        self.publish(account, raw, Some(attempt), lane, self.collector.clock.now()).await?;
        match after {
            AfterKey::Say(reply) => Ok(reply),
            AfterKey::Repeat { otherwise } => {
                Ok(self.says(provider.as_ref(), account, token, attempt).await.unwrap_or(otherwise))
            }
        }
    }

    async fn verified(
        &self,
        account: &str,
        request: Request,
    ) -> Result<(std::sync::Arc<dyn Provider>, RawRequest), Refusal> {
        let provider = self.collector.registry.get(account).ok_or(Refusal::UnknownAccount)?;
        let (head, body) = request.into_parts();
        let raw = self.raw_request(&head, read_body(body).await?);
        self.verify(provider.as_ref(), account, &raw, self.collector.clock.now())?;
        Ok((provider, raw))
    }

    /// None: the store does not know, or does not answer.
    async fn says(
        &self,
        provider: &dyn Provider,
        account: &str,
        token: &str,
        attempt: AttemptKey,
    ) -> Option<Reply> {
        let trace = TraceId::of_attempt(attempt);
        let words = match timeout(STORE_DEADLINE, self.words(attempt)).await {
            Ok(Ok(words)) => words?,
            Ok(Err(error)) => {
                tracing::warn!(%error, account, trace_id = %trace, span_id = %trace.root(),
                    "what a call says could not be read");
                return None;
            }
            Err(_) => {
                tracing::warn!(account, trace_id = %trace, span_id = %trace.root(),
                    "what a call says was not read in time");
                return None;
            }
        };
        let address = call_url(&self.collector.public_url, account, token);
        provider.speak(&Spoken {
            body: &words.body,
            language: words.language.as_deref(),
            audio_url: words.audio_url.as_deref(),
            keys_below: Some(address.as_str()).filter(|_| words.confirm),
        })
    }

    /// As the worker that placed the call rendered them.
    async fn words(&self, attempt: AttemptKey) -> Result<Option<Words>, StoreError> {
        let store = &self.collector.store;
        let Some(brief) = store.campaign_brief(attempt.job.campaign).await? else { return Ok(None) };
        let Some(values) = store.recipient_values(attempt.job).await? else { return Ok(None) };
        let chosen = content::choose(&brief.contents, Channel::Voice, values.language.as_deref());
        Ok(chosen.and_then(|content| {
            Some(Words {
                body: content::render(&content.body, &values.merge_values).ok()?,
                language: content.language.clone().or(values.language.clone()),
                audio_url: content.audio_url.clone(),
                confirm: brief.redial.confirm,
            })
        }))
    }
}
