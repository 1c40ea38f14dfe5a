//! Who shares an account, as its leases and the attempts of its workers say.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tocsin_domain::WorkerId;
use tocsin_domain::failover::Answers;
use tocsin_domain::lease::{Holder, Share, Turn};
use tokio_postgres::Row;
use uuid::Uuid;

use super::Usage;

/// What is known of one account at a renewal.
pub(super) struct Standing {
    pub asker: Holder,
    pub others: Vec<Holder>,
    /// What the worker that asks may be using until it takes what it gets now.
    pub before: Share,
    pub demand: u32,
    /// Tokens used lately: by the whole fleet, and by the worker that asks.
    pub used_per_second: f64,
    pub own_used_per_second: f64,
    /// Calls of the worker that asks.
    pub calls: u32,
    /// What the provider answered lately: the whole fleet, and the worker that asks.
    pub answers: Answers,
    pub own_answers: Answers,
}

impl Standing {
    /// When the turn begins or ends that follows from `share`, as the lease's row keeps it.
    pub fn turn_at(&self, share: &Share, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.asker.turn.after(share, now) {
            Turn::Began(since) | Turn::Ended(since) => Some(since),
            Turn::Never => None,
        }
    }
}

/// The calls of each worker on one account or sender.
pub(super) fn calls_of(account: i32, held: &[Row]) -> Vec<(Uuid, u32)> {
    let mut calls: BTreeMap<Uuid, u32> = BTreeMap::new();
    let of_it = |row: &&Row| {
        row.get::<_, i32>("account_id") == account || row.get::<_, Option<i32>>("parent_id") == Some(account)
    };
    for row in held.iter().filter(of_it) {
        *calls.entry(row.get("worker_id")).or_default() += row.get::<_, i32>("attempts").unsigned_abs();
    }
    calls.into_iter().collect()
}

/// `usage` None: the worker tells nothing, and counts as busy; Some(None): it has no share.
pub(super) fn standings(
    account: i32,
    health_epoch: i32,
    worker: WorkerId,
    usage: Option<Option<&Usage>>,
    leases: &[Row],
    mut calls: Vec<(Uuid, u32)>,
) -> Standing {
    let own_calls = take_calls(&mut calls, worker.0);
    let of_account = leases.iter().filter(|row| row.get::<_, Option<i32>>("account_id") == Some(account));
    let (own, others): (Vec<&Row>, Vec<&Row>) =
        of_account.partition(|row| row.get::<_, Uuid>("worker_id") == worker.0);
    let told = usage.flatten();
    let demand = match usage {
        None => 1,
        Some(told) => told.map_or(0, |usage| usage.demand),
    };
    let own = own.first();
    let told_used = told.map_or(0.0, |usage| usage.used_per_second);
    let was_used = own.map_or(0.0, |row| row.get("used_per_second"));
    let others_used: f64 = others.iter().map(|row| row.get::<_, f64>("used_per_second")).sum();
    let current = |row: &&&Row| row.get("live") && row.get::<_, i32>("health_epoch") == health_epoch;
    let others_answers =
        others.iter().filter(current).map(|row| answers(row)).fold(Answers::default(), Answers::and);
    let own_answers = told.filter(|usage| usage.health_epoch == health_epoch);
    let own_answers = own_answers.map_or_else(Answers::default, |usage| usage.answers);
    let mut holders: Vec<Holder> = others
        .into_iter()
        .map(|row| {
            let worker: Uuid = row.get("worker_id");
            let live = row.get("live");
            Holder {
                worker: WorkerId(worker),
                counted: with_calls(counted(row), take_calls(&mut calls, worker)),
                live,
                busy: row.get::<_, i32>("demand") > 0,
                turn: turn(row),
            }
        })
        .collect();
    // Calls go on when their worker is gone.
    holders.extend(calls.into_iter().map(|(worker, calls)| Holder {
        worker: WorkerId(worker),
        counted: with_calls(Share::NOTHING, calls),
        live: false,
        busy: false,
        turn: Turn::Never,
    }));
    let before = own.filter(|row| row.get("counts")).map_or(Share::NOTHING, |row| {
        let has_taken = told.is_none_or(|usage| usage.taken == row.get::<_, i64>("epoch"));
        if has_taken { granted(row) } else { counted(row) }
    });
    // Of a lease that is over nothing may be kept: by another clock it was given to others by now. What it may
    // still be using of that counts for the others until it has taken what it gets, and is not kept either.
    let live = own.filter(|row| row.get("live"));
    let asker = Holder {
        worker,
        counted: live.map_or(Share::NOTHING, |row| granted(row)),
        live: true,
        busy: demand > 0,
        turn: own.map_or(Turn::Never, |row| turn(row)),
    };
    Standing {
        asker,
        others: holders,
        before,
        demand,
        // The last second alone may be one in which little was sent.
        used_per_second: others_used + told_used.max(was_used),
        own_used_per_second: told_used,
        calls: own_calls,
        answers: own_answers.and(others_answers),
        own_answers,
    }
}

fn answers(row: &Row) -> Answers {
    let count = |column: &str| row.get::<_, i32>(column).unsigned_abs();
    Answers { all: count("answers"), failed: count("failures") }
}

fn take_calls(calls: &mut Vec<(Uuid, u32)>, worker: Uuid) -> u32 {
    match calls.iter().position(|(of, _)| *of == worker) {
        Some(position) => calls.swap_remove(position).1,
        None => 0,
    }
}

fn with_calls(share: Share, calls: u32) -> Share {
    if calls == 0 {
        return share;
    }
    Share {
        concurrency: share.concurrency.max(Some(calls)),
        general: share.general.max(Some(calls)),
        ..share
    }
}

fn granted(row: &Row) -> Share {
    share(row, ["rate_per_second", "burst", "concurrency", "general"])
}

/// Of a lease that an earlier release wrote only the share itself is to be relied on.
fn counted(row: &Row) -> Share {
    let counted = share(row, ["counted_rate", "counted_burst", "counted_concurrency", "counted_general"]);
    counted.or_more(&granted(row))
}

fn share(row: &Row, [rate, burst, concurrency, general]: [&str; 4]) -> Share {
    let whole = |column: &str| row.get::<_, Option<i32>>(column).map(i32::unsigned_abs);
    Share {
        rate_per_second: row.get(rate),
        burst: whole(burst),
        concurrency: whole(concurrency),
        general: whole(general),
    }
}

fn turn(row: &Row) -> Turn {
    match row.get::<_, Option<DateTime<Utc>>>("turn_at") {
        None => Turn::Never,
        Some(since) if granted(row).is_empty() => Turn::Ended(since),
        Some(since) => Turn::Began(since),
    }
}

pub(super) fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
