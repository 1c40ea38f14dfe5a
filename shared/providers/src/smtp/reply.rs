//! What a relay's answer, or its silence, means for the attempt (wire C.1).

use std::error::Error as _;

use lettre::transport::smtp::Error;
use tocsin_domain::Outcome;

use super::status::{Enhanced, Meaning, meaning};
use crate::{Answer, RefusalClass, Whose};

/// The relay is closing the connection.
const CLOSING: u16 = 421;
const TOO_MANY: [&str; 3] = ["too many", "rate limit", "throttl"];
/// Said with the codes of a policy or of a missing mailbox. The bare word stands in many a host's name.
const NO_RELAYING: [&str; 6] =
    ["relay access", "relaying", "relay not permitted", "to relay", "not relay", "relay denied"];

/// What was said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Connecting, the greeting, EHLO.
    Connect,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// The mail, and the dot that ends it.
    Content,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    Refused(Refusal),
    /// No answer, or none that can be read. The words hold nothing of the server's.
    Broken(String),
    /// The relay cannot do what the account needs.
    Lacks(&'static str),
    /// The address has letters that the relay does not take.
    Unspeakable,
}

/// A complete answer of the relay's: 4yz or 5yz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: u16,
    pub enhanced: Option<Enhanced>,
    pub hint: Hint,
}

/// What only the words of an answer tell. They may name the person and are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    None,
    /// The relay wants fewer of us.
    TooMany,
    /// The relay does not relay for us.
    NoRelaying,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Some(code) = error.status() else { return Self::Broken(why(&error)) };
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        Self::Refused(Refusal::new(u16::from(code), &words))
    }
}

impl Failure {
    /// May another mail be begun on the connection, after RSET?
    pub fn leaves_the_connection(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.code != CLOSING,
            Self::Unspeakable => true,
            Self::Broken(_) | Self::Lacks(_) => false,
        }
    }
}

impl Refusal {
    pub fn new(code: u16, words: &str) -> Self {
        let lower = words.to_ascii_lowercase();
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
        let hint = if has(&TOO_MANY) {
            Hint::TooMany
        } else if has(&NO_RELAYING) {
            Hint::NoRelaying
        } else {
            Hint::None
        };
        Self { code, enhanced: Enhanced::at_start(words), hint }
    }

    fn is_temporary(self) -> bool {
        self.code < 500
    }

    /// Is it the relay that is busy, and not the recipient's mailbox?
    fn is_congestion(self) -> bool {
        let by_enhanced = matches!(
            self.enhanced,
            Some(
                Enhanced { class: 4, subject: 3, .. } | Enhanced { class: 4, subject: 4 | 5, detail: 3 | 5 }
            )
        );
        self.code == CLOSING || self.is_temporary() && (by_enhanced || self.hint == Hint::TooMany)
    }

    /// Is it the account that is refused: its login, or its right to send over this relay?
    fn is_about_the_account(self, stage: Stage) -> bool {
        let vague = match self.enhanced {
            None => true,
            Some(enhanced) => enhanced.subject == 7 || enhanced.is_vague(),
        };
        matches!(self.code, 530 | 534 | 535 | 538)
            || stage == Stage::Rcpt && !self.is_temporary() && vague && self.hint == Hint::NoRelaying
    }
}

pub(super) fn answer(stage: Stage, failure: Failure) -> Answer {
    let refused = |class, outcome, code| Answer::Refused { outcome, provider_code: Some(code), class };
    match failure {
        Failure::Refused(refusal) => answer_to(stage, refusal),
        // From DATA on the relay may have taken the mail.
        Failure::Broken(why) => match stage {
            Stage::Connect | Stage::StartTls | Stage::Auth | Stage::Mail | Stage::Rcpt => {
                Answer::NotSent { why }
            }
            Stage::Data | Stage::Content => Answer::Lost { why },
        },
        Failure::Lacks(what) => refused(
            RefusalClass::Configuration,
            Outcome::ProviderRejected,
            format!("{} {what}", stage.word()),
        ),
        Failure::Unspeakable => {
            refused(RefusalClass::Permanent, Outcome::ProviderRejected, "no SMTPUTF8".to_owned())
        }
    }
}

/// An answer with a code was understood: whatever the stage, the relay has not taken the mail.
fn answer_to(stage: Stage, refusal: Refusal) -> Answer {
    use RefusalClass::{Configuration, Permanent};
    let word = word(stage, refusal);
    let refused = |class, outcome| Answer::Refused { outcome, provider_code: Some(word.clone()), class };
    if refusal.is_about_the_account(stage) {
        return refused(Configuration, Outcome::ProviderRejected);
    }
    match stage {
        // Nothing of this mail was said yet but whom it comes from, which all of the account's share.
        Stage::Connect | Stage::StartTls | Stage::Auth | Stage::Mail if !refusal.is_temporary() => {
            refused(Configuration, Outcome::ProviderRejected)
        }
        Stage::Connect | Stage::StartTls | Stage::Auth | Stage::Mail => throttled(word),
        Stage::Rcpt | Stage::Data | Stage::Content if refusal.is_congestion() => throttled(word),
        Stage::Rcpt | Stage::Data | Stage::Content => {
            let outcome = match meaning(refusal.enhanced, Some(refusal.code), stage == Stage::Rcpt) {
                Meaning::NoMailbox => Outcome::HardBounce,
                Meaning::NotNow => Outcome::TemporarilyUnavailable,
                Meaning::NotThis => Outcome::ProviderRejected,
            };
            refused(Permanent, outcome)
        }
    }
}

fn throttled(word: String) -> Answer {
    Answer::Throttled { provider_code: Some(word), retry_after: None, whose: Whose::Account }
}

/// Where it was said and the codes: `rcpt 550 5.1.1`.
fn word(stage: Stage, refusal: Refusal) -> String {
    match refusal.enhanced {
        Some(enhanced) => format!("{} {} {enhanced}", stage.word(), refusal.code),
        None => format!("{} {}", stage.word(), refusal.code),
    }
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Content => "content",
        }
    }
}

/// What an unreadable answer holds may name the person; what the network or TLS says does not.
fn why(error: &Error) -> String {
    if error.is_response() {
        return "the relay hung up, or does not speak SMTP".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
