//! Which connections of a pool serve.

use futures::future::join_all;

use crate::fixture::Setting;

#[tokio::test]
async fn a_session_that_knows_its_statements_serves_before_those_that_do_not() {
    let setting = Setting::with_connections(4).await;
    assert!(join_all((0..4).map(|_| setting.store.now())).await.iter().all(Result::is_ok));
    let told = "select count(*) from pg_stat_activity where datname = current_database() and query like '-- store.now%'";
    assert_eq!(setting.number(told).await, 4, "all were needed at once");
    for _ in 0..8 {
        setting.store.queued_counts().await.unwrap();
    }
    let asked = "select count(*) from pg_stat_activity where datname = current_database() and query like '-- store.queued_counts%'";
    assert_eq!(setting.number(asked).await, 1);
}
