//! Which planner has which duty: a lease row with an epoch, not a session lock (one session may serve all).

use std::time::Duration;

use uuid::Uuid;

use crate::{Store, StoreError};

/// How long a duty is held without renewal. Another planner takes over within this time.
pub const DUTY_TERM: Duration = Duration::from_secs(3);

/// A duty that the caller holds, with the epoch that fences its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    pub name: String,
    pub holder: Uuid,
    pub epoch: i64,
}

impl Store {
    /// Takes or renews every duty in `names` that is free or already the holder's. Returns those held.
    pub async fn hold_duties(&self, holder: Uuid, names: &[String]) -> Result<Vec<Duty>, StoreError> {
        let rows = self
            .rows("hold_duties", HOLD_DUTIES, &[&holder, &names, &(DUTY_TERM.as_millis() as f64)])
            .await?;
        Ok(rows
            .into_iter()
            .map(|found| Duty { name: found.get("duty"), holder, epoch: found.get("epoch") })
            .collect())
    }

    /// Gives the holder's duties up, so that another planner need not wait for their term.
    pub async fn drop_duties(&self, holder: Uuid) -> Result<u64, StoreError> {
        self.count(
            "drop_duties",
            "-- store.drop_duties
             update planner_leases set expires_at = tocsin_now() where holder = $1 and expires_at > tocsin_now()",
            &[&holder],
        )
        .await
    }
}

const HOLD_DUTIES: &str = "-- store.hold_duties
insert into planner_leases as l (duty, holder, epoch, expires_at)
select name, $1, 1, tocsin_now() + $3 * interval '1 millisecond'
from unnest($2::text[]) name order by name
on conflict (duty) do update set
  holder = excluded.holder,
  epoch = case when l.holder = excluded.holder and l.expires_at > tocsin_now() then l.epoch else l.epoch + 1 end,
  expires_at = excluded.expires_at
where l.holder = excluded.holder or l.expires_at <= tocsin_now()
returning duty, epoch";
