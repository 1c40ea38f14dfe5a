//! What happens to one mail, as the scenario has it.

use std::time::Duration;

use rand::Rng as _;

use super::super::behaviour::rng;
use super::super::scenario::{SmtpFaults, SmtpScenario};

/// At most one meets a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// 421 to MAIL, and the connection is closed.
    Closing,
    /// 550 to RCPT.
    RecipientRefused,
    /// 451 to RCPT.
    RecipientDeferred,
    /// 554 to the end of the mail.
    Refused,
    /// 451 to the end of the mail.
    Deferred,
    /// No reply to the end of the mail, which is not taken.
    Hang,
    /// The mail is taken, and the connection dropped in place of the reply.
    Dropped,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Treatment {
    pub latency: Duration,
    pub fault: Option<Fault>,
}

/// Drawn by order of arrival, so that a mail that is tried again may fare better.
pub(super) fn treatment(seed: u64, mail: u64, scenario: &SmtpScenario) -> Treatment {
    let mut rng = rng((seed, mail));
    Treatment { latency: scenario.latency.draw(&mut rng), fault: fault(&scenario.faults, rng.random()) }
}

fn fault(faults: &SmtpFaults, draw: f64) -> Option<Fault> {
    let shares = [
        (faults.closing, Fault::Closing),
        (faults.recipient_refused, Fault::RecipientRefused),
        (faults.recipient_deferred, Fault::RecipientDeferred),
        (faults.refused, Fault::Refused),
        (faults.deferred, Fault::Deferred),
        (faults.hang, Fault::Hang),
        (faults.dropped, Fault::Dropped),
    ];
    let mut left = draw;
    for (share, fault) in shares {
        left -= share;
        if left < 0.0 {
            return Some(fault);
        }
    }
    None
}
