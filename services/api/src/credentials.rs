//! Comparing an email address and a password with those of the users there are.
//!
//! The same answer after the same work, whether or not there is such a user. Tries are counted before they are made, in
//! the store, so that they count however many processes they come to.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::DistrictId;
use tocsin_store::callers::Candidate;
use uuid::Uuid;

use crate::password::{HashError, NOBODYS, is_right};
use crate::problem::{Kind, Problem};
use crate::secret;
use crate::server::Api;

/// Within [`SPAN`], of one email address.
pub(crate) const TRIES_OF_LOGIN: i32 = 10;
/// Of one network address, behind which a whole office may be.
pub(crate) const TRIES_OF_ADDRESS: i32 = 100;
pub(crate) const SPAN: Duration = Duration::from_secs(15 * 60);

/// What comparing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The user, and the hash that was compared with.
    Right {
        user: Candidate,
        password_hash: String,
    },
    /// The password is right in several districts: which one?
    Several(Vec<Candidate>),
    Wrong,
    TooMany {
        until: DateTime<Utc>,
    },
}

/// Who tries, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Try<'a> {
    pub login: &'a str,
    pub password: &'a str,
    /// The network address that it came from.
    pub address: &'a str,
    pub district: Option<DistrictId>,
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::new(Kind::Unavailable, "too many sign in at once: try again"),
            HashError::NoRandomness | HashError::Failed(_) => {
                tracing::error!(%error, "password not compared");
                Self::new(Kind::Internal, "the request failed by a fault of ours, which was logged")
            }
        }
    }
}

/// How an email address is kept and looked for: people write their own in any case.
pub(crate) fn normalised(login: &str) -> String {
    login.trim().to_lowercase()
}

pub(crate) async fn compare(api: &Api, tried: &Try<'_>) -> Result<Compared, Problem> {
    let now = api.clock.now();
    let (own, shared) = (subject("login", tried.login), subject("address", tried.address));
    let subjects = [(own.clone(), TRIES_OF_LOGIN), (shared.clone(), TRIES_OF_ADDRESS)];
    if let Some(until) = api.store.take_guess(&subjects, now, SPAN).await? {
        return Ok(Compared::TooMany { until });
    }
    let mut candidates = api.store.users_of_login(tried.login).await?;
    if let Some(district) = tried.district {
        candidates.retain(|candidate| candidate.district == district);
    }
    if candidates.is_empty() {
        candidates.push(nobody());
    }
    let mut right = Vec::new();
    let known = candidates.clone();
    for candidate in candidates {
        let tenant = api.store.tenant(candidate.district);
        let kept = tenant.password_hash(candidate.user).await?;
        let there = kept.is_some();
        let hash = kept.unwrap_or_else(|| NOBODYS.to_owned());
        if is_right(tried.password.to_owned(), hash.clone()).await? && there {
            right.push((candidate, hash));
        }
    }
    if right.is_empty() {
        note_wrong(api, known, now);
        return Ok(Compared::Wrong);
    }
    api.store.forget_guess(&own, &shared).await?;
    Ok(match right.len() {
        1 => right
            .pop()
            .map_or(Compared::Wrong, |(user, password_hash)| Compared::Right { user, password_hash }),
        _ => Compared::Several(right.into_iter().map(|(candidate, _)| candidate).collect()),
    })
}

/// Takes one more try of the user's own password, who is signed in.
pub(crate) async fn is_own_password(
    api: &Api,
    tenant: &tocsin_store::Tenant,
    user: Uuid,
    password: &str,
) -> Result<Own, Problem> {
    let now = api.clock.now();
    let subjects = [(subject("user", &user.to_string()), TRIES_OF_LOGIN)];
    if let Some(until) = api.store.take_guess(&subjects, now, SPAN).await? {
        return Ok(Own::TooMany { until });
    }
    let Some(hash) = tenant.password_hash(user).await? else { return Ok(Own::Wrong) };
    if !is_right(password.to_owned(), hash.clone()).await? {
        return Ok(Own::Wrong);
    }
    let [(own, _)] = subjects;
    api.store.forget_guess(&own, &[]).await?;
    Ok(Own::Right)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    Right,
    Wrong,
    TooMany { until: DateTime<Utc> },
}

/// What is looked for in place of a user that there is not.
fn nobody() -> Candidate {
    Candidate { district: DistrictId(Uuid::nil()), district_name: String::new(), user: Uuid::nil() }
}

/// Beside the answer, which would otherwise take longer for users that there are.
fn note_wrong(api: &Api, users: Vec<Candidate>, now: DateTime<Utc>) {
    let store = api.store.clone();
    api.tasks.spawn("sign-in.note", async move {
        for user in users {
            if let Err(error) = store.tenant(user.district).note_wrong_password(user.user, now).await {
                tracing::warn!(%error, "a refused sign-in is not in the audit");
            }
        }
    });
}

/// The store counts without knowing whom.
pub(crate) fn subject(kind: &str, name: &str) -> Vec<u8> {
    secret::hash(&format!("{kind}\0{name}"))
}
