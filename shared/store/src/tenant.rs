//! What the api may do: every statement in the tenant's role, with one district set.

pub mod accounts;
pub mod campaigns;
pub mod cancel;
pub mod consents;
pub mod forecast;
pub mod inbox;
pub mod limits;
pub mod matching;
pub mod policies;
pub mod progress;
pub mod receipt;
pub mod recipients;
pub mod schools;
pub mod series;
pub mod suppressions;
pub mod templates;
pub mod unsubscribes;
pub mod upcoming;
pub mod visitor;

use tocsin_domain::DistrictId;
use tokio_postgres::types::ToSql;

use crate::{Store, StoreError};

/// One district's view of the store.
#[derive(Debug, Clone)]
pub struct Tenant {
    store: Store,
    district: DistrictId,
}

impl Store {
    pub fn tenant(&self, district: DistrictId) -> Tenant {
        Tenant { store: self.clone(), district }
    }
}

impl Tenant {
    pub fn district(&self) -> DistrictId {
        self.district
    }

    /// Runs one statement in a transaction of its own, as `tocsin_app` with the district set. All of it is sent at
    /// once: with the first poll, so that a caller who goes away leaves no transaction open. After a statement that
    /// failed the commit rolls back.
    pub(crate) async fn rows(
        &self,
        statement: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let client = self.store.client().await?;
        let prepared = client.prepare_cached(sql).await.map_err(StoreError::statement(statement))?;
        // The id is a UUID: nothing to quote.
        let enter = format!(
            "begin; set local role tocsin_app; select set_config('tocsin.district', '{}', true)",
            self.district
        );
        let (entered, rows, committed) = futures::join!(
            client.batch_execute(&enter),
            client.query(&prepared, parameters),
            client.batch_execute("commit")
        );
        entered.and(rows).and_then(|rows| committed.map(|()| rows)).map_err(StoreError::statement(statement))
    }
}

fn to_json<T: serde::Serialize>(statement: &'static str, value: &T) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(value).map_err(|fault| StoreError::Unreadable {
        statement,
        what: "a value that is no JSON",
        value: fault.to_string(),
    })
}
