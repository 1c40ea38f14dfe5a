use super::*;

const BOUNDS: Bounds = Bounds { target: Duration::from_secs(60), replicas_max: 10 };

fn work(lane: Lane, jobs: u64, oldest_seconds: u64) -> Work {
    Work { lane, jobs, oldest: Duration::from_secs(oldest_seconds) }
}

fn rated(rate: f64) -> Account {
    Account { rate_per_second: Some(rate), ..Account::default() }
}

fn load(work: Vec<Work>, accounts: Vec<Account>, workers: &[f64]) -> Load {
    Load { groups: vec![Group { work, accounts }], workers: workers.to_vec() }
}

fn answer(load: &Load) -> (u32, Because) {
    let desired = desired(Channel::Sms, load, BOUNDS);
    (desired.replicas, desired.because)
}

#[test]
fn as_many_as_the_work_needs_and_the_providers_can_feed() {
    let general = |jobs| vec![work(Lane::General, jobs, 0)];
    let unlimited = vec![Account::default()];
    let none: &[f64] = &[];
    let cases = [
        ("nothing is due", load(vec![], unlimited.clone(), none), (1, Because::Idle)),
        ("little is due", load(general(60), unlimited.clone(), none), (1, Because::Work)),
        ("a minute's work of five", load(general(90_000), unlimited.clone(), none), (5, Because::Work)),
        ("more than there may be", load(general(9_000_000), unlimited, none), (10, Because::Most)),
        (
            "the provider takes what one sends",
            load(general(90_000), vec![rated(300.0)], none),
            (1, Because::Headroom),
        ),
        (
            "two accounts feed more",
            load(general(90_000), vec![rated(500.0), rated(400.0)], none),
            (3, Because::Headroom),
        ),
        ("nobody may send", load(general(90_000), vec![rated(0.0)], none), (1, Because::Headroom)),
        ("there is no account", load(general(90_000), vec![], none), (1, Because::Headroom)),
    ];
    for (case, load, expected) in cases {
        assert_eq!(answer(&load), expected, "{case}");
    }
}

#[test]
fn what_has_waited_has_less_time_left_and_an_emergency_least() {
    let with = |work| answer(&load(vec![work], vec![Account::default()], &[])).0;
    assert_eq!(with(work(Lane::General, 18_000, 0)), 1);
    assert_eq!(with(work(Lane::General, 18_000, 30)), 2);
    assert_eq!(with(work(Lane::General, 18_000, 3_600)), 4, "however old, a quarter of the target is left");
    assert_eq!(with(work(Lane::Emergency, 18_000, 0)), 4);
}

#[test]
fn one_districts_slow_account_is_no_reason_for_workers_and_none_against_them() {
    let own = Group { work: vec![work(Lane::General, 900_000, 0)], accounts: vec![rated(1.0)] };
    let others = Group { work: vec![work(Lane::General, 36_000, 0)], accounts: vec![Account::default()] };
    let both = Load { groups: vec![own.clone(), others], workers: vec![] };
    assert_eq!(
        answer(&both),
        (3, Because::Headroom),
        "two for the others' work, and the part that the slow one takes"
    );
    assert_eq!(answer(&Load { groups: vec![own], workers: vec![] }), (1, Because::Headroom));
}

#[test]
fn calls_that_hold_every_place_feed_no_more_than_end() {
    let calls = |held, used| Account {
        places: Some(Places { whole: 6_000, held }),
        used_per_second: used,
        ..Account::default()
    };
    let with = |account| {
        let load = load(vec![work(Lane::General, 90_000, 0)], vec![account], &[]);
        desired(Channel::Voice, &load, BOUNDS).fed_per_second
    };
    assert_eq!(with(calls(6_000, 130.0)), 130.0);
    assert_eq!(with(calls(0, 0.0)), 100.0, "6,000 free places, within a minute");
    assert_eq!(with(calls(6_000, 0.0)), 0.0);
}

#[test]
fn open_requests_bound_what_a_relay_takes() {
    let relay = Account { requests: Some(20), ..Account::default() };
    let with = |account| answer(&load(vec![work(Lane::General, 90_000, 0)], vec![account], &[]));
    assert_eq!(with(relay), (1, Because::Headroom));
    assert_eq!(
        with(Account { used_per_second: 700.0, ..relay }),
        (3, Because::Headroom),
        "it answers faster"
    );
}

#[test]
fn a_worker_counts_for_what_it_was_seen_to_send() {
    let due = |oldest| vec![work(Lane::General, 90_000, oldest)];
    let unlimited = vec![Account::default()];
    assert_eq!(answer(&load(due(0), unlimited.clone(), &[1_000.0])).0, 2, "it sends more than expected");
    assert_eq!(answer(&load(due(0), unlimited.clone(), &[5.0])).0, 5, "it has only just begun");
    assert_eq!(
        answer(&load(due(20), unlimited.clone(), &[150.0; 5])).0,
        10,
        "work waits, and only workers lack"
    );
    let slow = desired(Channel::Sms, &load(due(20), unlimited, &[1.0; 5]), BOUNDS);
    assert_eq!(slow.worker_per_second, 75.0, "never believed to be slower than a quarter");
    let held_up = desired(Channel::Sms, &load(due(20), vec![rated(160.0)], &[75.0, 75.0]), BOUNDS);
    assert_eq!(
        held_up.worker_per_second, 300.0,
        "where the provider is the reason it tells nothing of workers"
    );
}

#[test]
fn workers_leave_a_few_at_a_time_and_only_with_ease() {
    let with = |jobs, workers: &[f64]| {
        answer(&load(vec![work(Lane::General, jobs, 0)], vec![Account::default()], workers))
    };
    let five = [200.0; 5];
    assert_eq!(with(0, &five), (4, Because::Leaving));
    assert_eq!(with(18_000, &five), (4, Because::Leaving));
    assert_eq!(with(66_000, &five), (5, Because::Leaving), "four would do 1,100 a second, but not with ease");
    assert_eq!(with(90_000, &five), (5, Because::Work));
    assert_eq!(with(0, &[0.0]), (1, Because::Idle), "the last one stays");
    assert_eq!(
        with(0, &[0.0; 20]),
        (8, Because::Leaving),
        "never above the most, and nine of ten would be ignored"
    );
}

#[test]
fn a_quarter_of_a_short_target_is_no_division_by_nothing() {
    let bounds = Bounds { target: Duration::ZERO, replicas_max: 0 };
    let load = load(vec![work(Lane::General, 10, 5)], vec![rated(5.0)], &[]);
    assert_eq!(desired(Channel::Sms, &load, bounds).replicas, 1);
}
