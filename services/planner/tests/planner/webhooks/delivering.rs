//! Answers, retries, rotation, and endpoints that fail.

use std::time::Duration;

use chrono::TimeDelta;
use tocsin_domain::trace::TraceId;
use tocsin_domain::webhook::DeliveryState;
use tocsin_runtime::Tasks;
use tocsin_store::webhooks::{Record, Turn};
use tocsin_testkit::wait_until;
use tocsin_webhooks::Reach;
use uuid::Uuid;

use super::receiver::Receiver;
use super::stage::{Webhooks, deliverer};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_retry_has_the_same_id_and_comes_when_its_time_has_come() {
    let (webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    receiver.answers(&[500, 503]);
    webhooks.event(endpoint).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["1 1 500"]);
    webhooks.shift(TimeDelta::seconds(4)).await;
    webhooks.deliver().await;
    assert_eq!(receiver.posted().len(), 1, "not before its time");
    webhooks.shift(TimeDelta::seconds(6)).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["1 2 503"]);
    webhooks.shift(TimeDelta::minutes(6)).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["2 3 204"]);
    let posted = receiver.posted();
    assert_eq!(posted.len(), 3);
    assert!(posted.iter().all(|it| it.id == posted[0].id && it.body == posted[0].body), "{posted:?}");
    assert!(posted.iter().all(|it| it.is_signed_with(&webhooks.secret(endpoint, 1))));
}

#[tokio::test]
async fn after_the_tenth_attempt_a_delivery_has_failed() {
    let (webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    receiver.answers(&[500; 12]);
    webhooks.event(endpoint).await;
    let mut hours = 0;
    for _ in 0..12 {
        webhooks.deliver().await;
        // Something else is taken in between: the endpoint does not fail as a whole.
        webhooks.stage.run("update webhook_endpoints set failing_since = null").await;
        hours += 25;
        webhooks.shift(TimeDelta::hours(hours)).await;
    }
    assert_eq!(webhooks.deliveries().await, ["3 10 500"]);
    assert_eq!(receiver.posted().len(), 10);
}

#[tokio::test]
async fn a_delivery_that_has_failed_for_good_is_sent_again_by_hand_and_received_under_its_id() {
    let (webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    receiver.answers(&[500, 500, 500]);
    let id = webhooks.event(endpoint).await;
    webhooks.deliver().await;
    webhooks.stage.run("update webhook_deliveries set attempts = 9").await;
    webhooks.shift(TimeDelta::hours(1)).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["3 10 500"]);
    webhooks.shift(TimeDelta::days(2)).await;
    webhooks.deliver().await;
    assert_eq!(receiver.posted().len(), 2, "by itself it is tried no more");

    let again = async || {
        let now = webhooks.planner.store.now().await.unwrap();
        webhooks.tenant().redeliver_to_webhook(endpoint, id, now).await.unwrap()
    };
    assert!(again().await);
    assert!(!again().await, "it waits already");
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["1 1 500"], "it has all its attempts before it");
    webhooks.shift(TimeDelta::days(2) + TimeDelta::minutes(1)).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["2 2 204"]);
    // What was taken can be sent again, too: its receiver may have lost it.
    assert!(again().await);
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["2 1 204"]);
    let posted = receiver.posted();
    assert_eq!(posted.len(), 5);
    assert!(posted.iter().all(|it| it.id == posted[0].id && it.body == posted[0].body), "{posted:?}");
    assert!(posted.iter().all(|it| it.is_signed_with(&webhooks.secret(endpoint, 1))));
}

/// A planner that was frozen while it had the delivery, which others ended meanwhile and somebody sent again.
#[tokio::test]
async fn what_is_sent_again_by_hand_stays_so_whatever_a_late_planner_says_of_it() {
    let (webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    let id = webhooks.event(endpoint).await;
    let store = &webhooks.planner.store;
    let frozen = Uuid::new_v4();
    let now = store.now().await.unwrap();
    let served = store.serve_webhooks(frozen, 1, 90.0, now).await.unwrap().remove(0);
    let due = store.due_deliveries(&served, 1, now).await.unwrap().remove(0);
    webhooks.shift(TimeDelta::seconds(91)).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["2 1 204"]);
    let now = store.now().await.unwrap();
    assert!(webhooks.tenant().redeliver_to_webhook(endpoint, id, now).await.unwrap());
    let late = Record {
        id: due.id,
        attempts: due.attempts,
        due_at: due.due_at,
        state: DeliveryState::Failed,
        next_at: None,
        status: Some(410),
        fault: None,
    };
    let turn = Turn { records: vec![late], ..Turn::default() };
    store.record_deliveries(frozen, &served, &turn, now).await.unwrap();
    assert_eq!(webhooks.deliveries().await, ["1 0 204"]);
}

#[tokio::test]
async fn an_event_of_a_campaign_leads_to_its_trace_and_a_test_to_none() {
    let (mut webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.accepted"]).await;
    let campaign = webhooks.texts(1).await;
    webhooks.tell_and_deliver().await;
    webhooks.event(endpoint).await;
    webhooks.deliver().await;
    let posted = receiver.posted();
    assert_eq!(receiver.names(), ["campaign.accepted", "webhook.test"]);
    let trace = TraceId::of_campaign(campaign);
    // This planner keeps no traces, so that the receiver need not either.
    assert_eq!(posted[0].trace, Some(trace.traceparent(trace.root(), false)));
    assert_eq!(posted[1].trace, None);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_gets_nothing_more() {
    let (webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    receiver.answers(&[410, 410, 410, 410]);
    webhooks.event(endpoint).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["3 1 410"]);
    assert_eq!(webhooks.disabled().await, ["gone"]);
    webhooks.stage.run("update webhook_deliveries set state = 1, next_at = now()").await;
    webhooks.deliver().await;
    assert_eq!(receiver.posted().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_took_nothing_for_days_is_disabled() {
    let (webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    receiver.answers(&[500, 500]);
    webhooks.event(endpoint).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.disabled().await, Vec::<String>::new());
    webhooks.shift(TimeDelta::days(5)).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.disabled().await, ["failing"]);
    assert_eq!(webhooks.deliveries().await, ["1 2 500"], "it waits for whoever enables the endpoint again");
    let now = webhooks.planner.store.now().await.unwrap();
    let change = tocsin_store::tenant::webhooks::EndpointChange {
        enabled: Some(tocsin_store::tenant::webhooks::Enabled::Yes),
        ..Default::default()
    };
    assert!(webhooks.tenant().change_webhook(endpoint, &change, now).await.unwrap());
    webhooks.shift(TimeDelta::days(6)).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["2 3 204"]);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let (webhooks, receiver, elsewhere) =
        (Webhooks::new().await, Receiver::start().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    receiver.answers_with(307, "location", &elsewhere.url);
    webhooks.event(endpoint).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["1 1 307"]);
    assert_eq!(elsewhere.posted().len(), 0);
}

#[tokio::test]
async fn whoever_asks_for_time_is_left_alone_until_then() {
    let (webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    receiver.answers_with(429, "retry-after", "120");
    webhooks.event(endpoint).await;
    webhooks.deliver().await;
    webhooks.event(endpoint).await;
    webhooks.shift(TimeDelta::seconds(110)).await;
    webhooks.deliver().await;
    assert_eq!(receiver.posted().len(), 1, "nor anything else is sent there");
    webhooks.shift(TimeDelta::seconds(130)).await;
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["2 2 204", "2 1 204"]);
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_until_the_old_one_is_over() {
    let (webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    let now = webhooks.planner.store.now().await.unwrap();
    let until = now + TimeDelta::hours(1);
    assert!(webhooks.tenant().rotate_webhook(endpoint, webhooks.keys.current(), until, now).await.unwrap());
    webhooks.event(endpoint).await;
    webhooks.deliver().await;
    webhooks.shift(TimeDelta::hours(2)).await;
    webhooks.event(endpoint).await;
    webhooks.deliver().await;
    let signed = |at: usize, number| receiver.posted()[at].is_signed_with(&webhooks.secret(endpoint, number));
    assert_eq!((signed(0, 1), signed(0, 2)), (true, true));
    assert_eq!((signed(1, 1), signed(1, 2)), (false, true));
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_connected_to_whatever_leads_there() {
    let (webhooks, receiver) = (Webhooks::reaching(Reach::default()).await, Receiver::start().await);
    let port = receiver.url.rsplit(':').next().unwrap().split('/').next().unwrap();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let endpoint = webhooks.endpoint(&format!("https://{host}:{port}/hook"), &["campaign.closed"]).await;
        webhooks.event(endpoint).await;
    }
    webhooks.deliver().await;
    assert_eq!(webhooks.deliveries().await, ["1 1 address_refused"; 3]);
    assert_eq!(receiver.posted().len(), 0);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_asked_four_times_at_once_and_holds_up_nobody_else() {
    let (webhooks, silent, receiver) =
        (Webhooks::new().await, Receiver::silent().await, Receiver::start().await);
    let mute = webhooks.endpoint(&silent.url, &["campaign.closed"]).await;
    for _ in 0..40 {
        webhooks.event(mute).await;
    }
    let tasks = Tasks::new();
    webhooks.deliverer.tick(&tasks).await.unwrap();
    wait_until("four requests", SOON, async || silent.posted().len() == 4).await.unwrap();
    let other = webhooks.endpoint(&receiver.url, &["campaign.closed"]).await;
    webhooks.event(other).await;
    // This planner's next tick, and another planner's.
    webhooks.deliverer.tick(&tasks).await.unwrap();
    let second = deliverer(
        &webhooks.stage.planning().planner,
        &webhooks.keys,
        Reach::beside(vec!["127.0.0.0/8".parse().unwrap()]),
    );
    second.tick(&tasks).await.unwrap();
    wait_until("the other's event", SOON, async || receiver.posted().len() == 1).await.unwrap();
    assert_eq!(silent.posted().len(), 4);
    tasks.abort();
}

#[tokio::test]
async fn what_a_killed_planner_was_sending_is_sent_by_another_with_the_same_id() {
    let (webhooks, silent, receiver) =
        (Webhooks::new().await, Receiver::silent().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&silent.url, &["campaign.closed"]).await;
    webhooks.event(endpoint).await;
    let tasks = Tasks::new();
    webhooks.deliverer.tick(&tasks).await.unwrap();
    wait_until("the request", SOON, async || silent.posted().len() == 1).await.unwrap();
    tasks.abort();
    webhooks.stage.run(&format!("update webhook_endpoints set url = '{}'", receiver.url)).await;
    let planner = webhooks.stage.planning().planner;
    let another = deliverer(&planner, &webhooks.keys, Reach::beside(vec!["127.0.0.0/8".parse().unwrap()]));
    assert_eq!(another.deliver().await.unwrap(), 0, "its turn is not over");
    webhooks.shift(TimeDelta::seconds(91)).await;
    assert_eq!(another.deliver().await.unwrap(), 1);
    assert_eq!(receiver.posted()[0].id, silent.posted()[0].id);
    assert_eq!(webhooks.deliveries().await, ["2 1 204"]);
}
