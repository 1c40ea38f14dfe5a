//! Devices explained: the answer first, then what led there.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use tocsin_domain::Channel;

use super::page::{channel_name, on_one_line};
use crate::terminal::{HEADING, QUIET, coloured};

#[derive(Debug, Deserialize)]
pub struct Why {
    devices: Vec<Device>,
}

#[derive(Debug, Deserialize)]
struct Device {
    device_id: i32,
    recipient_id: i32,
    recipient: String,
    student: Option<String>,
    channel: Channel,
    address: String,
    answer: String,
    trace_id: String,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    at: DateTime<Utc>,
    what: String,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, device) in self.devices.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "{device}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let student = self.student.as_deref().map(|student| format!(" for {}", on_one_line(student)));
        let whose = format!("{}{}", on_one_line(&self.recipient), student.unwrap_or_default());
        let device = format!("{} {}", channel_name(self.channel), self.address);
        writeln!(f, "{}", coloured(HEADING, &format!("{whose}, {device}")))?;
        writeln!(f, "  {}", self.answer)?;
        for step in &self.steps {
            writeln!(f, "  {}  {}", step.at.to_rfc3339_opts(SecondsFormat::Millis, true), step.what)?;
        }
        let ids =
            format!("recipient {}, device {}, trace {}", self.recipient_id, self.device_id, self.trace_id);
        writeln!(f, "  {}", coloured(QUIET, &ids))
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_stands_before_what_led_there() {
        let why: Why = serde_json::from_value(json!({
            "trace_id": "00",
            "devices": [{
                "device_id": 7, "recipient_id": 3, "recipient": "Ann\nLee", "student": "Max Lee", "channel": "sms",
                "address": "+13125550142", "state": "waiting", "status_code": "in_progress",
                "answer": "held until 08:00 America/Chicago", "trace_id": "ab",
                "steps": [{ "at": "2026-11-30T19:00:00Z", "what": "the message was made", "attempt": null, "trace_id": null }],
            }],
        }))
        .unwrap();
        let shown = strip_str(&why.to_string()).to_string();
        assert_eq!(
            shown.lines().collect::<Vec<_>>(),
            [
                "Ann Lee for Max Lee, Text +13125550142",
                "  held until 08:00 America/Chicago",
                "  2026-11-30T19:00:00.000Z  the message was made",
                "  recipient 3, device 7, trace ab",
            ]
        );
    }
}
