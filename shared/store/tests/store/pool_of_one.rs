//! No method holds two connections: everything works on one, the tenant's methods included.

use chrono::TimeDelta;
use futures::FutureExt as _;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{CampaignState, Channel, JobState, Outcome};
use tocsin_store::Access;
use tocsin_store::tenant::campaigns::lists::ListQuery;
use tocsin_store::tenant::recipients::After;

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts};

#[tokio::test]
async fn a_campaign_goes_its_way_on_one_connection() {
    let setting = Setting::with_connections(1).await;
    let campaign = setting.expanded(5).await;
    let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    setting.report(&tried, ReportKind::Accepted { provider_id: Some("SM1".to_owned()) }).await;
    let sent = ReportKind::Status {
        outcome: Outcome::Delivered,
        provider_code: Some("delivered".to_owned()),
        provider_id: None,
    };
    setting.report(&tried, sent).await;
    let now = setting.now().await;
    let looks = setting.store.due_claim_batches(now + TimeDelta::hours(1), 10).await.unwrap();
    assert!(looks.iter().all(|batch| batch.open.is_empty()));
    let done: Vec<_> = looks.iter().map(|batch| (batch.id, None)).collect();
    setting.store.finish_claim_batches(&done).await.unwrap();
    assert_eq!(setting.number("select count(*) from claim_batches").await, 0);
    let closed = setting.store.close_campaigns(now).await.unwrap();
    assert_eq!((closed[0].campaign, closed[0].state), (campaign, CampaignState::Sent));
    assert!(setting.store.close_campaigns(now).await.unwrap().is_empty());

    let tenant = setting.tenant();
    let listed =
        tenant.campaigns(&ListQuery { campaigns_max: 10, ..ListQuery::default() }, now).await.unwrap();
    assert_eq!((listed.len(), listed[0].campaign.state), (1, CampaignState::Sent));
    let page = tenant.recipients(campaign, After::default(), 10).await.unwrap();
    assert!(
        page.len() == 5
            && page.iter().all(|row| {
                row.device.as_ref().is_some_and(|device| {
                    device.state == JobState::Ended && device.outcome == Some(Outcome::Delivered)
                })
            })
    );
    let receipt = tenant.receipt(campaign).await.unwrap();
    assert_eq!((receipt.contacted, receipt.never_tried), (5, 0));
    let late = tenant.cancel(campaign, "test", None).await.unwrap().unwrap();
    assert!(late.canceled.is_none() && late.state == CampaignState::Sent);
    assert_counters(&setting, campaign, "closed").await;
    // The session is the engine's again after each of the tenant's transactions.
    setting.store.fold().await.unwrap();
    assert_counters(&setting, campaign, "folded").await;
    assert!(setting.store.check().await.is_ok());
}

/// A request that runs into its deadline drops what it waits for, wherever that stands.
#[tokio::test]
async fn a_request_that_is_dropped_leaves_the_session_to_the_engine() {
    let setting = Setting::with_connections(1).await;
    let campaign = setting.expanded(5).await;
    let tenant = setting.tenant();
    let acts = "select count(*) from pg_stat_activity
        where datname = current_database() and usename = current_user and state = 'idle in transaction'";
    // Polled so often and then dropped: before, within and after each of the transaction's steps.
    for polls in 1..40 {
        let mut asking = Box::pin(tenant.campaign(campaign));
        for _ in 0..polls {
            if (&mut asking).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(asking);
        // Rows of every district, and a table that a tenant may not write: as the engine, outside any
        // transaction.
        assert_eq!(setting.store.districts().await.unwrap().len(), 1);
        setting.store.fold().await.unwrap();
        assert_eq!(setting.number(acts).await, 0, "after {polls} polls");
    }
    assert_eq!(setting.store.access(), Access::Engine);
}

#[tokio::test]
async fn whoever_takes_over_alone_finds_what_was_queued_due_at_once() {
    let setting = Setting::with_connections(1).await;
    let campaign = setting.expanded(5).await;
    let worker = setting.worker().await;
    setting.release(campaign, Channel::Sms).await;
    let now = setting.now().await;
    assert_eq!(setting.store.requeue_overdue(now, 10).await.unwrap(), 0, "not due before its time");
    setting.store.begin_alone().await.unwrap();
    assert_eq!(setting.store.forget_messages(now).await.unwrap(), 1);
    assert_eq!(setting.store.requeue_overdue(now, 10).await.unwrap(), 5);
    assert_eq!(setting.due(campaign, Channel::Sms).await.len(), 5);
    let leases = format!("select count(*) from leases where worker_id = '{}'", worker.0);
    assert_eq!(setting.number(&leases).await, 0);
    assert_eq!(
        setting.number("select count(*) from planner_leases where expires_at > tocsin_now()").await,
        0
    );
}
