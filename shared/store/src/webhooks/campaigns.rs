//! Which campaigns have facts that nobody was told of.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::webhook::CampaignFacts;
use tocsin_domain::{CampaignId, DistrictId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{NewEvent, spread};
use crate::{Store, StoreError, row};

impl Store {
    /// Begins to follow the campaigns of districts that ask for events: those that are open, and those that closed after
    /// `closed_after` without ever having been seen open.
    pub async fn follow_campaigns(
        &self,
        closed_after: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.count("follow_campaigns", FOLLOW_CAMPAIGNS, &[&closed_after, &now]).await
    }

    /// Marks the facts of up to `campaigns_max` followed campaigns as told, and puts the events that `write` makes of
    /// them on their way, in one transaction. Of two planners each takes other campaigns. Returns how many it took.
    pub async fn tell_campaigns<E: From<StoreError>>(
        &self,
        campaigns_max: i64,
        now: DateTime<Utc>,
        mut write: impl FnMut(&CampaignFacts) -> Result<Vec<NewEvent>, E>,
    ) -> Result<usize, E> {
        const NAME: &str = "tell_campaigns";
        let failed = || StoreError::statement(NAME);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let untold = transaction.prepare_cached(UNTOLD_CAMPAIGNS).await.map_err(failed())?;
        let rows = transaction.query(&untold, &[&campaigns_max]).await.map_err(failed())?;
        if rows.is_empty() {
            return Ok(0);
        }
        let facts = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut events = Vec::new();
        for facts in &facts {
            events.extend(write(facts)?);
        }
        let campaigns: Vec<Uuid> = facts.iter().map(|facts| facts.campaign.0).collect();
        let bits: Vec<i16> = facts.iter().map(CampaignFacts::bits).collect();
        let mark = transaction.prepare_cached(MARK_TOLD).await.map_err(failed())?;
        transaction.execute(&mark, &[&campaigns, &bits]).await.map_err(failed())?;
        spread(&transaction, &events, now).await?;
        transaction.commit().await.map_err(failed())?;
        Ok(facts.len())
    }
}

/// How far before its last look somebody looks again for campaigns that closed: a commit may come later than the time
/// that it writes.
pub const CLOSED_OVERLAP: TimeDelta = TimeDelta::minutes(10);

fn read(found: &Row) -> Result<CampaignFacts, StoreError> {
    Ok(CampaignFacts {
        campaign: CampaignId(found.get("campaign_id")),
        district: DistrictId(found.get("district_id")),
        number: found.get("number"),
        state: row::campaign_state("tell_campaigns", found.get("state"))?,
        created_at: found.get("created_at"),
        scheduled_at: found.get("scheduled_at"),
        started_at: found.get("started_at"),
        canceled_at: found.get("canceled_at"),
        ended_at: found.get("ended_at"),
        closed_at: found.get("closed_at"),
        told: found.get("told"),
        since: found.get("since"),
    })
}

/// Districts with an endpoint that is told of campaigns or devices: of any event, for a test alone nobody asks.
const FOLLOW_CAMPAIGNS: &str = "-- store.follow_campaigns
with asking as materialized (
  select district_id, min(enabled_at) as since from webhook_endpoints where enabled group by 1
)
insert into webhook_campaigns (campaign_id, district_id, pass_at)
select c.id, a.district_id, $2::timestamptz
from asking a
cross join lateral (
  select id from campaigns where district_id = a.district_id and closed_at is null
  union all
  select id from campaigns where district_id = a.district_id and closed_at > greatest($1, a.since)) c
where not exists (select from webhook_campaigns where campaign_id = c.id offset 0)
order by c.id
on conflict do nothing";

/// The bits are those of `domain::webhook::facts`. A planner that waited for a row sees it as the other one left it.
const UNTOLD_CAMPAIGNS: &str = "-- store.tell_campaigns untold
with asking as materialized (
  select district_id, min(enabled_at) as since from webhook_endpoints where enabled group by 1
)
select w.campaign_id, w.district_id, w.told, a.since, c.number, c.state, c.created_at, c.scheduled_at, c.started_at,
  c.canceled_at, c.ended_at, c.closed_at
from asking a
join webhook_campaigns w on w.district_id = a.district_id and w.told < 16
cross join lateral (select * from campaigns where id = w.campaign_id offset 0) c
where w.told <> 1 + case when c.started_at is null then 0 else 2 end
  + case when c.canceled_at is null then 0 else 4 end
  + case when c.ended_at is null then 0 else 8 end
  + case when c.closed_at is null then 0 else 16 end
order by w.campaign_id
limit $1
for update of w skip locked";

const MARK_TOLD: &str = "-- store.tell_campaigns mark
update webhook_campaigns w set told = u.told
from unnest($1::uuid[], $2::smallint[]) u(campaign_id, told)
where w.campaign_id = u.campaign_id";

#[cfg(test)]
mod tests {
    use tocsin_domain::JobState;
    use tocsin_domain::webhook::{DeliveryState, EventType, FACTS_ALL};

    #[test]
    fn the_numbers_and_names_written_into_the_statements_are_the_domains() {
        assert_eq!((FACTS_ALL, JobState::Ended.number(), DeliveryState::Waiting.number()), (16, 4, 1));
        assert_eq!(EventType::DeviceOutcome.as_str(), "device.outcome");
    }
}
