//! Calls for which detection of answering machines was asked: over is not enough, who answered decides.

use super::*;
use crate::Outcome::{
    AnsweringMachine, Busy, CallAnswered, CallEnded, Completed, Confirmed, Fax, FaxAnswered, InProgress,
    LivePerson, MachineAnswered, NoCallStatus, PersonAnswered, PressedToConfirm,
};

fn redialing() -> AttemptView {
    with(|view| view.job.redial.machines = Machines::Redial)
}

#[test]
fn a_call_that_is_over_waits_for_the_word_who_answered_and_holds_its_job() {
    let mut view = redialing();
    let change = settled(&view, [status(CallEnded)]).unwrap();
    assert_eq!((change.state, change.outcome), (AttemptState::Accepted, Some(CallEnded)));
    assert_eq!((change.job, change.detect_until), (JobAction::Keep, Some(at(20))));
    apply(&mut view, change);
    let later = settle(&view, &[report(accepted())], at(15)).unwrap();
    assert_eq!(later.detect_until, Some(at(20)), "what comes meanwhile moves no deadline");
    apply(&mut view, later);
    let told = settled(&view, [status(PersonAnswered)]).unwrap();
    assert_eq!((told.state, told.detect_until), (AttemptState::Settled, None));
    assert_eq!(told.job, end(LivePerson));
}

#[test]
fn who_answered_ends_no_call_that_goes_on() {
    for answered in [FaxAnswered, CallAnswered, MachineAnswered, PersonAnswered, PressedToConfirm] {
        let mut view = asking();
        let change = settled(&view, [status(answered)]).unwrap();
        assert_eq!((change.state, change.job), (AttemptState::Accepted, JobAction::Keep), "{answered}");
        apply(&mut view, change);
        let over = settled(&view, [status(CallEnded)]).unwrap();
        assert_eq!((over.state, over.outcome), (AttemptState::Settled, answered.once_over()));
    }
}

#[test]
fn a_machine_is_left_the_message_or_called_again_by_policy() {
    use Machines::{Ignored, LeaveMessage, Redial};
    let again = wait(300, WaitReason::Redial, Some(AnsweringMachine), UsedUp::Yes);
    let cases = [
        (Ignored, 1, end(AnsweringMachine)),
        (LeaveMessage, 1, end(AnsweringMachine)),
        (Redial, 1, again),
        (Redial, 3, end(AnsweringMachine)),
    ];
    for (machines, tries, expected) in cases {
        let view = with(|view| {
            view.job.redial.machines = machines;
            view.job.tries = tries;
        });
        let change = settled(&view, [status(MachineAnswered), status(CallEnded)]).unwrap();
        assert_eq!((change.job, change.outcome), (expected, Some(AnsweringMachine)), "{machines:?} {tries}");
    }
}

#[test]
fn a_call_of_which_nobody_says_who_answered_counts_as_heard_at_the_deadline() {
    let mut view = redialing();
    for kind in [status(CallEnded), Silence] {
        let change = settled(&view, [kind]).unwrap();
        apply(&mut view, change);
    }
    assert_eq!((view.state, view.outcome), (AttemptState::Settled, Some(Completed)));
    assert_eq!(view.job.outcome, Some(Completed));
    // The word that comes after all still counts, and calls nobody again.
    for (late, outcome) in [(MachineAnswered, AnsweringMachine), (PersonAnswered, LivePerson)] {
        assert_eq!(job_after(&view, status(late)), end(outcome));
    }
}

#[test]
fn a_call_whose_end_was_never_told_ends_as_what_answered_it() {
    let cases = [
        (Some(MachineAnswered), AnsweringMachine),
        (Some(FaxAnswered), Fax),
        (Some(CallAnswered), Completed),
        (None, NoCallStatus),
    ];
    for (answered, expected) in cases {
        let mut view = with(|view| view.state = AttemptState::Accepted);
        if let Some(change) = answered.and_then(|answered| settled(&view, [status(answered)])) {
            apply(&mut view, change);
        }
        assert_eq!(job_after(&view, Silence), end(expected), "{answered:?}");
    }
}

#[test]
fn a_person_told_late_withdraws_the_redial_that_a_machine_led_to() {
    let mut view = redialing();
    let change = settled(&view, [status(MachineAnswered), status(CallEnded)]).unwrap();
    apply(&mut view, change);
    assert_eq!(view.job.state, JobState::Waiting);
    assert_eq!(job_after(&view, status(PersonAnswered)), end(LivePerson));
    assert_eq!(job_after(&view, status(Busy)), JobAction::Keep);
}

#[test]
fn whoever_pressed_0_has_confirmed_whatever_else_is_told_and_in_whatever_order() {
    let ends = [Completed, LivePerson, AnsweringMachine, CallEnded];
    for end_of_call in ends {
        for told in [[PressedToConfirm, end_of_call], [end_of_call, PressedToConfirm]] {
            let mut view = redialing();
            for outcome in told {
                if let Some(change) = settled(&view, [status(outcome)]) {
                    apply(&mut view, change);
                }
            }
            assert_eq!((view.state, view.outcome), (AttemptState::Settled, Some(Confirmed)), "{told:?}");
            assert_eq!((view.job.state, view.job.outcome), (JobState::Ended, Some(Confirmed)), "{told:?}");
        }
    }
}

#[test]
fn a_call_that_was_confirmed_and_whose_end_nobody_told_counts_as_confirmed() {
    let mut view = asking();
    for outcome in [InProgress, PressedToConfirm] {
        let change = settled(&view, [status(outcome)]).unwrap();
        assert_eq!(change.state, AttemptState::Accepted, "{outcome}: the call goes on");
        apply(&mut view, change);
    }
    assert_eq!(settled(&view, [Silence]).unwrap().job, end(Confirmed));
}
