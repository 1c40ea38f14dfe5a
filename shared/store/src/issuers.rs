//! Browsers that were sent to an OpenID Connect issuer, and come back once.

use chrono::{DateTime, Utc};
use tocsin_domain::DistrictId;

use crate::{Store, StoreError};

/// A browser that is sent away to sign in.
#[derive(Debug, Clone)]
pub struct SentAway<'a> {
    /// SHA-256 of what it comes back with.
    pub state_hash: &'a [u8],
    /// SHA-256 of its cookie.
    pub browser_hash: &'a [u8],
    pub issuer: &'a str,
    pub nonce: &'a str,
    pub verifier: &'a str,
    pub next: &'a str,
    pub district: Option<DistrictId>,
    pub ends_at: DateTime<Utc>,
}

/// What was kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameBack {
    pub nonce: String,
    pub verifier: String,
    pub next: String,
    pub district: Option<DistrictId>,
}

impl Store {
    pub async fn keep_sign_in(&self, sent: &SentAway<'_>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let sql = "-- store.keep_sign_in
                   select keep_sign_in($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let district = sent.district.map(|district| district.0);
        self.rows(
            "keep_sign_in",
            sql,
            &[
                &sent.state_hash,
                &sent.browser_hash,
                &sent.issuer,
                &sent.nonce,
                &sent.verifier,
                &sent.next,
                &district,
                &now,
                &sent.ends_at,
            ],
        )
        .await
        .map(drop)
    }

    /// None: that browser was not sent to that issuer, comes too late, or is back already.
    pub async fn take_sign_in(
        &self,
        state_hash: &[u8],
        browser_hash: &[u8],
        issuer: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<CameBack>, StoreError> {
        let sql = "-- store.take_sign_in
                   select * from take_sign_in($1, $2, $3, $4)";
        let rows = self.rows("take_sign_in", sql, &[&state_hash, &browser_hash, &issuer, &now]).await?;
        Ok(rows.first().map(|found| CameBack {
            nonce: found.get("nonce"),
            verifier: found.get("verifier"),
            next: found.get("next"),
            district: found.get::<_, Option<_>>("district_id").map(DistrictId),
        }))
    }

    /// The district of that name, asked for by an api, which sees none.
    pub async fn district_of_name(&self, name: &str) -> Result<Option<DistrictId>, StoreError> {
        let sql = "-- store.district_of_name
                   select district_of_name($1) id";
        let rows = self.rows("district_of_name", sql, &[&name]).await?;
        Ok(rows.first().and_then(|found| found.get::<_, Option<_>>("id")).map(DistrictId))
    }
}
