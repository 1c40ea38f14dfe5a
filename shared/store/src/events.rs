//! Every report ever received, as it came.

use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptKey, Outcome};
use uuid::Uuid;

use crate::{Store, StoreError};

/// One report inside one callback.
#[derive(Debug, Clone)]
pub struct Event {
    /// The callback's id, given at ingress: a redelivery writes nothing twice.
    pub id: Uuid,
    /// Which report of the callback.
    pub ordinal: i16,
    /// None: matches no attempt; kept, and matched later.
    pub attempt: Option<AttemptKey>,
    pub received_at: DateTime<Utc>,
    pub reported_at: Option<DateTime<Utc>>,
    pub outcome: Option<Outcome>,
    pub account: String,
    pub provider_id: Option<String>,
    pub provider_code: Option<String>,
    /// The callback's body. With the first report only.
    pub raw: Option<Vec<u8>>,
}

impl Store {
    pub async fn record_events(&self, events: &[Event]) -> Result<u64, StoreError> {
        let campaigns: Vec<Option<Uuid>> =
            events.iter().map(|event| event.attempt.map(|key| key.job.campaign.0)).collect();
        let jobs: Vec<Option<i32>> =
            events.iter().map(|event| event.attempt.map(|key| key.job.job)).collect();
        let numbers: Vec<Option<i16>> =
            events.iter().map(|event| event.attempt.map(|key| key.number)).collect();
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let ordinals: Vec<i16> = events.iter().map(|event| event.ordinal).collect();
        let received: Vec<DateTime<Utc>> = events.iter().map(|event| event.received_at).collect();
        let reported: Vec<Option<DateTime<Utc>>> = events.iter().map(|event| event.reported_at).collect();
        let outcomes: Vec<Option<i16>> =
            events.iter().map(|event| event.outcome.map(|outcome| outcome.number())).collect();
        let accounts: Vec<&str> = events.iter().map(|event| event.account.as_str()).collect();
        let provider_ids: Vec<Option<&str>> =
            events.iter().map(|event| event.provider_id.as_deref()).collect();
        let codes: Vec<Option<&str>> = events.iter().map(|event| event.provider_code.as_deref()).collect();
        let raw: Vec<Option<&[u8]>> = events.iter().map(|event| event.raw.as_deref()).collect();
        self.count(
            "record_events",
            RECORD_EVENTS,
            &[
                &campaigns,
                &jobs,
                &numbers,
                &ids,
                &ordinals,
                &received,
                &reported,
                &outcomes,
                &accounts,
                &provider_ids,
                &codes,
                &raw,
            ],
        )
        .await
    }
}

pub(crate) const RECORD_EVENTS: &str = "-- store.record_events
insert into events (campaign_id, district_id, job_id, number, id, ordinal, received_at, reported_at, outcome,
  account, provider_id, provider_code, raw)
select u.campaign_id, c.district_id, u.job_id, u.number, u.id, u.ordinal, u.received_at, u.reported_at,
  u.outcome, u.account, u.provider_id, u.provider_code, u.raw
from unnest($1::uuid[], $2::int[], $3::smallint[], $4::uuid[], $5::smallint[], $6::timestamptz[],
    $7::timestamptz[], $8::smallint[], $9::text[], $10::text[], $11::text[], $12::bytea[])
  u(campaign_id, job_id, number, id, ordinal, received_at, reported_at, outcome, account, provider_id,
    provider_code, raw)
left join lateral (select district_id from campaigns where id = u.campaign_id limit 1) c on true
order by u.campaign_id, u.id, u.ordinal
on conflict (campaign_id, id, ordinal) do nothing";
