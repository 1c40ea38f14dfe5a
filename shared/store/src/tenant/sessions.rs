//! Sign-ins to the console, as rows: what ends one ends it at once, in every process.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Tenant;
use crate::StoreError;

/// A sign-in whose password was compared, or that an issuer vouched for.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// SHA-256 of a token that was drawn for this sign-in.
    pub token_hash: &'a [u8],
    pub user: Uuid,
    /// What the password was compared with, or was when the issuer vouched: one that has changed meanwhile begins nothing.
    pub password_hash: &'a str,
    pub ends_at: DateTime<Utc>,
    /// Of the session that this browser had before.
    pub replaces: Option<&'a [u8]>,
    /// The issuer who vouched; None: the password was compared.
    pub through: Option<&'a str>,
}

impl Tenant {
    /// False: the user is not active any more, or has another password.
    pub async fn begin_session(&self, new: &NewSession<'_>, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "begin_session",
                BEGIN_SESSION,
                &[
                    &self.district.0,
                    &new.token_hash,
                    &new.user,
                    &new.password_hash,
                    &now,
                    &new.ends_at,
                    &new.replaces,
                    &new.through,
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// The one who signs out.
    pub async fn end_session(&self, token_hash: &[u8], now: DateTime<Utc>) -> Result<(), StoreError> {
        self.rows("end_session", END_SESSION, &[&self.district.0, &token_hash, &now]).await.map(drop)
    }

    /// Of a user who is there: somebody gave another password than theirs.
    pub async fn note_wrong_password(&self, user: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
        let sql = "-- store.note_wrong_password
                   insert into audit (district_id, at, actor, action, subject)
                   select $1, $3, login, 'sign_in.refused', id::text from users where district_id = $1 and id = $2";
        self.rows("note_wrong_password", sql, &[&self.district.0, &user, &now]).await.map(drop)
    }
}

const BEGIN_SESSION: &str = "-- store.begin_session
with gone as (
  delete from sessions where district_id = $1 and user_id = $3 and ends_at <= $5
), replaced as (
  delete from sessions where district_id = $1 and token_hash = $7
), begun as (
  insert into sessions (token_hash, district_id, user_id, epoch, created_at, seen_at, ends_at)
  select $2, district_id, id, epoch, $5, $5, $6 from users
  where district_id = $1 and id = $3 and active and password_hash = $4
  returning user_id
), audited as (
  insert into audit (district_id, at, actor, actor_id, action, subject, details)
  select $1, $5, u.display_name, u.id, 'sign_in', u.id::text,
    jsonb_strip_nulls(jsonb_build_object('through', $8::text))
  from begun b join users u on u.district_id = $1 and u.id = b.user_id
)
select from begun";

const END_SESSION: &str = "-- store.end_session
with ended as (
  delete from sessions where district_id = $1 and token_hash = $2 returning user_id
)
insert into audit (district_id, at, actor, actor_id, action, subject)
select $1, $3, u.display_name, u.id, 'sign_out', u.id::text
from ended e join users u on u.district_id = $1 and u.id = e.user_id";
