//! The outside world: providers that take requests, answer as the seed says, and have something to report
//! later. Their ledger is the witness of the run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptKey, Channel, Outcome};
use tocsin_providers::{
    Answer, CallbackReport, Capabilities, InboundText, LookUpAnswer, LookUpQuery, ParseError, Provider,
    RawRequest, RecallAnswer, RefusalClass, Reply, SendRequest, VerifyError, VerifyFault, Whose,
};
use tocsin_runtime::Clock as _;

use crate::clock::SimulatedClock;
use crate::plan::Says;
use crate::random::Random;

/// A header of callbacks that nobody signed.
pub const FORGED: &str = "x-forged";

/// A request to reach somebody, as its provider saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub account: String,
    pub channel: Channel,
    pub attempt: AttemptKey,
    /// The number, where the account has some of its own.
    pub from: Option<String>,
    pub to: String,
    pub at: DateTime<Utc>,
    pub effect: Effect,
    pub refusal: Option<Refusal>,
    /// It was recalled before anybody was reached.
    pub stopped: bool,
    /// Is the request, or the call that it began, still going on?
    pub open: bool,
    pub provider_id: String,
}

/// Why nothing came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It concerns the device.
    Device,
    /// It concerns the number that was sent from, which must stop.
    Sender,
    Throttled(Whose, Option<Duration>),
    NotReached,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Accepted, and answered so.
    Accepted,
    /// Accepted, and the answer was lost.
    AcceptedUnanswered,
    /// Never processed, and whoever asked cannot know.
    LostUnanswered,
    /// Refused, throttled or failed: nobody is reached by it.
    None,
}

impl Effect {
    /// As far as whoever asked can know.
    fn may_go_on(self) -> bool {
        self != Self::None
    }

    pub fn accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::AcceptedUnanswered)
    }
}

/// A report that its provider has yet to post.
#[derive(Debug, Clone)]
pub struct Callback {
    pub account: String,
    pub attempt: AttemptKey,
    pub token: String,
    pub provider_id: String,
    pub outcome: Outcome,
    pub at: DateTime<Utc>,
    /// Does the call or text end with it?
    pub last: bool,
}

impl Callback {
    pub fn body(&self) -> String {
        format!("{} {} {}", self.outcome.number(), self.provider_id, self.at.timestamp_micros())
    }
}

/// A text of a person to one of our numbers.
#[derive(Debug, Clone)]
pub struct Text {
    pub id: usize,
    pub account: String,
    pub district: usize,
    pub from: String,
    pub says: Says,
    /// When it was taken, by the collector's clock. None: not yet.
    pub taken_at: Option<DateTime<Utc>>,
}

impl Text {
    pub fn body(&self) -> String {
        let words = match self.says {
            Says::Stop => "Stop",
            Says::Start => "START",
            Says::Help => "help",
            Says::Nothing => "Ana is ill",
        };
        format!("SM{} {} {words}", self.id, self.from)
    }
}

/// What all providers of a run know.
#[derive(Debug, Default)]
pub struct Ledger {
    pub requests: Vec<Request>,
    /// Reports still to be posted, in the order in which they happened.
    pub callbacks: Vec<Callback>,
    /// The calmer end of a run: what is accepted is reported.
    pub calm: bool,
}

impl Ledger {
    /// The requests were answered. A call that was accepted goes on; returns those of which nothing does.
    pub fn answered(&mut self, attempts: &[AttemptKey]) -> Vec<AttemptKey> {
        let mut over = Vec::new();
        for request in self.requests.iter_mut().filter(|request| attempts.contains(&request.attempt)) {
            let goes_on = request.channel == Channel::Voice && request.effect.accepted();
            let has_news = self.callbacks.iter().any(|callback| callback.attempt == request.attempt);
            request.open &= goes_on && has_news;
            if !request.effect.may_go_on() {
                over.push(request.attempt);
            }
        }
        over
    }

    /// The report leaves its provider: posted, or lost on the way.
    pub fn take(&mut self, index: usize) -> Option<Callback> {
        if index >= self.callbacks.len() {
            return None;
        }
        let callback = self.callbacks.remove(index);
        if callback.last {
            for request in self.requests.iter_mut().filter(|request| request.attempt == callback.attempt) {
                request.open = false;
            }
        }
        Some(callback)
    }
}

/// One account.
#[derive(Debug)]
pub struct SimulatedProvider {
    pub account: String,
    pub channel: Channel,
    pub seed: u64,
    pub clock: SimulatedClock,
    pub ledger: Arc<Mutex<Ledger>>,
}

impl SimulatedProvider {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn luck(&self, attempt: AttemptKey, what: u64) -> Random {
        let campaign = attempt.job.campaign.0.as_u128();
        let number = u64::from(attempt.number.unsigned_abs());
        let job = u64::from(attempt.job.job.unsigned_abs());
        Random::of(self.seed, &[campaign as u64, (campaign >> 64) as u64, job, number, what])
    }

    fn answer(&self, attempt: AttemptKey, has_sender: bool) -> (Effect, Option<Refusal>, Answer) {
        let mut luck = self.luck(attempt, 1);
        let provider_id = Some(id_of(attempt));
        let accepted = Answer::Accepted { provider_id, outcome: None };
        if self.ledger().calm {
            return (Effect::Accepted, None, accepted);
        }
        let whose = if has_sender && luck.percent(50) { Whose::Sender } else { Whose::Account };
        let seconds = luck.between(1, 20);
        match luck.below(100) {
            0..64 => (Effect::Accepted, None, accepted),
            64..69 => (Effect::Accepted, None, Answer::Accepted { provider_id: None, outcome: None }),
            69..77 => (Effect::AcceptedUnanswered, None, Answer::Lost { why: "no answer".to_owned() }),
            77..82 => (Effect::LostUnanswered, None, Answer::Lost { why: "no answer".to_owned() }),
            82..84 if has_sender => {
                let outcome = match self.channel {
                    Channel::Voice => Outcome::CallNotInitiated,
                    Channel::Sms => Outcome::TextNotInitiated,
                    Channel::Email | Channel::Inbox => Outcome::FailedToSend,
                };
                let (provider_code, class) = (Some("21606".to_owned()), RefusalClass::Sender);
                (Effect::None, Some(Refusal::Sender), Answer::Refused { outcome, provider_code, class })
            }
            82..88 => {
                let outcome = match self.channel {
                    Channel::Voice | Channel::Sms => Outcome::InvalidNumber,
                    Channel::Email | Channel::Inbox => Outcome::InvalidAddress,
                };
                let (provider_code, class) = (Some("21211".to_owned()), RefusalClass::Permanent);
                (Effect::None, Some(Refusal::Device), Answer::Refused { outcome, provider_code, class })
            }
            dice @ 88..96 => {
                let retry_after = (dice >= 93).then_some(Duration::from_secs(seconds));
                let answer = Answer::Throttled { provider_code: None, retry_after, whose };
                (Effect::None, Some(Refusal::Throttled(whose, retry_after)), answer)
            }
            _ => {
                let answer = Answer::NotSent { why: "no connection".to_owned() };
                (Effect::None, Some(Refusal::NotReached), answer)
            }
        }
    }

    /// What is reported of an accepted attempt, in order.
    fn reports(&self, attempt: AttemptKey) -> Vec<Outcome> {
        let mut luck = self.luck(attempt, 2);
        let silent = luck.percent(10) && !self.ledger().calm;
        if silent {
            return Vec::new();
        }
        match self.channel {
            Channel::Voice => {
                let end = luck.pick(&[
                    Outcome::Completed,
                    Outcome::LivePerson,
                    Outcome::AnsweringMachine,
                    Outcome::Busy,
                    Outcome::NoAnswer,
                ]);
                match luck.below(3) {
                    // Nobody answered, and then somebody had after all.
                    0 => vec![Outcome::InProgress, Outcome::NoAnswer, Outcome::LivePerson],
                    _ => vec![Outcome::InProgress, end],
                }
            }
            Channel::Sms => {
                let end = luck.pick(&[Outcome::Delivered, Outcome::Delivered, Outcome::Undelivered]);
                match luck.below(3) {
                    0 => vec![Outcome::Sent, Outcome::Undelivered, Outcome::Delivered],
                    _ => vec![Outcome::SmsQueued, Outcome::Sent, end],
                }
            }
            Channel::Email | Channel::Inbox => match luck.below(4) {
                0 => vec![Outcome::SoftBounce, Outcome::Delivered],
                1 => vec![Outcome::Delivered, Outcome::HardBounce],
                2 => vec![Outcome::Delivered, Outcome::Opened],
                _ => vec![Outcome::Delivered],
            },
        }
    }
}

fn id_of(attempt: AttemptKey) -> String {
    format!("{}-{}-{}", attempt.job.campaign.0.simple(), attempt.job.job, attempt.number)
}

#[async_trait]
impl Provider for SimulatedProvider {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn capabilities(&self) -> Capabilities {
        let batch_max = if self.channel == Channel::Email { 3 } else { 1 };
        Capabilities { recall: self.channel == Channel::Voice, look_up: true, batch_max }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        let (attempt, now) = (request.attempt, self.clock.now());
        let (effect, refusal, answer) = self.answer(attempt, request.from.is_some());
        let (account, provider_id) = (self.account.clone(), id_of(attempt));
        let token = request.callback_url.rsplit('/').next().unwrap_or_default().to_owned();
        let reports = if effect.accepted() { self.reports(attempt) } else { Vec::new() };
        let last = reports.len().saturating_sub(1);
        let callbacks = reports.into_iter().enumerate().map(|(place, outcome)| Callback {
            account: account.clone(),
            attempt,
            token: token.clone(),
            provider_id: provider_id.clone(),
            outcome,
            at: now + chrono::TimeDelta::milliseconds(place as i64),
            last: place == last,
        });
        let mut ledger = self.ledger();
        ledger.callbacks.extend(callbacks);
        let channel = self.channel;
        ledger.requests.push(Request {
            account,
            channel,
            attempt,
            from: request.from.clone(),
            to: request.to.clone(),
            at: now,
            effect,
            refusal,
            stopped: false,
            open: true,
            provider_id,
        });
        answer
    }

    async fn recall(&self, provider_id: &str) -> RecallAnswer {
        let mut ledger = self.ledger();
        let Some(request) = ledger.requests.iter_mut().find(|request| request.provider_id == provider_id)
        else {
            return RecallAnswer::TooLate;
        };
        let attempt = request.attempt;
        match self.luck(attempt, 3).below(4) {
            0 => RecallAnswer::Unknown("no answer".to_owned()),
            1 => RecallAnswer::TooLate,
            _ if request.open => {
                request.open = false;
                request.stopped = true;
                ledger.callbacks.retain(|callback| callback.attempt != attempt);
                RecallAnswer::Stopped
            }
            _ => RecallAnswer::TooLate,
        }
    }

    async fn look_up(&self, query: &LookUpQuery) -> LookUpAnswer {
        let mut luck = self.luck(query.attempt, 4);
        let ledger = self.ledger();
        let known = ledger.requests.iter().find(|request| request.attempt == query.attempt);
        match known {
            _ if luck.percent(20) => LookUpAnswer::Unknown("no answer".to_owned()),
            Some(request) if request.effect.accepted() => {
                let provider_id = Some(request.provider_id.clone());
                drop(ledger);
                let outcome = self.reports(query.attempt).pop();
                let found = |outcome| CallbackReport {
                    attempt: Some(query.attempt),
                    provider_id,
                    outcome,
                    provider_code: None,
                    at: Some(self.clock.now()),
                    sequence: None,
                    event_id: None,
                };
                LookUpAnswer::Found(outcome.map(found).into_iter().collect())
            }
            Some(_) | None => LookUpAnswer::NotFound,
        }
    }

    fn verify(&self, raw: &RawRequest, _now: DateTime<Utc>) -> Result<(), VerifyError> {
        match raw.header(FORGED) {
            None => Ok(()),
            Some(_) => Err(VerifyError { fault: VerifyFault::Mismatch, http_status: 403 }),
        }
    }

    fn parse(&self, raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
        let text = std::str::from_utf8(&raw.body).map_err(|_| ParseError::Malformed("body"))?;
        let mut words = text.split(' ');
        let number = words.next().and_then(|word| word.parse().ok());
        let outcome = number.and_then(Outcome::from_number).ok_or(ParseError::Missing("outcome"))?;
        let provider_id = words.next().map(str::to_owned);
        let at = words.next().and_then(|word| word.parse().ok()).and_then(DateTime::from_timestamp_micros);
        Ok(vec![CallbackReport {
            attempt: None,
            provider_id,
            outcome,
            provider_code: None,
            at,
            sequence: None,
            event_id: None,
        }])
    }

    fn reply(&self, _raw: &RawRequest) -> Option<Reply> {
        (self.channel == Channel::Sms).then(|| Reply { content_type: "text/plain", body: String::new() })
    }

    /// As [`Text::body`] wrote it.
    fn inbound(&self, raw: &RawRequest) -> Result<InboundText, ParseError> {
        let text = std::str::from_utf8(&raw.body).map_err(|_| ParseError::Malformed("body"))?;
        let mut words = text.splitn(3, ' ').map(str::to_owned);
        let mut word = |name| words.next().ok_or(ParseError::Missing(name));
        Ok(InboundText { id: word("id")?, from: word("from")?, body: word("text")?, taken_for: None })
    }

    fn redact(&self, _raw: &RawRequest) -> String {
        String::new()
    }
}
