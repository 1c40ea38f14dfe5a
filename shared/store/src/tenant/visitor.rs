//! Who looks at the console: the key that signed in, and its district.

use uuid::Uuid;

use super::Tenant;
use crate::StoreError;
use crate::districts::District;

/// A key of this district that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
}

impl Tenant {
    /// The district itself; None if there is no such one.
    pub async fn own_district(&self) -> Result<Option<District>, StoreError> {
        let rows = self
            .rows(
                "own_district",
                "-- store.own_district
                 select id, name, time_zone, default_region, weight from districts where id = $1",
                &[&self.district.0],
            )
            .await?;
        Ok(rows.first().map(District::read))
    }

    /// The key of that id; None: unknown, revoked, or another district's.
    pub async fn key(&self, id: Uuid) -> Result<Option<ApiKey>, StoreError> {
        let rows = self
            .rows(
                "key",
                "-- store.key
                 select id, name from api_keys where id = $1 and revoked_at is null",
                &[&id],
            )
            .await?;
        Ok(rows.first().map(read_key))
    }

    /// As [`Tenant::key`], by the key's SHA-256.
    pub async fn key_of_hash(&self, key_hash: &[u8]) -> Result<Option<ApiKey>, StoreError> {
        let rows = self
            .rows(
                "key_of_hash",
                "-- store.key_of_hash
                 select id, name from api_keys where key_hash = $1 and revoked_at is null",
                &[&key_hash],
            )
            .await?;
        Ok(rows.first().map(read_key))
    }
}

fn read_key(found: &tokio_postgres::Row) -> ApiKey {
    ApiKey { id: found.get("id"), name: found.get("name") }
}
