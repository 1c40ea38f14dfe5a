use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::policy::SEND_BY;

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
}

fn limits(
    rate: impl Into<Option<f64>>,
    burst: impl Into<Option<u32>>,
    concurrency: impl Into<Option<u32>>,
) -> Limits {
    Limits { rate_per_second: rate.into(), burst: burst.into(), concurrency: concurrency.into(), reserve: 0 }
}

fn share(
    rate: impl Into<Option<f64>>,
    burst: impl Into<Option<u32>>,
    concurrency: impl Into<Option<u32>>,
) -> Share {
    Share {
        rate_per_second: rate.into(),
        burst: burst.into(),
        concurrency: concurrency.into(),
        general: None,
    }
}

fn busy(number: u128, counted: Share) -> Holder {
    Holder { worker: WorkerId(Uuid::from_u128(number)), counted, live: true, busy: true, turn: Turn::Never }
}

fn idle(number: u128, counted: Share) -> Holder {
    Holder { busy: false, ..busy(number, counted) }
}

fn granted(limits: &Limits, own: Share, others: &[Holder]) -> Share {
    grant(limits, &busy(0, own), others, at(0))
}

#[test]
fn busy_workers_share_evenly_what_is_left() {
    let all = limits(30.0, 10, 9);
    let third = share(10.0, 4, 3);
    let none = Share::NOTHING;
    let cases: [(&str, Vec<Share>, Share, Share); 8] = [
        ("alone", vec![], none.clone(), share(30.0, 10, 9)),
        ("nobody else has a share yet", vec![none.clone(), none.clone()], none.clone(), third.clone()),
        ("the last of three", vec![third.clone(), share(10.0, 3, 3)], none.clone(), share(10.0, 3, 3)),
        (
            "a remainder not taken yet",
            vec![share(10.0, 3, 3), share(10.0, 3, 3)],
            none.clone(),
            third.clone(),
        ),
        ("a newcomer waits until others give back", vec![share(30.0, 10, 9)], none.clone(), none.clone()),
        (
            "who has more than its part keeps its part",
            vec![none.clone()],
            share(30.0, 10, 9),
            share(15.0, 5, 5),
        ),
        ("beside one that holds more yet", vec![share(25.0, 8, 7)], none.clone(), share(5.0, 2, 2)),
        ("shares above a limit that fell", vec![share(99.0, 99, 99)], share(99.0, 99, 99), share(15.0, 5, 4)),
    ];
    for (rule, others, own, expected) in cases {
        let others: Vec<Holder> = (1..).zip(others).map(|(number, share)| busy(number, share)).collect();
        assert_eq!(granted(&all, own, &others), expected, "{rule}");
    }
    assert_eq!(granted(&limits(None, None, None), Share::NOTHING, &[]), share(None, None, None));
}

#[test]
fn an_idle_worker_keeps_a_small_share_and_a_busy_one_gets_the_rest() {
    let all = limits(160.0, 80, 100);
    let others: Vec<Holder> = (1..8).map(|number| idle(number, Share::NOTHING)).collect();
    let even = grant(&all, &idle(0, share(20.0, 10, 12)), &others, at(0));
    assert_eq!(even, share(20.0, 10, 13), "while nobody is busy");
    let beside = [&others[1..], &[busy(9, Share::NOTHING)]].concat();
    let small = grant(&all, &idle(0, share(20.0, 10, 12)), &beside, at(0));
    assert_eq!(small, share(1.25, 1, 1));
    let idle_ones: Vec<Holder> = (1..8).map(|number| idle(number, small.clone())).collect();
    assert_eq!(granted(&all, Share::NOTHING, &idle_ones), share(151.25, 73, 93));
    let few = limits(160.0, 80, 10);
    let small = grant(&few, &idle(0, share(20.0, 10, 1)), &beside, at(0));
    assert_eq!(small, Share::NOTHING, "a place of so few is a busy worker's");
}

#[test]
fn what_is_too_small_for_all_is_given_whole_to_some() {
    let waiting: Vec<Holder> = (1..8).map(|number| busy(number, Share::NOTHING)).collect();
    let cases = [
        ("less than a token for each in a lease", limits(1.0, 10, None), share(1.0, 10, None)),
        ("one call at a time", limits(30.0, None, 1), share(30.0, None, 1)),
        ("two units of burst for eight", limits(30.0, 2, None), share(15.0, 1, None)),
        ("a rate without a burst is one second's worth", limits(2.0, None, None), share(1.0, None, None)),
    ];
    for (rule, limits, expected) in cases {
        assert_eq!(granted(&limits, Share::NOTHING, &waiting), expected, "{rule}");
        let last = grant(&limits, &waiting[6], &waiting[..6], at(0));
        assert_eq!(last, Share::NOTHING, "{rule}: the last of many");
    }
}

#[test]
fn workers_take_turns_where_one_only_can_be_served() {
    let slow = limits(1.0, 1, None);
    let with = |number, counted: Share, turn| Holder { turn, ..busy(number, counted) };
    let whole = share(1.0, 1, None);
    let holder = with(1, whole.clone(), Turn::Began(at(0)));
    let first = with(2, Share::NOTHING, Turn::Never);
    let second = with(3, Share::NOTHING, Turn::Ended(at(-9_000)));
    let others = |of: &Holder| -> Vec<Holder> {
        [&holder, &first, &second].into_iter().filter(|other| other.worker != of.worker).cloned().collect()
    };
    let at_time = |asker: &Holder, time| grant(&slow, asker, &others(asker), at(time));
    assert_eq!(at_time(&holder, 29_999), whole, "its turn is not over");
    assert_eq!(at_time(&first, 29_999), Share::NOTHING);
    assert_eq!(at_time(&holder, 30_000), Share::NOTHING, "its turn is over and others wait");
    assert_eq!(at_time(&first, 30_000), Share::NOTHING, "not given back yet");
    let gone = with(1, Share::NOTHING, Turn::Ended(at(30_000)));
    let beside = |one: &Holder| vec![gone.clone(), one.clone()];
    assert_eq!(grant(&slow, &second, &beside(&first), at(30_001)), Share::NOTHING, "not the longest");
    assert_eq!(grant(&slow, &first, &beside(&second), at(30_001)), whole);
    let idle_holder = Holder { busy: false, ..holder.clone() };
    assert_eq!(grant(&slow, &idle_holder, &others(&holder), at(1)), Share::NOTHING, "no use for it");
    assert_eq!(grant(&slow, &holder, &[], at(90_000)), whole, "nobody else wants it");
}

#[test]
fn a_turn_is_as_long_as_two_tokens_take() {
    let holder = Holder { turn: Turn::Began(at(0)), ..busy(1, Share::NOTHING) };
    let waiting = [busy(2, Share::NOTHING)];
    for (rate, turn) in [(0.01, 200_000), (0.05, 40_000), (1.0, 30_000)] {
        let slow = limits(rate, 1, None);
        let has_it = |time| !grant(&slow, &holder, &waiting, at(time)).is_empty();
        assert_eq!([has_it(turn - 1), has_it(turn)], [true, false], "{rate}");
    }
}

#[test]
fn a_share_on_demand_is_nothing_without_one() {
    let all = limits(30.0, 10, 9);
    let others = [busy(1, Share::NOTHING)];
    assert_eq!(grant_on_demand(&all, &busy(0, Share::NOTHING), &others, at(0)), share(15.0, 5, 5));
    let whole = share(30.0, 10, 9);
    for others in [&others[..], &[]] {
        assert_eq!(grant_on_demand(&all, &idle(0, whole.clone()), others, at(0)), Share::NOTHING);
    }
}

#[test]
fn whoever_may_not_send_knows_one_that_may() {
    let with = |number, turn| Holder { turn, ..busy(number, Share::NOTHING) };
    let over = Holder { live: false, ..with(4, Turn::Began(at(0))) };
    let others = [with(1, Turn::Never), with(2, Turn::Began(at(0))), over, with(3, Turn::Began(at(0)))];
    let named = |asker| seated(&busy(asker, Share::NOTHING), &others).map(|worker| worker.0.as_u128());
    assert_eq!([named(10), named(11), named(12)], [Some(2), Some(3), Some(2)]);
    assert_eq!(seated(&busy(10, Share::NOTHING), &others[..1]), None);
}

#[test]
fn the_reserve_is_shared_out_as_places_that_general_jobs_never_get() {
    let all = Limits { reserve: 2, ..limits(None, None, 8) };
    let mut held: Vec<Holder> = (0..8).map(|number| busy(number, Share::NOTHING)).collect();
    for position in 0..8 {
        let asker = held.remove(position);
        let counted = grant(&all, &asker, &held, at(0));
        held.insert(position, Holder { counted, ..asker });
    }
    let general: u32 = held.iter().filter_map(|holder| holder.counted.general).sum();
    let places: u32 = held.iter().filter_map(|holder| holder.counted.concurrency).sum();
    assert_eq!((general, places), (6, 8));
}

#[test]
fn a_limit_that_is_no_number_lets_nothing_through() {
    for rate in [f64::NAN, -1.0, 0.0, 1e-9] {
        assert!(granted(&limits(rate, None, None), Share::NOTHING, &[]).is_empty(), "{rate}");
    }
    assert!(!granted(&limits(0.5, 1, 1), Share::NOTHING, &[]).is_empty());
    assert!(!granted(&limits(f64::MAX, None, None), Share::NOTHING, &[]).is_empty());
}

/// A worker as it is: what it applies, until when, by time that passes alike everywhere.
#[derive(Debug, Clone, Default)]
struct Worker {
    applied: Share,
    /// Which grant that is.
    taken: u64,
    over_at: i64,
    busy: bool,
}

/// A lease's row, as the store keeps it.
#[derive(Debug, Clone)]
struct Row {
    granted: Share,
    counted: Share,
    epoch: u64,
    busy: bool,
    expires_at: i64,
    turn: Turn,
}

#[derive(Debug, Clone)]
enum Step {
    /// A renewal; its answer may be lost on the way.
    Renew {
        worker: usize,
        arrives: bool,
    },
    Busy {
        worker: usize,
        busy: bool,
    },
    /// It leaves in order, or is killed and another takes its place. A freeze is a time without renewals.
    Leave {
        worker: usize,
    },
    Crash {
        worker: usize,
    },
    Pass {
        milliseconds: i64,
    },
    /// The store's clock is set: it is off by so much from then on.
    Skew {
        milliseconds: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0usize..8, prop::bool::weighted(0.9)).prop_map(|(worker, arrives)| Step::Renew { worker, arrives }),
        3 => (0usize..8, any::<bool>()).prop_map(|(worker, busy)| Step::Busy { worker, busy }),
        1 => (0usize..8).prop_map(|worker| Step::Leave { worker }),
        1 => (0usize..8).prop_map(|worker| Step::Crash { worker }),
        4 => (1i64..4_000).prop_map(|milliseconds| Step::Pass { milliseconds }),
        1 => (-1_000i64..1_000).prop_map(|milliseconds| Step::Skew { milliseconds }),
    ]
}

fn some_limits() -> impl Strategy<Value = Limits> {
    (option::of(0.05f64..500.0), option::of(1u32..50), option::of(1u32..50)).prop_map(
        |(rate, burst, concurrency)| Limits {
            reserve: concurrency.map_or(0, |places| places / 4),
            ..limits(rate, burst, concurrency)
        },
    )
}

/// A fleet and its store. Eight places; whoever crashes is replaced by a worker that is not known yet.
struct Fleet {
    limits: Limits,
    /// A sender's shares are had on demand.
    on_demand: bool,
    now: i64,
    skew: i64,
    next: u128,
    workers: Vec<(u128, Worker)>,
    /// Killed, with claims that may still be sent.
    dead: Vec<Worker>,
    rows: BTreeMap<u128, Row>,
}

impl Fleet {
    fn new(limits: Limits) -> Self {
        let workers = (0..8).map(|number| (number, Worker::default())).collect();
        Self {
            limits,
            on_demand: false,
            now: 100_000,
            skew: 0,
            next: 8,
            workers,
            dead: vec![],
            rows: BTreeMap::new(),
        }
    }

    /// As the store does it: whose answer is known to have arrived has given up whatever it had before.
    fn renew(&mut self, position: usize, arrives: bool) -> Share {
        let (number, worker) = self.workers[position].clone();
        let stored = self.now + self.skew;
        let holder = |number: u128, row: &Row, counted: Share, live: bool| Holder {
            worker: WorkerId(Uuid::from_u128(number)),
            counted,
            live,
            busy: row.busy,
            turn: row.turn,
        };
        let others: Vec<Holder> = self
            .rows
            .iter()
            .filter(|(other, row)| **other != number && row.expires_at + SEND_BY.as_millis() as i64 > stored)
            .map(|(other, row)| holder(*other, row, row.counted.clone(), row.expires_at > stored))
            .collect();
        let known = self.rows.remove(&number);
        let (before, epoch, turn) = match &known {
            None => (Share::NOTHING, 0, Turn::Never),
            // A lease that is over for long was given to others.
            Some(row) if row.expires_at + SEND_BY.as_millis() as i64 <= stored => {
                (Share::NOTHING, row.epoch, row.turn)
            }
            Some(row) if row.epoch == worker.taken => (row.granted.clone(), row.epoch, row.turn),
            Some(row) => (row.counted.clone(), row.epoch, row.turn),
        };
        let live = known.as_ref().filter(|row| row.expires_at > stored);
        let asker = Holder {
            worker: WorkerId(Uuid::from_u128(number)),
            counted: live.map_or(Share::NOTHING, |row| row.granted.clone()),
            live: true,
            busy: worker.busy,
            turn,
        };
        let grant = if self.on_demand { grant_on_demand } else { grant };
        let share = grant(&self.limits, &asker, &others, at(stored));
        let row = Row {
            granted: share.clone(),
            counted: share.or_more(&before),
            epoch: epoch + 1,
            busy: worker.busy,
            expires_at: stored + LEASE_TERM.as_millis() as i64,
            turn: turn.after(&share, at(stored)),
        };
        self.rows.insert(number, row);
        if arrives {
            let over_at = self.now + LEASE_TERM.as_millis() as i64;
            let busy = worker.busy;
            self.workers[position].1 = Worker { applied: share.clone(), taken: epoch + 1, over_at, busy };
        }
        share
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Renew { worker, arrives } => drop(self.renew(worker, arrives)),
            Step::Busy { worker, busy } => self.workers[worker].1.busy = busy,
            Step::Leave { worker } => {
                let (number, _) = self.workers[worker];
                self.rows.remove(&number);
                self.replace(worker);
            }
            Step::Crash { worker } => {
                let crashed = self.workers[worker].1.clone();
                self.dead.push(crashed);
                self.replace(worker);
            }
            Step::Pass { milliseconds } => self.now += milliseconds,
            Step::Skew { milliseconds } => self.skew = milliseconds,
        }
    }

    fn replace(&mut self, position: usize) {
        self.workers[position] = (self.next, Worker::default());
        self.next += 1;
    }

    /// All that may be sent with now, by whoever may still send.
    fn live(&self) -> impl Iterator<Item = &Share> {
        let over = |worker: &Worker| worker.over_at <= self.now;
        let workers = self.workers.iter().map(|(_, worker)| worker).chain(&self.dead);
        workers.filter(move |worker| !over(worker)).map(|worker| &worker.applied)
    }
}

fn total<'a>(shares: impl Iterator<Item = &'a Share>) -> [u64; 4] {
    shares.fold([0; 4], |sum, share| {
        let parts = [rate_of(share), burst_of(share), concurrency_of(share), general_of(share)];
        std::array::from_fn(|part| sum[part] + parts[part])
    })
}

proptest! {
    /// Of an account, and of a sender.
    #[test]
    fn live_shares_together_never_exceed_the_limits(
        all in some_limits(),
        on_demand in any::<bool>(),
        steps in vec(step(), 0..120),
    ) {
        let mut fleet = Fleet { on_demand, ..Fleet::new(all.clone()) };
        for step in steps {
            fleet.run(&step);
            let [rate, burst, concurrency, general] = total(fleet.live());
            prop_assert!(all.rate_per_second.is_none_or(|limit| rate <= micros(limit)), "{step:?}");
            prop_assert!(all.burst.is_none_or(|limit| burst <= u64::from(limit)), "{step:?}");
            prop_assert!(all.concurrency.is_none_or(|limit| concurrency <= u64::from(limit)), "{step:?}");
            prop_assert!(all.concurrency.is_none_or(|limit| general <= u64::from(limit - all.reserve)), "{step:?}");
        }
    }

    #[test]
    fn a_lone_busy_worker_gets_nearly_all_within_a_few_renewals(
        all in some_limits(),
        workers in 1usize..8,
        before in vec(step(), 0..40),
    ) {
        let mut fleet = Fleet::new(all.clone());
        before.iter().for_each(|step| fleet.run(step));
        fleet.now += 60_000;
        fleet.dead.clear();
        fleet.workers.iter_mut().for_each(|(_, worker)| worker.busy = false);
        fleet.workers[0].1.busy = true;
        for _ in 0..4 {
            for position in 0..workers {
                fleet.renew(position, true);
            }
            fleet.now += 500;
        }
        let share = &fleet.workers[0].1.applied;
        prop_assert!(!share.is_empty());
        if let Some(limit) = all.rate_per_second {
            prop_assert!(rate_of(share) as f64 >= 0.9 * micros(limit) as f64 - 1.0, "{share:?}");
        }
        if let Some(limit) = all.concurrency {
            prop_assert!(concurrency_of(share) as f64 >= 0.75 * f64::from(limit), "{share:?}");
        }
    }

    #[test]
    fn busy_workers_that_keep_renewing_leave_nothing_idle(all in some_limits(), workers in 1usize..8) {
        let mut fleet = Fleet::new(all.clone());
        fleet.workers.iter_mut().for_each(|(_, worker)| worker.busy = true);
        fleet.renew(0, true);
        for _ in 0..4 {
            for position in 0..workers {
                fleet.renew(position, true);
            }
        }
        let shares = || fleet.workers.iter().take(workers).map(|(_, worker)| &worker.applied);
        let [rate, _, concurrency, _] = total(shares());
        let seated = shares().filter(|share| !share.is_empty()).count() as u64;
        let due = if tokens_per_lease(&all).is_some_and(|tokens| tokens < workers as u64) { 1 } else { seats(&all, workers as u64) };
        prop_assert_eq!(seated, due);
        prop_assert!(all.rate_per_second.is_none_or(|limit| rate == micros(limit)), "{rate}");
        prop_assert!(all.concurrency.is_none_or(|limit| concurrency == u64::from(limit)), "{concurrency}");
    }
}
