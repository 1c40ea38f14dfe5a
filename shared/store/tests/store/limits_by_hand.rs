//! An operator's limits of an account hold until they are reset, whatever roles start meanwhile.

use tocsin_domain::{Channel, WorkerId};
use tocsin_store::accounts::{Account, AccountLimits, SenderLimits};
use uuid::Uuid;

use crate::fixture::Setting;

const NAME: &str = "main";

fn configured(rate: f64) -> AccountLimits {
    AccountLimits {
        name: NAME.to_owned(),
        district: None,
        channel: Channel::Voice,
        rate_per_second: Some(rate),
        burst: Some(4),
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    }
}

async fn account(setting: &Setting) -> Account {
    let accounts = setting.store.accounts().await.unwrap();
    accounts.into_iter().find(|account| account.limits.name == NAME).unwrap()
}

#[tokio::test]
async fn an_operators_limit_outlives_the_start_of_roles_until_it_is_reset() {
    let setting = Setting::new().await;
    let store = &setting.store;
    let now = setting.now().await;
    store.configure_accounts(&[configured(20.0)], now).await.unwrap();
    let five = SenderLimits { rate_per_second: Some(5.0), ..SenderLimits::default() };
    assert!(store.limit_account(NAME, &five, "ann", now).await.unwrap());
    assert!(!store.limit_account("nobody", &five, "ann", now).await.unwrap());
    assert_eq!(account(&setting).await.limits.rate_per_second, Some(5.0));
    assert_eq!(account(&setting).await.limits.burst, Some(4), "what was not named stays");

    // A role starts with other limits, and another part changed beside them.
    store.configure_accounts(&[AccountLimits { weight: 7, ..configured(30.0) }], now).await.unwrap();
    let limited = account(&setting).await;
    assert_eq!((limited.limits.rate_per_second, limited.limits.weight), (Some(5.0), 7));
    let worker = WorkerId(Uuid::now_v7());
    let leases = store.renew_leases(worker, &[Channel::Voice]).await.unwrap();
    let lease = leases.iter().find(|lease| lease.account == limited.id).unwrap();
    assert!(lease.share.rate_per_second.unwrap() <= 5.0, "workers share what the operator allows");
    let by_hand = store.limits_by_hand().await.unwrap()[&limited.id].clone();
    assert_eq!((by_hand.by.as_str(), by_hand.configured.rate_per_second), ("ann", Some(30.0)));

    let more = SenderLimits { burst: Some(1), ..SenderLimits::default() };
    store.limit_account(NAME, &more, "bob", now).await.unwrap();
    assert!(store.reset_account_limits(NAME, now).await.unwrap());
    assert!(!store.reset_account_limits(NAME, now).await.unwrap());
    let reset = account(&setting).await;
    assert_eq!((reset.limits.rate_per_second, reset.limits.burst), (Some(30.0), Some(4)));
    assert!(store.limits_by_hand().await.unwrap().is_empty());
    store.configure_accounts(&[configured(40.0)], now).await.unwrap();
    assert_eq!(account(&setting).await.limits.rate_per_second, Some(40.0));
}
