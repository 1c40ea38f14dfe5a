//! What a callback says: reports to settle, and events to keep. Pure.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::AttemptKey;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_providers::{CallbackReport, Provider};
use tocsin_store::consents::Heard;
use tocsin_store::events::{About, Event};
use tocsin_store::kept::UNPARSED;
use tocsin_store::suppressions::{Learned, LearnedOfAddress, Unsubscribed};
use uuid::Uuid;

use crate::callback::Callback;

/// A provider's clock is believed this far back and ahead of ours. Beyond that (a field in another unit, a
/// nonsense year) the time of receipt stands.
const REPORTED_BEFORE_MAX: TimeDelta = TimeDelta::days(30);
const REPORTED_AHEAD_MAX: TimeDelta = TimeDelta::hours(1);

/// What callbacks say, to be written together.
#[derive(Debug, Clone, Default)]
pub struct Understood {
    pub reports: Vec<Report>,
    /// One for each report; one for a callback that says nothing about an attempt, so that it is kept.
    pub events: Vec<Event>,
    /// What the reports tell of the addresses themselves.
    pub learned: Vec<Learned>,
    /// Keywords that people texted.
    pub heard: Vec<Heard>,
    /// Readers who unsubscribed by the link in a mail.
    pub unsubscribed: Vec<Unsubscribed>,
    /// What reports without an attempt tell of the addresses that they name.
    pub of_addresses: Vec<LearnedOfAddress>,
}

/// What its adapter could not understand is kept as it came, and counted from the rows (`tocsin callbacks`).
pub fn unread(callback: &Callback) -> Understood {
    let event = Event { provider_code: Some(UNPARSED.to_owned()), ..bare_event(callback) };
    Understood { events: vec![event], ..Understood::default() }
}

/// `said` is empty for a callback that reports nothing.
pub fn understand(callback: &Callback, said: Vec<CallbackReport>) -> Understood {
    let mut understood = Understood::default();
    if said.is_empty() {
        understood.events.push(bare_event(callback));
    }
    // A body of 1 MB holds fewer reports than there are ordinals.
    for (ordinal, report) in (0..i16::MAX).zip(said) {
        let attempt = report.attempt.or(callback.attempt);
        let reported_at = report.at.filter(|at| is_believed(*at, callback.received_at));
        let (provider_id, provider_code) = (report.provider_id.map(text), report.provider_code.map(text));
        let mut event = bare_event(callback);
        if ordinal > 0 {
            event.raw = None;
        }
        understood.events.push(Event {
            ordinal,
            about: about(attempt),
            reported_at,
            outcome: Some(report.outcome),
            sequence: report.sequence,
            provider_id: provider_id.clone(),
            provider_code: provider_code.clone(),
            ..event
        });
        understood.reports.extend(attempt.map(|attempt| Report {
            attempt,
            at: reported_at.unwrap_or(callback.received_at),
            sequence: report.sequence,
            kind: ReportKind::Status { outcome: report.outcome, provider_code, provider_id },
        }));
    }
    understood
}

/// What a callback's reports tell of the addresses themselves, in its provider's words.
pub fn learned(callback: &Callback, reports: &[Report], provider: &dyn Provider) -> Vec<Learned> {
    reports.iter().filter_map(|report| fact(report, callback.id, provider)).collect()
}

/// What a callback without an attempt tells of the addresses that it names. (One with a token whose attempt is not there
/// yet tells it when that is found.)
pub fn of_addresses(callback: &Callback, provider: &dyn Provider) -> Vec<LearnedOfAddress> {
    if callback.attempt.is_some() {
        return Vec::new();
    }
    let facts = provider.facts_of_addresses(&callback.raw).into_iter();
    facts
        .map(|(address, reason)| LearnedOfAddress {
            address: address.into(),
            reason,
            at: callback.received_at,
            account: callback.account.clone(),
        })
        .collect()
}

/// What one report, kept as `event`, tells of its address.
pub fn fact(report: &Report, event: Uuid, provider: &dyn Provider) -> Option<Learned> {
    let ReportKind::Status { provider_code: Some(code), .. } = &report.kind else { return None };
    let fact = provider.address_fact(code)?;
    Some(Learned { attempt: report.attempt, fact, at: report.at, event: Some(event) })
}

impl Understood {
    /// The events of `missing` attempts are kept apart from any, to be matched later.
    pub fn detach(&mut self, missing: &[AttemptKey]) {
        let missing: HashSet<&AttemptKey> = missing.iter().collect();
        for event in &mut self.events {
            if let Some(attempt) = event.about.attempt().filter(|attempt| missing.contains(attempt)) {
                event.about = About::Missing(attempt);
            }
        }
    }

    pub fn unmatched(&self) -> usize {
        self.events.iter().filter(|event| event.about.attempt().is_none()).count()
    }
}

impl<'a> FromIterator<&'a Self> for Understood {
    fn from_iter<I: IntoIterator<Item = &'a Self>>(parts: I) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.reports.extend_from_slice(&part.reports);
            all.events.extend_from_slice(&part.events);
            all.learned.extend_from_slice(&part.learned);
            all.heard.extend_from_slice(&part.heard);
            all.unsubscribed.extend_from_slice(&part.unsubscribed);
            all.of_addresses.extend_from_slice(&part.of_addresses);
        }
        all
    }
}

pub fn bare_event(callback: &Callback) -> Event {
    Event {
        id: callback.id,
        ordinal: 0,
        about: about(callback.attempt),
        received_at: callback.received_at,
        reported_at: None,
        outcome: None,
        sequence: None,
        account: callback.account.clone(),
        provider_id: None,
        provider_code: None,
        raw: Some(callback.raw.body.to_vec()),
    }
}

fn about(attempt: Option<AttemptKey>) -> About {
    attempt.map_or(About::Nothing, About::Attempt)
}

fn is_believed(at: DateTime<Utc>, received_at: DateTime<Utc>) -> bool {
    (received_at - REPORTED_BEFORE_MAX..=received_at + REPORTED_AHEAD_MAX).contains(&at)
}

/// PostgreSQL's texts hold every character but this one.
pub fn text(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tocsin_domain::{CampaignId, JobKey, Lane, Outcome};
    use tocsin_providers::RawRequest;

    use super::*;

    fn key(job: i32) -> AttemptKey {
        AttemptKey { job: JobKey { campaign: CampaignId(Uuid::from_u128(1)), job }, number: 1 }
    }

    fn callback(attempt: Option<AttemptKey>) -> Callback {
        Callback {
            id: Uuid::from_u128(2),
            received_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            account: "sms-1".into(),
            raw: RawRequest {
                method: "POST".into(),
                url: "https://x/".into(),
                headers: vec![],
                body: Bytes::from_static(b"body"),
            },
            attempt,
            lane: Lane::General,
        }
    }

    fn said(outcome: Outcome) -> CallbackReport {
        CallbackReport {
            attempt: None,
            provider_id: Some("SM1".into()),
            outcome,
            provider_code: Some("word".into()),
            at: None,
            sequence: None,
            event_id: None,
        }
    }

    #[test]
    fn every_report_of_a_batch_is_settled_and_kept_and_the_body_once() {
        let other = CallbackReport { attempt: Some(key(9)), sequence: Some(2), ..said(Outcome::Delivered) };
        let understood = understand(&callback(Some(key(7))), vec![said(Outcome::Sent), other]);
        let settled: Vec<_> = understood.reports.iter().map(|report| report.attempt).collect();
        assert_eq!(settled, [key(7), key(9)]);
        let numbered: Vec<_> = understood.reports.iter().map(|report| report.sequence).collect();
        let kept: Vec<_> = understood.events.iter().map(|event| event.sequence).collect();
        assert_eq!((numbered, kept), (vec![None, Some(2)], vec![None, Some(2)]));
        let kept: Vec<_> = understood
            .events
            .iter()
            .map(|event| (event.ordinal, event.about, event.outcome, event.raw.is_some()))
            .collect();
        assert_eq!(
            kept,
            [
                (0, About::Attempt(key(7)), Some(Outcome::Sent), true),
                (1, About::Attempt(key(9)), Some(Outcome::Delivered), false),
            ]
        );
    }

    #[test]
    fn a_callback_that_reports_nothing_is_kept_and_settles_nothing() {
        let understood = understand(&callback(Some(key(7))), vec![]);
        assert!(understood.reports.is_empty());
        let event = &understood.events[0];
        assert_eq!(
            (event.about, event.outcome, event.raw.as_deref()),
            (About::Attempt(key(7)), None, Some(&b"body"[..]))
        );
    }

    #[test]
    fn without_an_attempt_a_report_is_only_kept() {
        let understood = understand(&callback(None), vec![said(Outcome::Sent)]);
        assert!(understood.reports.is_empty());
        assert_eq!((understood.events.len(), understood.unmatched()), (1, 1));
    }

    #[test]
    fn only_the_events_of_missing_attempts_are_detached_and_keep_what_their_tokens_name() {
        let mut both: Understood = [key(7), key(8)]
            .map(|attempt| understand(&callback(Some(attempt)), vec![said(Outcome::Sent)]))
            .iter()
            .collect();
        both.detach(&[key(8)]);
        let about: Vec<_> = both.events.iter().map(|event| event.about).collect();
        assert_eq!((about, both.unmatched()), (vec![About::Attempt(key(7)), About::Missing(key(8))], 1));
    }

    #[test]
    fn a_reported_time_counts_where_it_can_be_true() {
        let received = callback(None).received_at;
        let table = [
            (None, None),
            (Some(received - TimeDelta::days(2)), Some(received - TimeDelta::days(2))),
            (Some(received + TimeDelta::minutes(2)), Some(received + TimeDelta::minutes(2))),
            (Some(received + TimeDelta::days(2)), None),
            (Some(DateTime::UNIX_EPOCH), None),
            (Some(DateTime::<Utc>::MIN_UTC), None),
        ];
        for (reported, believed) in table {
            let report = CallbackReport { at: reported, ..said(Outcome::Sent) };
            let understood = understand(&callback(Some(key(7))), vec![report]);
            assert_eq!(understood.events[0].reported_at, believed, "{reported:?}");
            assert_eq!(understood.reports[0].at, believed.unwrap_or(received), "{reported:?}");
        }
    }

    #[test]
    fn a_zero_byte_does_not_reach_the_store() {
        let report = CallbackReport { provider_code: Some("a\0b".into()), ..said(Outcome::Sent) };
        let understood = understand(&callback(Some(key(7))), vec![report]);
        assert_eq!(understood.events[0].provider_code.as_deref(), Some("a\u{fffd}b"));
    }
}
