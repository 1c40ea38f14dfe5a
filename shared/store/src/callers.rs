//! Who asks, before a district is known: by API key, by session, by login.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tocsin_domain::DistrictId;
use tocsin_domain::rights::{Actor, ActorKind, BuiltIn, Grant, MessageTypes, Right, Role};
use uuid::Uuid;

use crate::{Store, StoreError, row};

/// Who asks, and for which district.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub district: DistrictId,
    pub actor: Actor,
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    pub known: Known,
    pub login: String,
    pub district_name: String,
    pub time_zone: Option<String>,
    /// It has ended by itself.
    pub is_over: bool,
}

/// Does asking for a session's user count as its use?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Counts,
    /// A page that asks by itself, without anybody there.
    ByItself,
}

/// A user of that login in one district.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub district: DistrictId,
    pub district_name: String,
    pub user: Uuid,
}

impl Store {
    /// Whose key is it? None: unknown or revoked.
    pub async fn caller_of_key(&self, key_hash: &[u8]) -> Result<Option<Known>, StoreError> {
        const NAME: &str = "caller_of_key";
        let sql = "-- store.caller_of_key
                   select * from caller_of_key($1)";
        let rows = self.rows(NAME, sql, &[&key_hash]).await?;
        rows.first().map(|found| known(NAME, ActorKind::Key, found)).transpose()
    }

    /// Whose session is it? None: there is none, or it was ended.
    pub async fn visitor_of_session(
        &self,
        token_hash: &[u8],
        now: DateTime<Utc>,
        idle: Duration,
        using: Use,
    ) -> Result<Option<SignedIn>, StoreError> {
        const NAME: &str = "visitor_of_session";
        let sql = "-- store.visitor_of_session
                   select * from visitor_of_session($1, $2, make_interval(secs => $3), $4)";
        let touch = using == Use::Counts;
        let rows = self.rows(NAME, sql, &[&token_hash, &now, &idle.as_secs_f64(), &touch]).await?;
        let read = |found: &tokio_postgres::Row| {
            Ok(SignedIn {
                known: known(NAME, ActorKind::User, found)?,
                login: found.get("login"),
                district_name: found.get("district"),
                time_zone: found.get("time_zone"),
                is_over: found.get("is_over"),
            })
        };
        rows.first().map(read).transpose()
    }

    /// Active users of that login, by their districts' names.
    pub async fn users_of_login(&self, login: &str) -> Result<Vec<Candidate>, StoreError> {
        let sql = "-- store.users_of_login
                   select * from users_of_login($1)";
        let rows = self.rows("users_of_login", sql, &[&login]).await?;
        let read = |found: &tokio_postgres::Row| Candidate {
            district: DistrictId(found.get("district_id")),
            district_name: found.get("district"),
            user: found.get("id"),
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Counts one more try of each subject, of which so many are allowed within `span`. Until when it is one too many;
    /// None: it is not.
    pub async fn take_guess(
        &self,
        subjects: &[(Vec<u8>, i32)],
        now: DateTime<Utc>,
        span: Duration,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let sql = "-- store.take_guess
                   select take_guess($1, $2, $3, make_interval(secs => $4))";
        let most: Vec<i32> = subjects.iter().map(|(_, most)| *most).collect();
        let subjects: Vec<&[u8]> = subjects.iter().map(|(subject, _)| subject.as_slice()).collect();
        let rows = self.rows("take_guess", sql, &[&subjects, &most, &now, &span.as_secs_f64()]).await?;
        Ok(rows.first().and_then(|found| found.get(0)))
    }

    /// The try was right: `own` is counted from the beginning, and `shared` as if it had not been.
    pub async fn forget_guess(&self, own: &[u8], shared: &[u8]) -> Result<(), StoreError> {
        let sql = "-- store.forget_guess
                   select forget_guess($1, $2)";
        self.rows("forget_guess", sql, &[&own, &shared]).await.map(drop)
    }
}

/// Columns district_id, id, name, roles and own.
fn known(statement: &'static str, kind: ActorKind, found: &tokio_postgres::Row) -> Result<Known, StoreError> {
    let names: Vec<String> = found.get("roles");
    let own: Vec<OwnRole> = row::from_json(statement, "a role", found.get("own"))?;
    let built_in = names.iter().filter_map(|name| BuiltIn::named(name)).map(BuiltIn::role);
    let roles: Vec<Role> = built_in.chain(own.into_iter().map(OwnRole::into_role)).collect();
    let actor = Actor { kind, id: Some(found.get("id")), name: found.get("name"), grant: Grant::of(&roles) };
    Ok(Known { district: DistrictId(found.get("district_id")), actor })
}

/// A district's own role as it is stored.
#[derive(Debug, Deserialize)]
pub(crate) struct OwnRole {
    pub name: String,
    pub rights: Vec<String>,
    pub message_types: Option<Vec<String>>,
}

impl OwnRole {
    /// A right that this program does not know, of a newer one, is none.
    pub fn into_role(self) -> Role {
        Role {
            name: self.name,
            rights: self.rights.iter().filter_map(|name| Right::named(name)).collect(),
            types: match self.message_types {
                None => MessageTypes::All,
                Some(types) => MessageTypes::Only(types.into_iter().collect()),
            },
        }
    }
}
