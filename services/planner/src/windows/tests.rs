use tocsin_store::accounts::{AccountHealth, AccountLimits, Pace};
use tocsin_store::leases::Sender;

use super::*;

fn account(id: i32, rate: Option<f64>) -> Account {
    Account {
        id: AccountId(id),
        sender: None,
        limits: AccountLimits {
            name: format!("account-{id}"),
            district: None,
            channel: Channel::Sms,
            rate_per_second: rate,
            burst: None,
            concurrency: None,
            reserve: 0,
            depth: None,
            weight: 1,
        },
        stopped: false,
        stop_reason: None,
        pace: Pace { rate_per_second: rate, held: false, holds: 0 },
        health: AccountHealth::SOUND,
    }
}

#[test]
fn a_window_is_what_its_account_drains_in_two_seconds_less_what_is_queued() {
    let queued = [
        QueuedCount { channel: Channel::Sms, lane: Lane::General, account: AccountId(1), queued: 15 },
        QueuedCount { channel: Channel::Sms, lane: Lane::Priority, account: AccountId(1), queued: 9 },
    ];
    let cases = [(Some(10.0), 5), (Some(0.5), 0), (Some(100.0), 185), (None, 3_985)];
    for (rate, free) in cases {
        let windows = Windows::of(&[account(1, rate)], &queued, Channel::Sms, Lane::General);
        assert_eq!(windows.free(None), free, "{rate:?}");
    }
}

fn free_of(account: Account, queued: i64) -> u32 {
    let of_account = |lane| QueuedCount { channel: Channel::Sms, lane, account: AccountId(1), queued };
    let queued = [of_account(Lane::General), of_account(Lane::Priority)];
    Windows::of(&[account], &queued, Channel::Sms, Lane::General).free(None)
}

#[test]
fn an_account_that_its_provider_slowed_has_a_smaller_window_and_none_while_it_is_held() {
    let slowed = |rate: f64, held: bool| Account {
        pace: Pace { rate_per_second: Some(rate), held, holds: 0 },
        ..account(1, Some(100.0))
    };
    assert_eq!(free_of(slowed(25.0, false), 10), 40);
    assert_eq!(free_of(slowed(25.0, true), 0), 0);
}

#[test]
fn what_the_provider_holds_and_what_is_queued_for_it_leave_less_of_its_depth() {
    let holding = |holds: i64| {
        let mut account = account(1, Some(100.0));
        account.limits.depth = Some(100);
        account.pace.holds = holds;
        account
    };
    let cases = [(0, 0, 100), (0, 30, 40), (60, 10, 20), (100, 0, 0), (500, 0, 0)];
    for (holds, queued, free) in cases {
        assert_eq!(free_of(holding(holds), queued), free, "{holds} held, {queued} queued in two lanes");
    }
    let queued =
        QueuedCount { channel: Channel::Sms, lane: Lane::General, account: AccountId(1), queued: 90 };
    let emergencies = Windows::of(&[holding(10)], &[queued], Channel::Sms, Lane::Emergency);
    assert_eq!(emergencies.free(None), 90, "general jobs that wait take nothing of it");
}

#[test]
fn calls_that_go_on_leave_less_of_the_window_but_always_the_next_few() {
    let calling = |holds: i64| {
        let mut account = account(1, Some(100.0));
        account.limits.channel = Channel::Voice;
        account.limits.concurrency = Some(50);
        account.limits.reserve = 5;
        account.pace.holds = holds;
        account
    };
    for (holds, free) in [(0, 45), (30, 15), (45, 4), (90, 4)] {
        assert_eq!(free_of(calling(holds), 0), free, "{holds}");
        let priority = Windows::of(&[calling(holds)], &[], Channel::Sms, Lane::Priority);
        assert_eq!(priority.free(None), 50_u32.saturating_sub(holds as u32).max(4), "{holds}");
    }
}

#[test]
fn another_route_is_taken_while_it_has_room() {
    let mut windows =
        Windows::of(&[account(1, Some(9.0)), account(2, Some(1.0))], &[], Channel::Voice, Lane::General);
    let another = Wish { last: Some(AccountId(1)), route: Route::Another, ..Wish::default() };
    let taken: Vec<_> = (0..6).filter_map(|_| windows.take(None, another)).collect();
    assert_eq!(taken.iter().map(|account| account.0).collect::<Vec<_>>(), [2, 2, 2, 2, 1, 1]);
}

#[test]
fn places_are_taken_until_none_is_left() {
    let mut windows =
        Windows::of(&[account(1, Some(2.0)), account(2, Some(2.0))], &[], Channel::Sms, Lane::General);
    let taken: Vec<_> = std::iter::from_fn(|| windows.take(None, Wish::default())).collect();
    assert_eq!(taken.iter().filter(|account| account.0 == 1).count(), 4);
    assert_eq!(taken.iter().filter(|account| account.0 == 2).count(), 4);
}

fn sender(id: i32, rate: Option<f64>) -> Account {
    let of = Sender { parent: AccountId(1), address: format!("+1500555{id:04}") };
    Account { sender: Some(of), ..account(id, rate) }
}

fn windows(accounts: &[Account], queued: &[QueuedCount]) -> Windows {
    Windows::of(accounts, queued, Channel::Sms, Lane::General)
}

fn person(person: i64) -> Wish {
    Wish { person: Some(person), ..Wish::default() }
}

#[test]
fn the_smallest_of_the_windows_of_an_account_and_its_senders_holds() {
    let queued =
        [QueuedCount { channel: Channel::Sms, lane: Lane::General, account: AccountId(2), queued: 6 }];
    let cases = [
        ("the senders' own", Some(100.0), [Some(5.0), Some(10.0)], 4 + 20),
        ("the account's", Some(8.0), [Some(5.0), Some(10.0)], 16 - 6),
        ("no limit of their own", Some(8.0), [None, None], 16 - 6),
    ];
    for (case, rate, [two, three], free) in cases {
        let accounts = [account(1, rate), sender(2, two), sender(3, three)];
        assert_eq!(windows(&accounts, &queued).free(None), free, "{case}");
    }
}

#[test]
fn a_person_is_contacted_from_the_same_sender_until_it_has_no_room() {
    let accounts = [account(1, Some(100.0)), sender(2, Some(2.0)), sender(3, Some(2.0))];
    let own = windows(&accounts, &[]).take(None, person(7)).unwrap();
    let mut full = windows(&accounts, &[]);
    let taken: Vec<_> = std::iter::from_fn(|| full.take(None, person(7))).collect();
    assert_eq!(taken.len(), 8);
    assert!(taken[..4].iter().all(|sender| *sender == own), "{taken:?}");
    assert!(taken[4..].iter().all(|sender| *sender != own), "{taken:?}");
    let of: Vec<_> = (0..8).filter_map(|at| windows(&accounts, &[]).take(None, person(at))).collect();
    assert!(of.contains(&AccountId(2)) && of.contains(&AccountId(3)), "not everybody: {of:?}");
}

#[test]
fn a_sender_that_is_stopped_is_nobodys_and_its_account_sends_from_the_others() {
    let stopped = |sender: Account| Account { stopped: true, ..sender };
    let one = [account(1, None), stopped(sender(2, None)), sender(3, None)];
    let of: Vec<_> = (0..20).filter_map(|at| windows(&one, &[]).take(None, person(at))).collect();
    assert_eq!(of, vec![AccountId(3); 20]);
    let none = [account(1, None), stopped(sender(2, None))];
    assert_eq!(windows(&none, &[]).free(None), 0, "it has senders: its own number is not used");
    let whole = [stopped(account(1, None)), sender(3, None)];
    assert_eq!(windows(&whole, &[]).free(None), 0);
}

#[test]
fn another_route_is_another_account_or_else_another_sender() {
    let two = [account(1, Some(100.0)), sender(2, None), sender(3, None)];
    let last = windows(&two, &[]).take(None, person(7)).unwrap();
    let another = Wish { last: Some(last), route: Route::Another, person: Some(7), lot: 0 };
    let taken = windows(&two, &[]).take(None, another).unwrap();
    assert!(taken != last && taken != AccountId(1), "{taken:?}");
    let beside = [&two[..], &[account(4, Some(1.0))]].concat();
    assert_eq!(windows(&beside, &[]).take(None, another), Some(AccountId(4)));
}

#[test]
fn another_account_is_looked_for_after_a_failure_and_the_persons_sender_is_kept() {
    let senders = [account(1, Some(100.0)), sender(2, None), sender(3, None)];
    let own = windows(&senders, &[]).take(None, person(7)).unwrap();
    let failed = Wish { last: Some(own), route: Route::AnotherAccount, ..person(7) };
    assert_eq!(windows(&senders, &[]).take(None, failed), Some(own), "there is no other account");
    let beside = [&senders[..], &[account(4, Some(1.0))]].concat();
    assert_eq!(windows(&beside, &[]).take(None, failed), Some(AccountId(4)));
}

fn weighing(id: i32, weight: i32) -> Account {
    let account = account(id, None);
    Account { limits: AccountLimits { weight, ..account.limits.clone() }, ..account }
}

/// How many of so many jobs account 1 gets, beside one of weight 1.
fn got(first: Account, jobs: u64, each_alone: bool) -> usize {
    let accounts = [first, weighing(2, 1)];
    let mut filled = windows(&accounts, &[]);
    let taken = (0..jobs).filter_map(|job| {
        let wish = Wish { lot: job.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32, ..Wish::default() };
        if each_alone { windows(&accounts, &[]).take(None, wish) } else { filled.take(None, wish) }
    });
    taken.filter(|account| account.0 == 1).count()
}

/// Whether many are released together, or one by one as they fall due.
#[test]
fn accounts_get_jobs_by_their_weights() {
    assert_eq!(got(weighing(1, 3), 400, false), 300);
    let alone = got(weighing(1, 3), 4_000, true);
    assert!((2_800..=3_200).contains(&alone), "{alone}");
}

fn failing(health: Health, gives_way: bool) -> Account {
    Account { health: AccountHealth { health, since: None, gives_way }, ..account(1, Some(100.0)) }
}

#[test]
fn an_account_that_failed_gets_nothing_and_comes_back_by_steps() {
    let free = |health, lane| {
        let windows = Windows::of(&[failing(health, true)], &[], Channel::Sms, lane);
        windows.free(None)
    };
    let steps = [
        (Health::Resting, 0, 0),
        (Health::Trial, 4, 4),
        (Health::Quarter, 50, 50),
        (Health::Half, 100, 100),
        (Health::Full, 200, 200),
    ];
    for (health, general, emergency) in steps {
        assert_eq!(free(health, Lane::General), general, "{health}");
        assert_eq!(free(health, Lane::Emergency), emergency, "{health}: else it is lost to a long emergency");
    }
    let half = Account { health: failing(Health::Half, true).health, ..account(1, None) };
    assert_eq!(got(half, 300, false), 100, "half its weight");
}

#[test]
fn the_only_account_stays_in_use_whatever_it_answers() {
    for health in Health::ALL {
        let alone = Windows::of(&[failing(*health, false)], &[], Channel::Sms, Lane::Emergency);
        assert_eq!(alone.free(None), 200, "{health}");
    }
}
