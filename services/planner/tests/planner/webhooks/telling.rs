//! Nothing that happened is left untold, and nothing is told twice.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value;
use tocsin_domain::Outcome;
use tocsin_domain::webhook::BODY_BYTES_MAX;
use tocsin_planner::{PlannerError, Teller};
use tokio_postgres::NoTls;

use super::receiver::Receiver;
use super::stage::{ALL, Webhooks};

/// Each device that was told of, with what was told, in order.
fn devices(receiver: &Receiver) -> BTreeMap<i64, Vec<String>> {
    let mut told: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for posted in receiver.posted().iter().filter(|posted| posted.name() == "device.outcome") {
        for device in posted.event()["data"]["devices"].as_array().unwrap() {
            let code = device["status_code"].as_str().unwrap().to_owned();
            told.entry(device["device_id"].as_i64().unwrap()).or_default().push(code);
        }
    }
    told
}

fn campaign_events(receiver: &Receiver) -> Vec<String> {
    receiver.names().into_iter().filter(|name| name.starts_with("campaign")).collect()
}

#[tokio::test]
async fn a_campaign_that_ran_is_told_whole_signed_and_names_nobody() {
    let (mut webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let endpoint = webhooks.endpoint(&receiver.url, ALL).await;
    let campaign = webhooks.texts(200).await;
    webhooks.tell_and_deliver().await;
    assert_eq!(campaign_events(&receiver), ["campaign.accepted"]);
    webhooks.expand().await;
    let attempts = webhooks.claim().await;
    webhooks.report(&attempts[..150], Outcome::Delivered).await;
    webhooks.shift(TimeDelta::seconds(3)).await;
    webhooks.tell_and_deliver().await;
    assert_eq!(devices(&receiver).len(), 150, "told while the rest is under way");
    webhooks.report(&attempts[150..], Outcome::Undelivered).await;
    webhooks.close().await;
    webhooks.shift(TimeDelta::seconds(10)).await;
    webhooks.tell_and_deliver().await;

    let mut names = campaign_events(&receiver);
    names.sort_unstable();
    assert_eq!(names, ["campaign.accepted", "campaign.closed", "campaign.completed", "campaign.sending"]);
    let told = devices(&receiver);
    assert_eq!(told.len(), 200);
    assert!(told.values().all(|outcomes| outcomes.len() == 1), "each once: {told:?}");
    let delivered = told.values().filter(|outcomes| outcomes[0] == "delivered").count();
    assert_eq!(delivered, 150);
    let secret = webhooks.secret(endpoint, 1);
    let mut ids = Vec::new();
    for posted in receiver.posted() {
        assert!(posted.is_signed_with(&secret) && posted.body.len() < BODY_BYTES_MAX, "{posted:?}");
        assert!(!posted.is_signed_with(&webhooks.secret(endpoint, 2)));
        assert_eq!(posted.event()["data"]["campaign_id"], campaign.to_string());
        for secret_of_people in ["+1", "Guardian", "Snow day", "School is closed"] {
            assert!(!posted.body.contains(secret_of_people), "{}", posted.body);
        }
        ids.push(posted.id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), receiver.posted().len(), "each event has an id of its own");
    webhooks.shift(TimeDelta::days(8)).await;
    webhooks.tell_and_deliver().await;
    assert_eq!(receiver.posted().len(), ids.len(), "nothing is told again");
}

#[tokio::test]
async fn a_late_report_is_told_beside_what_was_told_before() {
    let (mut webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    webhooks.endpoint(&receiver.url, &["device.outcome"]).await;
    webhooks.texts(3).await;
    webhooks.expand().await;
    let attempts = webhooks.claim().await;
    webhooks.report(&attempts, Outcome::Undelivered).await;
    webhooks.close().await;
    webhooks.tell_and_deliver().await;
    webhooks.report(&attempts[..1], Outcome::Delivered).await;
    webhooks.shift(TimeDelta::minutes(1)).await;
    webhooks.tell_and_deliver().await;
    let told = devices(&receiver);
    assert_eq!(told[&i64::from(attempts[0].job.job)], ["undelivered", "delivered"]);
    assert_eq!(told.values().filter(|outcomes| outcomes.len() == 1).count(), 2, "{told:?}");
    let last = receiver.posted().pop().unwrap().event();
    assert_eq!(last["data"]["devices"][0]["previous_status_code"], "undelivered");
}

#[tokio::test]
async fn whoever_dies_between_looking_and_telling_leaves_nothing_untold_and_nothing_told_twice() {
    let (mut webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    webhooks.endpoint(&receiver.url, ALL).await;
    webhooks.texts(120).await;
    webhooks.expand().await;
    let attempts = webhooks.claim().await;
    webhooks.report(&attempts, Outcome::Delivered).await;
    webhooks.close().await;
    let store = webhooks.planner.store.clone();
    let now = store.now().await.unwrap();
    store.follow_campaigns(now - TimeDelta::hours(1), now).await.unwrap();
    // What is found is not written: the transaction is never committed.
    let killed = || PlannerError::from(tocsin_store::StoreError::Contended { statement: "killed", rows: 1 });
    let telling = store.tell_campaigns::<PlannerError>(10, now, |_| Err(killed())).await;
    assert!(telling.is_err());
    let telling = store.tell_devices::<PlannerError>(50, now, |page| {
        assert_eq!(page.devices.len(), 50);
        Err(killed())
    });
    assert!(telling.await.is_err());
    assert_eq!(webhooks.deliveries().await, Vec::<String>::new());
    // Two planners at once, each from the beginning.
    let (one, other) = (webhooks.stage.planning().planner, webhooks.stage.planning().planner);
    let (mut teller, mut other_teller) = (Teller::default(), Teller::default());
    let (first, second) = tokio::join!(teller.tick(&one), other_teller.tick(&other));
    assert!(first.is_ok() && second.is_ok());
    webhooks.shift(TimeDelta::minutes(1)).await;
    webhooks.tell_and_deliver().await;
    let told = devices(&receiver);
    assert!(told.len() == 120 && told.values().all(|outcomes| outcomes.len() == 1), "{told:?}");
    let mut names = campaign_events(&receiver);
    names.sort_unstable();
    assert_eq!(names, ["campaign.accepted", "campaign.closed", "campaign.completed", "campaign.sending"]);
}

#[tokio::test]
async fn an_outcome_that_is_committed_late_is_told_by_the_next_pass() {
    let (mut webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    webhooks.endpoint(&receiver.url, &["device.outcome"]).await;
    let campaign = webhooks.texts(4).await;
    webhooks.expand().await;
    let attempts = webhooks.claim().await;
    let (mut slow, connection) = tokio_postgres::connect(&webhooks.stage.database.url, NoTls).await.unwrap();
    let tasks = tocsin_runtime::Tasks::new();
    tasks.spawn("slow", async move { drop(connection.await) });
    // Job and tally in one commit, as the engine's statements do, which takes its time.
    let transaction = slow.transaction().await.unwrap();
    let sql = format!(
        "update jobs set state = 4, outcome = 107, ended_at = now() - interval '1 hour'
           where campaign_id = '{campaign}' and id = {};
         insert into tallies (campaign_id, district_id, channel, open)
           select id, district_id, 2, -1 from campaigns where id = '{campaign}'",
        attempts[0].job.job
    );
    transaction.batch_execute(&sql).await.unwrap();
    webhooks.report(&attempts[1..], Outcome::Delivered).await;
    webhooks.tell_and_deliver().await;
    assert_eq!(devices(&receiver).len(), 3);
    transaction.commit().await.unwrap();
    webhooks.shift(TimeDelta::seconds(10)).await;
    webhooks.tell_and_deliver().await;
    assert_eq!(devices(&receiver).len(), 4);
}

#[tokio::test]
async fn nobody_is_told_who_did_not_ask() {
    let (mut webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    let before = webhooks.texts(2).await;
    webhooks.expand().await;
    webhooks.tell().await;
    assert_eq!(webhooks.stage.numbers("select count(*) from webhook_campaigns").await, [0]);
    let only_ends = webhooks.endpoint(&receiver.url, &["campaign.completed"]).await;
    webhooks.tell().await;
    let attempts = webhooks.claim().await;
    webhooks.report(&attempts, Outcome::Delivered).await;
    webhooks.close().await;
    webhooks.tell_and_deliver().await;
    assert_eq!(receiver.names(), ["campaign.completed"]);
    assert_eq!(receiver.posted()[0].event()["data"]["campaign_id"], Value::String(before.to_string()));
    assert_eq!(webhooks.stage.numbers("select count(*) from webhook_devices").await, [0]);
    // Another district's endpoint hears nothing of it.
    let other = tocsin_testkit::fixture::Fixture::new(&webhooks.stage.database).await.unwrap();
    assert!(other.store().tenant(other.district()).webhook(only_ends).await.unwrap().is_none());
}

#[tokio::test]
async fn a_cancel_is_told() {
    let (mut webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    webhooks.endpoint(&receiver.url, ALL).await;
    let campaign = webhooks.texts(2).await;
    webhooks.expand().await;
    webhooks.tell_and_deliver().await;
    webhooks.tenant().cancel(campaign, "ana", None).await.unwrap().unwrap();
    webhooks.tell_and_deliver().await;
    assert_eq!(campaign_events(&receiver), ["campaign.accepted", "campaign.canceling"]);
}

#[tokio::test]
async fn what_is_old_is_forgotten() {
    let (mut webhooks, receiver) = (Webhooks::new().await, Receiver::start().await);
    webhooks.endpoint(&receiver.url, ALL).await;
    webhooks.texts(2).await;
    webhooks.expand().await;
    let attempts = webhooks.claim().await;
    webhooks.report(&attempts, Outcome::Delivered).await;
    webhooks.close().await;
    webhooks.tell_and_deliver().await;
    let kept = "select (select count(*) from webhook_deliveries) + (select count(*) from webhook_devices)
                + (select count(*) from webhook_campaigns)";
    let all = webhooks.stage.numbers(kept).await;
    webhooks.planner.prune_webhooks().await.unwrap();
    assert_eq!(webhooks.stage.numbers(kept).await, all);
    webhooks.shift(TimeDelta::days(32)).await;
    for _ in 0..3 {
        webhooks.planner.prune_webhooks().await.unwrap();
    }
    assert_eq!(webhooks.stage.numbers(kept).await, [0]);
    webhooks.teller = Teller::default();
    webhooks.tell_and_deliver().await;
    assert_eq!(webhooks.stage.numbers(kept).await, [0], "what was forgotten is not told anew");
}
