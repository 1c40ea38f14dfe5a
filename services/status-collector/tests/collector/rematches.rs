//! Reports that were kept without an attempt find it later (promise 8).

use serde_json::json;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::{AttemptKey, AttemptState, Channel, Lane, Outcome, WorkerId};
use tocsin_runtime::{Clock as _, Progress, SystemClock};
use tocsin_status_collector::Rematch;
use uuid::Uuid;

use crate::stage::Stage;

const DELIVERED: [(&str, &str); 2] = [("MessageSid", "SM7"), ("MessageStatus", "delivered")];

/// One whole pass.
async fn rematch(stage: &Stage) {
    let mut rematch = Rematch::default();
    while rematch.tick(&stage.collector).await.unwrap() == Progress::More {}
}

/// A job that is released and not claimed yet, and the attempt that its claim will make.
async fn to_be_claimed(stage: &Stage) -> (Vec<tocsin_store::release::Released>, AttemptKey) {
    stage.fixture.guardians(1, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let released = stage.fixture.release_all().await.unwrap();
    let attempt = AttemptKey { job: released[0].key, number: 1 };
    (released, attempt)
}

#[tokio::test]
async fn a_report_whose_attempt_comes_later_is_matched_then() {
    let (stage, _) = Stage::memory().await;
    let (released, attempt) = to_be_claimed(&stage).await;
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 200);
    stage.events_become(0, 1).await;
    rematch(&stage).await;
    assert_eq!(stage.events().await, (0, 1), "there is no attempt yet");

    stage.fixture.claim(WorkerId(Uuid::now_v7()), &released).await.unwrap();
    for _ in 0..2 {
        rematch(&stage).await;
        assert_eq!(stage.events().await, (1, 0));
        assert_eq!(stage.standing(attempt).await.outcome, Some(Outcome::Delivered));
    }
    let kept = "select count(*) from events where district_id = $1 and job_id = $2 and number = 1 and raw is not null";
    let kept = stage.query(kept, &[&stage.fixture.district().0, &attempt.job.job]).await;
    assert_eq!(kept.get::<_, i64>(0), 1);
    assert_eq!(stage.collector.counts.rematched.get(), 1);
}

#[tokio::test]
async fn a_callback_that_is_not_understood_finds_its_attempt_too() {
    let (stage, _) = Stage::memory().await;
    let (released, attempt) = to_be_claimed(&stage).await;
    // Kept as one whose attempt exists, for it reports nothing that would be settled.
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &[("New", "thing")]).await, 200);
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 200);
    stage.events_become(1, 1).await;
    stage.fixture.claim(WorkerId(Uuid::now_v7()), &released).await.unwrap();
    rematch(&stage).await;
    assert_eq!(stage.events().await, (2, 0));
}

#[tokio::test]
async fn a_report_without_our_token_finds_its_attempt_by_the_providers_id() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Email).await;
    let mail = json!({ "event": "delivered", "message": { "headers": { "message-id": "m-7@x.org" } } });
    let other = json!({ "event": "delivered", "message": { "headers": { "message-id": "m-8@x.org" } } });
    for event in [mail, other] {
        assert_eq!(stage.mailgun(event, 0).await, 200);
    }
    stage.events_become(0, 2).await;
    let store = stage.fixture.store();
    assert_eq!(store.name_unmatched(&[attempt]).await.unwrap(), 0, "its id is not known yet");

    let kind = ReportKind::Accepted { provider_id: Some("m-7@x.org".to_owned()) };
    let accepted = Report { attempt, at: SystemClock.now(), sequence: None, kind };
    store.settle(vec![accepted], vec![], SystemClock.now()).await.unwrap();
    assert_eq!(store.name_unmatched(&[attempt]).await.unwrap(), 1);
    assert_eq!(store.name_unmatched(&[attempt]).await.unwrap(), 0);
    rematch(&stage).await;
    assert_eq!(stage.events().await, (1, 1));
    let standing = stage.standing(attempt).await;
    assert_eq!((standing.attempt, standing.outcome), (AttemptState::Settled, Some(Outcome::Delivered)));
}

#[tokio::test]
async fn a_report_that_is_older_than_a_day_is_left_as_it_is() {
    let (stage, _) = Stage::memory().await;
    let (released, attempt) = to_be_claimed(&stage).await;
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 200);
    stage.events_become(0, 1).await;
    let aged = "update events set id = uuid7_floor(now() - interval '25 hours') returning 1";
    stage.query(aged, &[]).await;
    stage.fixture.claim(WorkerId(Uuid::now_v7()), &released).await.unwrap();
    rematch(&stage).await;
    assert_eq!(stage.events().await, (0, 1));
    assert_eq!(stage.standing(attempt).await.attempt, AttemptState::Asking);
}

/// A late bounce, without our token, of a mail that was delivered as far as anybody knew.
#[tokio::test]
async fn a_late_bounce_without_our_token_finds_its_settled_attempt_and_suppresses_its_address() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Email).await;
    let store = stage.fixture.store();
    let delivered = ReportKind::Status {
        outcome: Outcome::Delivered,
        provider_code: None,
        provider_id: Some("m-7@x.org".to_owned()),
    };
    let delivered = Report { attempt, at: SystemClock.now(), sequence: None, kind: delivered };
    store.settle(vec![delivered], vec![], SystemClock.now()).await.unwrap();
    assert_eq!(stage.standing(attempt).await.attempt, AttemptState::Settled);
    for id in ["m-7@x.org", "m-8@x.org"] {
        let bounce = json!({
            "event": "failed", "severity": "permanent", "reason": "bounce",
            "delivery-status": { "code": 550, "enhanced-code": "5.1.1" },
            "message": { "headers": { "message-id": id } },
        });
        assert_eq!(stage.mailgun(bounce, 0).await, 200);
    }
    stage.events_become(0, 2).await;
    rematch(&stage).await;
    assert_eq!(stage.events().await, (1, 1), "of somebody else's mail there is no attempt");
    assert_eq!(stage.standing(attempt).await.outcome, Some(Outcome::HardBounce));
    let suppressed = stage.query("select count(*) from suppressions where channel = 3", &[]).await;
    assert_eq!(suppressed.get::<_, i64>(0), 1);
    // The other is sought once more an hour later, and never again.
    let sought = "select sought from events where campaign_id is null";
    rematch(&stage).await;
    assert_eq!(stage.query(sought, &[]).await.get::<_, i16>(0), 1);
    stage.query("update events set received_at = received_at - interval '2 hours' where campaign_id is null returning 1", &[]).await;
    for _ in 0..2 {
        rematch(&stage).await;
        assert_eq!(stage.query(sought, &[]).await.get::<_, i16>(0), 2);
    }
}

/// Each search reads all attempts: what comes soon after one waits for the next.
#[tokio::test]
async fn reports_without_our_token_are_sought_together() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Email).await;
    let delivered = ReportKind::Status {
        outcome: Outcome::Delivered,
        provider_code: None,
        provider_id: Some("m-2@x.org".to_owned()),
    };
    let delivered = Report { attempt, at: SystemClock.now(), sequence: None, kind: delivered };
    stage.fixture.store().settle(vec![delivered], vec![], SystemClock.now()).await.unwrap();
    let opened = |id: &str| json!({ "event": "opened", "message": { "headers": { "message-id": id } } });
    let mut one = Rematch::default();
    for (id, events) in [("m-1@x.org", 1), ("m-2@x.org", 2)] {
        assert_eq!(stage.mailgun(opened(id), 0).await, 200);
        stage.events_become(0, events).await;
        while one.tick(&stage.collector).await.unwrap() == Progress::More {}
        assert_eq!(stage.events().await, (0, events), "the first is nobody's, and the second waits");
    }
    rematch(&stage).await;
    assert_eq!(stage.events().await, (1, 1), "by whoever has not searched just now");
}

/// The same id over another account is another message.
#[tokio::test]
async fn a_report_without_our_token_is_not_matched_over_another_account() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    let kind = ReportKind::Status {
        outcome: Outcome::Delivered,
        provider_code: None,
        provider_id: Some("m-7@x.org".to_owned()),
    };
    let delivered = Report { attempt, at: SystemClock.now(), sequence: None, kind };
    stage.fixture.store().settle(vec![delivered], vec![], SystemClock.now()).await.unwrap();
    let mail = json!({ "event": "opened", "message": { "headers": { "message-id": "m-7@x.org" } } });
    assert_eq!(stage.mailgun(mail, 0).await, 200);
    stage.events_become(0, 1).await;
    rematch(&stage).await;
    assert_eq!(stage.events().await, (0, 1));
}
