//! What the table of outcomes says, against the requirements.

use std::collections::BTreeSet;

use super::Outcome::*;
use super::*;

#[test]
fn every_outcome_has_its_row_number_and_names() {
    let all: Vec<Outcome> = Outcome::all().collect();
    assert!(all.is_sorted_by(|one, other| one.number() < other.number()), "the table is out of order");
    for outcome in &all {
        assert_eq!(Outcome::from_number(outcome.number()), Some(*outcome));
        assert_eq!(outcome.row().outcome, *outcome);
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.code());
        assert!(!outcome.label().is_empty());
    }
    for number in i16::MIN..=i16::MAX {
        let known = all.iter().any(|outcome| outcome.number() == number);
        assert_eq!(Outcome::from_number(number).is_some(), known, "{number}");
    }
    let codes: BTreeSet<_> = all.iter().map(|outcome| outcome.code()).collect();
    assert_eq!(codes.len(), all.len());
}

#[test]
fn the_enum_has_no_outcome_without_a_row() {
    // serde's refusal lists every name.
    let unknown = serde_json::from_value::<Outcome>("no_such_outcome".into()).unwrap_err().to_string();
    let named = unknown.matches('`').count() / 2 - 1;
    assert_eq!(named, Outcome::all().count(), "{unknown}");
}

#[test]
fn results_keep_their_numbers() {
    for (result, number) in AttemptResult::ALL.into_iter().zip(0..) {
        assert_eq!(result.number(), number);
        assert_eq!(AttemptResult::from_number(number), Some(result));
    }
    assert_eq!(AttemptResult::from_number(5), None);
}

#[test]
fn the_two_axes_are_apart() {
    use AttemptResult::{Canceled as Stopped, Error, NotDispatched, Open, Successful};
    let cases = [
        // Requirements 77-90.
        (Sent, Successful, true),
        (Delivered, Successful, true),
        (Completed, Successful, true),
        (Busy, Successful, false),
        (NoAnswer, Successful, false),
        (NoDevice, NotDispatched, false),
        (NoCallStatus, NotDispatched, false),
        (NoStatus, NotDispatched, false),
        (OptOut, NotDispatched, false),
        (OptIn, NotDispatched, false),
        (AlreadyTold, NotDispatched, false),
        (Failed, Error, false),
        (Undelivered, Error, false),
        (Canceled, Stopped, false),
        // Rule 75.
        (LivePerson, Successful, true),
        (AnsweringMachine, Successful, true),
        (Confirmed, Successful, true),
        (PreconnectDone, Successful, true),
        // Nobody was asked, or it is not known yet.
        (NotAsked, NotDispatched, false),
        (Throttled, NotDispatched, false),
        (ProviderUnavailable, NotDispatched, false),
        (InProgress, Open, false),
        (SmsQueued, Open, false),
        (EmailSent, Successful, false),
        (HardBounce, Error, false),
    ];
    for (outcome, result, contacted) in cases {
        assert_eq!((outcome.result(), outcome.contacted()), (result, contacted), "{outcome}");
    }
    assert!(Outcome::all().all(|outcome| !outcome.contacted() || outcome.result() == Successful));
}

#[test]
fn transient_outcomes_redial_and_no_others() {
    let redialed = [
        Busy,
        NoAnswer,
        FastBusy,
        Operator,
        NoRingBack,
        TemporarilyUnavailable,
        AllRoutesUnavailable,
        LowResources,
        SubsystemError,
    ];
    for outcome in Outcome::all() {
        assert_eq!(outcome.redialable(), redialed.contains(&outcome), "{outcome}");
    }
}

#[test]
fn outcomes_rise_from_doubt_to_fact() {
    let rising = [
        &[Unknown][..],
        &[NotAsked, Throttled, ProviderUnavailable],
        &[
            InProgress,
            SmsQueued,
            Sending,
            FaxAnswered,
            CallAnswered,
            MachineAnswered,
            PersonAnswered,
            PressedToConfirm,
        ],
        &[UnknownError, NoCallStatus, NoStatus, ProgressUnknown, DialerNoResponse],
        &[Sent, EmailSent, SoftBounce],
        &[CallEnded],
        &[Canceled, Expired, OptOut, Suppressed, Duplicate, AlreadyTold],
        &[Busy, NoAnswer, FastBusy],
        &[NotInService, InvalidNumber, Failed, Undelivered],
        &[PreconnectDone, Completed, AnsweringMachine, LivePerson, Confirmed, Delivered, InboxDelivered],
        &[Opened, Clicked],
        &[HardBounce],
        &[Complained],
    ];
    for (lower, higher) in rising.iter().zip(&rising[1..]) {
        for (low, high) in lower.iter().flat_map(|low| higher.iter().map(move |high| (low, high))) {
            assert!(high.outranks(*low), "{high} over {low}");
            assert!(!low.outranks(*high), "{low} under {high}");
        }
    }
    assert!(Clicked.outranks(Opened) && LivePerson.outranks(AnsweringMachine));
}

#[test]
fn an_order_of_two_outcomes_always_stands() {
    for one in Outcome::all() {
        assert!(!one.outranks(one));
        for other in Outcome::all().filter(|other| *other != one) {
            assert_ne!(one.outranks(other), other.outranks(one), "{one} {other}");
        }
    }
}

#[test]
fn who_was_reached_or_may_have_been_may_have_been_told() {
    for outcome in [Sent, EmailSent, Delivered, LivePerson, Complained, NoCallStatus, InProgress, CallEnded] {
        assert!(outcome.may_have_told(), "{outcome}");
    }
    for outcome in [Busy, NoAnswer, Failed, SoftBounce, HardBounce, Canceled, Expired, OptOut, AlreadyTold] {
        assert!(!outcome.may_have_told(), "{outcome}");
    }
}

#[test]
fn what_may_still_change_is_not_terminal() {
    let answered = [FaxAnswered, CallAnswered, MachineAnswered, PersonAnswered, PressedToConfirm, CallEnded];
    let open = [Unknown, InProgress, SmsQueued, Sending, Sent, EmailSent, SoftBounce];
    for outcome in Outcome::all() {
        let may_change = open.contains(&outcome) || answered.contains(&outcome);
        assert_eq!(outcome.terminal(), !may_change, "{outcome}");
    }
}

#[test]
fn doubt_progress_and_the_never_tried_are_no_answers() {
    for outcome in [Unknown, NoCallStatus, DialerNoResponse, NotAsked, Throttled, InProgress, Canceled] {
        assert!(!outcome.is_answer(), "{outcome}");
    }
    for outcome in [Sent, Busy, Failed, Completed, Opened, HardBounce, Complained] {
        assert!(outcome.is_answer(), "{outcome}");
    }
}

#[test]
fn who_answered_counts_in_the_same_order_while_a_call_goes_on_and_when_it_is_over() {
    let answered: Vec<Outcome> = Outcome::all().filter(|outcome| outcome.once_over().is_some()).collect();
    let over: Vec<Outcome> = answered.iter().filter_map(|outcome| outcome.once_over()).collect();
    assert_eq!(over, [Fax, Completed, AnsweringMachine, LivePerson, Confirmed]);
    assert!(over.is_sorted_by(|one, other| other.outranks(*one)));
    assert!(answered.iter().all(|outcome| InProgress < *outcome && outcome.result() == AttemptResult::Open));
    assert!(over.iter().all(|outcome| outcome.outranks(CallEnded)));
}
