//! Districts and their API keys.

use chrono::{DateTime, Utc};
use tocsin_domain::DistrictId;
use uuid::Uuid;

use crate::{Store, StoreError};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct District {
    pub id: DistrictId,
    pub name: String,
    /// IANA name.
    pub time_zone: Option<String>,
    /// ISO 3166 region that phone numbers without a country code are read in.
    pub default_region: String,
    /// Its part in the sharing of release among districts: 1 to 100.
    pub weight: i32,
}

/// An API key as an operator sees it: never the key itself, nor its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: Uuid,
    pub district: DistrictId,
    pub name: String,
    pub roles: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl District {
    pub(crate) fn read(row: &tokio_postgres::Row) -> Self {
        Self {
            id: DistrictId(row.get("id")),
            name: row.get("name"),
            time_zone: row.get("time_zone"),
            default_region: row.get("default_region"),
            weight: row.get("weight"),
        }
    }
}

impl Store {
    /// Makes a district. False: the name is taken.
    pub async fn add_district(&self, district: &District, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let made = self
            .count(
                "add_district",
                "-- store.add_district
                 insert into districts (id, name, time_zone, default_region, weight, created_at)
                 values ($1, $2, $3, $4, $5, $6) on conflict (name) do nothing",
                &[
                    &district.id.0,
                    &district.name,
                    &district.time_zone,
                    &district.default_region,
                    &district.weight,
                    &now,
                ],
            )
            .await?;
        Ok(made == 1)
    }

    /// Jobs that wait for a time zone are looked at within a quarter of an hour.
    pub async fn set_time_zone(&self, district: DistrictId, time_zone: &str) -> Result<(), StoreError> {
        self.count(
            "set_time_zone",
            "-- store.set_time_zone
             update districts set time_zone = $2 where id = $1",
            &[&district.0, &time_zone],
        )
        .await
        .map(drop)
    }

    /// `weight` is 1 to 100; planners release by it from their next tick on.
    pub async fn set_weight(&self, district: DistrictId, weight: i32) -> Result<(), StoreError> {
        self.count(
            "set_weight",
            "-- store.set_weight
             update districts set weight = $2 where id = $1",
            &[&district.0, &weight],
        )
        .await
        .map(drop)
    }

    pub async fn district_by_name(&self, name: &str) -> Result<Option<District>, StoreError> {
        let rows = self
            .rows(
                "district_by_name",
                "-- store.district_by_name
                 select id, name, time_zone, default_region, weight from districts where name = $1",
                &[&name],
            )
            .await?;
        Ok(rows.first().map(District::read))
    }

    /// All districts, by name.
    pub async fn districts(&self) -> Result<Vec<District>, StoreError> {
        let rows = self
            .rows(
                "districts",
                "-- store.districts
                 select id, name, time_zone, default_region, weight from districts order by name",
                &[],
            )
            .await?;
        Ok(rows.iter().map(District::read).collect())
    }

    /// Keeps the SHA-256 of a new key.
    pub async fn add_api_key(
        &self,
        district: DistrictId,
        id: Uuid,
        name: &str,
        key_hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.count(
            "add_api_key",
            "-- store.add_api_key
             insert into api_keys (district_id, id, name, key_hash, created_at) values ($1, $2, $3, $4, $5)",
            &[&district.0, &id, &name, &key_hash, &now],
        )
        .await
        .map(drop)
    }

    /// The keys of all districts, the oldest first.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = self
            .rows(
                "api_keys",
                "-- store.api_keys
                 select id, district_id, name, roles, created_at, revoked_at from api_keys order by created_at, id",
                &[],
            )
            .await?;
        let read = |found: &tokio_postgres::Row| ApiKey {
            id: found.get("id"),
            district: DistrictId(found.get("district_id")),
            name: found.get("name"),
            roles: found.get("roles"),
            created_at: found.get("created_at"),
            revoked_at: found.get("revoked_at"),
        };
        Ok(rows.iter().map(read).collect())
    }

    /// From its commit on the key opens nothing. False: unknown, or revoked before.
    pub async fn revoke_api_key(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let changed = self
            .count(
                "revoke_api_key",
                "-- store.revoke_api_key
                 update api_keys set revoked_at = $2 where id = $1 and revoked_at is null",
                &[&id, &now],
            )
            .await?;
        Ok(changed == 1)
    }

    /// Whose key is it? None: unknown or revoked.
    pub async fn district_of_key(&self, key_hash: &[u8]) -> Result<Option<DistrictId>, StoreError> {
        let rows = self
            .rows(
                "district_of_key",
                "-- store.district_of_key
                 select district_of_key($1)",
                &[&key_hash],
            )
            .await?;
        Ok(rows.first().and_then(|found| found.get::<_, Option<Uuid>>(0)).map(DistrictId))
    }
}
