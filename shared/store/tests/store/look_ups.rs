//! Look-ups: who is sought, by which facts, and that one planner orders each.

use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AccountId, AttemptKey, CampaignId, Channel};
use tocsin_store::accounts::SenderLimits;
use tocsin_store::look_up::LookUpOrder;

use crate::fixture::{Setting, attempts};
use crate::scene::delivered;

async fn tried(setting: &Setting, campaign: CampaignId, channel: Channel) -> Vec<AttemptKey> {
    attempts(&setting.claim(&setting.release(campaign, channel).await).await)
}

fn accepted(id: &str) -> ReportKind {
    ReportKind::Accepted { provider_id: Some(id.to_owned()) }
}

#[tokio::test]
async fn of_two_orders_of_one_look_up_one_is_given() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(4).await;
    let tried = tried(&setting, campaign, Channel::Sms).await;
    setting.report(&tried[..1], ReportKind::Lost).await;
    setting.report(&tried[1..2], accepted("SM1")).await;
    setting.report(&tried[2..3], delivered()).await;
    let orders: Vec<LookUpOrder> =
        tried.iter().map(|attempt| LookUpOrder { attempt: *attempt, looked_up_at: None }).collect();
    let now = setting.now().await;
    // Neither the settled one nor the one whose answer is still open.
    let mut first = setting.store.order_look_ups(&orders, now).await.unwrap();
    first.sort();
    assert_eq!(first, &tried[..2]);
    assert_eq!(setting.store.order_look_ups(&orders, now).await.unwrap(), []);
    let due = setting.store.due_claim_batches(now + chrono::TimeDelta::hours(1), 10).await.unwrap();
    let again: Vec<LookUpOrder> = due
        .iter()
        .flat_map(|batch| &batch.open)
        .filter(|open| open.looked_up_at.is_some())
        .map(|open| LookUpOrder { attempt: open.view.key, looked_up_at: open.looked_up_at })
        .collect();
    assert_eq!(again.len(), 2);
    assert_eq!(setting.store.order_look_ups(&again, now).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_attempt_is_sought_with_its_address_until_it_is_settled() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(2).await;
    let tried = tried(&setting, campaign, Channel::Sms).await;
    setting.report(&tried[..1], ReportKind::Lost).await;
    setting.report(&tried[1..], accepted("SM2")).await;
    let mut sought = setting.store.sought(&tried).await.unwrap();
    sought.sort_by_key(|sought| sought.attempt);
    assert!(sought.iter().all(|sought| sought.address.starts_with("+1555")));
    assert!(sought.iter().all(|sought| sought.channel == Channel::Sms && sought.account_name == "sms-1"));
    assert!(sought.iter().all(|sought| sought.merge_values["given_name"] == "Sam"));
    let ids: Vec<Option<&str>> = sought.iter().map(|sought| sought.provider_id.as_deref()).collect();
    assert_eq!(ids, [None, Some("SM2")]);
    assert!(sought.iter().all(|sought| sought.others.is_empty() && !sought.rival_without_id));
    setting.report(&tried, delivered()).await;
    assert!(setting.store.sought(&tried).await.unwrap().is_empty());
}

/// Two campaigns text the same people within a minute: what the provider knows of one is not to be taken for the
/// other's.
#[tokio::test]
async fn attempts_to_the_same_address_at_the_same_time_are_told_apart() {
    let setting = Setting::new().await;
    let first = setting.expanded(1).await;
    let lost = tried(&setting, first, Channel::Sms).await;
    setting.report(&lost, ReportKind::Lost).await;
    let second = setting.campaign(|_| ()).await;
    setting.expand(second, 10).await;
    let rival = tried(&setting, second, Channel::Sms).await;
    let seen = async || {
        let sought = setting.store.sought(&lost).await.unwrap().remove(0);
        (sought.others, sought.rival_without_id)
    };
    assert_eq!(seen().await, (vec![], true), "asking");
    setting.report(&rival, accepted("SM9")).await;
    assert_eq!(seen().await, (vec!["SM9".to_owned()], false), "accepted");
    setting.run(&format!("update campaigns set closed_at = tocsin_now() where id = '{second}'")).await;
    assert_eq!(seen().await, (vec!["SM9".to_owned()], false), "closed");
    setting
        .run(&format!(
            "update attempts set claimed_at = claimed_at - interval '2 minutes' where campaign_id = '{second}'"
        ))
        .await;
    assert_eq!(seen().await, (vec![], false), "of another time");
}

/// A messaging service sends from whichever number it likes: the provider's list may hold what went to the person
/// from another sender of the account.
#[tokio::test]
async fn attempts_from_another_sender_of_the_account_are_rivals() {
    let setting = Setting::new().await;
    let first = setting.expanded(1).await;
    let lost = tried(&setting, first, Channel::Sms).await;
    setting.report(&lost, ReportKind::Lost).await;
    let second = setting.campaign(|_| ()).await;
    setting.expand(second, 10).await;
    let rival = tried(&setting, second, Channel::Sms).await;
    setting.report(&rival, accepted("SM9")).await;
    let account =
        "(select id from provider_accounts where channel = 2 and parent_id is null order by id limit 1)";
    let texts = AccountId(i32::try_from(setting.number(&format!("select {account}::bigint")).await).unwrap());
    let now = setting.now().await;
    for number in ["+15005550101", "+15005550102"] {
        setting.store.add_sender(texts, number, &SenderLimits::default(), now).await.unwrap();
    }
    let from = async |campaign, address: &str| {
        let sender = format!("(select id from provider_accounts where address = '{address}')");
        let sql = format!("update attempts set account_id = {sender} where campaign_id = '{campaign}'");
        setting.run(&sql).await;
    };
    let others = async || setting.store.sought(&lost).await.unwrap().remove(0).others;
    from(second, "+15005550102").await;
    assert_eq!(others().await, ["SM9"], "from one without, to one with a sender");
    from(first, "+15005550101").await;
    assert_eq!(others().await, ["SM9"], "of two senders");
    let another = "(select min(id) from provider_accounts where channel <> 2)";
    setting.run(&format!("update attempts set account_id = {another} where campaign_id = '{second}'")).await;
    assert_eq!(others().await, [""; 0], "of another account");
}
