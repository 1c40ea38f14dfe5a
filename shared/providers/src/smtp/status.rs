//! What a mail server's code says: of the mailbox, of the moment, or of the mail (wire C.1, C.2).

use std::fmt;

use tocsin_domain::suppression::{AddressFact, SuppressionReason};

/// An enhanced status code (RFC 3463), as `5.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Enhanced {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Enhanced {
    /// The code at the beginning of `text`; a comment may follow it.
    pub fn at_start(text: &str) -> Option<Self> {
        let code = text.trim_start().split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut numbers = code.trim_end_matches('.').split('.');
        let mut number = || numbers.next()?.parse::<u16>().ok().filter(|number| *number < 1000);
        let (class, subject, detail) = (number()?, number()?, number()?);
        let class = u8::try_from(class).ok().filter(|class| [2, 4, 5].contains(class))?;
        numbers.next().is_none().then_some(Self { class, subject, detail })
    }

    /// `x.0.0` tells no more than its class.
    pub fn is_vague(self) -> bool {
        (self.subject, self.detail) == (0, 0)
    }
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is no such mailbox, and there will be none tomorrow.
    NoMailbox,
    /// Full, greylisted, a route that is down: the same mail may pass later.
    NotNow,
    /// The content, the sender's name, a policy, or what nobody can tell: for good, and not the mailbox's fault.
    NotThis,
}

/// The enhanced code tells where it tells anything; the three digits are used for all sorts of things. Without one,
/// `about_recipient` says whether the digits answer to the recipient's address or to the mail.
pub(super) fn meaning(enhanced: Option<Enhanced>, code: Option<u16>, about_recipient: bool) -> Meaning {
    let by_code = || match code {
        Some(550 | 551 | 553 | 556) if about_recipient => Meaning::NoMailbox,
        // A full mailbox is for good by its code alone.
        Some(400..500 | 552) => Meaning::NotNow,
        Some(_) | None => Meaning::NotThis,
    };
    let Some(enhanced) = enhanced else { return by_code() };
    match (enhanced.class, enhanced.subject, enhanced.detail) {
        (4, ..) | (5, 2, 2) => Meaning::NotNow,
        (5, 1, 1 | 2 | 3 | 6 | 10) | (5, 2, 1) => Meaning::NoMailbox,
        (5, 0, 0) => by_code(),
        _ => Meaning::NotThis,
    }
}

/// What a report's or a refusal's words (see `reply`, `bounce` and `complaint`) tell of the address.
pub(super) fn address_fact(provider_code: &str) -> Option<AddressFact> {
    let mut words = provider_code.split(' ');
    let first = words.next()?;
    let (mut enhanced, mut code) = (None, None);
    for word in words {
        enhanced = enhanced.or(Enhanced::at_start(word));
        code = code.or(word.parse().ok());
    }
    let reason = match first {
        "complaint" => SuppressionReason::Complaint,
        "opt-out" => SuppressionReason::Unsubscribe,
        "rcpt" | "failed" if meaning(enhanced, code, true) == Meaning::NoMailbox => {
            SuppressionReason::HardBounce
        }
        "data" | "content" if meaning(enhanced, code, false) == Meaning::NoMailbox => {
            SuppressionReason::HardBounce
        }
        _ => return None,
    };
    Some(AddressFact::Suppress(reason))
}
