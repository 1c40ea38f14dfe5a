//! What a district decided about redials and calling windows, by message type (decision D6).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tocsin_domain::policy::MessagePolicy;
use tocsin_domain::window::{Zone, zone_named};

use super::{Tenant, to_json};
use crate::{StoreError, row};

/// A policy as it was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPolicy {
    pub policy: MessagePolicy,
    pub updated_at: DateTime<Utc>,
    pub updated_by: String,
}

impl Tenant {
    /// The district's policies by message type. A type that is not among them has its lane's defaults.
    pub async fn policies(&self) -> Result<BTreeMap<String, KeptPolicy>, StoreError> {
        const NAME: &str = "policies";
        let rows = self
            .rows(
                NAME,
                "-- store.policies
                 select message_type, redial, calling_window, updated_at, updated_by from policies
                 where district_id = $1",
                &[&self.district.0],
            )
            .await?;
        rows.into_iter()
            .map(|found| {
                let policy = MessagePolicy {
                    redial: row::from_json(NAME, "a redial policy", found.get("redial"))?,
                    calling_window: row::calling_window(NAME, &found)?,
                };
                let updated_at = found.get("updated_at");
                let kept = KeptPolicy { policy, updated_at, updated_by: found.get("updated_by") };
                Ok((found.get("message_type"), kept))
            })
            .collect()
    }

    /// Replaces the district's policy for campaigns of this type that are made from now on.
    pub async fn put_policy(&self, message_type: &str, kept: &KeptPolicy) -> Result<(), StoreError> {
        const NAME: &str = "put_policy";
        let redial = to_json(NAME, &kept.policy.redial)?;
        let window = kept.policy.calling_window.as_ref().map(|window| to_json(NAME, window)).transpose()?;
        self.rows(
            NAME,
            PUT_POLICY,
            &[&self.district.0, &message_type, &redial, &window, &kept.updated_at, &kept.updated_by],
        )
        .await
        .map(drop)
    }

    /// The district's time zone: that of recipients whose own is not known.
    pub async fn time_zone(&self) -> Result<Option<Zone>, StoreError> {
        let rows = self
            .rows(
                "time_zone",
                "-- store.time_zone
                 select time_zone from districts where id = $1",
                &[&self.district.0],
            )
            .await?;
        Ok(rows.first().and_then(|found| found.get::<_, Option<&str>>(0)).and_then(zone_named))
    }
}

const PUT_POLICY: &str = "-- store.put_policy
with kept as (
  insert into policies (district_id, message_type, redial, calling_window, updated_at, updated_by)
  values ($1, $2, $3, $4, $5, $6)
  on conflict (district_id, message_type) do update set redial = excluded.redial,
    calling_window = excluded.calling_window, updated_at = excluded.updated_at, updated_by = excluded.updated_by
)
insert into audit (district_id, at, actor, action, subject, details)
values ($1, $5, $6, 'policy.put', $2, jsonb_build_object('redial', $3::jsonb, 'calling_window', $4::jsonb))";
