//! What the demo came to: both campaigns, and the checks.

use std::collections::BTreeMap;
use std::fmt;

use indicatif::HumanCount;
use serde_json::{Map, Value, json};
use tocsin_domain::{Channel, JobState, Outcome};
use tocsin_store::audit::JobFact;
use tocsin_testkit::promises::Violations;

use crate::client::{Counters, Detail, Receipt};
use crate::view::page::Page;

/// Of a broken promise, so many cases are printed.
const VIOLATIONS_SHOWN: usize = 10;
/// The cancel must have spared at least one device in so many.
const CANCELED_UNSENT_SHARE: u64 = 4;

#[derive(Debug)]
pub struct Report {
    pub sent: Ended,
    pub canceled: Ended,
    pub receipt: Receipt,
    pub violations: Violations,
    /// In the simulator's record.
    pub requests: u64,
}

/// A closed campaign.
#[derive(Debug)]
pub struct Ended {
    pub detail: Detail,
    pub jobs: Vec<JobFact>,
}

impl Ended {
    /// Devices with a final outcome, by their rows, without those that are marked as duplicates.
    fn final_outcomes(&self, channel: Channel) -> u64 {
        let is_final = |job: &&JobFact| {
            job.channel == channel && !job.duplicate && job.state == JobState::Ended && job.outcome.is_some()
        };
        self.jobs.iter().filter(is_final).count() as u64
    }

    /// Devices that the cancel spared: no attempt was ever claimed.
    fn canceled_unsent(&self) -> u64 {
        let unsent =
            |job: &&JobFact| !job.duplicate && job.outcome == Some(Outcome::Canceled) && job.attempts == 0;
        self.jobs.iter().filter(unsent).count() as u64
    }

    fn json(&self) -> Value {
        let by_channel: Map<String, Value> = self
            .detail
            .by_channel
            .iter()
            .map(|(channel, counted)| {
                let mut counters = counters(&counted.counters, self.final_outcomes(*channel));
                counters.insert("first_attempt_seconds", json!(counted.first_attempt_seconds));
                (channel.as_str().to_owned(), json!(counters))
            })
            .collect();
        let final_outcomes = Channel::ALL.into_iter().map(|channel| self.final_outcomes(channel)).sum();
        let mut campaign = counters(&self.detail.totals, final_outcomes);
        campaign.extend([
            ("id", json!(self.detail.id)),
            ("state", json!(self.detail.state)),
            ("recipients", json!(self.detail.recipients)),
            ("no_device", json!(self.detail.no_device)),
            ("seconds", json!(self.detail.seconds)),
            ("first_attempt_seconds", json!(self.detail.first_attempt_seconds)),
            ("by_channel", Value::Object(by_channel)),
        ]);
        json!(campaign)
    }
}

fn counters(counters: &Counters, final_outcomes: u64) -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("devices", json!(counters.devices)),
        ("attempts", json!(counters.attempts)),
        ("successful", json!(counters.successful)),
        ("error", json!(counters.error)),
        ("canceled", json!(counters.canceled)),
        ("duplicates_marked", json!(counters.duplicates)),
        ("final_outcomes", json!(final_outcomes)),
    ])
}

impl Report {
    /// Were the promises kept, and did the cancel spare enough for the demo to show it?
    pub fn holds(&self) -> bool {
        self.violations.is_empty() && self.spared_enough()
    }

    fn spared_enough(&self) -> bool {
        CANCELED_UNSENT_SHARE * self.canceled.canceled_unsent() >= self.canceled.detail.totals.devices
    }

    pub fn json(&self) -> Value {
        json!({
            "campaigns": [self.sent.json(), self.canceled.json()],
            "checks": {
                "lost": self.violations.lost.len(),
                "sent_twice": self.violations.sent_twice.len(),
                "sent_after_cancel": self.violations.sent_after_cancel.len(),
            },
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", Page { detail: &self.sent.detail, receipt: None })?;
        writeln!(f, "{}", Page { detail: &self.canceled.detail, receipt: Some(&self.receipt) })?;
        writeln!(
            f,
            "Checks: the {} requests that the simulated providers recorded, beside the store's rows",
            count(self.requests)
        )?;
        let promises = [
            ("lost", &self.violations.lost),
            ("sent twice", &self.violations.sent_twice),
            ("sent after cancel", &self.violations.sent_after_cancel),
        ];
        for (name, violations) in promises {
            let verdict = if violations.is_empty() { "ok" } else { "BROKEN" };
            writeln!(f, "  {name:<18}{:>7}  {verdict}", count(violations.len() as u64))?;
            for violation in violations.iter().take(VIOLATIONS_SHOWN) {
                writeln!(f, "    {violation}")?;
            }
        }
        let verdict = if self.spared_enough() { "ok" } else { "less than a quarter" };
        write!(
            f,
            "  {:<18}{:>7}  {verdict}, of {} devices of the canceled message",
            "canceled unsent",
            count(self.canceled.canceled_unsent()),
            count(self.canceled.detail.totals.devices)
        )
    }
}

/// As text, so that it can be padded.
fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(channel: Channel, duplicate: bool, outcome: Option<Outcome>, attempts: i16) -> JobFact {
        let state = if outcome.is_some() { JobState::Ended } else { JobState::Claimed };
        JobFact { job: 1, recipient: 1, channel, duplicate, state, outcome, attempts }
    }

    fn ended(jobs: Vec<JobFact>) -> Ended {
        let devices = jobs.iter().filter(|job| !job.duplicate).count();
        let counters = json!({ "devices": devices, "attempts": 0, "successful": 0, "error": 0, "canceled": 0,
            "not_dispatched": 0, "open": 0, "duplicates": jobs.len() - devices, "first_attempt_seconds": null });
        let detail = json!({
            "id": "01900000-0000-7000-8000-000000000001", "number": 1, "state": "canceled", "subject": "s",
            "message_type": "general", "created_by": "c", "created_at": "2026-01-05T12:00:00Z",
            "recipients": 3, "no_device": 1, "totals": counters,
            "by_channel": { "voice": counters, "sms": counters, "email": counters, "inbox": counters },
            "delivery_summary": { "inbox": 0, "emails": 0, "voice": 0, "text": 0, "inbox_attempted": 0,
                "emails_attempted": 0, "voice_attempted": 0, "text_attempted": 0, "contacted_by_phone": 0,
                "not_contacted_by_phone": 0, "email_progress_percent": null },
            "seconds": 2.5, "first_attempt_seconds": 1.5, "contents": []
        });
        Ended { detail: serde_json::from_value(detail).unwrap(), jobs }
    }

    fn report(canceled: Vec<JobFact>) -> Report {
        let receipt = json!({ "canceled": null, "contacted": 0, "in_flight_or_unknown": 0,
            "recalled": 0, "never_tried": 0 });
        Report {
            sent: ended(vec![job(Channel::Sms, false, Some(Outcome::Delivered), 1)]),
            canceled: ended(canceled),
            receipt: serde_json::from_value(receipt).unwrap(),
            violations: Violations::default(),
            requests: 4,
        }
    }

    fn voice(outcome: Outcome, attempts: i16) -> JobFact {
        job(Channel::Voice, false, Some(outcome), attempts)
    }

    #[test]
    fn the_json_has_the_agreed_names_and_no_others() {
        let json = report(vec![
            voice(Outcome::Canceled, 0),
            job(Channel::Voice, true, Some(Outcome::Duplicate), 0),
            job(Channel::Email, false, None, 1),
        ])
        .json();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        let campaign = &json["campaigns"][1];
        assert_eq!(names(&json), "campaigns checks");
        assert_eq!(names(&json["checks"]), "lost sent_after_cancel sent_twice");
        assert_eq!(
            names(campaign),
            "attempts by_channel canceled devices duplicates_marked error final_outcomes \
             first_attempt_seconds id no_device recipients seconds state successful"
        );
        assert_eq!(names(&campaign["by_channel"]), "email inbox sms voice");
        assert_eq!((&campaign["devices"], &campaign["duplicates_marked"]), (&json!(2), &json!(1)));
        assert_eq!(campaign["final_outcomes"], 1);
        assert_eq!(campaign["by_channel"]["voice"]["final_outcomes"], 1);
        assert_eq!(campaign["by_channel"]["email"]["final_outcomes"], 0);
    }

    #[test]
    fn a_broken_promise_or_too_small_a_cancel_fails_the_demo() {
        let (spared, reached) = (voice(Outcome::Canceled, 0), voice(Outcome::LivePerson, 1));
        assert!(report(vec![spared, reached, reached, reached]).holds());
        assert!(!report(vec![spared, reached, reached, reached, reached]).holds());
        let tried = voice(Outcome::Canceled, 1);
        assert!(!report(vec![tried, reached, reached, reached]).holds(), "an attempt was claimed");
        let mut broken = report(vec![spared]);
        broken.violations.lost.push("job x: waiting without a final outcome".to_owned());
        assert!(!broken.holds());
        let said = broken.to_string();
        assert!(said.contains("BROKEN\n    job x: waiting"), "{said}");
    }
}
