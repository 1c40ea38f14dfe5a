//! Samples of a campaign's progress, and what of it waits: bounded, however long it lasts and however large it is.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::{CampaignId, Channel, WaitReason};
use tocsin_store::tenant::plot::WAITING_MAX;
use tocsin_store::{Access, Store};

use crate::fixture::Setting;

/// As much more as if `by` addresses had been contacted by text.
async fn contact(setting: &Setting, campaign: CampaignId, by: i32) {
    let sql = format!(
        "insert into tallies (campaign_id, district_id, channel, addresses_contacted)
         select id, district_id, 2, {by} from campaigns where id = '{campaign}'"
    );
    setting.run(&sql).await;
}

async fn begin(setting: &Setting, campaign: CampaignId, at: DateTime<Utc>) {
    let at = at.to_rfc3339();
    setting
        .run(&format!("update campaigns set state = 3, started_at = '{at}' where id = '{campaign}'"))
        .await;
}

#[tokio::test]
async fn samples_are_taken_when_something_changed_and_farther_apart_the_older_a_campaign_is() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(3).await;
    let began = setting.now().await;
    let sample = async |seconds: i64| {
        setting.store.sample_progress(began + TimeDelta::seconds(seconds)).await.unwrap()
    };
    assert_eq!(sample(0).await, 0, "it has not begun");
    begin(&setting, campaign, began).await;
    assert_eq!((sample(0).await, sample(5).await), (1, 0), "nothing changed");
    contact(&setting, campaign, 1).await;
    assert_eq!((sample(6).await, sample(6).await), (1, 0));
    contact(&setting, campaign, 1).await;
    let later = 100 * 60;
    assert_eq!(sample(later).await, 1);
    contact(&setting, campaign, 1).await;
    assert_eq!((sample(later + 30).await, sample(later + 61).await), (0, 1), "a hundredth of its age apart");

    let samples = setting.tenant().samples(campaign, 100).await.unwrap();
    let texts: Vec<i64> = samples
        .iter()
        .map(|sample| sample.contacted.iter().find(|(channel, _)| *channel == Channel::Sms).unwrap().1)
        .collect();
    assert_eq!(texts, [0, 1, 2, 3]);
    let thinned = setting.tenant().samples(campaign, 2).await.unwrap();
    assert!(thinned.len() <= 2 && thinned.last() == samples.last(), "{thinned:?}");
    setting.run(&format!("update campaigns set closed_at = now() where id = '{campaign}'")).await;
    contact(&setting, campaign, 1).await;
    assert_eq!(sample(later * 2).await, 0, "it is over");
}

#[tokio::test]
async fn another_district_sees_no_samples() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(1).await;
    let now = setting.now().await;
    begin(&setting, campaign, now).await;
    assert_eq!(setting.store.sample_progress(now).await.unwrap(), 1);
    assert_eq!(setting.tenant().samples(campaign, 10).await.unwrap().len(), 1);
    let tenants = Store::open(&setting.database.url, 1, Access::Tenants).unwrap();
    assert_eq!(tenants.tenant(setting.district).samples(campaign, 10).await.unwrap().len(), 1);
    let other = tenants.tenant(tocsin_domain::DistrictId(uuid::Uuid::new_v4()));
    assert!(other.samples(campaign, 10).await.unwrap().is_empty());
    assert!(other.waiting(campaign, now).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_waits_is_told_by_reason_and_no_more_of_it_than_is_bounded() {
    let setting = Setting::new().await;
    let many = i32::try_from(WAITING_MAX).unwrap() + 50;
    let campaign = setting.expanded(many).await;
    let now = setting.now().await;
    let waiting = async || setting.tenant().waiting(campaign, now).await.unwrap();
    let found = waiting().await;
    assert!(!found.is_empty() && found.iter().all(|it| it.reason == WaitReason::Turn), "{found:?}");
    assert!(found.iter().all(|it| it.jobs == WAITING_MAX && it.next_at.is_none()), "{found:?}");
    // The first of each channel are redialed in an hour: due last, and so no longer among the first.
    setting
        .run(&format!(
            "update jobs set wait_reason = 2, due_at = due_at + interval '1 hour'
             where campaign_id = '{campaign}' and id % 3 > 0"
        ))
        .await;
    let found = waiting().await;
    for channel in found.iter().map(|it| it.channel) {
        let of = |reason| found.iter().find(|it| (it.channel, it.reason) == (channel, reason)).copied();
        let (turn, redial) = (of(WaitReason::Turn).unwrap(), of(WaitReason::Redial).unwrap());
        assert_eq!(turn.jobs + redial.jobs, WAITING_MAX, "{found:?}");
        assert!(turn.jobs > 0 && turn.next_at.is_none() && redial.next_at > Some(now), "{found:?}");
    }
}

#[tokio::test]
async fn headroom_is_what_an_account_may_and_what_its_workers_send() {
    let setting = Setting::new().await;
    let read = async || setting.tenant().headroom().await.unwrap();
    let before = read().await;
    let account = before.first().expect("the fixture has accounts").clone();
    assert!(account.used_per_second.abs() < f64::EPSILON && account.holds == 0, "{account:?}");
    let name = &account.account;
    setting
        .run(&format!(
            "update provider_accounts set rate_per_second = 20, concurrency = 7 where name = '{name}';
             insert into leases (account_id, worker_id, epoch, expires_at, used_per_second)
               select id, gen_random_uuid(), 1, tocsin_now() + interval '5 s', 3.5 from provider_accounts where name = '{name}';
             insert into leases (account_id, worker_id, epoch, expires_at, used_per_second)
               select id, gen_random_uuid(), 1, tocsin_now() - interval '1 s', 90 from provider_accounts where name = '{name}';
             insert into held (account_id, worker_id, attempts)
               select id, gen_random_uuid(), 2 from provider_accounts where name = '{name}'"
        ))
        .await;
    let found = read().await.into_iter().find(|it| it.account == *name).unwrap();
    assert_eq!((found.rate_per_second, found.used_per_second), (Some(20.0), 3.5), "{found:?}");
    assert_eq!((found.concurrency, found.holds), (Some(7), 2), "{found:?}");
    setting.run(&format!("update provider_accounts set stopped_at = now() where name = '{name}'")).await;
    assert!(read().await.iter().all(|it| it.account != *name), "a stopped one has none");
}
