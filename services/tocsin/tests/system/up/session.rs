//! The one session of the embedded store serves every role, and each as what it may do.

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use tocsin::commands::district::add;
use tocsin_domain::DistrictId;
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::Store;
use tocsin_store::tenant::campaigns::lists::ListQuery;

use super::stage::Place;
use crate::client::Client;
use crate::district::{found, message};

async fn campaigns(store: &Store, district: DistrictId) -> Result<usize> {
    let query = ListQuery { campaigns_max: 10, ..ListQuery::default() };
    Ok(store.tenant(district).campaigns(&query, SystemClock.now()).await?.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_sees_its_own_district_and_the_engine_all() -> Result<()> {
    let place = Place::new()?;
    let key = place.with_store(async |embedded| found(&embedded.store).await).await?;
    let mut up = place.up(&[]).await?;
    let client = Client::new(&place.url(), key)?;
    client.send(&message("general", &[tocsin_domain::Channel::Inbox])).await?;
    up.kill()?;
    let seen = async |embedded: &tocsin::embedded::Embedded| {
        let store = &embedded.store;
        let another = add(store, "Shelbyville".to_owned(), None, "US".to_owned()).await?;
        let own = store.district_by_name("Springfield").await?.map(|district| district.id);
        let own = own.unwrap_or(another.id);
        ensure!(campaigns(store, own).await? == 1, "the district does not see its campaign");
        ensure!(campaigns(store, another.id).await? == 0, "another district sees it");
        // A request that is dropped half-way leaves the session to the engine.
        for polls in 1..20 {
            let mut asking = Box::pin(campaigns(store, another.id));
            for _ in 0..polls {
                if (&mut asking).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(asking);
            ensure!(store.districts().await?.len() == 2, "the engine does not see every district");
            store.fold().await?;
        }
        Ok(())
    };
    place.with_store(seen).await
}
