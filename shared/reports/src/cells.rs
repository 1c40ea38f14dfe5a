//! One row of the delivery detail as its cells read (requirements 61 to 63, 188; decision D8).

use tocsin_domain::Outcome;
use tocsin_domain::window::Zone;

use crate::report::{Device, Row};
use crate::words;

/// What the columns hold. How marks look is the format's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub recipient: &'a str,
    /// Marked with an asterisk (62).
    pub not_contacted: bool,
    pub student: &'a str,
    pub mode: &'static str,
    pub device: &'a str,
    /// Marked with † or & (63).
    pub duplicate: bool,
    pub status: String,
    /// The 1.0 call code of the status (188).
    pub call_code: Option<i16>,
    /// The provider's own word, where it is none that we know (D8).
    pub provider_code: Option<&'a str>,
    pub time: String,
}

impl<'a> Line<'a> {
    pub fn of(row: &'a Row, not_contacted: bool, zone: Zone) -> Self {
        let device = row.device.as_ref();
        let outcome = match device {
            None => Outcome::NoDevice,
            Some(device) => device.outcome.unwrap_or(Outcome::InProgress),
        };
        Self {
            recipient: &row.recipient,
            not_contacted,
            student: row.student.as_deref().unwrap_or_default(),
            mode: device.map_or("", |device| words::channel(device.channel)),
            device: device.map_or("", |device| device.address.as_str()),
            duplicate: device.is_some_and(|device| device.duplicate),
            status: status(device, outcome),
            call_code: outcome.call_code(),
            provider_code: device
                .filter(|_| outcome == Outcome::Unknown)
                .and_then(|device| device.provider_code.as_deref()),
            time: device.and_then(|device| device.time).map_or_else(String::new, |at| words::time(at, zone)),
        }
    }

    /// Status with its codes, for formats that have one column for all.
    pub fn status_with_codes(&self) -> String {
        let mut text = self.status.clone();
        for code in
            self.call_code.map(|code| code.to_string()).iter().map(String::as_str).chain(self.provider_code)
        {
            text.push_str(" (");
            text.push_str(code);
            text.push(')');
        }
        text
    }
}

/// What is still open says so, whatever was heard of it so far (191).
fn status(device: Option<&Device>, outcome: Outcome) -> String {
    let open = device.is_some_and(|device| !device.ended);
    match open {
        true if outcome != Outcome::InProgress => {
            format!("{} ({})", Outcome::InProgress.label(), outcome.label())
        }
        true | false => outcome.label().to_owned(),
    }
}
