//! "Why is this not sent yet?", and "what happened?": what is known of one device, in words (promise 12).

use chrono::{DateTime, TimeDelta, Utc};

use crate::policy::{RECORD_MARGIN, REQUEST_DEADLINE, SEND_BY, doubt_period, report_deadline};
use crate::trace::TraceId;
use crate::wait::{Reader, Wait};
use crate::window::{CallingWindow, Zone};
use crate::{
    AttemptKey, AttemptState, CampaignId, CampaignState, Channel, JobKey, JobState, Lane, Outcome, WaitReason,
};

/// A campaign, as far as it concerns when a device is tried.
#[derive(Debug, Clone)]
pub struct CampaignFacts {
    pub id: CampaignId,
    pub state: CampaignState,
    pub lane: Lane,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub expanded_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub attempts_max: u8,
    pub calling_window: Option<CallingWindow>,
    /// Why the sending of its district is stopped, if it is.
    pub stopped: Option<String>,
}

/// A device of a campaign: its job and whatever was tried.
#[derive(Debug, Clone)]
pub struct DeviceFacts {
    pub job: i32,
    pub channel: Channel,
    pub duplicate: bool,
    pub state: JobState,
    /// Counts releases.
    pub generation: i32,
    /// When the latest of them was.
    pub released_at: Option<DateTime<Utc>>,
    /// Attempts used up.
    pub tries: i16,
    pub outcome: Option<Outcome>,
    pub due_at: Option<DateTime<Utc>>,
    pub wait_reason: Option<WaitReason>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Restored from a backup, it waits for an operator's decision.
    pub undecided: bool,
    /// The number of the message of its day by which its person was told already, if there is one (requirement 179).
    pub told_by: Option<i64>,
    /// To which it was released last.
    pub account: Option<AccountFacts>,
    /// The recipient's, else the district's.
    pub zone: Option<Zone>,
    /// In order.
    pub attempts: Vec<AttemptFacts>,
    /// In the order in which they came.
    pub reports: Vec<ReportFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    pub name: String,
    /// Why it sends nothing, if it is stopped.
    pub stopped: Option<String>,
}

#[derive(Debug, Clone)]
pub struct AttemptFacts {
    pub number: i16,
    pub state: AttemptState,
    pub account: String,
    /// Of the release that it came of.
    pub generation: i32,
    pub claimed_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
    pub outcome: Option<Outcome>,
    pub provider_code: Option<String>,
}

/// What a provider told, as it was kept.
#[derive(Debug, Clone)]
pub struct ReportFacts {
    pub attempt: i16,
    pub received_at: DateTime<Utc>,
    pub outcome: Option<Outcome>,
    pub provider_code: Option<String>,
}

const UNDECIDED: &str = "the database was restored from a backup: whether it was sent is not known, and an operator decides what becomes of it";

/// The answer for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// One sentence: where it stands, and what comes next.
    pub answer: String,
    /// What led there, in order.
    pub steps: Vec<Step>,
    /// Of the attempt that is to come, under way or was the last.
    pub trace: TraceId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub at: DateTime<Utc>,
    pub what: String,
    /// Of an attempt: its number and trace.
    pub attempt: Option<(i16, TraceId)>,
}

/// Explains one device.
pub fn explain(campaign: &CampaignFacts, device: &DeviceFacts, reader: Reader) -> Explanation {
    let last = device.attempts.last().map_or(0, |attempt| attempt.number);
    // Of one that is to be tried again spans are in the next attempt's trace already.
    let number = match device.state {
        JobState::Waiting | JobState::Queued => last.saturating_add(1),
        JobState::Claimed | JobState::Ended => last.max(1),
    };
    Explanation {
        answer: answer(campaign, device, reader),
        steps: steps(campaign, device),
        trace: trace(campaign, device, number),
    }
}

fn trace(campaign: &CampaignFacts, device: &DeviceFacts, number: i16) -> TraceId {
    TraceId::of_attempt(AttemptKey { job: JobKey { campaign: campaign.id, job: device.job }, number })
}

fn answer(campaign: &CampaignFacts, device: &DeviceFacts, reader: Reader) -> String {
    match device.state {
        JobState::Ended => ended(device, reader),
        JobState::Waiting | JobState::Queued if campaign.canceled_at.is_some() => {
            "the message was canceled: this device is not tried any more".to_owned()
        }
        JobState::Waiting | JobState::Queued | JobState::Claimed if device.undecided => UNDECIDED.to_owned(),
        JobState::Queued => queued(campaign, device, reader),
        JobState::Waiting => waiting(campaign, device, reader),
        JobState::Claimed => claimed(campaign, device, reader),
    }
}

fn waiting(campaign: &CampaignFacts, device: &DeviceFacts, reader: Reader) -> String {
    if campaign.expanded_at.is_none() && campaign.lane != Lane::Emergency {
        return "the recipients are still being worked out: sending begins when all of them are known"
            .to_owned();
    }
    let (Some(reason), Some(due_at)) = (device.wait_reason, device.due_at) else {
        return "not tried yet: waits for its turn".to_owned();
    };
    let wait = Wait {
        reason,
        due_at,
        tries: device.tries,
        attempts_max: campaign.attempts_max,
        calling_window: campaign.calling_window.as_ref(),
        zone: device.zone,
        expires_at: campaign.expires_at,
        stopped: campaign.stopped.as_deref(),
    };
    format!("{}{}", wait.sentence(reader), stopped(device))
}

fn queued(campaign: &CampaignFacts, device: &DeviceFacts, reader: Reader) -> String {
    if let Some(reason) = &campaign.stopped {
        return format!("sending is stopped: {reason}");
    }
    let account = device.account.as_ref().map_or("its account", |account| account.name.as_str());
    let zone = device.zone.unwrap_or(Zone::UTC);
    let when = device.released_at.map(|at| format!(" at {}", reader.clock(zone, at))).unwrap_or_default();
    format!(
        "released for {account}{when} and not yet taken: waits on the queue, or for the account's limit{}",
        stopped(device)
    )
}

/// What stands in the way of a device whose account is stopped.
fn stopped(device: &DeviceFacts) -> String {
    match &device.account {
        Some(AccountFacts { name, stopped: Some(why) }) => format!("; the account {name} is stopped: {why}"),
        Some(AccountFacts { stopped: None, .. }) | None => String::new(),
    }
}

fn claimed(campaign: &CampaignFacts, device: &DeviceFacts, reader: Reader) -> String {
    let Some(attempt) = device.attempts.last() else {
        return "just claimed".to_owned();
    };
    let time = |at| reader.clock(device.zone.unwrap_or(Zone::UTC), at);
    let (account, since) = (&attempt.account, time(attempt.claimed_at));
    match attempt.state {
        AttemptState::Asking => {
            let until = attempt.claimed_at + seconds(SEND_BY + REQUEST_DEADLINE + RECORD_MARGIN);
            format!(
                "{account} is being asked since {since}: without an answer it is unknown at {}",
                time(until)
            )
        }
        AttemptState::Accepted => {
            let until = attempt.claimed_at + seconds(report_deadline(device.channel));
            format!(
                "{account} has it, claimed at {since}: what became of it is not told yet, and asked for about {}",
                time(until)
            )
        }
        AttemptState::Unknown => {
            let then = match campaign.lane {
                Lane::Emergency if campaign.canceled_at.is_none() => "it is tried again",
                Lane::Emergency | Lane::Priority | Lane::General => "it ends as unknown",
            };
            format!(
                "nobody knows whether {account} got the attempt of {since}: unless that is cleared up within {} s, {then}",
                doubt_period(campaign.lane).as_secs()
            )
        }
        AttemptState::Settled => format!("attempt {} has ended, and is being recorded", attempt.number),
    }
}

fn ended(device: &DeviceFacts, reader: Reader) -> String {
    let label = device.outcome.map_or("ended", Outcome::label);
    if device.duplicate {
        return format!("{label}: another device of this message has the same address");
    }
    if device.outcome == Some(Outcome::AlreadyTold) {
        let by = device.told_by.map_or("another message".to_owned(), |number| format!("message {number}"));
        return format!("{label}: {by} of the same day told this person about the student, or was about to");
    }
    let Some(attempt) = device.attempts.last() else {
        return format!("{label}: never tried");
    };
    let tries = match attempt.number {
        1 => "at the first attempt".to_owned(),
        number => format!("after {number} attempts"),
    };
    let when = device.ended_at.map(|at| format!(", {}", reader.clock(device.zone.unwrap_or(Zone::UTC), at)));
    let said = attempt.provider_code.as_deref().map(|code| format!(" (the provider's word: {code})"));
    format!("{label} {tries}{}{}", when.unwrap_or_default(), said.unwrap_or_default())
}

fn steps(campaign: &CampaignFacts, device: &DeviceFacts) -> Vec<Step> {
    let plain = |at, what: &str| Step { at, what: what.to_owned(), attempt: None };
    let mut steps = vec![plain(campaign.created_at, "the message was made")];
    if campaign.scheduled_at > campaign.created_at {
        steps.push(plain(campaign.scheduled_at, "its time came"));
    }
    steps.extend(campaign.expanded_at.map(|at| plain(at, "all recipients and devices were known")));
    steps.extend(device.released_at.map(|at| plain(at, &format!("release {}", device.generation))));
    for attempt in &device.attempts {
        let own = Some((attempt.number, trace(campaign, device, attempt.number)));
        let what = format!(
            "attempt {}: claimed for {}, from release {}",
            attempt.number, attempt.account, attempt.generation
        );
        steps.push(Step { at: attempt.claimed_at, what, attempt: own });
        if let Some(at) = attempt.settled_at {
            let outcome = attempt.outcome.map_or("no outcome", Outcome::label);
            steps.push(Step {
                at,
                what: format!("attempt {} ended: {outcome}", attempt.number),
                attempt: own,
            });
        }
    }
    for report in &device.reports {
        let outcome = report.outcome.map_or("no outcome", Outcome::label);
        let code = report.provider_code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        steps.push(Step {
            at: report.received_at,
            what: format!("the provider told of attempt {}: {outcome}{code}", report.attempt),
            attempt: Some((report.attempt, trace(campaign, device, report.attempt))),
        });
    }
    steps.extend(campaign.canceled_at.map(|at| plain(at, "the message was canceled")));
    steps.extend(device.ended_at.map(|at| plain(at, "the device had its final outcome")));
    // Stable: what has one time stays in the order in which it follows.
    steps.sort_by_key(|step| step.at);
    steps
}

fn seconds(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use uuid::uuid;

    use super::*;
    use crate::wait::Dial;

    fn at(seconds: i64) -> DateTime<Utc> {
        "2026-11-30T19:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
    }

    fn read_at(seconds: i64) -> Reader {
        Reader { now: at(seconds), dial: Dial::Hours24 }
    }

    fn campaign() -> CampaignFacts {
        CampaignFacts {
            id: CampaignId(uuid!("01900000-0000-7000-8000-000000000001")),
            state: CampaignState::Sending,
            lane: Lane::General,
            created_at: at(0),
            scheduled_at: at(0),
            expanded_at: Some(at(1)),
            expires_at: at(86_400),
            canceled_at: None,
            attempts_max: 3,
            calling_window: None,
            stopped: None,
        }
    }

    fn device() -> DeviceFacts {
        DeviceFacts {
            job: 7,
            channel: Channel::Voice,
            duplicate: false,
            state: JobState::Waiting,
            generation: 0,
            released_at: None,
            tries: 0,
            outcome: None,
            due_at: Some(at(1)),
            wait_reason: Some(WaitReason::Turn),
            ended_at: None,
            undecided: false,
            told_by: None,
            account: None,
            zone: Some(Zone::America__Chicago),
            attempts: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn attempt(state: AttemptState, outcome: Option<Outcome>) -> AttemptFacts {
        AttemptFacts {
            number: 1,
            state,
            account: "main-voice".to_owned(),
            generation: 1,
            claimed_at: at(5),
            settled_at: (state == AttemptState::Settled).then(|| at(40)),
            outcome,
            provider_code: outcome.map(|_| "busy".to_owned()),
        }
    }

    fn main_voice(stopped: Option<&str>) -> Option<AccountFacts> {
        Some(AccountFacts { name: "main-voice".to_owned(), stopped: stopped.map(str::to_owned) })
    }

    #[test]
    fn every_state_of_a_device_has_its_answer() {
        let of = |state, attempts: Vec<AttemptFacts>| DeviceFacts { state, attempts, ..device() };
        let asking = of(JobState::Claimed, vec![attempt(AttemptState::Asking, None)]);
        let accepted = of(JobState::Claimed, vec![attempt(AttemptState::Accepted, None)]);
        let unknown = of(JobState::Claimed, vec![attempt(AttemptState::Unknown, None)]);
        let busy = vec![attempt(AttemptState::Settled, Some(Outcome::Busy))];
        let ended =
            DeviceFacts { outcome: Some(Outcome::Busy), ended_at: Some(at(40)), ..of(JobState::Ended, busy) };
        let refused = DeviceFacts { outcome: Some(Outcome::OptOut), ..of(JobState::Ended, Vec::new()) };
        let twin = DeviceFacts { outcome: Some(Outcome::Duplicate), duplicate: true, ..refused.clone() };
        let told =
            DeviceFacts { outcome: Some(Outcome::AlreadyTold), told_by: Some(1042), ..refused.clone() };
        let queued = DeviceFacts {
            account: main_voice(None),
            released_at: Some(at(4)),
            ..of(JobState::Queued, Vec::new())
        };
        let halted = DeviceFacts { account: main_voice(Some("no balance")), ..queued.clone() };
        let queued_too = queued.clone();
        let early = CampaignFacts { expanded_at: None, ..campaign() };
        let stopped = CampaignFacts { stopped: Some("wrong list".to_owned()), ..campaign() };
        let restored = DeviceFacts { undecided: true, ..asking.clone() };
        let emergency = CampaignFacts { lane: Lane::Emergency, ..campaign() };
        let canceled = CampaignFacts { canceled_at: Some(at(9)), ..emergency.clone() };
        let cases = [
            (campaign(), device(), "not tried yet: waits for its turn"),
            (
                early.clone(),
                device(),
                "the recipients are still being worked out: sending begins when all of them are known",
            ),
            (CampaignFacts { lane: Lane::Emergency, ..early }, device(), "not tried yet: waits for its turn"),
            (canceled.clone(), device(), "the message was canceled: this device is not tried any more"),
            (canceled.clone(), queued.clone(), "the message was canceled: this device is not tried any more"),
            (
                campaign(),
                queued,
                "released for main-voice at 13:00:04 America/Chicago and not yet taken: waits on the queue, or for the account's limit",
            ),
            (
                campaign(),
                halted,
                "released for main-voice at 13:00:04 America/Chicago and not yet taken: waits on the queue, or for the account's limit; the account main-voice is stopped: no balance",
            ),
            (
                campaign(),
                asking,
                "main-voice is being asked since 13:00:05 America/Chicago: without an answer it is unknown at 13:00:25 America/Chicago",
            ),
            (
                campaign(),
                accepted,
                "main-voice has it, claimed at 13:00:05 America/Chicago: what became of it is not told yet, and asked for about 13:15:05 America/Chicago",
            ),
            (
                campaign(),
                unknown.clone(),
                "nobody knows whether main-voice got the attempt of 13:00:05 America/Chicago: unless that is cleared up within 300 s, it ends as unknown",
            ),
            (
                emergency,
                unknown.clone(),
                "nobody knows whether main-voice got the attempt of 13:00:05 America/Chicago: unless that is cleared up within 30 s, it is tried again",
            ),
            (
                canceled,
                unknown,
                "nobody knows whether main-voice got the attempt of 13:00:05 America/Chicago: unless that is cleared up within 30 s, it ends as unknown",
            ),
            (
                campaign(),
                ended,
                "Busy at the first attempt, 13:00:40 America/Chicago (the provider's word: busy)",
            ),
            (stopped.clone(), device(), "sending is stopped: wrong list"),
            (stopped, queued_too, "sending is stopped: wrong list"),
            (campaign(), restored, UNDECIDED),
            (
                campaign(),
                told,
                "Already Told: message 1042 of the same day told this person about the student, or was about to",
            ),
            (campaign(), twin, "Duplicate: another device of this message has the same address"),
        ];
        for (campaign, device, answer) in cases {
            assert_eq!(explain(&campaign, &device, read_at(10)).answer, answer);
        }
        assert!(explain(&campaign(), &refused, read_at(10)).answer.ends_with(": never tried"));
    }

    #[test]
    fn what_happened_is_told_in_order_with_the_trace_of_each_attempt() {
        let mut first = attempt(AttemptState::Settled, Some(Outcome::Busy));
        first.settled_at = Some(at(12));
        let second = AttemptFacts {
            number: 2,
            generation: 2,
            claimed_at: at(100),
            ..attempt(AttemptState::Asking, None)
        };
        let report = ReportFacts {
            attempt: 1,
            received_at: at(11),
            outcome: Some(Outcome::Busy),
            provider_code: Some("busy".to_owned()),
        };
        let device = DeviceFacts {
            state: JobState::Claimed,
            attempts: vec![first, second],
            reports: vec![report],
            ..device()
        };
        let told = explain(&campaign(), &device, read_at(101));
        let words: Vec<&str> = told.steps.iter().map(|step| step.what.as_str()).collect();
        assert_eq!(
            words,
            [
                "the message was made",
                "all recipients and devices were known",
                "attempt 1: claimed for main-voice, from release 1",
                "the provider told of attempt 1: Busy (busy)",
                "attempt 1 ended: Busy",
                "attempt 2: claimed for main-voice, from release 2",
            ]
        );
        let job = JobKey { campaign: campaign().id, job: 7 };
        let of = |number| TraceId::of_attempt(AttemptKey { job, number });
        assert_eq!(told.steps[3].attempt, Some((1, of(1))));
        assert_eq!(told.steps[5].attempt, Some((2, of(2))));
        assert_eq!(told.trace, of(2));
        let waiting = DeviceFacts { state: JobState::Waiting, ..device };
        assert_eq!(
            explain(&campaign(), &waiting, read_at(101)).trace,
            of(3),
            "what is to come is in the next trace"
        );
    }
}
