//! What is taken, what is refused, and how.

use tocsin_domain::{AttemptKey, AttemptState, Channel, JobState, Lane, Outcome};
use tocsin_providers::{Secret, TokenKeys, callback_url, twilio};

use crate::stage::{PUBLIC_URL, Stage, Standing, form, twilio_signature};

const DELIVERED: [(&str, &str); 3] =
    [("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("To", "+13125550100")];

async fn a_signed_callback_ends_the_job(stage: Stage) {
    for (kept, lane) in (1..).zip(Lane::ALL) {
        let attempt = stage.one_attempt(lane, Channel::Sms).await;
        assert_eq!(stage.twilio(Channel::Sms, lane, attempt, &DELIVERED).await, 200);
        stage.events_become(kept, 0).await;
        let expected = Standing {
            attempt: AttemptState::Settled,
            outcome: Some(Outcome::Delivered),
            provider_code: Some("delivered".into()),
            provider_id: Some("SM1".into()),
            job: JobState::Ended,
            job_outcome: Some(Outcome::Delivered),
        };
        assert_eq!(stage.standing(attempt).await, expected, "{lane}");
    }
    let raw: Vec<u8> = stage.query("select raw from events limit 1", &[]).await.get(0);
    assert_eq!(raw, form(&DELIVERED).into_bytes());
    assert_eq!(stage.collector.counts.taken.get(), 3);
    stage.leave().await;
}

#[tokio::test]
async fn a_signed_callback_over_http_becomes_the_outcome_and_ends_the_job() {
    a_signed_callback_ends_the_job(Stage::memory().await.0).await;
}

#[tokio::test]
async fn a_signed_callback_over_http_becomes_the_outcome_over_rabbitmq_too() {
    a_signed_callback_ends_the_job(Stage::rabbitmq().await).await;
}

/// A request that must be refused.
struct Bad {
    why: &'static str,
    path: String,
    signature: Option<String>,
    body: Vec<u8>,
    status: u16,
}

fn bad_requests(stage: &Stage, attempt: AttemptKey) -> Vec<Bad> {
    let token = stage.token(attempt, Lane::General);
    let path = |account: &str, token: &str| callback_url("", account, token);
    let signed = |path: &str| Some(twilio_signature(&format!("{PUBLIC_URL}{path}"), &DELIVERED));
    let bad = |why, path: String, status| {
        let signature = signed(&path);
        Bad { why, path, signature, body: form(&DELIVERED).into_bytes(), status }
    };
    let ours = path("sms-1", &token);
    let forged = TokenKeys::new(&Secret::new("other"), None).mint(attempt, Lane::General);
    vec![
        bad("unknown account", path("sms-9", &token), 404),
        bad("malformed token", path("sms-1", "favicon.ico"), 404),
        bad("forged token", path("sms-1", &forged), 403),
        Bad { signature: None, ..bad("no signature", ours.clone(), 403) },
        Bad { signature: signed("/callbacks/sms-1/other"), ..bad("of another address", ours.clone(), 403) },
        // Whoever asks chooses the Host header: the configured address is what must be signed.
        Bad {
            signature: Some(twilio_signature(&format!("{}{ours}", stage.address), &DELIVERED)),
            ..bad("of the Host header's address", ours.clone(), 403)
        },
        Bad { body: b"MessageSid=SM1&MessageStatus=read".into(), ..bad("other body", ours.clone(), 403) },
        Bad { body: vec![b'a'; 1024 * 1024 + 1], ..bad("too large", ours, 413) },
        bad("no such path", "/callbacks".to_owned(), 404),
    ]
}

#[tokio::test]
async fn what_is_forged_unsigned_unknown_or_too_large_is_refused_and_leaves_no_trace() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    let before = stage.standing(attempt).await;
    for bad in bad_requests(&stage, attempt) {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(bad.signature.as_deref().map(|signature| (twilio::signature::HEADER, signature)));
        assert_eq!(stage.post(&bad.path, &headers, bad.body).await, bad.status, "{}", bad.why);
    }
    let counts = &stage.collector.counts;
    let counted =
        [&counts.unknown_account, &counts.malformed_token, &counts.forged_token, &counts.unreadable];
    assert_eq!(counted.map(|counter| counter.get()), [1; 4]);
    assert_eq!((counts.unverified.get(), counts.taken.get()), (4, 0));

    // What is taken after them shows that they left nothing before it.
    assert_eq!(stage.standing(attempt).await, before);
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 200);
    stage.events_become(1, 0).await;
}

#[tokio::test]
async fn the_collector_tells_whether_it_is_live_and_ready() {
    let (stage, broker) = Stage::memory().await;
    assert_eq!(stage.get("/livez").await, 200);
    assert_eq!(stage.get("/readyz").await, 200);
    broker.stop();
    assert_eq!(stage.get("/livez").await, 200);
    assert_eq!(stage.get("/readyz").await, 503);
}
