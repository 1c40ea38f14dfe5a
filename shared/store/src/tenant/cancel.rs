//! The cancel.

use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, CampaignState};

use super::Tenant;
use crate::{StoreError, row};

/// What a cancel came to. Pressing again returns the same (decision D5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    pub campaign: CampaignId,
    pub state: CampaignState,
    /// None: the campaign had ended before, there was nothing to cancel.
    pub canceled: Option<Canceled>,
    /// Did this call cancel it, rather than an earlier one?
    pub fresh: bool,
}

/// Who canceled and when: never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canceled {
    pub epoch: i64,
    pub at: DateTime<Utc>,
    pub by: String,
    pub reason: Option<String>,
}

impl Tenant {
    /// Cancels a campaign. The commit of this statement is the promise: no claim that starts after it is
    /// granted. None: no such campaign in this district.
    pub async fn cancel(
        &self,
        campaign: CampaignId,
        actor: &str,
        reason: Option<&str>,
    ) -> Result<Option<Cancel>, StoreError> {
        const NAME: &str = "cancel";
        let rows = self.rows(NAME, CANCEL, &[&campaign.0, &self.district.0, &actor, &reason]).await?;
        let Some(found) = rows.first() else { return Ok(None) };
        let canceled = found.get::<_, Option<i64>>("cancel_epoch").map(|epoch| Canceled {
            epoch,
            at: found.get("canceled_at"),
            by: found.get("canceled_by"),
            reason: found.get("cancel_reason"),
        });
        Ok(Some(Cancel {
            campaign,
            state: row::campaign_state(NAME, found.get("state"))?,
            canceled,
            fresh: found.get("fresh"),
        }))
    }
}

/// Campaign states 1 scheduled, 2 processing, 3 sending can be canceled; 4 is canceling. A sweep for the
/// campaign's expiry says nothing about claims before this commit, so that it is swept anew.
const CANCEL: &str = "-- store.cancel
with target as materialized (
  select * from campaigns where id = $1 for no key update
), epoch as materialized (
  select nextval('cancel_epochs') as number, tocsin_now() as at
  from target where cancel_epoch is null and state in (1, 2, 3)
), canceled as (
  update campaigns c set state = 4, canceled_from = c.state, cancel_epoch = e.number, canceled_at = e.at,
    canceled_by = $3, cancel_reason = $4, swept_at = null
  from epoch e where c.id = $1
  returning c.state, c.cancel_epoch, c.canceled_at, c.canceled_by, c.cancel_reason
), logged as (
  insert into control_log (epoch, district_id, campaign_id, command, actor, reason, at)
  select e.number, $2, $1, 'cancel', $3, $4, e.at from epoch e
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $2, e.at, $3, 'campaign.cancel', $1::text, jsonb_build_object('reason', $4::text) from epoch e
)
select state, cancel_epoch, canceled_at, canceled_by, cancel_reason, true as fresh from canceled
union all
select state, cancel_epoch, canceled_at, canceled_by, cancel_reason, false
from target where not exists (select from epoch)";
