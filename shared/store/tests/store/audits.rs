//! The auditor: a campaign's counters recounted from its rows, and corrected (promise 10).

use chrono::TimeDelta;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_store::recount::Drift;

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts, granted};
use crate::scene::delivered;

/// Texts to twelve people: some delivered, some under way, some waiting.
async fn under_way(setting: &Setting) -> CampaignId {
    let campaign = setting.expanded(12).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let tried = attempts(&setting.claim(&jobs[..8]).await);
    setting.report(&tried[..5], delivered()).await;
    setting.report(&tried[5..6], ReportKind::NotAsked).await;
    campaign
}

async fn audit(setting: &Setting, campaign: CampaignId) -> Vec<Drift> {
    setting.store.audit_campaign(campaign, setting.now().await).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_tally_changed_by_hand_is_found_and_corrected() {
    let setting = Setting::new().await;
    let campaign = under_way(&setting).await;
    setting
        .run(
            "update tallies set successful = successful + 2, open = open - 1, addresses = addresses + 1,
               addresses_attempted = addresses_attempted - 1, addresses_contacted = addresses_contacted - 2,
               addresses_with_result = addresses_with_result + 3 where ctid = (
               select ctid from tallies where channel = 2 limit 1);
             delete from tallies where channel = 0",
        )
        .await;
    let drift = |channel, counter, off_by| Drift { channel, counter, off_by: Some(off_by) };
    assert_eq!(
        audit(&setting, campaign).await,
        [
            drift(None, "recipients", 12),
            drift(None, "contacted_by_phone", 5),
            drift(Some(Channel::Sms), "open", 1),
            drift(Some(Channel::Sms), "successful", -2),
            drift(Some(Channel::Sms), "addresses", -1),
            drift(Some(Channel::Sms), "addresses_attempted", 1),
            drift(Some(Channel::Sms), "addresses_contacted", 2),
            drift(Some(Channel::Sms), "addresses_with_result", -3),
        ]
    );
    assert_eq!(audit(&setting, campaign).await, []);
    assert_counters(&setting, campaign, "corrected").await;
}

#[tokio::test]
async fn a_lost_time_of_the_last_first_attempt_is_found_again() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(2).await;
    setting.claim(&setting.release(campaign, Channel::Sms).await).await;
    setting.run("update tallies set last_first_attempt_at = null").await;
    let lost = Drift { channel: Some(Channel::Sms), counter: "last_first_attempt_at", off_by: None };
    assert_eq!(audit(&setting, campaign).await, [lost]);
    assert_counters(&setting, campaign, "corrected").await;
}

#[tokio::test]
async fn an_untouched_tally_stays_untouched() {
    let setting = Setting::new().await;
    let campaign = under_way(&setting).await;
    let rows = "select count(*) from tallies";
    let before = setting.number(rows).await;
    assert_eq!(audit(&setting, campaign).await, []);
    assert_eq!(setting.number(rows).await, before);
    assert_eq!(
        setting.store.audit_campaign(CampaignId(uuid::Uuid::nil()), setting.now().await).await.unwrap(),
        None
    );
}

/// Traffic of every kind beside one audit after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_beside_an_audit_is_no_drift() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(600).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let worker = setting.worker().await;
    let traffic = async {
        for batch in jobs.chunks(20) {
            let tried = attempts(&granted(setting.store.claim(worker, batch).await.unwrap()));
            let (some, others) = tried.split_at(tried.len() / 2);
            tokio::join!(setting.report(some, delivered()), setting.report(others, ReportKind::Lost));
            setting.store.fold().await.unwrap();
            let bounced =
                ReportKind::Status { outcome: Outcome::TextFailed, provider_code: None, provider_id: None };
            setting.report(others, bounced).await;
        }
    };
    let mut audits = 0;
    let auditing = async {
        loop {
            assert_eq!(audit(&setting, campaign).await, [], "audit {audits}");
            audits += 1;
        }
    };
    tokio::select! {
        () = traffic => {}
        () = auditing => {}
    }
    assert!(audits > 5, "{audits} audits beside the traffic");
    assert_eq!(audit(&setting, campaign).await, []);
    assert_counters(&setting, campaign, "after the traffic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_audits_at_once_one_corrects() {
    let setting = Setting::new().await;
    let campaign = under_way(&setting).await;
    for round in 0..20 {
        setting.run("insert into tallies select * from tallies where channel = 2 limit 1").await;
        let (one, other) = tokio::join!(audit(&setting, campaign), audit(&setting, campaign));
        assert!(one.is_empty() != other.is_empty(), "round {round}: {one:?} and {other:?}");
    }
    assert_counters(&setting, campaign, "corrected once each").await;
}

#[tokio::test]
async fn a_campaign_is_audited_while_it_is_open_and_a_day_after_it_closed() {
    let setting = Setting::new().await;
    let campaign = setting.campaign(|_| ()).await;
    let now = setting.now().await;
    let due = async |after: TimeDelta| setting.store.next_audit(now + after).await.unwrap();
    let audited = async |after: TimeDelta| {
        assert_eq!(setting.store.audit_campaign(campaign, now + after).await.unwrap(), Some(vec![]));
    };
    assert_eq!(due(TimeDelta::zero()).await, Some(campaign));
    audited(TimeDelta::zero()).await;
    assert_eq!(due(TimeDelta::seconds(59)).await, None);
    assert_eq!(due(TimeDelta::seconds(61)).await, Some(campaign));
    setting.owner.execute("update campaigns set closed_at = $1", &[&now]).await.unwrap();
    audited(TimeDelta::seconds(61)).await;
    assert_eq!(due(TimeDelta::hours(23)).await, None);
    assert_eq!(due(TimeDelta::hours(24)).await, Some(campaign));
    audited(TimeDelta::hours(24)).await;
    assert_eq!(due(TimeDelta::days(400)).await, None);
    assert_eq!(setting.store.campaigns_to_audit().await.unwrap(), []);
}
