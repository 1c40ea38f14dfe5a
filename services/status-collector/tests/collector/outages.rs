//! The broker gone, the store gone, a lane stuck: nothing is lost, and emergencies do not wait.

use tocsin_domain::{Channel, JobState, Lane};
use tocsin_queue::Queue;
use tocsin_testkit::wait_until;

use crate::stage::{BOUND, Stage, connected};

const DELIVERED: [(&str, &str); 2] = [("MessageSid", "SM1"), ("MessageStatus", "delivered")];

#[tokio::test]
async fn without_a_broker_a_callback_is_answered_503_and_taken_when_it_comes_again() {
    let (stage, broker) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    broker.stop();
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 503);
    assert_eq!(stage.collector.counts.unavailable.get(), 1);
    broker.start();
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 200);
    stage.events_become(1, 0).await;
    assert_eq!(stage.standing(attempt).await.job, JobState::Ended);
}

#[tokio::test]
async fn a_callback_that_the_broker_refuses_is_answered_503() {
    let (stage, broker) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    broker.refuse_next(1);
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 503);
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 200);
    stage.events_become(1, 0).await;
}

#[tokio::test]
async fn cut_connections_are_opened_again_by_both_halves() {
    let (stage, broker) = Stage::memory().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    let attempts = stage.attempts(Lane::General, Channel::Sms).await;
    for (kept, attempt) in (1..).zip(attempts) {
        broker.disconnect_all();
        assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 200);
        stage.events_become(kept, 0).await;
    }
    stage.leave().await;
}

#[tokio::test]
async fn callbacks_are_taken_while_the_store_is_away_and_applied_when_it_is_back() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(3, Channel::Sms).await.unwrap();
    let attempts = stage.attempts(Lane::General, Channel::Sms).await;
    let name = &stage.database.name;
    let elsewhere = stage.database.url.replace(name.as_str(), "postgres");
    stage.store_goes_away().await;
    for attempt in &attempts {
        assert_eq!(stage.twilio(Channel::Sms, Lane::General, *attempt, &DELIVERED).await, 200);
    }
    let back = format!("alter database {name} allow_connections true");
    connected(&elsewhere, async |client| client.batch_execute(&back).await.unwrap()).await;
    stage.events_become(3, 0).await;
    for attempt in attempts {
        assert_eq!(stage.standing(attempt).await.job, JobState::Ended);
    }
    let session = stage.session().await;
    stage.leave().await;
    assert_eq!(session.depth(Queue::Status(Lane::General)).await.unwrap(), 0);
}

#[tokio::test]
async fn an_emergency_report_does_not_wait_for_a_lane_that_is_stuck() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(1, Channel::Sms).await.unwrap();
    let general = stage.attempts(Lane::General, Channel::Sms).await.remove(0);
    let emergency = stage.attempts(Lane::Emergency, Channel::Sms).await.remove(0);
    connected(&stage.database.url, async |holder| {
        let lock =
            "begin; set local role tocsin_engine; select from jobs where campaign_id = '{}' for update";
        let lock = lock.replace("{}", &general.job.campaign.to_string());
        holder.simple_query(&lock).await.unwrap();
        assert_eq!(stage.twilio(Channel::Sms, Lane::General, general, &DELIVERED).await, 200);
        let waits = "select count(*) from pg_stat_activity where datname = current_database()
                     and wait_event_type = 'Lock' and query like '-- store.apply%'";
        wait_until("the general lane waits for the row", BOUND, async || {
            connected(&stage.database.url, async |client| {
                client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0
            })
            .await
        })
        .await
        .unwrap();
        assert_eq!(stage.twilio(Channel::Sms, Lane::Emergency, emergency, &DELIVERED).await, 200);
        stage.events_become(1, 0).await;
        assert_eq!(stage.standing(emergency).await.job, JobState::Ended);
        assert_eq!(stage.standing(general).await.job, JobState::Claimed);
        holder.batch_execute("rollback").await.unwrap();
    })
    .await;
    stage.events_become(2, 0).await;
    assert_eq!(stage.standing(general).await.job, JobState::Ended);
}

#[tokio::test]
async fn what_is_taken_while_nobody_applies_is_applied_by_the_next_collector() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    stage.pause_applying().await;
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &DELIVERED).await, 200);
    stage.resume_applying();
    stage.events_become(1, 0).await;
    assert_eq!(stage.standing(attempt).await.job, JobState::Ended);
}
