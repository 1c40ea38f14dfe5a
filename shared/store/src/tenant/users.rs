//! A district's users: who signs in to the console.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Tenant;
use crate::StoreError;

/// A user as others see them. The password's hash is asked for apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: Uuid,
    pub login: String,
    pub display_name: String,
    pub roles: Vec<String>,
    pub active: bool,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub changed_at: DateTime<Utc>,
    pub changed_by: String,
    pub password_changed_at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
pub struct NewUser {
    pub id: Uuid,
    /// Trimmed, in lower case.
    pub login: String,
    pub display_name: String,
    pub password_hash: String,
    pub roles: Vec<String>,
}

/// What is to be changed; None stays.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub login: Option<String>,
    pub display_name: Option<String>,
    pub roles: Option<Vec<String>>,
    pub active: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    Done,
    /// Another user of the district has that login.
    LoginTaken,
    Unknown,
}

impl Tenant {
    /// A page in the order of logins.
    pub async fn users(&self, after: Option<&str>, users_max: u32) -> Result<Vec<User>, StoreError> {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&self.district.0, &after.unwrap_or_default(), &i64::from(users_max)];
        Ok(self.rows("users", USERS, &parameters).await?.iter().map(read).collect())
    }

    pub async fn user(&self, id: Uuid) -> Result<Option<User>, StoreError> {
        let sql = "-- store.user
                   select * from users where district_id = $1 and id = $2";
        Ok(self.rows("user", sql, &[&self.district.0, &id]).await?.first().map(read))
    }

    /// None: there is no active user of that id.
    pub async fn password_hash(&self, user: Uuid) -> Result<Option<String>, StoreError> {
        let sql = "-- store.password_hash
                   select password_hash from users where district_id = $1 and id = $2 and active";
        let rows = self.rows("password_hash", sql, &[&self.district.0, &user]).await?;
        Ok(rows.first().map(|found| found.get(0)))
    }

    pub async fn add_user(&self, new: &NewUser, now: DateTime<Utc>) -> Result<Saved, StoreError> {
        let rows = self
            .rows(
                "add_user",
                ADD_USER,
                &[
                    &self.district.0,
                    &new.id,
                    &new.login,
                    &new.display_name,
                    &new.password_hash,
                    &new.roles,
                    &now,
                    &self.acts_as(),
                ],
            )
            .await?;
        Ok(if rows.is_empty() { Saved::LoginTaken } else { Saved::Done })
    }

    /// A user who is no longer active has no session any more.
    pub async fn change_user(
        &self,
        user: Uuid,
        change: &UserChange,
        now: DateTime<Utc>,
    ) -> Result<Saved, StoreError> {
        let changed = self
            .rows(
                "change_user",
                CHANGE_USER,
                &[
                    &self.district.0,
                    &user,
                    &change.login,
                    &change.display_name,
                    &change.roles,
                    &change.active,
                    &now,
                    &self.acts_as(),
                ],
            )
            .await;
        match changed {
            Ok(rows) if rows.is_empty() => Ok(Saved::Unknown),
            Ok(_) => Ok(Saved::Done),
            Err(error) if error.is_taken() => Ok(Saved::LoginTaken),
            Err(error) => Err(error),
        }
    }

    /// Ends all the user's sessions. False: there is no such user.
    pub async fn set_password(
        &self,
        user: Uuid,
        password_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "set_password",
                SET_PASSWORD,
                &[&self.district.0, &user, &password_hash, &now, &self.acts_as()],
            )
            .await?;
        Ok(!rows.is_empty())
    }
}

fn read(found: &tokio_postgres::Row) -> User {
    User {
        id: found.get("id"),
        login: found.get("login"),
        display_name: found.get("display_name"),
        roles: found.get("roles"),
        active: found.get("active"),
        created_at: found.get("created_at"),
        created_by: found.get("created_by"),
        changed_at: found.get("changed_at"),
        changed_by: found.get("changed_by"),
        password_changed_at: found.get("password_changed_at"),
    }
}

pub(crate) const USERS: &str = "-- store.users
select * from users where district_id = $1 and login > $2 order by login limit $3";

const ADD_USER: &str = "-- store.add_user
with made as (
  insert into users (district_id, id, login, display_name, password_hash, roles, created_at, created_by, changed_at,
    changed_by, password_changed_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $7, $8, $7)
  on conflict (district_id, login) do nothing
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $7, $8, 'user.add', id::text,
    jsonb_build_object('login', $3::text, 'name', $4::text, 'roles', $6::text[])
  from made
)
select id from made";

const CHANGE_USER: &str = "-- store.change_user
with changed as (
  update users set login = coalesce($3, login), display_name = coalesce($4, display_name),
    roles = coalesce($5::text[], roles), active = coalesce($6::boolean, active),
    epoch = epoch + case when active and not coalesce($6::boolean, active) then 1 else 0 end,
    changed_at = $7, changed_by = $8
  where district_id = $1 and id = $2
  returning id, active
), ended as (
  delete from sessions s using changed c where s.district_id = $1 and s.user_id = c.id and not c.active
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $7, $8, 'user.change', id::text,
    jsonb_strip_nulls(jsonb_build_object('login', $3::text, 'name', $4::text, 'roles', $5::text[], 'active', $6::boolean))
  from changed
)
select id from changed";

const SET_PASSWORD: &str = "-- store.set_password
with changed as (
  update users set password_hash = $3, password_changed_at = $4, epoch = epoch + 1, changed_at = $4, changed_by = $5
  where district_id = $1 and id = $2
  returning id
), ended as (
  delete from sessions s using changed c where s.district_id = $1 and s.user_id = c.id
), audited as (
  insert into audit (district_id, at, actor, action, subject)
  select $1, $4, $5, 'user.password', id::text from changed
)
select id from changed";
