//! Each rule of settling, by a table.

mod detection;
mod order;

use chrono::TimeZone;
use uuid::Uuid;

use super::ReportKind::{DoubtOver, Lost, NotAsked, Recalled, Silence};
use super::*;
use crate::policy::Machines;
use crate::{CampaignId, JobKey};

fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_700_000_000 + second, 0).unwrap()
}

fn key(number: i16) -> AttemptKey {
    AttemptKey { job: JobKey { campaign: CampaignId(Uuid::nil()), job: 1 }, number }
}

/// A claimed voice job in its first attempt, that nothing is known of.
fn asking() -> AttemptView {
    AttemptView::claimed(
        key(1),
        JobView {
            state: JobState::Claimed,
            attempt: 1,
            tries: 1,
            outcome: None,
            channel: Channel::Voice,
            lane: Lane::General,
            redial: RedialPolicy::default_for(Lane::General),
            expires_at: at(3600),
            canceled: false,
            asks_opt_in: false,
        },
    )
}

fn with(change: impl FnOnce(&mut AttemptView)) -> AttemptView {
    let mut view = asking();
    change(&mut view);
    view
}

/// The job was given a second attempt while the first one is still being reported on.
fn in_second_attempt(view: &mut AttemptView) {
    view.state = AttemptState::Settled;
    view.job.attempt = 2;
    view.job.tries = 2;
}

fn report(kind: ReportKind) -> Report {
    Report { attempt: key(1), at: at(0), sequence: None, kind }
}

fn status(outcome: Outcome) -> ReportKind {
    ReportKind::Status { outcome, provider_code: None, provider_id: None }
}

fn throttled(retry_after: Option<u64>) -> ReportKind {
    ReportKind::Throttled { provider_code: None, retry_after: retry_after.map(Duration::from_secs) }
}

fn accepted() -> ReportKind {
    ReportKind::Accepted { provider_id: Some("CA1".into()) }
}

/// What `kinds`, learned together at second 0, change in `view`.
fn settled(view: &AttemptView, kinds: impl IntoIterator<Item = ReportKind>) -> Option<Change> {
    let reports: Vec<_> = kinds.into_iter().map(report).collect();
    settle(view, &reports, at(0))
}

fn job_after(view: &AttemptView, kind: ReportKind) -> JobAction {
    settled(view, [kind]).map_or(JobAction::Keep, |change| change.job)
}

fn end(outcome: Outcome) -> JobAction {
    JobAction::End { outcome }
}

fn wait(second: i64, reason: WaitReason, best: Option<Outcome>, used_up: UsedUp) -> JobAction {
    JobAction::Wait { due_at: at(second), reason, best, used_up }
}

/// What the store makes of a change.
fn apply(view: &mut AttemptView, change: Change) {
    view.state = change.state;
    view.outcome = change.outcome;
    view.sequence = change.sequence;
    view.provider_code = change.provider_code;
    view.provider_id = change.provider_id;
    view.answered = change.answered;
    view.detect_until = change.detect_until;
    match change.job {
        JobAction::Keep => {}
        JobAction::Raise { outcome } => view.job.outcome = Some(outcome),
        JobAction::Wait { best, used_up, .. } => {
            view.job.state = JobState::Waiting;
            view.job.outcome = best;
            if used_up == UsedUp::No {
                view.job.tries -= 1;
            }
        }
        JobAction::End { outcome } => {
            view.job.state = JobState::Ended;
            view.job.outcome = Some(outcome);
        }
    }
}

#[test]
fn redials_follow_policy_tries_expiry_and_cancel() {
    use Outcome::{AnsweringMachine, Busy, Completed, NoAnswer, NotInService};
    let redial = |best| wait(300, WaitReason::Redial, Some(best), UsedUp::Yes);
    let machines = |view: &mut AttemptView| view.job.redial.machines = Machines::Redial;
    let cases: Vec<(&str, AttemptView, Outcome, JobAction)> = vec![
        ("busy is tried again", asking(), Busy, redial(Busy)),
        ("a wrong number is not", asking(), NotInService, end(NotInService)),
        ("nor an answered call", asking(), Completed, end(Completed)),
        ("nor a machine by default", asking(), AnsweringMachine, end(AnsweringMachine)),
        ("but a machine by policy", with(machines), AnsweringMachine, redial(AnsweringMachine)),
        ("no try is left", with(|view| view.job.tries = 3), Busy, end(Busy)),
        ("the wait would end at the expiry", with(|view| view.job.expires_at = at(300)), Busy, end(Busy)),
        ("the wait ends before the expiry", with(|view| view.job.expires_at = at(301)), Busy, redial(Busy)),
        ("a canceled campaign redials nothing", with(|view| view.job.canceled = true), Busy, end(Busy)),
        (
            "the best of two tries stays",
            with(|view| view.job.outcome = Some(NoAnswer)),
            Busy,
            redial(NoAnswer),
        ),
        (
            "a lasting fault ends it after a transient one",
            with(|view| view.job.outcome = Some(Outcome::LowResources)),
            NotInService,
            end(NotInService),
        ),
        (
            "a lasting fault ends it after a machine",
            with(|view| {
                machines(view);
                view.job.outcome = Some(AnsweringMachine);
            }),
            NotInService,
            end(AnsweringMachine),
        ),
        (
            "an earlier attempt has meanwhile reached the person",
            with(|view| view.job.outcome = Some(Outcome::LivePerson)),
            Busy,
            end(Outcome::LivePerson),
        ),
    ];
    for (rule, view, outcome, expected) in cases {
        assert_eq!(job_after(&view, status(outcome)), expected, "{rule}");
    }
}

#[test]
fn what_nobody_took_uses_no_try() {
    use WaitReason::{NotAsked as TooLate, ProviderBusy};
    let last_try = with(|view| view.job.tries = 3);
    let cases = [
        (NotAsked, wait(0, TooLate, None, UsedUp::No)),
        (throttled(None), wait(2, ProviderBusy, None, UsedUp::No)),
        (throttled(Some(0)), wait(1, ProviderBusy, None, UsedUp::No)),
        (throttled(Some(30)), wait(30, ProviderBusy, None, UsedUp::No)),
        (throttled(Some(3599)), wait(3599, ProviderBusy, None, UsedUp::No)),
        (status(Outcome::ProviderUnavailable), wait(2, ProviderBusy, None, UsedUp::No)),
    ];
    for (kind, expected) in cases {
        assert_eq!(job_after(&last_try, kind.clone()), expected, "{kind:?}");
    }
    let patient = with(|view| view.job.expires_at = at(100_000));
    assert_eq!(
        job_after(&patient, throttled(Some(u64::MAX))),
        wait(3600, ProviderBusy, None, UsedUp::No),
        "a provider's word is bounded"
    );
}

#[test]
fn what_nobody_took_ends_when_it_may_not_wait() {
    let busy_before = |view: &mut AttemptView| view.job.outcome = Some(Outcome::Busy);
    let doubt_before = |view: &mut AttemptView| view.job.outcome = Some(Outcome::NoCallStatus);
    let reached_before = |view: &mut AttemptView| view.job.outcome = Some(Outcome::LivePerson);
    let cancel = |view: &mut AttemptView| view.job.canceled = true;
    let expire = |view: &mut AttemptView| view.job.expires_at = at(0);
    type Step<'a> = &'a dyn Fn(&mut AttemptView);
    let cases: [(&[Step], Outcome); 8] = [
        (&[&cancel], Outcome::Canceled),
        (&[&cancel, &busy_before], Outcome::Busy),
        // Whoever may have been reached is not called untouched.
        (&[&cancel, &doubt_before], Outcome::NoCallStatus),
        (&[&expire], Outcome::Expired),
        (&[&expire, &busy_before], Outcome::Busy),
        (&[&expire, &doubt_before], Outcome::NoCallStatus),
        (&[&reached_before], Outcome::LivePerson),
        (&[&expire, &cancel], Outcome::Canceled),
    ];
    for (steps, outcome) in cases {
        let view = with(|view| steps.iter().for_each(|step| step(view)));
        for kind in [NotAsked, throttled(None)] {
            assert_eq!(job_after(&view, kind), end(outcome), "{outcome}");
        }
    }
}

#[test]
fn a_report_that_ends_the_need_withdraws_an_unclaimed_redial() {
    use Outcome::{Busy, Failed, InProgress, LivePerson, NoAnswer, NoCallStatus, Sent};
    let cases = [
        (LivePerson, end(LivePerson)),
        (Failed, end(Failed)),
        (Sent, JobAction::Keep),
        (NoAnswer, JobAction::Raise { outcome: NoAnswer }),
        (NoCallStatus, JobAction::Keep),
        (InProgress, JobAction::Keep),
    ];
    for state in [JobState::Waiting, JobState::Queued] {
        let view = with(|view| {
            view.state = AttemptState::Settled;
            view.outcome = Some(Busy);
            view.job.state = state;
            view.job.outcome = Some(Busy);
        });
        for (outcome, expected) in cases {
            assert_eq!(job_after(&view, status(outcome)), expected, "{outcome} while {state}");
        }
    }
}

#[test]
fn a_text_that_turns_out_sent_withdraws_the_second_one() {
    let view = with(|view| {
        view.state = AttemptState::Settled;
        view.outcome = Some(Outcome::NoCallStatus);
        view.job.state = JobState::Waiting;
        view.job.channel = Channel::Sms;
        view.job.lane = Lane::Emergency;
        view.job.outcome = Some(Outcome::NoCallStatus);
    });
    assert_eq!(job_after(&view, status(Outcome::Sent)), end(Outcome::Sent));
}

#[test]
fn a_lost_request_is_unknown_until_somebody_knows() {
    let lost = settled(&asking(), [Lost]).unwrap();
    assert_eq!((lost.state, lost.outcome, lost.job), (AttemptState::Unknown, None, JobAction::Keep));

    let unknown = with(|view| view.state = AttemptState::Unknown);
    assert_eq!(settled(&unknown, [Lost]), None);
    assert_eq!(settled(&unknown, [accepted()]).unwrap().state, AttemptState::Accepted);
    assert_eq!(job_after(&unknown, NotAsked), wait(0, WaitReason::NotAsked, None, UsedUp::No));
}

#[test]
fn after_doubt_an_emergency_tries_again_and_others_end() {
    use Outcome::{Busy, LivePerson, NoCallStatus, NoStatus};
    let emergency = |view: &mut AttemptView| view.job.lane = Lane::Emergency;
    let again = |best| wait(0, WaitReason::Doubt, Some(best), UsedUp::Yes);
    type Step<'a> = &'a dyn Fn(&mut AttemptView);
    let cases: [(&str, &[Step], JobAction); 9] = [
        ("general ends", &[], end(NoCallStatus)),
        ("priority ends", &[&|view| view.job.lane = Lane::Priority], end(NoCallStatus)),
        ("an email has no status", &[&|view| view.job.channel = Channel::Email], end(NoStatus)),
        ("an emergency tries again", &[&emergency], again(NoCallStatus)),
        ("with the best it knew", &[&emergency, &|view| view.job.outcome = Some(Busy)], again(Busy)),
        ("not when canceled", &[&emergency, &|view| view.job.canceled = true], end(NoCallStatus)),
        ("not without tries", &[&emergency, &|view| view.job.tries = 4], end(NoCallStatus)),
        ("not when expired", &[&emergency, &|view| view.job.expires_at = at(0)], end(NoCallStatus)),
        (
            "not when the person was reached before",
            &[&emergency, &|view| view.job.outcome = Some(LivePerson)],
            end(LivePerson),
        ),
    ];
    for (rule, steps, expected) in cases {
        let view = with(|view| {
            view.state = AttemptState::Unknown;
            steps.iter().for_each(|step| step(view));
        });
        let change = settled(&view, [DoubtOver]).unwrap();
        assert_eq!(change.job, expected, "{rule}");
        assert_eq!(change.state, AttemptState::Settled, "{rule}");
    }
}

#[test]
fn deadlines_do_nothing_to_an_attempt_that_moved_on() {
    let settled_attempt = with(|view| {
        view.state = AttemptState::Settled;
        view.outcome = Some(Outcome::Busy);
        view.job.state = JobState::Waiting;
        view.job.outcome = Some(Outcome::Busy);
    });
    let accepted_attempt = with(|view| view.state = AttemptState::Accepted);
    let unknown_attempt = with(|view| view.state = AttemptState::Unknown);
    for view in [&asking(), &accepted_attempt, &settled_attempt] {
        assert_eq!(settled(view, [DoubtOver]), None, "{}", view.state);
    }
    for view in [&asking(), &unknown_attempt, &settled_attempt] {
        assert_eq!(settled(view, [Silence]), None, "{}", view.state);
    }
}

#[test]
fn silence_ends_an_attempt_with_the_best_status_known() {
    use Outcome::{InProgress, NoCallStatus, Sent, SoftBounce, Unknown};
    let cases = [
        (None, NoCallStatus),
        (Some(InProgress), NoCallStatus),
        (Some(Sent), Sent),
        (Some(SoftBounce), SoftBounce),
        (Some(Unknown), Unknown),
    ];
    for (known, expected) in cases {
        let view = with(|view| {
            view.state = AttemptState::Accepted;
            view.outcome = known;
            view.provider_code = Some("17x".into());
            view.job.lane = Lane::Emergency;
        });
        let change = settled(&view, [Silence]).unwrap();
        assert_eq!((change.state, change.outcome), (AttemptState::Settled, Some(expected)));
        assert_eq!(change.job, end(expected), "an accepted message is not sent again");
        assert_eq!(
            change.provider_code.is_some(),
            known == change.outcome,
            "the word stays with its outcome"
        );
    }
}

#[test]
fn a_recalled_attempt_is_canceled_and_a_late_fact_still_counts() {
    let mut view = with(|view| {
        view.state = AttemptState::Accepted;
        view.job.canceled = true;
    });
    let change = settled(&view, [Recalled]).unwrap();
    assert_eq!(change.job, end(Outcome::Canceled));
    apply(&mut view, change);
    assert_eq!(job_after(&view, status(Outcome::Completed)), end(Outcome::Completed));
}

#[test]
fn an_ended_job_only_rises() {
    use Outcome::{
        Canceled, Clicked, Complained, Delivered, HardBounce, InProgress, NotAsked, Sent, Unknown,
    };
    let cases = [
        (Delivered, HardBounce, end(HardBounce)),
        (Delivered, Complained, end(Complained)),
        (Delivered, Clicked, end(Clicked)),
        (Delivered, Sent, JobAction::Keep),
        (Delivered, Delivered, JobAction::Keep),
        (Canceled, Delivered, end(Delivered)),
        (Unknown, InProgress, JobAction::Keep),
        (Unknown, NotAsked, JobAction::Keep),
    ];
    for (ended_as, reported, expected) in cases {
        let view = with(|view| {
            view.state = AttemptState::Settled;
            view.outcome = Some(ended_as);
            view.job.state = JobState::Ended;
            view.job.outcome = Some(ended_as);
        });
        assert_eq!(job_after(&view, status(reported)), expected, "{reported} after {ended_as}");
    }
}

#[test]
fn a_late_report_on_an_earlier_attempt_is_kept_for_the_job() {
    let view = with(in_second_attempt);
    assert_eq!(
        job_after(&view, status(Outcome::LivePerson)),
        JobAction::Raise { outcome: Outcome::LivePerson }
    );
    assert_eq!(
        job_after(&view, NotAsked),
        JobAction::Keep,
        "a late word of the worker is no outcome of the job"
    );
}

#[test]
fn the_same_report_twice_changes_nothing() {
    let mut view = asking();
    let change = settled(&view, [status(Outcome::Completed)]).unwrap();
    apply(&mut view, change);
    assert_eq!(settled(&view, [status(Outcome::Completed)]), None);
}

#[test]
fn the_first_id_a_provider_gave_stays() {
    let mut view = asking();
    let change = settled(&view, [accepted()]).unwrap();
    apply(&mut view, change);
    assert_eq!(settled(&view, [ReportKind::Accepted { provider_id: Some("CA2".into()) }]), None);
}
