//! A district's readers who unsubscribed from mails of one message type: the list, and taking one off it.

use chrono::{DateTime, Utc};

use super::Tenant;
use crate::StoreError;

/// An address that gets no mails of one message type.
#[derive(Debug, Clone)]
pub struct Unsubscribe {
    pub address: String,
    pub message_type: String,
    pub created_at: DateTime<Utc>,
}

impl Tenant {
    /// A page in the order of address and message type, after this one.
    pub async fn unsubscribes(
        &self,
        after: Option<(&str, &str)>,
        unsubscribes_max: u32,
    ) -> Result<Vec<Unsubscribe>, StoreError> {
        let (address, message_type) = after.unwrap_or_default();
        self.page("unsubscribes", UNSUBSCRIBES, [&address, &message_type], unsubscribes_max, |found| {
            Ok(Unsubscribe {
                address: found.get("address"),
                message_type: found.get("message_type"),
                created_at: found.get("created_at"),
            })
        })
        .await
    }

    /// False: it had not unsubscribed.
    pub async fn lift_unsubscribe(
        &self,
        address: &str,
        message_type: &str,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "lift_unsubscribe",
                LIFT_UNSUBSCRIBE,
                &[&self.district.0, &address, &message_type, &by, &now],
            )
            .await?;
        Ok(!rows.is_empty())
    }
}

pub(crate) const UNSUBSCRIBES: &str = "-- store.unsubscribes
select address, message_type, created_at from unsubscribes
where district_id = $1 and (address, message_type) > ($2::text, $3::text)
order by address, message_type limit $4";

const LIFT_UNSUBSCRIBE: &str = "-- store.lift_unsubscribe
with lifted as (
  delete from unsubscribes where district_id = $1 and address = $2 and message_type = $3
  returning district_id, address, message_type
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select district_id, $5, $4, 'unsubscribe.lift', address, jsonb_build_object('message_type', message_type)
  from lifted
)
select from lifted";
