//! What the api may do: every statement in the tenant's role, with one district set.

pub mod accounts;
pub mod audience;
pub mod campaigns;
pub mod cancel;
pub mod communications;
pub mod consents;
pub mod directory;
pub mod forecast;
pub mod imports;
pub mod inbox;
pub mod limits;
pub mod matching;
pub mod messages;
pub mod policies;
pub mod progress;
pub mod receipt;
pub mod recipients;
pub mod report;
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
        let enter = format!("begin; {}", enter(self.district));
        let (entered, rows, committed) = futures::join!(
            client.batch_execute(&enter),
            client.query(&prepared, parameters),
            client.batch_execute("commit")
        );
        entered.and(rows).and_then(|rows| committed.map(|()| rows)).map_err(StoreError::statement(statement))
    }

    /// A page of a list of the district's in the order of two columns: its statement takes the district, what it goes on
    /// after and how many rows at most.
    async fn page<T>(
        &self,
        statement: &'static str,
        sql: &str,
        after: [&(dyn ToSql + Sync); 2],
        rows_max: u32,
        read: impl Fn(&tokio_postgres::Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let [first, second] = after;
        let rows =
            self.rows(statement, sql, &[&self.district.0, first, second, &i64::from(rows_max)]).await?;
        rows.iter().map(read).collect()
    }
}

/// What a transaction of the api's begins with. The id is a UUID: nothing to quote.
pub(crate) fn enter(district: DistrictId) -> String {
    format!("set local role tocsin_app; select set_config('tocsin.district', '{district}', true)")
}

fn to_json<T: serde::Serialize>(statement: &'static str, value: &T) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(value).map_err(|fault| StoreError::Unreadable {
        statement,
        what: "a value that is no JSON",
        value: fault.to_string(),
    })
}
