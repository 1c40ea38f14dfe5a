//! Everything that reports can make of an attempt and its job: from a claimed attempt on, every report on every view
//! that an earlier report led to.

use std::collections::{BTreeSet, HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::policy::{Machines, RedialPolicy};
use tocsin_domain::settlement::{AttemptView, JobAction, JobView, Report, ReportKind, UsedUp, settle};
use tocsin_domain::{AttemptKey, AttemptState, CampaignId, Channel, JobKey, JobState, Lane, Outcome};
use uuid::Uuid;

use super::{NONE, Transitions, assert_documented, transition};

/// What a view is told apart by.
type Seen = (AttemptState, Option<Outcome>, Option<Outcome>, JobState, i16, Option<Outcome>);

pub struct Settling {
    pub attempts: Transitions,
    pub jobs: Transitions,
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn claimed(lane: Lane, machines: Machines, expires_in: i64, canceled: bool) -> AttemptView {
    let key = JobKey { campaign: CampaignId(Uuid::nil()), job: 1 };
    let job = JobView {
        state: JobState::Claimed,
        attempt: 1,
        tries: 1,
        outcome: None,
        channel: Channel::Voice,
        lane,
        redial: RedialPolicy { machines, ..RedialPolicy::default_for(lane) },
        expires_at: now() + TimeDelta::hours(expires_in),
        canceled,
        asks_opt_in: false,
    };
    AttemptView::claimed(AttemptKey { job: key, number: 1 }, job)
}

/// Each kind of report by its name in the document.
fn reports() -> Vec<(&'static str, ReportKind)> {
    let mut reports = vec![
        ("accepted", ReportKind::Accepted { provider_id: None }),
        ("not asked", ReportKind::NotAsked),
        ("throttled", ReportKind::Throttled { provider_code: None, retry_after: None }),
        ("lost", ReportKind::Lost),
        ("doubt over", ReportKind::DoubtOver),
        ("silence", ReportKind::Silence),
        ("recalled", ReportKind::Recalled),
    ];
    for outcome in Outcome::all() {
        let name = match outcome {
            Outcome::CallEnded => "call ended",
            _ if outcome.once_over().is_some() => "who answered",
            _ if outcome.terminal() => "final status",
            _ => "progress",
        };
        reports.push((name, ReportKind::Status { outcome, provider_code: None, provider_id: None }));
    }
    reports
}

fn attempt_name(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Asking => "Asking",
        AttemptState::Accepted => "Accepted",
        AttemptState::Settled => "Settled",
        AttemptState::Unknown => "Unknown",
    }
}

pub fn job_name(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "Waiting",
        JobState::Queued => "Queued",
        JobState::Claimed => "Claimed",
        JobState::Ended => "Ended",
    }
}

fn seen(view: &AttemptView) -> Seen {
    let job = &view.job;
    (view.state, view.outcome, view.answered, job.state, job.attempt, job.outcome)
}

/// What the statement `apply` makes of a decision.
fn after(view: &AttemptView, report: &Report) -> Option<AttemptView> {
    let change = settle(view, std::slice::from_ref(report), now())?;
    let mut next = view.clone();
    next.state = change.state;
    next.outcome = change.outcome;
    next.answered = change.answered;
    match change.job {
        JobAction::Keep => {}
        JobAction::Raise { outcome } => next.job.outcome = Some(outcome),
        JobAction::Wait { best, used_up, .. } => {
            next.job.state = JobState::Waiting;
            next.job.outcome = best;
            next.job.tries -= i16::from(used_up == UsedUp::No);
        }
        JobAction::End { outcome } => {
            next.job.state = JobState::Ended;
            next.job.outcome = Some(outcome);
        }
    }
    Some(next)
}

/// What the other statements make of a job that waits.
fn meanwhile(view: &AttemptView) -> Vec<AttemptView> {
    if view.job.state != JobState::Waiting {
        return Vec::new();
    }
    [(JobState::Queued, 0), (JobState::Claimed, 1)]
        .map(|(state, claims)| {
            let mut next = view.clone();
            next.job.state = state;
            next.job.attempt += claims;
            next
        })
        .to_vec()
}

pub fn settling() -> Settling {
    let mut found = Settling { attempts: BTreeSet::new(), jobs: BTreeSet::new() };
    let reports = reports();
    let mut known: HashSet<Seen> = HashSet::new();
    for (lane, machines, expires_in, canceled) in [
        (Lane::General, Machines::Redial, 1, false),
        (Lane::Emergency, Machines::Ignored, 1, false),
        (Lane::General, Machines::Ignored, -1, false),
        (Lane::General, Machines::Ignored, 1, true),
    ] {
        known.clear();
        let mut open = VecDeque::from([claimed(lane, machines, expires_in, canceled)]);
        while let Some(view) = open.pop_front() {
            if !known.insert(seen(&view)) {
                continue;
            }
            open.extend(meanwhile(&view));
            for (name, kind) in &reports {
                let report = Report { attempt: view.key, at: now(), sequence: None, kind: kind.clone() };
                let Some(next) = after(&view, &report) else { continue };
                if view.state != next.state || view.outcome != next.outcome {
                    let (from, to) = (attempt_name(view.state), attempt_name(next.state));
                    found.attempts.insert(transition(from, to, name));
                }
                if (view.job.state, view.job.outcome) != (next.job.state, next.job.outcome) {
                    let (from, to) = (job_name(view.job.state), job_name(next.job.state));
                    found.jobs.insert(transition(from, to, "apply"));
                }
                open.push_back(next);
            }
        }
    }
    found
}

#[test]
fn the_transitions_of_an_attempt_are_those_of_the_document() {
    let mut found = settling().attempts;
    found.insert(transition(NONE, "Asking", "claim"));
    // Observed by the tests of recovery.
    for from in [NONE, "Asking", "Accepted"] {
        found.insert(transition(from, "Unknown", "doubt_jobs"));
    }
    assert_documented("Attempt", &found);
}
