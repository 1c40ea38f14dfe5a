//! The end of a campaign.

use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, CampaignState, Channel};

use crate::unhurried::unhurried;
use crate::{Store, StoreError, row};

/// A campaign that came to its end, or whose last open job did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub campaign: CampaignId,
    pub state: CampaignState,
    /// When its cancel was committed, if it was canceled.
    pub canceled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// Of the request that made it.
    pub traceparent: Option<String>,
}

impl Store {
    /// Answers `canceled` for campaigns whose cancel is through: swept clean, no attempt asking, every
    /// recall on the `recallable` channels ordered, and answered or past its time (promise 3).
    pub async fn finish_cancels(
        &self,
        now: DateTime<Utc>,
        recallable: &[Channel],
    ) -> Result<Vec<Closed>, StoreError> {
        let recallable: Vec<i16> = recallable.iter().map(|channel| channel.number()).collect();
        closed("finish_cancels", self.rows("finish_cancels", FINISH_CANCELS, &[&now, &recallable]).await?)
    }

    /// Closes campaigns whose expansion is complete and that have no open job: by their tallies first, then
    /// for certain by their rows. Gives those that were not canceled their final state.
    pub async fn close_campaigns(&self, now: DateTime<Utc>) -> Result<Vec<Closed>, StoreError> {
        closed("close_campaigns", self.rows("close_campaigns", CLOSE_CAMPAIGNS, &[&now]).await?)
    }
}

pub(crate) fn closed(
    statement: &'static str,
    rows: Vec<tokio_postgres::Row>,
) -> Result<Vec<Closed>, StoreError> {
    rows.into_iter()
        .map(|found| {
            Ok(Closed {
                campaign: CampaignId(found.get("id")),
                state: row::campaign_state(statement, found.get("state"))?,
                canceled_at: found.get("canceled_at"),
                created_at: found.get("created_at"),
                traceparent: found.get("traceparent"),
            })
        })
        .collect()
}

/// Attempt states 1 asking, 2 accepted, 4 unknown (it settles later and is never tried again); recall 1
/// ordered; outcome 50 a call that is over. What was accepted since the last sweep may have its recall still to be ordered.
/// campaign states 2 processing, 4 canceling, 7 canceled, 10 discarded: one canceled while it was processing
/// leaves the lists (decision D4).
const FINISH_CANCELS: &str = "-- store.finish_cancels
with through as materialized (
  select c.id from campaigns c
  where c.closed_at is null and c.state = 4 and c.swept_at is not null
    and not exists (
      select from attempts a
      where a.campaign_id = c.id
        and (a.state = 1 or (a.recall = 1 and a.recall_until > $1)
          or (a.state = 2 and a.recall = 0 and a.provider_id is not null and a.outcome is distinct from 50
            and a.account_id in (select id from provider_accounts where channel = any($2)))))
  order by c.id
  for no key update of c
)
update campaigns c set ended_at = $1, state = case when c.canceled_from = 2 then 10 else 7 end
where c.id = any(array(select id from through))
returning c.id, c.state, c.canceled_at, c.created_at, c.traceparent";

/// Campaign states 3 sending, 5 sent, 6 errored, 8 no recipients; 4 is a job's Ended.
const CLOSE_CAMPAIGNS: &str = concat!(
    "-- store.close_campaigns
with counted as materialized (
  select c.id, c.state, t.recipients, t.attempts, t.successful, t.error
  from campaigns c
  left join lateral (
    select sum(open) as open, sum(recipients) as recipients, sum(attempts) as attempts,
      sum(successful) as successful, sum(error) as error
    from tallies where campaign_id = c.id) t on true
  where c.closed_at is null and coalesce(t.open, 0) <= 0
    and ((c.expanded_at is not null and c.state in (2, 3)) or c.state in (7, 10))
), over as materialized (
  select k.* from counted k join campaigns c on c.id = k.id
  where c.closed_at is null and c.state = k.state
    and not exists (select from jobs j where j.campaign_id = k.id and j.state <> 4)
  order by k.id
  for no key update of c
)
update campaigns c set closed_at = $1, ended_at = coalesce(c.ended_at, $1),
  started_at = case when o.state = 2 then coalesce(c.started_at, $1) else c.started_at end,
  state = case
    when o.state in (7, 10) then o.state
    when coalesce(o.recipients, 0) = 0 then 8
    when o.error > 0 and o.successful <= 0 then 6
    else 5 end
from over o cross join ",
    unhurried!(),
    "
where c.id = any(array[o.id])
returning c.id, c.state, c.canceled_at, c.created_at, c.traceparent"
);
