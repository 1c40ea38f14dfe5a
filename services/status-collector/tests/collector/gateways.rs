//! A gateway that posts several reports in one body: each is about the attempt of its own token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tocsin_domain::{Channel, JobState, Lane, Outcome};
use tocsin_providers::{Secret, TokenKeys};
use tocsin_queue::Queue;

use crate::stage::{BOUND, GATEWAY, GATEWAY_PASSWORD, Stage};

async fn post(stage: &Stage, password: &str, reports: Value) -> u16 {
    let credentials = format!("Basic {}", STANDARD.encode(format!("gateway:{password}")));
    let headers = [("authorization", credentials.as_str())];
    let body = json!({ "reports": reports }).to_string();
    stage.post(&format!("/callbacks/{GATEWAY}"), &headers, body).await.as_u16()
}

#[tokio::test]
async fn reports_of_several_attempts_in_one_body_settle_each_its_own() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(3, Channel::Voice).await.unwrap();
    let attempts = stage.attempts(Lane::General, Channel::Voice).await;
    let tokens: Vec<String> = attempts.iter().map(|attempt| stage.token(*attempt, Lane::General)).collect();
    let forged = TokenKeys::new(&Secret::new("other"), None).mint(attempts[2], Lane::General);
    let reports = json!([
        { "reference": tokens[0], "id": "g-1", "code": 5, "n": 1 },
        { "reference": tokens[1], "id": "g-2", "code": "teleported" },
        { "reference": forged, "id": "g-3", "code": 5 },
        { "id": "g-4", "code": 1 },
        { "reference": tokens[1], "id": "g-2", "code": 1, "n": 2 },
    ]);
    assert_eq!(post(&stage, "guessed", reports.clone()).await, 401);
    // Some gateways report by GET, to a fixed address too.
    assert_eq!(stage.get(&format!("/callbacks/{GATEWAY}")).await, 401);
    assert_eq!(post(&stage, GATEWAY_PASSWORD, reports.clone()).await, 200);
    stage.events_become(3, 2).await;
    let standing = stage.standing(attempts[0]).await;
    assert_eq!((standing.outcome, standing.job), (Some(Outcome::LivePerson), JobState::Ended));
    let code = (standing.provider_code.as_deref(), standing.provider_id.as_deref());
    assert_eq!(code, (Some("5"), Some("g-1")));
    let busy = stage.standing(attempts[1]).await;
    assert_eq!((busy.outcome, busy.provider_code.as_deref()), (Some(Outcome::Busy), Some("1")));
    assert_eq!(stage.standing(attempts[2]).await.outcome, None, "a forged token names no attempt");
    assert_eq!(stage.collector.counts.unmapped.get(), 1);
    // A word that nobody has mapped is kept as it came.
    let kept = "select outcome from events where provider_code = 'teleported'";
    assert_eq!(stage.query(kept, &[]).await.get::<_, i16>(0), Outcome::Unknown.number());

    assert_eq!(post(&stage, GATEWAY_PASSWORD, reports).await, 200);
    stage.events_become(6, 4).await;
    assert_eq!(stage.standing(attempts[0]).await, standing, "a second copy changes nothing");
}

#[tokio::test]
async fn an_emergency_among_other_reports_waits_behind_none_of_them() {
    let (stage, _) = Stage::memory().await;
    stage.pause_applying().await;
    let general = stage.one_attempt(Lane::General, Channel::Voice).await;
    let emergency = stage.one_attempt(Lane::Emergency, Channel::Voice).await;
    let reports = json!([
        { "reference": stage.token(general, Lane::General), "code": 1 },
        { "reference": stage.token(emergency, Lane::Emergency), "code": 5 },
    ]);
    assert_eq!(post(&stage, GATEWAY_PASSWORD, reports).await, 200);
    let session = stage.session().await;
    let mut waiting = session.consume(Queue::Status(Lane::Emergency), 1).await.unwrap();
    let next = tokio::time::timeout(BOUND, waiting.next_batch(1)).await.unwrap();
    assert_eq!(next.unwrap().len(), 1);
}
