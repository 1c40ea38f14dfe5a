//! What the gateway's answer to a request means: its code first, then its HTTP status.

use std::collections::BTreeMap;

use serde_json::Value;
use tocsin_domain::Outcome;

use super::profile::{Profile, normal};
use crate::http::{Body, NoReply, Reply};
use crate::{Answer, RefusalClass, Whose};

const NOT_THE_GATEWAYS: &str = "an answer that is not the gateway's";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Accepted,
    Refused(RefusalClass, Outcome),
    /// Not processed: later.
    Throttled(Whose),
    /// Not processed, for a reason that passes and is no limit.
    Unavailable,
    /// May have been processed.
    Lost,
}

impl Meaning {
    pub const WORDS: &str =
        "accepted, account, sender, opt_out, throttled, sender_throttled, unavailable, lost";

    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "accepted" => Self::Accepted,
            "account" => Self::Refused(RefusalClass::Configuration, Outcome::ProviderRejected),
            "sender" => Self::Refused(RefusalClass::Sender, Outcome::ProviderRejected),
            "opt_out" => Self::Refused(RefusalClass::OptOut, Outcome::OptOut),
            "throttled" => Self::Throttled(Whose::Account),
            "sender_throttled" => Self::Throttled(Whose::Sender),
            "unavailable" => Self::Unavailable,
            "lost" => Self::Lost,
            _ => return None,
        })
    }

    /// This message alone is refused.
    pub fn of_outcome(outcome: Outcome) -> Self {
        Self::Refused(RefusalClass::Permanent, outcome)
    }
}

/// What HTTP statuses mean, where a profile says it otherwise than everybody.
#[derive(Debug, Clone, Default)]
pub(super) struct HttpMeanings {
    statuses: BTreeMap<u16, Meaning>,
    /// By the first digit.
    hundreds: BTreeMap<u16, Meaning>,
}

impl HttpMeanings {
    /// From `404` and `4xx`; what is neither is the error.
    pub fn new(words: BTreeMap<String, Meaning>) -> Result<Self, String> {
        let mut meanings = Self::default();
        for (word, meaning) in words {
            let (map, digits) = match word.strip_suffix("xx") {
                Some(digit) => (&mut meanings.hundreds, digit),
                None => (&mut meanings.statuses, word.as_str()),
            };
            let range = if word.ends_with("xx") { 2..=5 } else { 200..=599 };
            match digits.parse() {
                Ok(number) if range.contains(&number) => map.insert(number, meaning),
                Ok(_) | Err(_) => return Err(word),
            };
        }
        Ok(meanings)
    }

    fn of(&self, status: u16) -> Meaning {
        let named = self.statuses.get(&status).or_else(|| self.hundreds.get(&(status / 100)));
        named.copied().unwrap_or_else(|| usual(status))
    }
}

/// A code, and no sentence or number of a person's.
fn is_code(text: &str) -> bool {
    text.len() <= 32
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && text.bytes().filter(u8::is_ascii_digit).count() < 7
}

/// As the adapters of known vendors read statuses of which nothing else is said.
fn usual(status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Accepted,
        429 => Meaning::Throttled(Whose::Account),
        408 | 500.. => Meaning::Lost,
        // A redirect is not the API either: the address is wrong.
        300..=399 | 401 | 403 | 407 => {
            Meaning::Refused(RefusalClass::Configuration, Outcome::ProviderRejected)
        }
        _ => Meaning::Refused(RefusalClass::Permanent, Outcome::ProviderRejected),
    }
}

/// What became of a send.
pub(super) fn answer(profile: &Profile, reply: Result<Reply, NoReply>) -> Answer {
    let reply = match reply {
        Ok(reply) => reply,
        Err(no_reply) => return no_reply.into_answer(),
    };
    let document = document(&reply);
    let send = &profile.send;
    let code = send.code.as_ref().zip(document.as_ref()).and_then(|(code, document)| code.text(document));
    let known = code.as_ref().and_then(|code| send.errors.get(&normal(code)));
    let status = reply.status.as_u16();
    // A refusal's code may be one of the words that reports have.
    let ends = |outcome: &Outcome| outcome.terminal() && !outcome.contacted();
    let by_word = code.as_ref().and_then(|code| profile.outcome(code)).filter(ends);
    // It is logged and shown: a sentence may quote the number or address.
    let shown = |code: &str| known.is_some() || profile.outcome(code).is_some() || is_code(code);
    let word =
        code.as_deref().filter(|code| shown(code)).map_or_else(|| format!("HTTP {status}"), str::to_owned);
    let meaning = match known.copied().unwrap_or_else(|| send.http.of(status)) {
        Meaning::Refused(RefusalClass::Permanent, outcome) if known.is_none() => {
            Meaning::of_outcome(by_word.unwrap_or(outcome))
        }
        meaning => meaning,
    };
    match meaning {
        Meaning::Accepted => accepted(profile, &reply, document.as_ref()),
        Meaning::Refused(class, outcome) => Answer::Refused { outcome, provider_code: Some(word), class },
        Meaning::Throttled(whose) => {
            Answer::Throttled { provider_code: Some(word), retry_after: reply.retry_after(), whose }
        }
        Meaning::Unavailable => Answer::NotSent { why: format!("HTTP {status}") },
        Meaning::Lost => Answer::Lost { why: format!("HTTP {status}") },
    }
}

/// None: the answer is no JSON, or broke off.
pub(super) fn document(reply: &Reply) -> Option<Value> {
    serde_json::from_slice(reply.bytes()).ok()
}

fn accepted(profile: &Profile, reply: &Reply, document: Option<&Value>) -> Answer {
    let Some(document) = document else {
        let says_something = profile.send.id.is_some() || profile.send.status.is_some();
        return match reply.body {
            // A proxy's page, perhaps: whoever has an id to tell has not answered.
            Body::Whole(_) if says_something => Answer::Lost { why: NOT_THE_GATEWAYS.to_owned() },
            Body::Whole(_) | Body::Broken => Answer::Accepted { provider_id: None, outcome: None },
        };
    };
    let word = profile.send.status.as_ref().and_then(|status| status.text(document));
    // What nobody has mapped says nothing yet; reports follow, and are kept in their own words.
    let outcome = word.as_ref().and_then(|word| profile.outcome(word));
    match (outcome, word) {
        // Some gateways answer a success to what they do not send.
        (Some(outcome), Some(word)) if outcome.terminal() && !outcome.contacted() => {
            let (provider_code, class) = (Some(word.into_owned()), RefusalClass::Permanent);
            Answer::Refused { outcome, provider_code, class }
        }
        (outcome, _) => {
            let id = profile.send.id.as_ref().and_then(|id| id.text(document));
            Answer::Accepted { provider_id: id.map(|id| id.into_owned()), outcome }
        }
    }
}
