//! A decision on what is asked for: one, and for good.

use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;
use uuid::Uuid;

use crate::StoreError;
use crate::tenant::Tenant;
use crate::tenant::campaigns::{CREATE_CAMPAIGN, CampaignRow, NewCampaign};

/// Who approves what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Approve<'a> {
    pub id: Uuid,
    pub by: &'a str,
    pub at: DateTime<Utc>,
}

/// What an approval came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approved {
    Made(CampaignId),
    /// It does not wait any more, or whoever approves is whoever asked. Nothing was done.
    Not,
}

impl Tenant {
    /// Marks it approved and makes its campaign, both or neither. The row is locked by the mark: of many who approve at
    /// once the first makes the campaign, and the others find it decided. The campaign is that of whoever asked.
    pub async fn approve(&self, approve: Approve<'_>, new: &NewCampaign) -> Result<Approved, StoreError> {
        const NAME: &str = "approve";
        let failed = || StoreError::statement(NAME);
        let row = CampaignRow::of(self.district, new)?;
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        transaction.batch_execute(&self.enter()).await.map_err(failed())?;
        let mark = transaction.prepare_cached(MARK).await.map_err(failed())?;
        let marked = transaction
            .query_opt(&mark, &[&self.district.0, &approve.id, &approve.by, &approve.at, &new.id.0])
            .await
            .map_err(failed())?;
        let Some(marked) = marked else { return Ok(Approved::Not) };
        let act = transaction.prepare_cached(ACT_AS).await.map_err(failed())?;
        let asker = marked.get::<_, Option<Uuid>>("asker_id").map(|id| id.to_string()).unwrap_or_default();
        transaction.execute(&act, &[&asker]).await.map_err(failed())?;
        let create = transaction.prepare_cached(CREATE_CAMPAIGN).await.map_err(failed())?;
        let made = transaction.query(&create, &row.parameters()).await.map_err(failed())?;
        if made.is_empty() {
            // The key made a campaign past this approval: nothing goes out a second time.
            return Err(StoreError::KeyReused { key: new.client_key.clone() });
        }
        transaction.commit().await.map_err(failed())?;
        Ok(Approved::Made(new.id))
    }

    /// False: it does not wait any more.
    pub async fn decline(&self, decline: Approve<'_>, reason: Option<&str>) -> Result<bool, StoreError> {
        let Approve { id, by, at } = decline;
        let rows = self.rows("decline", DECLINE, &[&self.district.0, &id, &by, &at, &reason]).await?;
        Ok(!rows.is_empty())
    }
}

/// Decision 1 is approved. `current_actor()` is whoever approves: not whoever asked, and not nobody.
const MARK: &str = "-- store.approve (mark)
with marked as (
  update approvals set decision = 1, decided_at = $4, decided_by = $3, decider_id = current_actor(), campaign_id = $5
  where district_id = $1 and id = $2 and decision is null and expires_at > $4::timestamptz
    and current_actor() is not null and asker_id is distinct from current_actor()
  returning id, asker_id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $4, $3, 'approval.approve', id::text, jsonb_build_object('campaign', $5::uuid) from marked
)
select asker_id from marked";

/// What is made from here on is that actor's own.
const ACT_AS: &str = "-- store.approve (act as)
select set_config('tocsin.actor', $1, true)";

/// Decision 2 is declined. Whoever asked may take it back.
const DECLINE: &str = "-- store.decline
with declined as (
  update approvals set decision = 2, decided_at = $4, decided_by = $3, decider_id = current_actor(), reason = $5
  where district_id = $1 and id = $2 and decision is null and expires_at > $4::timestamptz
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $4, $3, 'approval.decline', id::text, jsonb_strip_nulls(jsonb_build_object('reason', $5::text)) from declined
)
select id from declined";
