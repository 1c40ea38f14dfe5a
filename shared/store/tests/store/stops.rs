//! Stops (promise 3, of an operator): after the commit no claim is granted, nothing is lost, nobody else is held up.

use tocsin_domain::{Channel, DistrictId, Lane, WaitReason};
use tocsin_store::claim::Denied;
use uuid::Uuid;

use crate::counters::assert_counters;
use crate::fixture::{Setting, denials, granted};

#[tokio::test]
async fn no_claim_is_granted_after_a_stop_and_nothing_is_lost() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(3).await;
    for district in [None, Some(setting.district)] {
        let jobs = setting.release(campaign, Channel::Sms).await;
        assert_eq!(jobs.len(), 3, "{district:?}");
        assert!(setting.store.stop_sending(district, "ops", "wrong list").await.unwrap());
        let worker = setting.worker().await;
        let answers = setting.store.claim(worker, &jobs).await.unwrap();
        assert_eq!(denials(&answers), [Denied::Stopped; 3], "{district:?}");
        assert_eq!(setting.number("select count(*) from attempts").await, 0);
        let waiting = format!(
            "select count(*) from jobs where state = 1 and due_at is not null and wait_reason = {}",
            WaitReason::Stopped.number()
        );
        assert_eq!(setting.number(&waiting).await, 3, "they wait, and say why");
        assert_eq!(setting.number("select coalesce(sum(queued), 0) from flow").await, 0);
        assert_eq!(setting.store.open_campaigns().await.unwrap(), [], "nothing is released meanwhile");
        assert!(setting.store.resume_sending(district, "ops").await.unwrap());
        assert_eq!(setting.store.open_campaigns().await.unwrap().len(), 1);
    }
    let jobs = setting.release(campaign, Channel::Sms).await;
    assert_eq!(setting.claim(&jobs).await.len(), 3, "it goes on where it was stopped");
    assert_counters(&setting, campaign, "stopped twice").await;
}

#[tokio::test]
async fn a_stopped_district_holds_up_no_other_its_emergencies_neither() {
    let setting = Setting::new().await;
    let here = setting.expanded(2).await;
    let emergency = setting.campaign(|new| new.lane = Lane::Emergency).await;
    setting.expand(emergency, 100).await;
    let elsewhere = DistrictId(Uuid::now_v7());
    let sql = "insert into districts (id, name, created_at) values ($1, 'elsewhere', now())";
    setting.owner.execute(sql, &[&elsewhere.0]).await.unwrap();
    setting.store.stop_sending(Some(elsewhere), "ops", "theirs").await.unwrap();
    let jobs = setting.release(here, Channel::Sms).await;
    let claimed = granted(setting.store.claim(setting.worker().await, &jobs).await.unwrap());
    assert_eq!(claimed.len(), 2, "another district's stop is none of ours");
    setting.store.stop_sending(Some(setting.district), "ops", "ours").await.unwrap();
    assert_eq!(
        setting.store.open_campaigns().await.unwrap(),
        [],
        "also the emergency is not open to release"
    );
}

#[tokio::test]
async fn who_stopped_and_why_is_kept_and_a_district_sees_its_own_stop_alone() {
    let setting = Setting::new().await;
    let (store, tenant) = (&setting.store, setting.tenant());
    assert_eq!(tenant.stop().await.unwrap(), None);
    assert!(store.stop_sending(Some(setting.district), "operator ann", "wrong list").await.unwrap());
    assert!(!store.stop_sending(Some(setting.district), "operator bob", "again").await.unwrap());
    let stop = tenant.stop().await.unwrap().unwrap();
    assert_eq!((stop.by.as_str(), stop.reason.as_str()), ("operator ann", "wrong list"));
    let other = store.tenant(DistrictId(Uuid::now_v7()));
    assert_eq!(other.stop().await.unwrap(), None);
    assert!(store.stop_sending(None, "operator ann", "all of it").await.unwrap());
    assert_eq!(other.stop().await.unwrap().unwrap().reason, "all of it");
    assert_eq!(store.stops().await.unwrap().len(), 2);
    assert!(store.resume_sending(None, "operator ann").await.unwrap());
    assert!(!store.resume_sending(None, "operator ann").await.unwrap());
    assert_eq!(store.stops().await.unwrap(), [stop], "the district's own stop stays");
    let audited = "select count(*) from audit where action in ('sending.stop', 'sending.go')";
    assert_eq!(setting.number(audited).await, 3);
}
