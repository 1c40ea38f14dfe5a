//! What a status queue may hold, and what becomes of it.

use bytes::Bytes;
use chrono::DateTime;
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey, JobState, Lane, Outcome};
use tocsin_proto::Envelope;
use tocsin_proto::v1::{RawCallback, RawCallbacks};
use tocsin_queue::Queue;
use tocsin_queue::topology::{QUEUE_HEADER, REASON_HEADER};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_testkit::fixture::account_name;
use uuid::Uuid;

use crate::stage::Stage;

fn raw(account: &str, body: &'static str, attempt: AttemptKey) -> RawCallback {
    RawCallback {
        id: Bytes::copy_from_slice(Uuid::now_v7().as_bytes()),
        received_at_ms: SystemClock.now().timestamp_millis(),
        account: account.into(),
        method: "POST".into(),
        url: "https://bell.example.org/callbacks/sms-1/t".into(),
        headers: vec![],
        body: Bytes::from_static(body.as_bytes()),
        campaign_id: Bytes::copy_from_slice(attempt.job.campaign.0.as_bytes()),
        job_id: attempt.job.job,
        attempt: i32::from(attempt.number),
        lane: 3,
    }
}

fn bytes(callback: RawCallback) -> Bytes {
    together([Envelope::new(callback).into_bytes()])
}

/// One message.
fn together(callbacks: impl IntoIterator<Item = Bytes>) -> Bytes {
    Envelope::new(RawCallbacks { callbacks: callbacks.into_iter().collect() }).into_bytes()
}

const SENT: &str = "MessageSid=SM1&MessageStatus=sent";
const DELIVERED: &str = "MessageSid=SM1&MessageStatus=delivered";

async fn bad_bytes_go_to_dead_letters(stage: Stage) {
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    stage.put(Lane::General, Bytes::from_static(b"\xff\xff nonsense")).await;
    stage.put(Lane::General, bytes(RawCallback { id: Bytes::new(), ..raw("sms-1", SENT, attempt) })).await;
    stage.put(Lane::General, bytes(raw("sms-9", SENT, attempt))).await;
    stage.put(Lane::General, bytes(raw("sms-1", DELIVERED, attempt))).await;
    stage.events_become(1, 0).await;
    assert_eq!(stage.standing(attempt).await.job, JobState::Ended);
    let expected =
        ["not RawCallbacks", "id has 0 bytes, a UUID has 16", "its provider account is not configured here"];
    assert_eq!(dead_letters(&stage, 3).await, expected);
    assert_eq!(stage.collector.counts.dead_letters.get(), 3);
}

async fn what_cannot_be_read_is_put_aside_alone(stage: Stage) {
    stage.fixture.guardians(2, Channel::Sms).await.unwrap();
    let attempts = stage.attempts(Lane::General, Channel::Sms).await;
    let good = |attempt| Envelope::new(raw("sms-1", DELIVERED, attempt)).into_bytes();
    let bad = Bytes::from_static(b"\xff\xff nonsense");
    stage.put(Lane::General, together([good(attempts[0]), bad.clone(), good(attempts[1])])).await;
    stage.events_become(2, 0).await;
    for attempt in attempts {
        assert_eq!(stage.standing(attempt).await.job, JobState::Ended);
    }
    let session = stage.session().await;
    let mut letters = session.consume(Queue::DeadLetters, 10).await.unwrap();
    let letter = letters.next_batch(10).await.unwrap().remove(0);
    assert_eq!(letter.header(REASON_HEADER), Some("not a RawCallback"));
    assert_eq!(letter.body, together([bad]), "it can be put back on its queue");
    assert_eq!(stage.collector.counts.dead_letters.get(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_put_aside_without_the_others_of_its_message() {
    what_cannot_be_read_is_put_aside_alone(Stage::memory().await.0).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_put_aside_without_the_others_on_rabbitmq_too() {
    what_cannot_be_read_is_put_aside_alone(Stage::rabbitmq().await).await;
}

/// The reasons of the first dead letters.
async fn dead_letters(stage: &Stage, count: usize) -> Vec<String> {
    let session = stage.session().await;
    let mut letters = session.consume(Queue::DeadLetters, 10).await.unwrap();
    let mut reasons = Vec::new();
    while reasons.len() < count {
        for letter in letters.next_batch(10).await.unwrap() {
            assert_eq!(letter.header(QUEUE_HEADER), Some("status.general"));
            reasons.push(letter.header(REASON_HEADER).unwrap().to_owned());
        }
    }
    reasons
}

#[tokio::test]
async fn what_is_no_callback_goes_to_dead_letters_and_the_consumer_goes_on() {
    bad_bytes_go_to_dead_letters(Stage::memory().await.0).await;
}

#[tokio::test]
async fn what_is_no_callback_goes_to_dead_letters_on_rabbitmq_too() {
    bad_bytes_go_to_dead_letters(Stage::rabbitmq().await).await;
}

#[tokio::test]
async fn a_redelivery_writes_nothing_twice() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    let message = bytes(raw("sms-1", SENT, attempt));
    for _ in 0..3 {
        stage.put(Lane::General, message.clone()).await;
    }
    stage.put(Lane::General, bytes(raw("sms-1", DELIVERED, attempt))).await;
    stage.events_become(2, 0).await;
    assert_eq!(stage.standing(attempt).await.outcome, Some(Outcome::Delivered));
}

#[tokio::test]
async fn the_report_of_an_attempt_that_does_not_exist_is_kept_without_one_and_with_what_its_token_names() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    let sent = [("MessageSid", "SM7"), ("MessageStatus", "sent")];
    let no_attempt = AttemptKey { number: 9, ..attempt };
    let no_campaign = AttemptKey { job: JobKey { campaign: CampaignId(Uuid::now_v7()), job: 1 }, number: 1 };
    for (unmatched, missing) in (1..).zip([no_attempt, no_campaign]) {
        assert_eq!(stage.twilio(Channel::Sms, Lane::General, missing, &sent).await, 200);
        stage.events_become(0, unmatched).await;
        let named = stage
            .query(
                "select job_id, district_id from events
                 where token_campaign_id = $1 and token_job_id = $2 and token_number = $3",
                &[&missing.job.campaign.0, &missing.job.job, &missing.number],
            )
            .await;
        let kept: (Option<i32>, Option<Uuid>) = (named.get(0), named.get(1));
        assert_eq!(kept, (None, None), "it belongs to nobody yet");
    }
    let kept = stage.query("select provider_id, raw is not null from events limit 1", &[]).await;
    assert_eq!((kept.get::<_, &str>(0), kept.get::<_, bool>(1)), ("SM7", true));
    assert_eq!(stage.collector.counts.unmatched.get(), 2);
}

#[tokio::test]
async fn a_callback_that_is_not_understood_is_kept_as_it_came_and_settles_nothing() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    let before = stage.standing(attempt).await;
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &[("New", "thing")]).await, 200);
    stage.events_become(1, 0).await;
    let kept = stage.query("select raw, outcome from events", &[]).await;
    assert_eq!((kept.get::<_, &[u8]>(0), kept.get::<_, Option<i16>>(1)), (&b"New=thing"[..], None));
    assert_eq!(stage.standing(attempt).await, before);
    assert_eq!(stage.collector.counts.unparsed.get(), 1);
    // Counted from its row, so that it outlives the process.
    let kept = stage.collector.store.kept_callbacks(DateTime::UNIX_EPOCH).await.unwrap();
    let told: Vec<(String, i64, i64)> =
        kept.into_iter().map(|kept| (kept.account, kept.unparsed, kept.texts)).collect();
    assert_eq!(told, [(account_name(Channel::Sms), 1, 0)]);
}

#[tokio::test]
async fn a_character_that_the_store_cannot_hold_does_not_hold_up_the_lane() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    let odd = [("MessageSid", "SM\0"), ("MessageStatus", "sent\0")];
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &odd).await, 200);
    stage.events_become(1, 0).await;
    assert_eq!(stage.standing(attempt).await.provider_id.as_deref(), Some("SM\u{fffd}"));
}

#[tokio::test]
async fn a_value_that_the_store_refuses_takes_only_its_own_callback_out_of_the_batch() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(3, Channel::Sms).await.unwrap();
    let attempts = stage.attempts(Lane::General, Channel::Sms).await;
    stage.pause_applying().await;
    // A year that our own types know and PostgreSQL's do not.
    let bad = RawCallback { received_at_ms: -8_000_000_000_000_000, ..raw("sms-1", SENT, attempts[1]) };
    let callbacks = [raw("sms-1", DELIVERED, attempts[0]), bad, raw("sms-1", DELIVERED, attempts[2])];
    let callbacks = callbacks.map(|callback| Envelope::new(callback).into_bytes());
    stage.put(Lane::General, together(callbacks)).await;
    stage.resume_applying();
    stage.events_become(2, 0).await;
    assert_eq!(dead_letters(&stage, 1).await, ["the store does not take one of its values"]);
    for good in [attempts[0], attempts[2]] {
        assert_eq!(stage.standing(good).await.outcome, Some(Outcome::Delivered));
    }
}
