//! No method holds two connections: everything works on one, the tenant's methods included.

use chrono::TimeDelta;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{CampaignState, Channel, JobState, Outcome};
use tocsin_store::tenant::campaigns::ListQuery;
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
    let listed = tenant.campaigns(&ListQuery { campaigns_max: 10, ..ListQuery::default() }).await.unwrap();
    assert_eq!((listed.len(), listed[0].state), (1, CampaignState::Sent));
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
