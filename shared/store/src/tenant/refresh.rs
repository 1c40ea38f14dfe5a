//! Somebody wants to know now what became of a campaign's messages (requirement 183).

use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;

use super::Tenant;
use crate::StoreError;

/// What asking for it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    /// When its providers were last to be asked. None: never, for the campaign was over before.
    pub asked_at: Option<DateTime<Utc>>,
    /// No device of it is open any more: there is nothing to ask for.
    pub over: bool,
}

impl Tenant {
    /// Has the planners order look-ups of the campaign's open attempts. Whoever asks within a minute of the last time
    /// gets what was ordered then. None: no such campaign in this district.
    pub async fn refresh(&self, campaign: CampaignId) -> Result<Option<Refresh>, StoreError> {
        let rows = self.rows("refresh", REFRESH, &[&campaign.0]).await?;
        Ok(rows.first().map(|found| Refresh { asked_at: found.get("asked_at"), over: found.get("over") }))
    }
}

const REFRESH: &str = "-- store.refresh
with target as materialized (
  select refresh_asked_at, closed_at is not null as over, tocsin_now() as now
  from campaigns where id = $1 for no key update
), asked as (
  update campaigns c set refresh_asked_at = t.now, refresh_due_at = t.now
  from target t
  where c.id = $1 and not t.over
    and (t.refresh_asked_at is null or t.refresh_asked_at <= t.now - interval '1 minute')
  returning c.refresh_asked_at
)
select coalesce((select refresh_asked_at from asked), t.refresh_asked_at) as asked_at, t.over from target t";
