//! Stops: an operator lets nothing more be sent, by the whole installation or for one district, until it goes on.
//!
//! The commit of the stop is the promise, as with a cancel: no claim that starts after it is granted, on any worker.
//! Nothing is lost: what was released goes back to its row, and waits there.

use chrono::{DateTime, Utc};
use tocsin_domain::DistrictId;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{Store, StoreError, Tenant};

/// Who stopped what, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// None: every district.
    pub district: Option<DistrictId>,
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: String,
}

impl Store {
    /// Stops the sending of a district, or of all. Returns false where it is stopped already: who did so first stays
    /// on record.
    pub async fn stop_sending(
        &self,
        district: Option<DistrictId>,
        by: &str,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let district = district.map(|district| district.0);
        Ok(self.count("stop_sending", STOP_SENDING, &[&district, &by, &reason]).await? == 1)
    }

    /// Lets it go on. A district that is stopped by itself stays so when all others go on. Returns false where it was
    /// not stopped.
    pub async fn resume_sending(&self, district: Option<DistrictId>, by: &str) -> Result<bool, StoreError> {
        let district = district.map(|district| district.0);
        let rows = self.rows("resume_sending", RESUME_SENDING, &[&district, &by]).await?;
        Ok(rows.first().is_some_and(|found| found.get("resumed")))
    }

    /// The stops in force, the oldest first.
    pub async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        Ok(self.rows("stops", STOPS, &[]).await?.iter().map(read).collect())
    }
}

impl Tenant {
    /// The stop that holds the district, of its own or of all.
    pub async fn stop(&self) -> Result<Option<Stop>, StoreError> {
        Ok(self.rows("stops", STOPS, &[]).await?.first().map(read))
    }
}

fn read(found: &Row) -> Stop {
    Stop {
        district: found.get::<_, Option<Uuid>>("district_id").map(DistrictId),
        at: found.get("stopped_at"),
        by: found.get("stopped_by"),
        reason: found.get("reason"),
    }
}

/// What was done is on the district's audit log; of a stop of all, on every district's.
const STOP_SENDING: &str = "-- store.stop_sending
with stopped as (
  insert into stops (district_id, stopped_at, stopped_by, reason) values ($1, tocsin_now(), $2, $3)
  on conflict (district_id) do nothing
  returning district_id, stopped_at
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select d.id, s.stopped_at, $2, 'sending.stop', d.id::text, jsonb_build_object('reason', $3::text, 'all', s.district_id is null)
  from stopped s join districts d on d.id = s.district_id or s.district_id is null
)
select from stopped";

const RESUME_SENDING: &str = "-- store.resume_sending
with resumed as (
  delete from stops where district_id is not distinct from $1 returning district_id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select d.id, tocsin_now(), $2, 'sending.go', d.id::text, jsonb_build_object('all', r.district_id is null)
  from resumed r join districts d on d.id = r.district_id or r.district_id is null
)
select exists (select from resumed) as resumed";

const STOPS: &str = "-- store.stops
select district_id, stopped_at, stopped_by, reason from stops order by id";
