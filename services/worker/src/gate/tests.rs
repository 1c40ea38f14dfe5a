use std::sync::Arc;

use futures::FutureExt as _;

use super::*;
use crate::test_clock::TestClock;

fn share(per_second: f64, burst: u32) -> Share {
    Share { rate_per_second: Some(per_second), burst: Some(burst), ..Share::default() }
}

fn gate() -> (Arc<TestClock>, Gate) {
    let clock = Arc::new(TestClock::default());
    let shared: SharedClock = clock.clone();
    (clock, Gate::new(&shared))
}

/// How many pass at each of these times, in milliseconds.
fn pass_at(clock: &TestClock, gate: &Gate, times: &[u64]) -> Vec<usize> {
    let pass = |time: &u64| {
        clock.set(*time);
        (0..100).take_while(|_| gate.pass(1)).count()
    };
    times.iter().map(pass).collect()
}

#[test]
fn requests_are_an_interval_apart_whenever_their_claims_were_answered() {
    let (clock, gate) = gate();
    gate.set(&share(1.0, 1), false);
    let passed = pass_at(&clock, &gate, &[0, 999, 1_000, 1_900, 2_000, 4_700, 5_000, 5_700]);
    assert_eq!(passed, [0, 0, 1, 0, 1, 1, 0, 1]);
}

#[test]
fn a_pause_saves_up_a_burst_and_no_more() {
    let (clock, gate) = gate();
    gate.set(&share(10.0, 3), false);
    assert_eq!(pass_at(&clock, &gate, &[0, 100, 5_000, 5_050, 5_100]), [0, 1, 3, 0, 1]);
}

#[test]
fn a_new_share_begins_empty_and_a_changed_one_keeps_what_fits_into_it() {
    for (goes_on, there) in [(true, 2), (false, 0)] {
        let (clock, gate) = gate();
        gate.set(&share(10.0, 4), false);
        clock.set(10_000);
        gate.set(&share(1.0, 2), goes_on);
        assert_eq!(pass_at(&clock, &gate, &[10_000]), [there], "goes on: {goes_on}");
    }
}

#[test]
fn what_was_charged_is_owed_also_by_the_next_share() {
    let (clock, gate) = gate();
    gate.set(&share(1.0, 1), false);
    clock.set(1_000);
    assert!(gate.pass(1));
    gate.charge(2);
    gate.close();
    clock.set(9_000);
    assert!(gate.is_closed());
    gate.set(&share(1.0, 1), false);
    assert_eq!(pass_at(&clock, &gate, &[9_000, 10_000, 11_000, 12_000]), [0, 0, 0, 1]);
}

#[tokio::test]
async fn whoever_waits_keeps_further_permits_from_being_taken() {
    let (clock, gate) = gate();
    gate.set(&share(50.0, 1), false);
    assert_eq!(gate.backlog(), None);
    let mut waits = Box::pin(through(&gate, None, 1));
    assert!(waits.as_mut().now_or_never().is_none());
    assert_eq!(gate.backlog(), Some(Duration::from_millis(20)));
    clock.set(20);
    waits.await;
    assert_eq!(gate.backlog(), None);
    let given_up = tokio::time::timeout(Duration::from_millis(5), through(&gate, None, 1)).await;
    assert!(given_up.is_err());
    assert_eq!(gate.backlog(), None);
}

#[tokio::test]
async fn requests_go_in_the_order_in_which_they_came() {
    let (clock, gate) = gate();
    gate.set(&share(50.0, 1), false);
    let mut first = Box::pin(through(&gate, None, 1));
    let mut second = Box::pin(through(&gate, None, 1));
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    clock.set(20);
    tokio::select! {
        () = second => panic!("the second goes first"),
        () = first => {}
    }
}

#[tokio::test]
async fn a_sender_that_waits_keeps_no_other_from_their_account() {
    let (clock, account) = gate();
    let shared: SharedClock = clock.clone();
    let [slow, quick] = [(); 2].map(|()| Gate::new(&shared));
    account.set(&share(100.0, 100), false);
    slow.set(&share(50.0, 1), false);
    quick.set(&share(1_000.0, 100), false);
    clock.set(1_000);
    assert!(slow.pass(1));
    let mut waits = Box::pin(through(&slow, Some(&account), 1));
    assert!(waits.as_mut().now_or_never().is_none());
    assert!(through(&quick, Some(&account), 100).now_or_never().is_some());
    clock.set(1_020);
    waits.await;
    assert!(!slow.pass(1));
    assert!(account.pass(1) && !account.pass(1), "it took of both");
}

#[tokio::test]
async fn nothing_waits_where_there_is_no_limit_or_nothing_is_to_be_had() {
    let (_, gate) = gate();
    for share in [Share::default(), Share::NOTHING] {
        gate.set(&share, false);
        assert!(through(&gate, None, 500).now_or_never().is_some(), "{share:?}");
        assert_eq!(gate.is_closed(), share.is_empty());
    }
}
