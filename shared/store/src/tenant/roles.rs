//! A district's own roles.

use chrono::{DateTime, Utc};
use tocsin_domain::rights::{MessageTypes, Right, Role};

use super::Tenant;
use crate::StoreError;
use crate::callers::OwnRole;

/// A district has no more of its own: all are read at once.
pub const ROLES_MAX: i64 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRole {
    pub role: Role,
    pub changed_at: DateTime<Utc>,
    pub changed_by: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Done,
    /// A user or a key has it.
    InUse,
    Unknown,
}

impl Tenant {
    /// In the order of their names.
    pub async fn roles(&self) -> Result<Vec<KeptRole>, StoreError> {
        let rows = self.rows("roles", ROLES, &[&self.district.0, &ROLES_MAX]).await?;
        let read = |found: &tokio_postgres::Row| KeptRole {
            role: OwnRole {
                name: found.get("name"),
                rights: found.get("rights"),
                message_types: found.get("message_types"),
            }
            .into_role(),
            changed_at: found.get("changed_at"),
            changed_by: found.get("changed_by"),
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Makes the role, or replaces it for all who have it. False: the district has as many as it may.
    pub async fn put_role(&self, role: &Role, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let rights: Vec<&str> = role.rights.iter().map(|right: &Right| right.as_str()).collect();
        let types: Option<Vec<&str>> = match &role.types {
            MessageTypes::All => None,
            MessageTypes::Only(types) => Some(types.iter().map(String::as_str).collect()),
        };
        let rows = self
            .rows(
                "put_role",
                PUT_ROLE,
                &[&self.district.0, &role.name, &rights, &types, &now, &self.acts_as(), &ROLES_MAX],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    pub async fn remove_role(&self, name: &str, now: DateTime<Utc>) -> Result<Removal, StoreError> {
        let rows =
            self.rows("remove_role", REMOVE_ROLE, &[&self.district.0, &name, &now, &self.acts_as()]).await?;
        let is = |column: &str| rows.first().is_some_and(|found| found.get(column));
        Ok(match (is("known"), is("gone")) {
            (_, true) => Removal::Done,
            (true, false) => Removal::InUse,
            (false, false) => Removal::Unknown,
        })
    }
}

const ROLES: &str = "-- store.roles
select * from roles where district_id = $1 order by name limit $2";

const PUT_ROLE: &str = "-- store.put_role
with kept as (
  insert into roles (district_id, name, rights, message_types, changed_at, changed_by)
  select $1, $2, $3, $4, $5, $6
  where exists (select from roles where district_id = $1 and name = $2)
    or (select count(*) from roles where district_id = $1) < $7
  on conflict (district_id, name) do update set rights = excluded.rights,
    message_types = excluded.message_types, changed_at = excluded.changed_at, changed_by = excluded.changed_by
  returning name
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $5, $6, 'role.put', name, jsonb_build_object('rights', $3::text[], 'message_types', $4::text[])
  from kept
)
select name from kept";

const REMOVE_ROLE: &str = "-- store.remove_role
with holders as (
  select 1 from users where district_id = $1 and roles @> array[$2::text]
  union all
  select 1 from api_keys where district_id = $1 and revoked_at is null and roles @> array[$2::text]
), gone as (
  delete from roles where district_id = $1 and name = $2 and not exists (select from holders) returning name
), audited as (
  insert into audit (district_id, at, actor, action, subject)
  select $1, $3, $4, 'role.remove', name from gone
)
select exists (select from roles where district_id = $1 and name = $2) as known, exists (select from gone) as gone";
