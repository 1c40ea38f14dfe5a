//! Attempts that nobody answered for: who is asked, and how often.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::{AttemptKey, AttemptState, Channel, Lane, Outcome};
use tocsin_planner::{expire, refresh};
use tocsin_proto::Envelope;
use tocsin_proto::v1::LookUp;
use tocsin_queue::Queue;
use tocsin_runtime::Progress;
use tocsin_store::events::{About, Event};
use tocsin_testkit::fixture::account_name;
use uuid::Uuid;

use crate::stage::{Planning, Stage};

/// When open attempts are looked after first, and unknown ones looked up.
const LOOKED_AFTER: i32 = 21;

async fn look_after(planning: &Planning) {
    while expire(&planning.planner).await.unwrap() == Progress::More {}
}

async fn report(stage: &Stage, attempt: AttemptKey, kind: ReportKind) {
    let now = stage.fixture.store().now().await.unwrap();
    stage
        .fixture
        .store()
        .settle(vec![Report { attempt, at: now, sequence: None, kind }], vec![], now)
        .await
        .unwrap();
}

#[tokio::test]
async fn only_what_is_unknown_is_looked_up_at_first_and_by_one_planner() {
    let stage = Stage::new().await;
    stage.fixture.guardians(4, Channel::Sms).await.unwrap();
    let granted = stage.fixture.claimed(Lane::General, Channel::Sms).await.unwrap();
    let tried: Vec<AttemptKey> = granted.iter().map(|job| job.attempt).collect();
    report(&stage, tried[0], ReportKind::Lost).await;
    report(&stage, tried[1], ReportKind::Accepted { provider_id: Some("SM1".to_owned()) }).await;
    let delivered =
        ReportKind::Status { outcome: Outcome::Delivered, provider_code: None, provider_id: None };
    report(&stage, tried[2], delivered).await;
    let (first, second) = (stage.planning(), stage.planning());
    stage.shift_clock(LOOKED_AFTER).await;
    for _ in 0..2 {
        tokio::join!(look_after(&first), look_after(&second));
    }
    // The fourth was still asking, and became unknown by the first look.
    let views = stage.fixture.store().attempt_views(&tried[3..]).await.unwrap();
    assert_eq!(views[0].state, AttemptState::Unknown);
    stage.shift_clock(LOOKED_AFTER + 2).await;
    tokio::join!(look_after(&first), look_after(&second));

    let session = first.planner.broker.connect("test").await.unwrap();
    assert_eq!(session.depth(Queue::LookUp(Channel::Sms)).await.unwrap(), 2);
    let mut orders = session.consume(Queue::LookUp(Channel::Sms), 10).await.unwrap();
    let mut ordered = BTreeSet::new();
    while ordered.len() < 2 {
        for delivery in orders.next_batch(10).await.unwrap() {
            ordered.insert(Envelope::<LookUp>::decode(delivery.body).unwrap().message.job_id);
        }
    }
    assert_eq!(ordered, BTreeSet::from([tried[0].job.job, tried[3].job.job]));
}

#[tokio::test]
async fn a_report_without_a_token_is_named_when_its_attempt_is_looked_after() {
    let stage = Stage::new().await;
    stage.fixture.guardians(1, Channel::Email).await.unwrap();
    let attempt = stage.fixture.claimed(Lane::General, Channel::Email).await.unwrap()[0].attempt;
    let accepted = ReportKind::Accepted { provider_id: Some("m-7@example.org".to_owned()) };
    report(&stage, attempt, accepted).await;
    let store = stage.fixture.store();
    let now = store.now().await.unwrap();
    let event = |account: String| Event {
        id: Uuid::now_v7(),
        ordinal: 0,
        about: About::Nothing,
        received_at: now,
        reported_at: None,
        sequence: None,
        outcome: Some(Outcome::Delivered),
        account,
        provider_id: Some("m-7@example.org".to_owned()),
        provider_code: None,
        raw: None,
    };
    let events = [event(account_name(Channel::Email)), event("another account".to_owned())];
    store.record_events(&events).await.unwrap();
    let named = async || store.unmatched_reports(now - TimeDelta::hours(1), None, 10).await.unwrap();
    let planning = stage.planning();
    look_after(&planning).await;
    assert!(named().await.is_empty());
    stage.shift_clock(LOOKED_AFTER).await;
    look_after(&planning).await;
    let named = named().await;
    assert_eq!((named.len(), named[0].attempt, named[0].place.id), (1, attempt, events[0].id));
}

/// Requirement 183: nothing is overdue, and somebody wants to know.
#[tokio::test]
async fn what_somebody_wants_to_know_of_is_looked_up_once_and_what_is_settled_or_new_is_not() {
    let stage = Stage::new().await;
    stage.fixture.guardians(4, Channel::Sms).await.unwrap();
    let granted = stage.fixture.claimed(Lane::General, Channel::Sms).await.unwrap();
    let tried: Vec<AttemptKey> = granted.iter().map(|job| job.attempt).collect();
    let campaign = tried[0].job.campaign;
    for attempt in &tried[..2] {
        report(&stage, *attempt, ReportKind::Accepted { provider_id: None }).await;
    }
    let delivered =
        ReportKind::Status { outcome: Outcome::Delivered, provider_code: None, provider_id: None };
    report(&stage, tried[2], delivered).await;
    let (first, second) = (stage.planning(), stage.planning());
    let session = first.planner.broker.connect("test").await.unwrap();
    let ordered = async || session.depth(Queue::Refresh(Channel::Sms)).await.unwrap();
    let tenant = stage.fixture.store().tenant(stage.fixture.district());
    let ask = async || {
        let asked = tenant.refresh(campaign).await.unwrap().unwrap();
        assert!(!asked.over);
        for planning in [&first, &second] {
            while refresh(&planning.planner).await.unwrap() == Progress::More {}
        }
        asked.asked_at.unwrap()
    };
    let asked_at = ask().await;
    assert_eq!(ordered().await, 0, "they were claimed a moment ago");
    stage.shift_clock(11).await;
    assert_eq!(ask().await, asked_at, "within the minute nothing new is asked");
    assert_eq!(ordered().await, 0);
    stage.shift_clock(61).await;
    assert!(ask().await > asked_at);
    assert_eq!(ordered().await, 2, "the two that its provider has accepted");
}
