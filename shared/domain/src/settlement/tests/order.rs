//! Reports come in every order and batching: what holds all the same (promise 8).

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// A fact that a worker or a provider reports, in any of its kinds.
fn fact() -> impl Strategy<Value = ReportKind> {
    let any_outcome = prop::sample::select(Outcome::all().collect::<Vec<_>>());
    // Few, so that one outcome is often reported twice with different words.
    let often = prop::sample::select(&[Outcome::Sent, Outcome::Busy, Outcome::Delivered][..]);
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
        any::<(bool, bool)>(),
        1i16..5,
        0i64..1000,
    )
        .prop_map(|(lane, channel, (canceled, machines), tries, expires_in)| {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_order_and_batching_of_reports_ends_the_same(
        view in some_job(),
        facts in vec((fact(), 0i64..3), 1..=6),
        cuts in any::<u8>(),
    ) {
        let reports: Vec<Report> =
            facts.into_iter().map(|(kind, second)| Report { attempt: key(1), at: at(second), kind }).collect();
        let expected = apply_all(&view, &reports, 0);
        let end_of = |view: &AttemptView| {
            (view.state, view.outcome, view.provider_code.clone(), view.provider_id.clone())
        };
        for order in permutations(&reports) {
            for cuts in [0, cuts, u8::MAX] {
                let reached = apply_all(&view, &order, cuts);
                prop_assert_eq!(end_of(&reached), end_of(&expected), "{:?} cut by {:b}", order, cuts);
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
