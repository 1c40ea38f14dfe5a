//! Occurrences of series become campaigns (docs/adr/0035-series.md).
//!
//! An occurrence is known by its series and its local day. One transaction moves the series on to its next occurrence
//! by compare-and-set, makes the campaign under a key of that name, and records what became of the day: a planner that
//! dies in the midst leaves nothing of it, and of two planners one finds the series moved on.

use chrono::{DateTime, Utc};
use tocsin_domain::consent::ConsentClass;
use tocsin_domain::policy::MessagePolicy;
use tocsin_domain::recurrence::{Decided, Occurrence};
use tocsin_domain::{CampaignId, MessageType};
use uuid::{NoContext, Timestamp, Uuid};

use crate::tenant::campaigns::{CREATE_CAMPAIGN, CampaignRow, NewCampaign};
use crate::tenant::series::{Series, read_series};
use crate::{Store, StoreError, row};

/// A series whose next occurrence is due, with what its district decides by now.
#[derive(Debug, Clone)]
pub struct DueSeries {
    pub series: Series,
    policy: Option<MessagePolicy>,
    opt_in_needed: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurred {
    Made(CampaignId),
    Skipped,
    /// Another planner was faster, or the series was edited or canceled since it was read. Nothing was done.
    Moved,
}

impl Store {
    /// Active series whose next occurrence is due, the longest waiting first.
    pub async fn series_due(&self, now: DateTime<Utc>, max: i64) -> Result<Vec<DueSeries>, StoreError> {
        const NAME: &str = "series_due";
        let rows = self.rows(NAME, SERIES_DUE, &[&now, &max]).await?;
        rows.iter()
            .map(|found| {
                let redial: Option<serde_json::Value> = found.get("policy_redial");
                let window: Option<serde_json::Value> = found.get("policy_window");
                let policy = match redial {
                    None => None,
                    Some(redial) => Some(MessagePolicy {
                        redial: row::from_json(NAME, "a redial policy", redial)?,
                        calling_window: window
                            .map(|window| row::from_json(NAME, "a calling window", window))
                            .transpose()?,
                    }),
                };
                let opt_in_needed = found.get("opt_in_needed");
                Ok(DueSeries { series: read_series(NAME, found)?, policy, opt_in_needed })
            })
            .collect()
    }

    /// Does what was decided, all or nothing.
    pub async fn recur(
        &self,
        due: &DueSeries,
        decided: &Decided,
        now: DateTime<Utc>,
    ) -> Result<Recurred, StoreError> {
        const NAME: &str = "recur";
        let failed = || StoreError::statement(NAME);
        let series = &due.series;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let (next_on, next_at) = decided.next.map(|next| (next.on, next.at)).unzip();
        let seen = series.next.map(|next| next.on);
        let moved = transaction.prepare_cached(MOVE_SERIES).await.map_err(failed())?;
        let moved = transaction
            .execute(&moved, &[&series.id.0, &series.version, &seen, &next_on, &next_at])
            .await
            .map_err(failed())?;
        if moved == 0 {
            return Ok(Recurred::Moved);
        }
        let mut recurred = Recurred::Skipped;
        let mut occurrences: Vec<(Occurrence, Option<Uuid>)> =
            decided.skip.iter().map(|occurrence| (*occurrence, None)).collect();
        if let Some(occurrence) = decided.run {
            let new = due.campaign(occurrence, now);
            let row = CampaignRow::of(series.district, &new)?;
            let create = transaction.prepare_cached(CREATE_CAMPAIGN).await.map_err(failed())?;
            let made = transaction.query(&create, &row.parameters()).await.map_err(failed())?;
            // The key is taken only if the day was made before: then there is its record, too.
            if !made.is_empty() {
                let mark = transaction.prepare_cached(MARK_OCCURRENCE).await.map_err(failed())?;
                transaction.execute(&mark, &[&new.id.0, &series.id.0]).await.map_err(failed())?;
                occurrences.push((occurrence, Some(new.id.0)));
                recurred = Recurred::Made(new.id);
            }
        }
        let days: Vec<_> = occurrences.iter().map(|(occurrence, _)| occurrence.on).collect();
        let instants: Vec<_> = occurrences.iter().map(|(occurrence, _)| occurrence.at).collect();
        let campaigns: Vec<Option<Uuid>> = occurrences.iter().map(|(_, campaign)| *campaign).collect();
        let record = transaction.prepare_cached(RECORD_OCCURRENCES).await.map_err(failed())?;
        transaction
            .execute(&record, &[&series.id.0, &series.district.0, &now, &days, &instants, &campaigns])
            .await
            .map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(recurred)
    }
}

impl DueSeries {
    /// The campaign of an occurrence. Policy, window and consent are those of today where the series has none of its own:
    /// a holiday that was entered after it was made is kept.
    fn campaign(&self, occurrence: Occurrence, now: DateTime<Utc>) -> NewCampaign {
        let Series { id, content, created_by, .. } = &self.series;
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let moment = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
        let policy = self.policy.clone().unwrap_or_else(|| MessagePolicy::default_for(content.lane));
        let message_type = MessageType::named(&content.message_type);
        let consent = message_type.map(|it| it.consent_class_where(&self.opt_in_needed));
        let expires_in = chrono::TimeDelta::from_std(content.expires_in).unwrap_or_default();
        NewCampaign {
            id: CampaignId(Uuid::new_v7(moment)),
            client_key: format!("series {id} {}", occurrence.on),
            request_hash: Vec::new(),
            lane: content.lane,
            mode: content.mode,
            consent_class: consent.unwrap_or(ConsentClass::SchoolMission).number(),
            message_type: content.message_type.clone(),
            subject: content.subject.clone(),
            channels: content.channels.clone(),
            audience: content.audience.clone(),
            test: false,
            redial: content.redial.clone().unwrap_or(policy.redial),
            calling_window: content.calling_window.clone().or(policy.calling_window),
            limits: content.limits.clone(),
            contents: content.contents.clone(),
            created_by: created_by.clone(),
            created_at: now,
            scheduled_at: occurrence.at,
            expires_at: occurrence.at + expires_in,
        }
    }
}

const SERIES_DUE: &str = "-- store.series_due
select s.*, p.redial as policy_redial, p.calling_window as policy_window, d.opt_in_needed
from (select * from series where next_at is not null and next_at <= $1 order by next_at, id limit $2) s
join districts d on d.id = s.district_id
left join policies p on p.district_id = s.district_id and p.message_type = s.message_type
order by s.next_at, s.id";

/// Series states 1 active, 2 ended.
const MOVE_SERIES: &str = "-- store.recur (move)
update series set next_on = $4, next_at = $5, state = case when $5::timestamptz is null then 2 else 1 end
where id = $1 and state = 1 and version = $2 and next_on is not distinct from $3";

/// It is the message of whoever made the series. One whose time lies before a restore may have been sent before that, and
/// waits for a decision.
const MARK_OCCURRENCE: &str = "-- store.recur (mark)
update campaigns set series_id = $2, creator_id = (select creator_id from series where id = $2),
  undecided_since = (select recovered_at from installation where recovered_at >= scheduled_at)
where id = $1";

/// A day that was skipped may be made after an edit put it later; one that was made stays so.
const RECORD_OCCURRENCES: &str = "-- store.recur (record)
insert into occurrences (series_id, district_id, recorded_at, on_day, at, campaign_id)
select $1, $2, $3, u.on_day, u.at, u.campaign_id
from unnest($4::date[], $5::timestamptz[], $6::uuid[]) u(on_day, at, campaign_id)
on conflict (series_id, on_day) do update set recorded_at = excluded.recorded_at, at = excluded.at,
  campaign_id = excluded.campaign_id
where occurrences.campaign_id is null";
