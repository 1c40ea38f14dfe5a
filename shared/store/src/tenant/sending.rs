//! What a district decided of sending: how long a message can be taken back before anybody gets it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Tenant;
use crate::StoreError;

/// The district's decision, and whose it was. Nobody's: messages go out at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendingPolicy {
    pub undo: Duration,
    pub changed_at: Option<DateTime<Utc>>,
    pub changed_by: Option<String>,
}

impl Tenant {
    pub async fn sending_policy(&self) -> Result<SendingPolicy, StoreError> {
        let sql = "-- store.sending_policy
                   select * from sending_policies where district_id = $1";
        let rows = self.rows("sending_policy", sql, &[&self.district.0]).await?;
        let read = |found: &tokio_postgres::Row| SendingPolicy {
            undo: Duration::from_secs(found.get::<_, i32>("undo_seconds").unsigned_abs().into()),
            changed_at: found.get("changed_at"),
            changed_by: found.get("changed_by"),
        };
        Ok(rows.first().map(read).unwrap_or_default())
    }

    /// For campaigns that are made from now on.
    pub async fn put_sending_policy(
        &self,
        undo_seconds: u32,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let undo = i32::try_from(undo_seconds).unwrap_or(i32::MAX);
        self.rows("put_sending_policy", PUT_SENDING_POLICY, &[&self.district.0, &undo, &now, &by])
            .await
            .map(drop)
    }
}

const PUT_SENDING_POLICY: &str = "-- store.put_sending_policy
with kept as (
  insert into sending_policies (district_id, undo_seconds, changed_at, changed_by) values ($1, $2, $3, $4)
  on conflict (district_id) do update set undo_seconds = excluded.undo_seconds, changed_at = excluded.changed_at,
    changed_by = excluded.changed_by
)
insert into audit (district_id, at, actor, action, subject, details)
values ($1, $3, $4, 'sending_policy.put', $1::text, jsonb_build_object('undo_seconds', $2::int))";
