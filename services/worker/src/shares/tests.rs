use chrono::DateTime;
use futures::FutureExt as _;
use tocsin_runtime::SystemClock;
use tocsin_store::leases::{LeasedHealth, Sender};

use tocsin_domain::lease::Share;

use super::share::NOT_TAKEN;
use super::*;
use crate::places::Call;
use crate::test_clock::TestClock;

const ACCOUNT: AccountId = AccountId(1);

fn shares() -> Shares {
    Shares::new(Arc::new(SystemClock))
}

fn lease(concurrency: u32, epoch: i64) -> Lease {
    Lease {
        account: ACCOUNT,
        name: "account".to_owned(),
        sender: None,
        share: Share { concurrency: Some(concurrency), general: Some(concurrency), ..Share::default() },
        expires_at: DateTime::UNIX_EPOCH,
        epoch,
        calls: 0,
        seated: None,
        health: LeasedHealth::SOUND,
    }
}

#[test]
fn a_share_that_shrank_is_not_given_on_before_the_requests_beyond_it_have_ended() {
    let shares = shares();
    shares.grant(lease(2, 7));
    let Permit { share: wide, places: first } = shares.permit(ACCOUNT, Lane::General).unwrap();
    let _second = shares.permit(ACCOUNT, Lane::General).unwrap();
    assert_eq!(wide.usage().taken, 7);

    let smaller = lease(1, 8);
    wide.places.renewed(wide.places.asks(), &smaller.share, 0);
    let narrow =
        AccountShare::renewed(Some(&wide), smaller, &HashMap::new(), Stopwatch::start(), &shares.clock)
            .unwrap();
    assert_eq!(narrow.usage().taken, NOT_TAKEN);
    drop(first);
    assert_eq!(narrow.usage().taken, 8);
}

const SENDERS: [AccountId; 2] = [AccountId(2), AccountId(3)];

fn sender(account: AccountId, share: Share) -> Lease {
    let of = Sender { parent: ACCOUNT, address: "+15005550006".to_owned() };
    Lease { account, sender: Some(of), share, ..lease(0, 1) }
}

/// The account has so many places; one sender has one, the other no limit of its own.
fn with_senders(places: u32) -> Shares {
    let shares = shares();
    shares.grant(lease(places, 1));
    shares.grant(sender(SENDERS[0], Share { concurrency: Some(1), ..Share::default() }));
    shares.grant(sender(SENDERS[1], Share::default()));
    shares
}

fn refused(shares: &Shares, account: AccountId) -> NoPermit {
    shares.permit(account, Lane::General).unwrap_err()
}

#[test]
fn a_permit_of_a_sender_takes_of_its_account_too_and_the_smaller_limit_holds() {
    let shares = with_senders(3);
    let first = shares.permit(SENDERS[0], Lane::General).unwrap();
    assert_eq!(first.places.len(), 2);
    assert_eq!(refused(&shares, SENDERS[0]), NoPermit::Full, "the sender's own");
    let others = [(); 2].map(|()| shares.permit(SENDERS[1], Lane::General).unwrap());
    assert_eq!(refused(&shares, SENDERS[1]), NoPermit::Full, "the account's");
    drop(others);
    assert!(shares.permit(SENDERS[1], Lane::General).is_ok());
}

#[test]
fn what_a_sender_gave_is_given_back_where_its_account_has_none() {
    let shares = with_senders(1);
    let limited = Share { rate_per_second: Some(5.0), concurrency: Some(1), ..Share::default() };
    shares.grant(sender(SENDERS[0], limited));
    let held = shares.permit(SENDERS[1], Lane::General).unwrap();
    while refused(&shares, SENDERS[0]) != NoPermit::Full {}
    drop(held);
    assert!(shares.permit(SENDERS[0], Lane::General).is_ok(), "its place and its token");
}

/// With a share that is dropped the worker forgets its open requests and its debt.
#[test]
fn a_sender_is_kept_while_requests_are_open_or_tokens_are_owed() {
    let clock = Arc::new(TestClock::default());
    let shares = Shares::new(clock.clone());
    shares.grant(lease(2, 1));
    let limited = Share { rate_per_second: Some(1.0), concurrency: Some(1), ..Share::default() };
    shares.grant(sender(SENDERS[0], limited.clone()));
    let with = |known: &AccountShare, share: &Share| {
        known.places.renewed(known.places.asks(), share, 0);
        let accounts = shares.accounts.read().unwrap();
        let lease = sender(SENDERS[0], share.clone());
        AccountShare::renewed(
            Some(known),
            lease,
            &accounts,
            Stopwatch::start_by(&shares.clock),
            &shares.clock,
        )
        .unwrap()
    };
    clock.advance(1_000);
    let Permit { share: first, places } = shares.permit(SENDERS[0], Lane::General).unwrap();
    first.charge(2);
    clock.advance(4_000);
    let told = first.told();
    assert_eq!((told.usage.demand, told.over), (2 + 1, false));
    assert_eq!(first.told().usage.demand, 1, "it owes a token still");
    let none = with(&first, &Share::NOTHING);
    clock.advance(4_000);
    assert_eq!((none.told().usage.demand, none.told().over), (0, false), "a request is open");
    drop(places);
    assert!(!none.told().over, "a token is owed");
    let again = with(&none, &limited);
    clock.advance(1_000);
    assert!(!again.told().over);
    assert_eq!(again.spending.debt(), 0, "paid, without a job that waits for it");
    assert!(with(&again, &Share::NOTHING).told().over);

    let again = with(&again, &limited);
    let place = again.places.take(Lane::General);
    let none = with(&again, &Share::NOTHING);
    assert!(!none.told().over, "a request is open");
    drop(place);
    assert!(none.told().over);
}

/// Who was told of a sender's jobs has no use for the account, where that is what is missing here.
#[test]
fn a_sender_lacks_its_account_where_there_is_nothing_of_it() {
    for (share, demand) in [(Share::NOTHING, 1), (Share::default(), 0)] {
        let shares = shares();
        shares.grant(Lease { share: share.clone(), ..lease(0, 1) });
        shares.grant(sender(SENDERS[0], Share::NOTHING));
        shares.lacked(SENDERS[0]);
        assert_eq!(shares.get(SENDERS[0]).unwrap().usage().demand, 1);
        assert_eq!(shares.get(ACCOUNT).unwrap().usage().demand, demand, "{share:?}");
    }
}

#[test]
fn segments_weigh_on_the_sender_and_on_its_account() {
    let limited = Share { rate_per_second: Some(100.0), ..Share::default() };
    let shares = shares();
    shares.grant(Lease { share: limited.clone(), ..lease(1, 1) });
    shares.grant(sender(SENDERS[0], limited));
    let share = shares.get(SENDERS[0]).unwrap();
    share.charge(3);
    assert_eq!([share.spending.debt(), share.of_account().spending.debt()], [3, 3]);
}

#[test]
fn a_limit_that_was_exceeded_slows_the_one_whose_it_is() {
    for (whose, slowed, spared) in
        [(Whose::Sender, SENDERS[0], ACCOUNT), (Whose::Account, ACCOUNT, SENDERS[0])]
    {
        let shares = with_senders(1);
        let share = shares.get(SENDERS[0]).unwrap();
        shares.throttled(&share, whose, None);
        let told = |account| shares.get(account).unwrap().usage().throttled.is_some();
        assert!(told(slowed) && !told(spared), "{whose:?}");
    }
}

#[test]
fn whoever_may_not_send_says_who_may_and_lacks_nothing() {
    let shares = shares();
    let other = WorkerId(uuid::Uuid::from_u128(7));
    shares.grant(Lease { share: Share::NOTHING, seated: Some(other), ..lease(0, 1) });
    assert_eq!(refused(&shares, ACCOUNT), NoPermit::Elsewhere(other));
    assert_eq!(shares.get(ACCOUNT).unwrap().usage().demand, 0);
    shares.grant(Lease { seated: Some(other), ..sender(SENDERS[0], Share::NOTHING) });
    assert_eq!(refused(&shares, SENDERS[0]), NoPermit::Elsewhere(other));
    assert_eq!(shares.get(SENDERS[0]).unwrap().usage().demand, 1, "a sender's are had on demand");
    shares.grant(Lease { share: Share::NOTHING, ..lease(0, 1) });
    assert_eq!(refused(&shares, ACCOUNT), NoPermit::NoLease);
    assert_eq!(shares.get(ACCOUNT).unwrap().usage().demand, 1, "nobody may");
}

#[test]
fn the_first_job_of_an_account_that_is_not_leased_renews_at_once_and_once() {
    let shares = shares();
    let is_hastened = || shares.hastened().notified().now_or_never().is_some();
    for lane in Lane::ALL {
        assert_eq!(shares.permit(ACCOUNT, lane).unwrap_err(), NoPermit::NoLease);
    }
    assert_eq!([is_hastened(), is_hastened()], [true, false], "of many jobs");
    // It was asked for in vain.
    let asked = std::mem::take(&mut shares.wanted().now);
    shares.wanted().in_vain = asked;
    assert_eq!(refused(&shares, ACCOUNT), NoPermit::NoLease);
    assert!(!is_hastened());
    assert!(shares.wanted().now.contains(&ACCOUNT), "the next renewal asks again");
}

#[test]
fn an_account_is_kept_while_it_is_used_and_a_minute_longer() {
    let clock = Arc::new(TestClock::default());
    let shares = Shares::new(clock.clone());
    shares.grant(lease(1, 1));
    let unused = || shares.get(ACCOUNT).unwrap().told().unused;
    clock.advance(59_000);
    let permit = shares.permit(ACCOUNT, Lane::General);
    assert!(permit.is_err(), "its lease is over, and it is wanted still");
    clock.advance(59_000);
    assert!(!unused());
    clock.advance(1_000);
    assert!(unused());

    let shares = Shares::new(clock.clone());
    let other = WorkerId(uuid::Uuid::from_u128(7));
    shares.grant(Lease { share: Share::NOTHING, seated: Some(other), ..lease(0, 1) });
    let unused = || shares.get(ACCOUNT).unwrap().told().unused;
    assert_eq!(refused(&shares, ACCOUNT), NoPermit::Elsewhere(other));
    clock.advance(59_000);
    assert!(!unused(), "others send its jobs, and it hears of them here");
}

#[test]
fn places_that_are_taken_keep_an_account() {
    let clock = Arc::new(TestClock::default());
    let shares = Shares::new(clock.clone());
    shares.grant(lease(2, 1));
    let Permit { share, places } = shares.permit(ACCOUNT, Lane::General).unwrap();
    let call = share.calls(Channel::Voice);
    clock.advance(70_000);
    assert!(!share.told().unused, "a request is open");
    call.iter().for_each(Call::goes_on);
    drop((call, places));
    assert!(!share.told().unused, "a call goes on");
    share.places.renewed(share.places.asks(), &lease(2, 1).share, 0);
    assert!(share.told().unused);
}

/// What was claimed under a share that is given up must not be sent beside what others do with it.
#[test]
fn a_share_that_is_given_up_closes_what_was_permitted_under_it() {
    let shares = shares();
    shares.grant(lease(2, 1));
    let Permit { share, .. } = shares.permit(ACCOUNT, Lane::General).unwrap();
    let renewed = |share: &AccountShare, to: Share| {
        let lease = Lease { share: to, ..lease(0, 2) };
        AccountShare::renewed(Some(share), lease, &HashMap::new(), Stopwatch::start(), &shares.clock).unwrap()
    };
    let smaller = renewed(&share, Share { concurrency: Some(1), ..Share::default() });
    assert!(!share.is_given_up());
    renewed(&smaller, Share::NOTHING);
    assert!(share.is_given_up());
    let again = renewed(&smaller, Share::default());
    assert!(!share.is_given_up() && !again.is_given_up());
    again.give_up();
    assert!(share.is_given_up());
}

/// A number that its provider slowed has another rate every few seconds, and so has one whose workers come and go.
#[test]
fn a_slow_number_gets_its_token_however_often_its_share_changes_meanwhile_but_not_over_a_lease_that_ended() {
    let clock = Arc::new(TestClock::default());
    let shares = Shares::new(clock.clone());
    let of_number = |rate| Share { rate_per_second: Some(rate), burst: Some(1), ..Share::default() };
    shares.grant(lease(9, 1));
    shares.grant(sender(SENDERS[0], of_number(0.25)));
    let renewed = |rate| {
        let known = shares.get(SENDERS[0]).unwrap();
        let accounts = shares.accounts.read().unwrap();
        let lease = sender(SENDERS[0], of_number(rate));
        let asked = Stopwatch::start_by(&shares.clock);
        AccountShare::renewed(Some(&known), lease, &accounts, asked, &shares.clock).unwrap()
    };
    let renew = |rate| {
        let share = renewed(rate);
        shares.accounts.write().unwrap().insert(SENDERS[0], Arc::new(share));
    };
    // Three quarters of a token in three seconds, and the rest at its other rate.
    for rate in [0.2, 0.25, 0.2] {
        clock.advance(1_000);
        assert!(matches!(refused(&shares, SENDERS[0]), NoPermit::Wait(_)));
        renew(rate);
    }
    clock.advance(1_450);
    assert!(matches!(refused(&shares, SENDERS[0]), NoPermit::Wait(_)));
    clock.advance(100);
    shares.grant(lease(9, 1));
    renew(0.2);
    assert!(shares.permit(SENDERS[0], Lane::General).is_ok());

    clock.advance(9_900);
    shares.grant(lease(9, 1));
    renew(0.25);
    assert!(
        matches!(refused(&shares, SENDERS[0]), NoPermit::Wait(_)),
        "its lease was over: others may have spent it"
    );
}

#[test]
fn a_number_is_kept_over_a_pause_as_long_as_two_of_its_tokens_take() {
    for (rate, kept) in [(1.0, 3_000), (0.25, 8_000), (0.01, 60_000)] {
        let clock = Arc::new(TestClock::default());
        let shares = Shares::new(clock.clone());
        shares.grant(lease(9, 1));
        shares.grant(sender(SENDERS[0], Share { rate_per_second: Some(rate), ..Share::default() }));
        assert!(shares.permit(SENDERS[0], Lane::General).is_err());
        let demand = || shares.get(SENDERS[0]).unwrap().usage().demand;
        assert_eq!(demand(), 1, "it was lacked");
        clock.advance(kept - 1);
        assert_eq!(demand(), 1, "{rate}");
        clock.advance(1);
        assert_eq!(demand(), 0, "{rate}");
    }
}
