//! The schema's version, as every process compares it with its own at start.

use tocsin_store::StoreError;

use crate::fixture::Setting;

/// A deploy migrates first: until they are replaced, the processes of the release before go on, and start.
#[tokio::test]
async fn a_newer_schema_is_taken_and_an_older_one_refused() {
    let setting = Setting::new().await;
    let needed = tocsin_store::schema_version();
    setting
        .run("insert into refinery_schema_history (version, name) values (9999, 'of a later release')")
        .await;
    setting.store.check().await.unwrap();
    setting.run(&format!("delete from refinery_schema_history where version >= {needed}")).await;
    let refused = setting.store.check().await.unwrap_err();
    assert!(matches!(refused, StoreError::SchemaVersion { found, .. } if found < needed), "{refused}");
}
