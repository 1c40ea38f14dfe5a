//! Windows are data (promise 9): what is due outside its recipient's hours waits for them, on its row.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::wait::{Dial, Reader, Wait};
use tocsin_domain::window::{CallingWindow, zone_named};
use tocsin_domain::{CampaignId, Channel, Lane, Outcome, WaitReason};
use tocsin_planner::Sweeper;
use tocsin_runtime::config::{OtlpProtocol, TraceConfig};
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Progress, Tasks};
use tocsin_testkit::otlp::OtlpReceiver;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, NoTls};

use crate::stage::Stage;

const DAILY: &str = r#"{"hours": [{"days": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
    "sunday"], "opens": "08:00", "closes": "20:00"}]}"#;

/// A stage whose clock the test sets. The district is in Chicago.
struct Town {
    stage: Stage,
    sql: Client,
}

/// A job that waits.
#[derive(Debug, PartialEq, Eq)]
struct Waiting {
    zone: Option<String>,
    due_at: DateTime<Utc>,
    reason: i16,
}

impl Town {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let (sql, connection) = tokio_postgres::connect(&stage.database.url, NoTls).await.unwrap();
        #[allow(clippy::disallowed_methods, reason = "ends with the test's client")]
        tokio::spawn(connection);
        Self { stage, sql }
    }

    /// Sets the store's clock, which every session and every planner goes by.
    async fn set_clock(&self, now: &str) {
        self.run("update clock set shift = $1 - clock_timestamp()", &[&at(now)]).await;
    }

    async fn run(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) {
        self.sql.execute(sql, parameters).await.unwrap();
    }

    /// A campaign of texts with a window from 08:00 to 20:00, due at `now`, whose recipients are in these zones
    /// by turns; None is one that nobody told.
    async fn campaign(&self, lane: Lane, now: &str, expires_at: &str, zones: &[Option<&str>]) -> CampaignId {
        self.set_clock(now).await;
        let fixture = &self.stage.fixture;
        let campaign = fixture.campaign(lane, &[Channel::Sms]).await.unwrap();
        fixture.expand_all().await.unwrap();
        let window: CallingWindow = serde_json::from_str(DAILY).unwrap();
        let set = "update campaigns set calling_window = $2, expires_at = $3 where id = $1";
        self.run(set, &[&campaign.0, &Json(window), &at(expires_at)]).await;
        self.run("update jobs set due_at = $2 where campaign_id = $1", &[&campaign.0, &at(now)]).await;
        let turns =
            "update recipients set time_zone = ($2::text[])[1 + id % cardinality($2)] where campaign_id = $1";
        self.run(turns, &[&campaign.0, &zones]).await;
        campaign
    }

    /// What waits, one for each zone.
    async fn waiting(&self) -> Vec<Waiting> {
        let rows = self
            .sql
            .query(
                "select distinct r.time_zone, j.due_at, j.wait_reason
                 from jobs j join recipients r on r.campaign_id = j.campaign_id and r.id = j.recipient_id
                 where j.state = 1 order by 2, 1",
                &[],
            )
            .await
            .unwrap();
        rows.iter().map(|row| Waiting { zone: row.get(0), due_at: row.get(1), reason: row.get(2) }).collect()
    }

    async fn contact_until(&self) -> Vec<DateTime<Utc>> {
        let distinct = "select distinct contact_until from jobs where state = 2 order by 1";
        self.sql.query(distinct, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// How many texts are queued after a planner that just started released what it may.
    async fn released(&self, lane: Lane) -> i64 {
        let planning = self.stage.leading().await;
        planning.release(Channel::Sms).await;
        self.stage.fixture.store().drop_duties(planning.planner.id).await.unwrap();
        self.stage.queued(Channel::Sms, lane).await
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn waits(zone: Option<&str>, due_at: &str, reason: WaitReason) -> Waiting {
    Waiting { zone: zone.map(str::to_owned), due_at: at(due_at), reason: reason.number() }
}

/// In the night of 1 November 2026 the clocks go back, an hour later in each zone. Each release is another
/// planner's.
#[tokio::test]
async fn a_calling_window_holds_over_restarts_zones_and_dst_and_explains_itself() {
    let town = Town::new().await;
    town.stage.fixture.guardians(9, Channel::Sms).await.unwrap();
    let (east, west) = (Some("America/New_York"), Some("America/Los_Angeles"));
    let evening = "2026-11-01T03:00:00Z";
    town.campaign(Lane::General, evening, "2026-11-03T03:00:00Z", &[east, west, None]).await;

    assert_eq!(town.released(Lane::General).await, 0, "20:00 or later everywhere");
    let held = [
        waits(east, "2026-11-01T13:00:00Z", WaitReason::Window),
        waits(None, "2026-11-01T14:00:00Z", WaitReason::Window),
        waits(west, "2026-11-01T16:00:00Z", WaitReason::Window),
    ];
    assert_eq!(town.waiting().await, held, "08:00 of winter time, in the recipient's zone or the district's");
    let window: CallingWindow = serde_json::from_str(DAILY).unwrap();
    let wait = Wait {
        reason: WaitReason::Window,
        due_at: held[0].due_at,
        tries: 0,
        attempts_max: 3,
        calling_window: Some(&window),
        zone: zone_named("America/New_York"),
        expires_at: at("2026-11-03T03:00:00Z"),
        stopped: None,
    };
    let reader = Reader { now: at("2026-11-01T05:00:00Z"), dial: Dial::Hours24 };
    assert_eq!(wait.sentence(reader), "held until 08:00 America/New_York");

    for (now, queued) in [
        ("2026-11-01T12:00:00Z", 0),
        ("2026-11-01T12:59:00Z", 0),
        ("2026-11-01T13:00:00Z", 3),
        ("2026-11-01T13:59:00Z", 3),
        ("2026-11-01T14:00:00Z", 6),
        ("2026-11-01T15:59:00Z", 6),
        ("2026-11-01T16:00:00Z", 9),
    ] {
        town.set_clock(now).await;
        assert_eq!(town.released(Lane::General).await, queued, "{now}");
    }
    let closing = ["2026-11-02T01:00:00Z", "2026-11-02T02:00:00Z", "2026-11-02T04:00:00Z"].map(at);
    assert_eq!(town.contact_until().await, closing, "20:00 in each zone");
}

/// Whoever reads a trace sees what the attempt waited for, until when, and that it went at once when that time came.
#[tokio::test]
async fn a_trace_tells_that_its_attempt_waited_for_its_calling_window() {
    let (town, tasks) = (Town::new().await, Tasks::new());
    let (receiver, addresses) = OtlpReceiver::start(&tasks).await.unwrap();
    let endpoint = Some(addresses.grpc);
    let slow = std::time::Duration::from_secs(3_600);
    let config = TraceConfig { endpoint, protocol: OtlpProtocol::Grpc, sample_ratio: 1.0, slow };
    let spans = Spans::start(&config, "planner").unwrap();
    town.stage.fixture.guardians(3, Channel::Sms).await.unwrap();
    let (evening, opens) = ("2026-11-26T02:00:00Z", "2026-11-26T14:00:00Z");
    town.campaign(Lane::General, evening, "2026-11-27T02:00:00Z", &[None]).await;
    for (now, queued) in [(evening, 0), (opens, 3)] {
        town.set_clock(now).await;
        let mut planning = town.stage.leading().await;
        planning.planner.spans = spans.clone();
        planning.release(Channel::Sms).await;
        town.stage.fixture.store().drop_duties(planning.planner.id).await.unwrap();
        assert_eq!(town.stage.queued(Channel::Sms, Lane::General).await, queued, "{now}");
    }
    spans.close(std::time::Duration::from_secs(10)).await;

    let traces = receiver.traces();
    assert_eq!(traces.len(), 3);
    let opens = at(opens);
    for spans in traces.values() {
        let named = |name: &str| spans.iter().find(|span| span.name == name);
        let held = named("wait window").unwrap();
        assert_eq!(held.attribute("tocsin.wait.reason").as_deref(), Some("window"));
        assert_eq!(held.attribute("tocsin.wait.until"), Some(opens.to_rfc3339()));
        let turn = named("wait turn").unwrap();
        assert_eq!(turn.attribute("tocsin.wait.reason").as_deref(), Some("window"));
        assert_eq!(i64::try_from(turn.span.start_time_unix_nano).ok(), opens.timestamp_nanos_opt());
        assert!(named("publish sms.general").is_some(), "it was not released");
    }
}

#[tokio::test]
async fn what_is_claimed_after_its_window_closed_waits_for_the_next_opening() {
    let town = Town::new().await;
    town.stage.fixture.guardians(3, Channel::Sms).await.unwrap();
    town.campaign(Lane::General, "2026-11-26T01:30:00Z", "2026-11-27T01:30:00Z", &[None]).await;
    assert_eq!(town.released(Lane::General).await, 3, "19:30 in Chicago");
    town.set_clock("2026-11-26T02:00:00Z").await;
    assert_eq!(town.stage.claim(Lane::General, 3).await, 0);
    assert_eq!(town.released(Lane::General).await, 0);
    assert_eq!(town.waiting().await, [waits(None, "2026-11-26T14:00:00Z", WaitReason::Window)]);
    town.set_clock("2026-11-26T14:00:00Z").await;
    assert_eq!(town.released(Lane::General).await, 3);
    assert_eq!(town.stage.claim(Lane::General, 3).await, 3);
}

#[tokio::test]
async fn an_emergency_ignores_windows_and_zones() {
    let town = Town::new().await;
    town.stage.fixture.guardians(3, Channel::Sms).await.unwrap();
    town.run("update districts set time_zone = null", &[]).await;
    let zones = [Some("America/New_York"), None];
    town.campaign(Lane::Emergency, "2026-11-26T08:00:00Z", "2026-11-26T20:00:00Z", &zones).await;
    assert_eq!(town.released(Lane::Emergency).await, 3);
    assert_eq!(town.contact_until().await, [at("2026-11-26T20:00:00Z")], "until it expires");
    assert_eq!(town.stage.claim(Lane::Emergency, 3).await, 3);
}

#[tokio::test]
async fn without_a_zone_a_job_waits_until_its_district_has_one() {
    let town = Town::new().await;
    town.stage.fixture.guardians(4, Channel::Sms).await.unwrap();
    town.run("update districts set time_zone = null", &[]).await;
    // What is no zone is taken for none.
    let zones = [None, Some("Central")];
    town.campaign(Lane::General, "2026-11-25T18:00:00Z", "2026-11-26T18:00:00Z", &zones).await;
    assert_eq!(town.released(Lane::General).await, 0, "noon in Chicago, which nobody said");
    for waiting in town.waiting().await {
        let wait = waiting.due_at - at("2026-11-25T18:00:00Z");
        assert_eq!(waiting.reason, WaitReason::ZoneUnknown.number());
        assert!((TimeDelta::minutes(15)..TimeDelta::minutes(16)).contains(&wait), "{wait}");
    }
    town.set_clock("2026-11-25T18:16:00Z").await;
    assert_eq!(town.released(Lane::General).await, 0, "still not said");
    let fixture = &town.stage.fixture;
    fixture.store().set_time_zone(fixture.district(), "America/Chicago").await.unwrap();
    town.set_clock("2026-11-25T18:32:00Z").await;
    assert_eq!(town.released(Lane::General).await, 4);
}

#[tokio::test]
async fn a_window_that_does_not_open_any_more_ends_as_expired() {
    let town = Town::new().await;
    town.stage.fixture.guardians(2, Channel::Sms).await.unwrap();
    town.campaign(Lane::General, "2026-11-26T03:00:00Z", "2026-11-26T13:00:00Z", &[None]).await;
    assert_eq!(town.released(Lane::General).await, 0);
    assert_eq!(town.waiting().await, [waits(None, "2026-11-26T13:00:00Z", WaitReason::Window)]);
    town.set_clock("2026-11-26T13:00:00Z").await;
    assert_eq!(town.released(Lane::General).await, 0);
    let planning = town.stage.leading().await;
    let mut sweeper = Sweeper::default();
    while sweeper.tick(&planning.planner).await.unwrap() == Progress::More {}
    let ended = "select count(*) from jobs where state = 4 and outcome = $1";
    let expired: i64 = town.sql.query_one(ended, &[&Outcome::Expired.number()]).await.unwrap().get(0);
    assert_eq!(expired, 2);
}

/// Four places, and the first jobs in line are closed: they are held all at once, and take none.
#[tokio::test]
async fn what_is_held_holds_up_nobody_behind_it() {
    let town = Town::new().await;
    town.stage.slow(Channel::Sms).await;
    town.stage.fixture.guardians(300, Channel::Sms).await.unwrap();
    let (east, west) = (Some("America/New_York"), Some("America/Los_Angeles"));
    // 09:00 in New York, 06:00 in Los Angeles.
    let campaign =
        town.campaign(Lane::General, "2026-11-25T14:00:00Z", "2026-11-26T14:00:00Z", &[west]).await;
    town.run("update recipients set time_zone = $1 where id > 290", &[&east]).await;
    assert_eq!(town.stage.jobs(campaign).await, 300);
    assert_eq!(town.released(Lane::General).await, 4);
    let held = "select count(*) from jobs where state = 1 and wait_reason = $1";
    let held: i64 = town.sql.query_one(held, &[&WaitReason::Window.number()]).await.unwrap().get(0);
    assert_eq!(held, 290);
}
