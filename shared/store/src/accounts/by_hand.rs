//! Limits that an operator set, which hold in place of the configured ones until they are reset.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tocsin_domain::AccountId;

use super::SenderLimits;
use crate::{Store, StoreError, row};

/// An operator's word about an account.
#[derive(Debug, Clone, PartialEq)]
pub struct ByHand {
    pub since: DateTime<Utc>,
    pub by: String,
    /// What holds again after a reset.
    pub configured: SenderLimits,
}

impl Store {
    /// Sets those of an account's limits that `limits` has; the others stay. They hold until [`Store::reset_account_limits`],
    /// whatever roles start meanwhile. Returns whether there is such an account.
    pub async fn limit_account(
        &self,
        name: &str,
        limits: &SenderLimits,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let SenderLimits { rate_per_second, burst, concurrency } = limits;
        let changed = self
            .count("limit_account", LIMIT_ACCOUNT, &[&name, rate_per_second, burst, concurrency, &by, &now])
            .await?;
        Ok(changed == 1)
    }

    /// The configured limits hold again. Returns whether an operator's held.
    pub async fn reset_account_limits(&self, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(self.count("reset_account_limits", RESET_ACCOUNT_LIMITS, &[&name, &now]).await? == 1)
    }

    /// The accounts whose limits an operator set.
    pub async fn limits_by_hand(&self) -> Result<HashMap<AccountId, ByHand>, StoreError> {
        const NAME: &str = "limits_by_hand";
        let rows = self.rows(NAME, LIMITS_BY_HAND, &[]).await?;
        rows.iter()
            .map(|found| {
                let configured = row::from_json(NAME, "configured limits", found.get("configured"))?;
                let (since, by) = (found.get("limited_at"), found.get("limited_by"));
                Ok((AccountId(found.get("id")), ByHand { since, by, configured }))
            })
            .collect()
    }
}

const LIMIT_ACCOUNT: &str = "-- store.limit_account
update provider_accounts set
  configured = coalesce(configured, jsonb_build_object(
    'rate_per_second', rate_per_second, 'burst', burst, 'concurrency', concurrency)),
  rate_per_second = coalesce($2, rate_per_second), burst = coalesce($3, burst),
  concurrency = coalesce($4, concurrency), limited_at = $6, limited_by = $5, updated_at = $6
where name = $1 and parent_id is null";

const RESET_ACCOUNT_LIMITS: &str = "-- store.reset_account_limits
update provider_accounts set
  rate_per_second = (configured ->> 'rate_per_second')::double precision, burst = (configured ->> 'burst')::int,
  concurrency = (configured ->> 'concurrency')::int,
  configured = null, limited_at = null, limited_by = null, updated_at = $2
where name = $1 and parent_id is null and limited_at is not null";

const LIMITS_BY_HAND: &str = "-- store.limits_by_hand
select id, limited_at, limited_by, configured from provider_accounts where limited_at is not null";
