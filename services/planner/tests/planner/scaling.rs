//! How many workers there should be, asked over HTTP of a planner on a real store.

mod plot;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tocsin_domain::{AccountId, Channel, Lane, WorkerId};
use tocsin_planner::{Aims, Scaling};
use tocsin_runtime::health::{Health, serve};
use tocsin_runtime::{Clock, Reading, SystemClock, Tasks};
use tocsin_store::leases::Usage;
use tocsin_testkit::fixture::account_name;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use self::plot::Point;
use crate::stage::Stage;

const TARGET: Duration = Duration::from_secs(10);
/// What a worker for texts is expected to send, and what those of these tests do send.
const WORKER_PER_SECOND: f64 = 300.0;
const STEP_SECONDS: i32 = 2;
/// So long that a test's own time is nothing of it.
const LONG: Duration = Duration::from_secs(1_000_000);
/// Of one campaign.
const DEVICES: u16 = 12_000;

/// What passes as the test says.
#[derive(Debug, Default)]
struct Passed {
    seconds: AtomicU64,
}

impl Clock for Passed {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    fn reading(&self) -> Reading {
        Reading::at(Duration::from_secs(self.seconds.load(Ordering::Relaxed)))
    }
}

/// A planner's health address, with the clock that its kept answers go by.
struct Asked {
    address: SocketAddr,
    passed: Arc<Passed>,
    tasks: Tasks,
}

impl Asked {
    async fn of(stage: &Stage, target: Duration) -> Self {
        let passed = Arc::new(Passed::default());
        let aims = Aims { target, replicas_max: BTreeMap::from([(Channel::Sms, 10)]) };
        let scaling = Scaling::new(stage.fixture.store().clone(), passed.clone(), aims);
        let tasks = Tasks::new();
        let health = Health::new(&tasks).with(scaling.router());
        let address = serve((Ipv4Addr::LOCALHOST, 0).into(), health, &tasks).await.unwrap();
        Self { address, passed, tasks }
    }

    /// The status and the body.
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// After what was kept is forgotten.
    async fn sms(&self) -> Value {
        self.passed.seconds.fetch_add(5, Ordering::Relaxed);
        let (status, body) = self.get("/scaling/sms").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// A fleet that becomes what the planner says, a step later, and sends as fast as it and its provider can.
struct Fleet {
    account: AccountId,
    workers: Vec<WorkerId>,
    used_per_second: f64,
}

impl Fleet {
    fn new(stage: &Stage) -> Self {
        let account = stage.fixture.account(Channel::Sms).unwrap();
        Self { account, workers: vec![WorkerId(Uuid::now_v7())], used_per_second: 0.0 }
    }

    async fn becomes(&mut self, stage: &Stage, replicas: usize) {
        while self.workers.len() > replicas {
            let leaving = self.workers.pop().unwrap();
            stage.fixture.store().drop_leases(leaving).await.unwrap();
        }
        self.workers.resize_with(replicas, || WorkerId(Uuid::now_v7()));
    }

    /// Sends for one step, after which the workers tell what they sent.
    async fn sends(&mut self, stage: &Stage, headroom: f64) {
        let rate = (self.workers.len() as f64 * WORKER_PER_SECOND).min(headroom);
        let jobs = (rate * f64::from(STEP_SECONDS)) as i64;
        let sent = stage
            .numbers(&format!(
                "with first as (select campaign_id, id from jobs where due_at is not null order by campaign_id, id limit {jobs}),
                 sent as (update jobs j set state = 3, due_at = null, wait_reason = null from first f
                   where j.campaign_id = f.campaign_id and j.id = f.id returning 1)
                 select count(*) from sent",
            ))
            .await[0];
        self.used_per_second = sent as f64 / f64::from(STEP_SECONDS);
    }

    async fn renews(&self, stage: &Stage) {
        for worker in &self.workers {
            let used_per_second = self.used_per_second / self.workers.len() as f64;
            let usage = Usage { used_per_second, ..Usage::wanted(self.account) };
            stage.fixture.store().renew_leases_as(*worker, &[Channel::Sms], &[usage]).await.unwrap();
        }
    }
}

/// What happens at which step: campaigns begin, the provider allows more or less.
const CAMPAIGNS_AT: [usize; 3] = [2, 6, 12];
const HEADROOM_FROM: [(usize, f64); 3] = [(0, 900.0), (11, 1_800.0), (15, 400.0)];
const STEPS: usize = 40;

fn headroom_at(step: usize) -> f64 {
    HEADROOM_FROM.iter().rev().find(|(from, _)| *from <= step).unwrap().1
}

/// The whole curve: growth while work can be fed, none while the provider is the bottleneck, and a slow end.
#[tokio::test]
async fn workers_grow_with_what_can_be_fed_and_not_with_what_waits() {
    let stage = Stage::new().await;
    stage.fixture.guardians(DEVICES, Channel::Sms).await.unwrap();
    let asked = Asked::of(&stage, TARGET).await;
    let mut fleet = Fleet::new(&stage);
    let mut curve: Vec<Point> = Vec::with_capacity(STEPS);
    for step in 0..STEPS {
        let headroom = headroom_at(step);
        stage.account(&account_name(Channel::Sms), None, Channel::Sms, headroom).await;
        if CAMPAIGNS_AT.contains(&step) {
            stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
            stage.fixture.expand_all().await.unwrap();
        }
        fleet.sends(&stage, headroom).await;
        let seconds = i32::try_from(step).unwrap() * STEP_SECONDS;
        stage.shift_clock(seconds).await;
        fleet.renews(&stage).await;
        let answer = asked.sms().await;
        let replicas = usize::try_from(answer["replicas"].as_u64().unwrap()).unwrap();
        let backlog = stage.numbers("select count(*) from jobs where due_at is not null").await[0];
        curve.push(Point { seconds, replicas, backlog, headroom, sent: fleet.used_per_second });
        fleet.becomes(&stage, replicas).await;
    }
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/scaling.svg");
    std::fs::write(file, plot::svg(&curve)).unwrap();
    holds(&curve);
    asked.tasks.stop(TARGET).await;
}

fn holds(curve: &[Point]) {
    let told: Vec<usize> = curve.iter().map(|point| point.replicas).collect();
    assert!(told.iter().all(|replicas| (1..=10).contains(replicas)), "never none: {told:?}");
    assert_eq!(told[..2], [1, 1], "nothing is due");
    assert_eq!(told[2..11], [3; 9], "900 a second are fed by three, however much waits: {told:?}");
    let backlog = |step: usize| curve[step].backlog;
    assert!(backlog(6) > backlog(2), "and more waits: {} and then {}", backlog(2), backlog(6));
    assert_eq!(told[11..15], [6; 4], "the provider takes twice as much: {told:?}");
    let down = |pair: &[usize]| pair[0].saturating_sub(pair[1]);
    assert!(told.windows(2).all(|pair| down(pair) <= 1), "one leaves at a time: {told:?}");
    assert_eq!(told[15..20], [5, 4, 3, 2, 2], "400 are fed by two: {told:?}");
    let waits_for_provider = |point: &Point| point.backlog as f64 > TARGET.as_secs_f64() * point.headroom;
    for pair in
        curve.windows(2).filter(|pair| waits_for_provider(&pair[0]) && pair[0].headroom == pair[1].headroom)
    {
        assert!(
            pair[1].replicas <= pair[0].replicas,
            "no growth where the provider is the bottleneck: {pair:?}"
        );
    }
    assert_eq!(
        (told.last(), curve.last().map(|point| point.backlog)),
        (Some(&1), Some(0)),
        "all is sent: {told:?}"
    );
}

#[tokio::test]
async fn every_planner_answers_the_same_and_a_moment_later_still_so() {
    let stage = Stage::new().await;
    stage.fixture.guardians(50, Channel::Sms).await.unwrap();
    let (one, other) = (Asked::of(&stage, TARGET).await, Asked::of(&stage, TARGET).await);
    let idle = one.sms().await;
    assert_eq!(idle["channel"], "sms");
    assert_eq!(idle["replicas"], 1);
    assert_eq!(idle["why"], "nothing is due: one stays for emergencies");
    assert_eq!(other.sms().await, idle);
    stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let (_, kept) = one.get("/scaling/sms").await;
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), idle);
    let needed = one.sms().await["needed_per_second"].as_f64().unwrap();
    assert_eq!(needed, 50.0 / 2.5, "emergencies have a quarter of the target");
}

#[tokio::test]
async fn what_cannot_be_answered_is_no_number() {
    let stage = Stage::new().await;
    let asked = Asked::of(&stage, TARGET).await;
    let (status, body) = asked.get("/scaling/fax").await;
    assert_eq!((status, body.trim_end()), (404, "unknown channel \"fax\": use voice, sms, email or inbox"));
    stage.fixture.store().close();
    let (status, body) = asked.get("/scaling/sms").await;
    assert_eq!((status, body.as_str()), (503, "the store does not answer\n"));
}

/// Jobs per second, of all that was due when the test began.
fn of(jobs: f64) -> f64 {
    jobs / LONG.as_secs_f64()
}

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() <= 0.001 * expected, "{value}, and not {expected}");
}

#[tokio::test]
async fn a_stopped_account_feeds_nobody_and_a_districts_own_serves_it_alone() {
    let stage = Stage::new().await;
    stage.fixture.guardians(600, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let asked = Asked::of(&stage, LONG).await;
    let sound = asked.sms().await;
    near(&sound["needed_per_second"], of(600.0));
    near(&sound["fed_per_second"], of(600.0));
    let shared = stage.fixture.account(Channel::Sms).unwrap();
    stage.fixture.store().stop_account(shared, "suspended", SystemClock.now()).await.unwrap();
    let stopped = asked.sms().await;
    near(&stopped["needed_per_second"], of(600.0));
    assert_eq!((&stopped["replicas"], &stopped["fed_per_second"]), (&1.into(), &0.0.into()), "{stopped}");
    stage.account("own", Some(stage.fixture.district()), Channel::Sms, of(450.0)).await;
    near(&asked.sms().await["fed_per_second"], of(450.0));
}

/// More of them than are counted one by one.
#[tokio::test]
async fn a_large_campaign_counts_whole() {
    let stage = Stage::new().await;
    stage.fixture.guardians(21_000, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let answer = Asked::of(&stage, LONG).await.sms().await;
    near(&answer["needed_per_second"], of(21_000.0));
}
