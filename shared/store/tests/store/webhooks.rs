//! Deliveries to webhooks that are sent again by hand.

use tocsin_domain::webhook::DeliveryState;
use tocsin_store::tenant::webhooks::{Enabled, EndpointChange, NewDelivery, NewEndpoint};
use tocsin_testkit::fixture::Fixture;
use uuid::Uuid;

use crate::fixture::Setting;

const FAILED: &str = "update webhook_deliveries set state = 3, attempts = 10, next_at = null, status = 500";

async fn endpoint(setting: &Setting) -> Uuid {
    let id = Uuid::new_v4();
    let new = NewEndpoint {
        id,
        url: "https://hooks.example.org/",
        description: "",
        events: &["campaign.closed".to_owned()],
        disabled: None,
        secret_key: "key",
    };
    assert!(setting.tenant().add_webhook(&new, setting.now().await).await.unwrap());
    id
}

async fn delivery(setting: &Setting, endpoint: Uuid) -> Uuid {
    let id = Uuid::now_v7();
    let new = NewDelivery { id, event: "webhook.test", body: "{}" };
    assert!(setting.tenant().deliver_to_webhook(endpoint, new, setting.now().await).await.unwrap());
    id
}

#[tokio::test]
async fn a_delivery_is_sent_again_where_it_is_over_the_endpoint_enabled_and_the_districts_own() {
    let setting = Setting::new().await;
    let (tenant, now, endpoint) = (setting.tenant(), setting.now().await, endpoint(&setting).await);
    let (one, other) = (delivery(&setting, endpoint).await, delivery(&setting, endpoint).await);
    let again = async |delivery| tenant.redeliver_to_webhook(endpoint, delivery, now).await.unwrap();
    assert!(!again(one).await, "it waits");
    setting.run(FAILED).await;

    let enabled = async |enabled| {
        let change = EndpointChange { enabled: Some(enabled), ..EndpointChange::default() };
        assert!(tenant.change_webhook(endpoint, &change, now).await.unwrap());
    };
    enabled(Enabled::No).await;
    assert!(!again(one).await, "nothing is sent there");
    enabled(Enabled::Yes).await;
    let stranger = setting.store.tenant(Fixture::new(&setting.database).await.unwrap().district());
    assert!(!stranger.redeliver_to_webhook(endpoint, one, now).await.unwrap());
    assert!(!tenant.redeliver_to_webhook(Uuid::new_v4(), one, now).await.unwrap());
    assert!(!again(Uuid::now_v7()).await);
    assert_eq!(setting.number("select count(*) from webhook_deliveries where state = 3").await, 2);

    assert!(again(one).await);
    assert!(!again(one).await, "once is enough");
    let (found, body) = tenant.webhook_delivery(endpoint, one).await.unwrap().unwrap();
    assert_eq!((found.state, found.attempts, found.next_at), (DeliveryState::Waiting, 0, Some(now)));
    assert_eq!(
        (body.as_str(), found.status),
        ("{}", Some(500)),
        "the last answer stays until there is another"
    );
    let (left, _) = tenant.webhook_delivery(endpoint, other).await.unwrap().unwrap();
    assert_eq!(left.state, DeliveryState::Failed, "and nothing beside it");
    let audited = "select count(*) from audit where action = 'webhook.redeliver'";
    assert_eq!(setting.number(audited).await, 1);
    setting.run("update webhook_deliveries set state = 2, next_at = null").await;
    assert!(again(one).await, "what was delivered, too");
}
