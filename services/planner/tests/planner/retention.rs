//! Months that are dropped once all of them is closed for as long as the installation keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Months, Utc};
use tocsin_domain::{Channel, Lane};
use tocsin_planner::Retainer;
use tocsin_runtime::{Clock, Reading, SystemClock};

use crate::stage::{Planning, Stage};

const KEPT: Months = Months::new(12);

/// A database that ran for long, with campaigns in months that are over.
struct History {
    stage: Stage,
    now: DateTime<Utc>,
}

impl History {
    async fn new() -> Self {
        let stage = Stage::new().await;
        stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
        let now = stage.fixture.store().now().await.unwrap();
        Self { stage, now }
    }

    /// Makes the partitions of the month so long ago. Returns its name.
    async fn month(&self, ago: u32) -> String {
        let at = self.now - Months::new(ago);
        let name = at.format("%Y_%m").to_string();
        self.stage
            .run(&format!(
                "select tocsin_partition(p.relname, '{name}', format('for values from (%L) to (%L)',
                   uuid7_floor(date_trunc('month', timestamptz '{at}', 'UTC')),
                   uuid7_floor(date_trunc('month', timestamptz '{at}', 'UTC') + interval '1 month')), 100)
                 from pg_class p where p.relkind = 'p' and p.relnamespace = 'public'::regnamespace"
            ))
            .await;
        name
    }

    /// A campaign that was made so long ago, and closed then or never.
    async fn campaign(&self, ago: u32, closed: &str) {
        let at = self.now - Months::new(ago);
        self.stage
            .run(&format!(
                "insert into campaigns overriding system value
                 select (jsonb_populate_record(c, jsonb_build_object(
                   'id', uuid7_floor(timestamptz '{at}'), 'client_key', '{ago}',
                   'number', 1000 + {ago}, 'closed_at', {closed}))).*
                 from campaigns c order by id desc limit 1"
            ))
            .await;
    }

    /// A month so long ago, all of it closed then.
    async fn closed_month(&self, ago: u32) -> String {
        let closed = format!("timestamptz '{}'", self.now - Months::new(ago));
        self.campaign(ago, &closed).await;
        self.month(ago).await
    }

    async fn is_there(&self, month: &str) -> bool {
        let tables = format!("select count(*) from pg_class where relname ~ '_{month}$' and relkind = 'r'");
        self.stage.numbers(&tables).await != [0]
    }

    fn planner(&self, kept: Option<Months>) -> Planning {
        let mut planning = self.stage.planning();
        planning.planner.retain_months = kept;
        planning
    }
}

async fn tick(planning: &Planning) {
    Retainer::default().tick(&planning.planner).await.unwrap();
}

#[tokio::test]
async fn nothing_is_ever_dropped_where_the_configuration_does_not_say_so() {
    let history = History::new().await;
    let old = history.closed_month(120).await;
    tick(&history.planner(None)).await;
    assert!(history.is_there(&old).await);
    let duties = "select count(*) from planner_leases where duty = 'retain'";
    assert_eq!(history.stage.numbers(duties).await, [0], "nobody even looks");
    tick(&history.planner(Some(KEPT))).await;
    assert!(!history.is_there(&old).await);
}

#[tokio::test]
async fn a_month_with_an_open_campaign_stays_and_so_does_what_is_kept() {
    let history = History::new().await;
    history.campaign(20, "null").await;
    let (open, old, recent) =
        (history.month(20).await, history.closed_month(16).await, history.closed_month(11).await);
    tick(&history.planner(Some(KEPT))).await;
    let there =
        [history.is_there(&open).await, history.is_there(&old).await, history.is_there(&recent).await];
    assert_eq!(there, [true, false, true]);
}

#[tokio::test]
async fn of_two_planners_one_drops_and_the_other_only_once_it_has_the_duty() {
    let history = History::new().await;
    let old = history.closed_month(16).await;
    let (one, other) = (history.planner(Some(KEPT)), history.planner(Some(KEPT)));
    tokio::join!(tick(&one), tick(&other));
    assert!(!history.is_there(&old).await);
    // However long this test takes, the duty is still had.
    history.stage.run("update planner_leases set expires_at = 'infinity' where duty = 'retain'").await;
    let id = one.planner.id;
    let has = format!("select count(*) from planner_leases where duty = 'retain' and holder = '{id}'");
    let (has, has_not) = if history.stage.numbers(&has).await == [1] { (one, other) } else { (other, one) };
    let later = history.closed_month(15).await;
    tick(&has_not).await;
    assert!(history.is_there(&later).await, "it is the other's duty");
    has.planner.store.drop_duties(has.planner.id).await.unwrap();
    tick(&has_not).await;
    assert!(!history.is_there(&later).await);
}

#[derive(Debug, Default)]
struct Passed(AtomicU64);

impl Clock for Passed {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    fn reading(&self) -> Reading {
        Reading::at(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }
}

#[tokio::test]
async fn it_is_done_once_a_day_and_not_while_an_emergency_is_sent() {
    let history = History::new().await;
    let passed = Arc::new(Passed::default());
    let mut planning = history.planner(Some(KEPT));
    planning.planner.clock = passed.clone();
    let mut retainer = Retainer::default();
    let first = history.closed_month(20).await;
    planning.planner.wakes.urgent.is_due(Channel::Voice, true);
    retainer.tick(&planning.planner).await.unwrap();
    assert!(history.is_there(&first).await, "an emergency goes before");
    planning.planner.wakes.urgent.is_due(Channel::Voice, false);
    retainer.tick(&planning.planner).await.unwrap();
    assert!(!history.is_there(&first).await);
    let second = history.closed_month(19).await;
    passed.0.store(86_399, Ordering::Relaxed);
    retainer.tick(&planning.planner).await.unwrap();
    assert!(history.is_there(&second).await, "the day is not over");
    passed.0.store(86_400, Ordering::Relaxed);
    retainer.tick(&planning.planner).await.unwrap();
    assert!(!history.is_there(&second).await);
}

/// A report or a backup that reads a month is not cut, and holds up nobody again and again: the next look is an hour later.
#[tokio::test]
async fn a_month_that_is_being_read_is_dropped_at_a_later_look() {
    let history = History::new().await;
    let old = history.closed_month(16).await;
    let planning = history.planner(Some(KEPT));
    let mut retainer = Retainer::default();
    history.stage.run(&format!("begin; lock table jobs_{old} in access share mode")).await;
    retainer.tick(&planning.planner).await.unwrap();
    assert!(history.is_there(&old).await);
    history.stage.run("rollback").await;
    retainer.tick(&planning.planner).await.unwrap();
    assert!(!history.is_there(&old).await, "it did not count as done");
}
