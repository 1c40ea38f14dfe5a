//! Series shown: one, a page of them, and the occurrences that were.

use chrono::{DateTime, NaiveDate, Utc};
use tocsin_domain::rights::Outlook;
use tocsin_domain::{CampaignId, CampaignState, SeriesId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Series, SeriesState, read_series};
use crate::tenant::Tenant;
use crate::{StoreError, row};

/// Which series to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct SeriesQuery {
    pub states: Vec<SeriesState>,
    /// What whoever asks made.
    pub own: bool,
    pub before: Option<SeriesId>,
    pub series_max: u32,
}

/// An occurrence whose time came.
#[derive(Debug, Clone)]
pub struct PastOccurrence {
    pub on: NaiveDate,
    pub at: DateTime<Utc>,
    /// None: nothing ran when it was due, and it was skipped.
    pub campaign: Option<(CampaignId, CampaignState)>,
}

impl Tenant {
    /// Who made the series, and whether it is active: what decides who sees it. None: there is none of that id.
    pub async fn series_made_by(&self, series: SeriesId) -> Result<Option<(Option<Uuid>, bool)>, StoreError> {
        let sql = "-- store.series_made_by
                   select creator_id, state from series where id = $1";
        let rows = self.rows("series_made_by", sql, &[&series.0]).await?;
        let active = SeriesState::Active.number();
        Ok(rows.first().map(|found| (found.get("creator_id"), found.get::<_, i16>("state") == active)))
    }

    pub async fn series(&self, series: SeriesId) -> Result<Option<Series>, StoreError> {
        const NAME: &str = "series";
        let sql = "-- store.series
                   select * from series where id = $1";
        let rows = self.rows(NAME, sql, &[&series.0]).await?;
        rows.first().map(|found| read_series(NAME, found)).transpose()
    }

    /// Those that the actor sees.
    pub async fn list_series(&self, query: &SeriesQuery) -> Result<Vec<Series>, StoreError> {
        let states: Vec<i16> = query.states.iter().map(|state| state.number()).collect();
        let before = query.before.map(|series| series.0);
        let most = i64::from(query.series_max);
        let (all, scheduled) = match self.outlook() {
            Outlook::All => (true, true),
            Outlook::OwnAndScheduled(_) => (false, true),
            Outlook::Own(_) => (false, false),
            Outlook::None => return Ok(Vec::new()),
        };
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&self.district.0, &before, &states, &query.own, &most, &self.me(), &all, &scheduled];
        let rows = self.rows("list_series", LIST_SERIES, &parameters).await?;
        rows.iter().map(|found| read_series("list_series", found)).collect()
    }

    /// The latest day on which the series became a campaign: no other comes on it, or before.
    pub async fn last_made(&self, series: SeriesId) -> Result<Option<NaiveDate>, StoreError> {
        let sql = "-- store.last_made
                   select on_day from occurrences where series_id = $1 and campaign_id is not null
                   order by on_day desc limit 1";
        let rows = self.rows("last_made", sql, &[&series.0]).await?;
        Ok(rows.first().map(|found| found.get(0)))
    }

    /// Occurrences whose time came, the latest first.
    pub async fn past_occurrences(
        &self,
        series: SeriesId,
        before: Option<NaiveDate>,
        occurrences_max: u32,
    ) -> Result<Vec<PastOccurrence>, StoreError> {
        const NAME: &str = "past_occurrences";
        let most = i64::from(occurrences_max);
        let rows = self.rows(NAME, PAST_OCCURRENCES, &[&series.0, &before, &most]).await?;
        rows.iter()
            .map(|found| {
                let campaign: Option<Uuid> = found.get("campaign_id");
                let state: Option<i16> = found.get("state");
                let campaign = campaign
                    .zip(state)
                    .map(|(id, state)| row::campaign_state(NAME, state).map(|state| (CampaignId(id), state)))
                    .transpose()?;
                Ok(PastOccurrence { on: found.get("on_day"), at: found.get("at"), campaign })
            })
            .collect()
    }
}

/// Series state 1 is active: what is scheduled.
pub(crate) const LIST_SERIES: &str = "-- store.list_series
select * from series
where district_id = $1 and id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and (cardinality($3::smallint[]) = 0 or state = any($3))
  and (not $4::bool or creator_id is not distinct from $6::uuid)
  and ($7::bool or creator_id = $6 or ($8::bool and state = 1))
order by id desc
limit $5";

pub(crate) const PAST_OCCURRENCES: &str = "-- store.past_occurrences
select o.on_day, o.at, o.campaign_id, c.state
from occurrences o
left join lateral (select state from campaigns where id = o.campaign_id limit 1) c on true
where o.series_id = $1 and o.on_day < coalesce($2::date, 'infinity')
order by o.on_day desc
limit $3";
