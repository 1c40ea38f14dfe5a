//! Reports come in every order and batching: what holds all the same (promise 8).

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// A fact that a worker or a provider reports, in any of its kinds.
fn fact() -> impl Strategy<Value = ReportKind> {
    let any_outcome = prop::sample::select(Outcome::all().collect::<Vec<_>>());
    // Few, so that one outcome is often reported twice with different words.
    let often = prop::sample::select(
        &[
            Outcome::Sent,
            Outcome::Busy,
            Outcome::Delivered,
            Outcome::CallEnded,
            Outcome::MachineAnswered,
            Outcome::PersonAnswered,
        ][..],
    );
    let outcome = prop_oneof![any_outcome, often];
    let code = || option::of("[ab]");
    prop_oneof![
        4 => (outcome, code()).prop_map(|(outcome, provider_code)| {
            ReportKind::Status { outcome, provider_code, provider_id: Some("CA1".into()) }
        }),
        1 => Just(accepted()),
        1 => Just(NotAsked),
        1 => (code(), option::of(0u64..10_000)).prop_map(|(provider_code, seconds)| {
            ReportKind::Throttled { provider_code, retry_after: seconds.map(Duration::from_secs) }
        }),
        1 => Just(Recalled),
        1 => Just(Lost),
    ]
}

fn deadline() -> impl Strategy<Value = ReportKind> {
    prop_oneof![Just(DoubtOver), Just(Silence)]
}

fn some_job() -> impl Strategy<Value = AttemptView> {
    (
        prop::sample::select(&Lane::ALL[..]),
        prop::sample::select(&Channel::ALL[..]),
        any::<bool>(),
        prop::sample::select(&Machines::ALL[..]),
        1i16..5,
        0i64..1000,
    )
        .prop_map(|(lane, channel, canceled, machines, tries, expires_in)| {
            with(|view| {
                view.job.lane = lane;
                view.job.channel = channel;
                view.job.canceled = canceled;
                view.job.tries = tries;
                view.job.redial = RedialPolicy { machines, ..RedialPolicy::default_for(lane) };
                view.job.expires_at = at(expires_in);
            })
        })
}

/// Every order of `items`, by Heap's exchanges.
fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    fn exchange<T: Clone>(items: &mut Vec<T>, length: usize, found: &mut Vec<Vec<T>>) {
        if length <= 1 {
            found.push(items.clone());
            return;
        }
        for position in 0..length {
            exchange(items, length - 1, found);
            let other = if length.is_multiple_of(2) { position } else { 0 };
            items.swap(other, length - 1);
        }
    }
    let mut found = Vec::new();
    exchange(&mut items.to_vec(), items.len(), &mut found);
    found
}

/// Applies `reports` in batches: a set bit of `cuts` ends a batch after the report of its place.
fn apply_all(view: &AttemptView, reports: &[Report], cuts: u8) -> AttemptView {
    let mut view = view.clone();
    let mut batch = Vec::new();
    for (place, report) in reports.iter().enumerate() {
        batch.push(report.clone());
        if cuts & (1 << place) != 0 || place + 1 == reports.len() {
            if let Some(change) = settle(&view, &batch, at(0)) {
                apply(&mut view, change);
            }
            batch.clear();
        }
    }
    view
}

fn numbered(kind: ReportKind, second: i64, sequence: Option<i64>) -> Report {
    Report { attempt: key(1), at: at(second), sequence, kind }
}

/// All that reports tell of an attempt.
fn facts_of(view: &AttemptView) -> impl PartialEq + std::fmt::Debug + use<> {
    let words = (view.provider_code.clone(), view.provider_id.clone(), view.sequence);
    (view.state, view.outcome, view.answered, view.detect_until, words)
}

/// Callbacks as providers post them: the outcome, the provider's word, its number.
type Callback = (Outcome, &'static str, Option<i64>);

/// Every order and batching of these callbacks, of an attempt that nobody answered for yet and of one that the worker
/// has recorded.
fn assert_one_end(
    channel: Channel,
    machines: Machines,
    callbacks: &[Callback],
    outcome: Outcome,
    word: Option<&str>,
) {
    let fresh = with(|view| {
        view.job.channel = channel;
        view.job.redial.machines = machines;
    });
    let reports: Vec<Report> = callbacks
        .iter()
        .zip(0..)
        .map(|(&(outcome, word, sequence), second)| {
            let (provider_code, provider_id) = (Some(word.to_owned()), Some("CA1".to_owned()));
            numbered(ReportKind::Status { outcome, provider_code, provider_id }, second, sequence)
        })
        .collect();
    for order in permutations(&reports) {
        for cuts in 0..1 << (order.len() - 1) {
            let mut early = apply_all(&fresh, &order, cuts);
            if let Some(change) = settled(&early, [accepted()]) {
                apply(&mut early, change);
            }
            let late = apply_all(&apply_all(&fresh, &[report(accepted())], 0), &order, cuts);
            for reached in [early, late] {
                assert_eq!(reached.state, AttemptState::Settled, "{order:?} cut by {cuts:b}");
                assert_eq!(reached.outcome, Some(outcome), "{order:?} cut by {cuts:b}");
                assert_eq!(reached.provider_code.as_deref(), word, "{order:?} cut by {cuts:b}");
                assert_eq!(reached.job.outcome, Some(outcome), "{order:?} cut by {cuts:b}");
            }
        }
    }
}

#[test]
fn six_callbacks_of_a_call_with_its_machine_and_duplicates_end_in_one_state() {
    use Outcome::{CallEnded, InProgress, MachineAnswered};
    let call = [
        (InProgress, "initiated", Some(0)),
        (InProgress, "in-progress", Some(1)),
        (CallEnded, "completed", Some(2)),
        (CallEnded, "completed", Some(2)),
        (MachineAnswered, "machine_start", None),
        (MachineAnswered, "machine_start", None),
    ];
    for machines in [Machines::Ignored, Machines::LeaveMessage, Machines::Redial] {
        assert_one_end(Channel::Voice, machines, &call, Outcome::AnsweringMachine, None);
    }
}

#[test]
fn six_callbacks_of_an_email_that_bounced_after_its_delivery_end_in_one_state() {
    use Outcome::{Delivered, HardBounce, Opened, Sent, SoftBounce};
    let email = [
        (Sent, "accepted", None),
        (SoftBounce, "failed temporary", None),
        (Delivered, "delivered", None),
        (Delivered, "delivered", None),
        (Opened, "opened", None),
        (HardBounce, "failed permanent", None),
    ];
    assert_one_end(Channel::Email, Machines::Ignored, &email, HardBounce, Some("failed permanent"));
}

#[test]
fn an_older_progress_report_overwrites_no_newer_one_whichever_comes_last() {
    // Of these the newest word is neither the smallest nor the largest but by its number.
    let progress = [
        ("initiated", Some(1)),
        ("queued", Some(0)),
        ("ringing", Some(3)),
        ("trying", Some(2)),
        ("initiated", Some(1)),
    ];
    let reports: Vec<Report> = progress
        .map(|(word, sequence)| {
            let (provider_code, provider_id) = (Some(word.to_owned()), None);
            let kind = ReportKind::Status { outcome: Outcome::InProgress, provider_code, provider_id };
            numbered(kind, 0, sequence)
        })
        .to_vec();
    for order in permutations(&reports) {
        for cuts in [0, u8::MAX] {
            let reached = apply_all(&asking(), &order, cuts);
            let newest = (reached.provider_code.as_deref(), reached.sequence);
            assert_eq!(newest, (Some("ringing"), Some(3)), "{order:?}");
            let duplicate = settle(&reached, &order[..1], at(9));
            assert_eq!(duplicate, None, "a report that was merged says nothing new");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_order_and_batching_of_reports_ends_the_same(
        view in some_job(),
        facts in vec((fact(), 0i64..3, option::of(0i64..3)), 1..=6),
        cuts in any::<u8>(),
    ) {
        let reports: Vec<Report> =
            facts.into_iter().map(|(kind, second, sequence)| numbered(kind, second, sequence)).collect();
        let expected = apply_all(&view, &reports, 0);
        for order in permutations(&reports) {
            for cuts in [0, cuts, u8::MAX] {
                let reached = apply_all(&view, &order, cuts);
                prop_assert_eq!(facts_of(&reached), facts_of(&expected), "{:?} cut by {:b}", order, cuts);
            }
        }
    }
}

proptest! {
    #[test]
    fn outcomes_only_rise_and_an_ended_job_stays_ended(
        view in some_job(),
        kinds in vec(prop_oneof![3 => fact(), 1 => deadline()], 1..12),
    ) {
        let mut view = view;
        for kind in kinds {
            let before = view.clone();
            let Some(change) = settled(&view, [kind.clone()]) else { continue };
            apply(&mut view, change);
            let fell = before.outcome.is_some_and(|known| view.outcome.is_none_or(|now| known.outranks(now)));
            prop_assert!(!fell, "{:?} lowered {:?} to {:?}", kind, before.outcome, view.outcome);
            if before.job.state == JobState::Ended {
                prop_assert_eq!(view.job.state, JobState::Ended);
                prop_assert!(!before.job.outcome.unwrap().outranks(view.job.outcome.unwrap()));
            }
            if view.job.state == JobState::Ended {
                let last = view.job.outcome.unwrap();
                prop_assert!(!last.is_not_taken() && last.result() != AttemptResult::Open, "ended as {}", last);
                prop_assert_ne!(view.state, AttemptState::Asking);
            }
            if before.state == AttemptState::Settled {
                prop_assert_eq!(view.state, AttemptState::Settled);
            }
            let waits = view.job.state == JobState::Waiting && before.job.state == JobState::Claimed;
            prop_assert!(!(waits && view.job.canceled), "a canceled job went back to waiting");
        }
    }

    #[test]
    fn a_settled_attempt_never_leaves_its_job_claimed(view in some_job(), kinds in vec(fact(), 1..6)) {
        let mut view = view;
        if let Some(change) = settled(&view, kinds) {
            apply(&mut view, change);
        }
        if view.state == AttemptState::Settled {
            prop_assert_ne!(view.job.state, JobState::Claimed);
        }
    }
}
