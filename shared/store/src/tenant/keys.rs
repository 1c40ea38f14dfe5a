//! A district's API keys, as its administrators see them: never the key itself, nor its hash.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Tenant;
use crate::StoreError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnKey {
    pub id: Uuid,
    pub name: String,
    pub roles: Vec<String>,
    pub created_at: DateTime<Utc>,
    /// None: an operator, or the release before roles.
    pub created_by: Option<String>,
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
pub struct NewKey<'a> {
    pub id: Uuid,
    pub name: &'a str,
    /// SHA-256.
    pub key_hash: &'a [u8],
    pub roles: &'a [String],
}

/// What is to be changed; None stays.
#[derive(Debug, Clone, Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub roles: Option<Vec<String>>,
}

impl Tenant {
    /// A page, the newest first, before this one.
    pub async fn own_keys(
        &self,
        before: Option<(DateTime<Utc>, Uuid)>,
        keys_max: u32,
    ) -> Result<Vec<OwnKey>, StoreError> {
        let (at, id) = before.unwrap_or((END_OF_TIME, Uuid::max()));
        let rows =
            self.rows("own_keys", OWN_KEYS, &[&self.district.0, &at, &id, &i64::from(keys_max)]).await?;
        Ok(rows.iter().map(read).collect())
    }

    pub async fn own_key(&self, id: Uuid) -> Result<Option<OwnKey>, StoreError> {
        let sql = "-- store.own_key
                   select * from api_keys where district_id = $1 and id = $2";
        Ok(self.rows("own_key", sql, &[&self.district.0, &id]).await?.first().map(read))
    }

    pub async fn add_own_key(&self, new: &NewKey<'_>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let actor = self.acts_as();
        self.rows(
            "add_own_key",
            ADD_OWN_KEY,
            &[&self.district.0, &new.id, &new.name, &new.key_hash, &new.roles, &now, &actor],
        )
        .await
        .map(drop)
    }

    /// False: there is no such key, or it is revoked.
    pub async fn change_own_key(
        &self,
        id: Uuid,
        change: &KeyChange,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let actor = self.acts_as();
        let rows = self
            .rows(
                "change_own_key",
                CHANGE_OWN_KEY,
                &[&self.district.0, &id, &change.name, &change.roles, &now, &actor],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// From its commit on the key opens nothing. False: there is no such key, or it was revoked before.
    pub async fn revoke_own_key(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let rows = self
            .rows("revoke_own_key", REVOKE_OWN_KEY, &[&self.district.0, &id, &now, &self.acts_as()])
            .await?;
        Ok(!rows.is_empty())
    }
}

/// Later than any time that is stored, and one that PostgreSQL can hold.
pub(crate) const END_OF_TIME: DateTime<Utc> = DateTime::<Utc>::from_timestamp_nanos(i64::MAX);

fn read(found: &tokio_postgres::Row) -> OwnKey {
    OwnKey {
        id: found.get("id"),
        name: found.get("name"),
        roles: found.get("roles"),
        created_at: found.get("created_at"),
        created_by: found.get("created_by"),
        revoked_at: found.get("revoked_at"),
    }
}

pub(crate) const OWN_KEYS: &str = "-- store.own_keys
select * from api_keys where district_id = $1 and (created_at, id) < ($2, $3)
order by created_at desc, id desc limit $4";

const ADD_OWN_KEY: &str = "-- store.add_own_key
with made as (
  insert into api_keys (district_id, id, name, key_hash, roles, created_at, created_by)
  values ($1, $2, $3, $4, $5, $6, $7)
  returning id
)
insert into audit (district_id, at, actor, action, subject, details)
select $1, $6, $7, 'key.add', id::text, jsonb_build_object('name', $3::text, 'roles', $5::text[]) from made";

const CHANGE_OWN_KEY: &str = "-- store.change_own_key
with changed as (
  update api_keys set name = coalesce($3, name), roles = coalesce($4::text[], roles)
  where district_id = $1 and id = $2 and revoked_at is null
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $5, $6, 'key.change', id::text,
    jsonb_strip_nulls(jsonb_build_object('name', $3::text, 'roles', $4::text[]))
  from changed
)
select id from changed";

const REVOKE_OWN_KEY: &str = "-- store.revoke_own_key
with revoked as (
  update api_keys set revoked_at = $3 where district_id = $1 and id = $2 and revoked_at is null returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject)
  select $1, $3, $4, 'key.revoke', id::text from revoked
)
select id from revoked";
