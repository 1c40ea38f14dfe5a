//! Every report ever received, as it came.

use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptKey, Outcome};
use uuid::Uuid;

use crate::{Store, StoreError};

/// Which attempt a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Attempt(AttemptKey),
    /// The attempt that its token names does not exist. Kept without one, and with the token's, so that it can
    /// be matched later.
    Missing(AttemptKey),
    /// It names none.
    Nothing,
}

impl About {
    pub fn attempt(self) -> Option<AttemptKey> {
        match self {
            Self::Attempt(attempt) => Some(attempt),
            Self::Missing(_) | Self::Nothing => None,
        }
    }

    fn missing(self) -> Option<AttemptKey> {
        match self {
            Self::Missing(attempt) => Some(attempt),
            Self::Attempt(_) | Self::Nothing => None,
        }
    }
}

/// One report inside one callback.
#[derive(Debug, Clone)]
pub struct Event {
    /// The callback's id, given at ingress: a redelivery writes nothing twice.
    pub id: Uuid,
    /// Which report of the callback.
    pub ordinal: i16,
    pub about: About,
    pub received_at: DateTime<Utc>,
    pub reported_at: Option<DateTime<Utc>>,
    pub outcome: Option<Outcome>,
    /// The provider's own order of one attempt's reports.
    pub sequence: Option<i64>,
    pub account: String,
    pub provider_id: Option<String>,
    pub provider_code: Option<String>,
    /// The callback's body. With the first report only.
    pub raw: Option<Vec<u8>>,
}

impl Store {
    pub async fn record_events(&self, events: &[Event]) -> Result<u64, StoreError> {
        let (campaigns, jobs, numbers) = columns(events.iter().map(|event| event.about.attempt()));
        let (token_campaigns, token_jobs, token_numbers) =
            columns(events.iter().map(|event| event.about.missing()));
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let ordinals: Vec<i16> = events.iter().map(|event| event.ordinal).collect();
        let received: Vec<DateTime<Utc>> = events.iter().map(|event| event.received_at).collect();
        let reported: Vec<Option<DateTime<Utc>>> = events.iter().map(|event| event.reported_at).collect();
        let outcomes: Vec<Option<i16>> =
            events.iter().map(|event| event.outcome.map(|outcome| outcome.number())).collect();
        let sequences: Vec<Option<i64>> = events.iter().map(|event| event.sequence).collect();
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
                &token_campaigns,
                &token_jobs,
                &token_numbers,
                &sequences,
            ],
        )
        .await
    }
}

type Keys = (Vec<Option<Uuid>>, Vec<Option<i32>>, Vec<Option<i16>>);

fn columns(keys: impl Iterator<Item = Option<AttemptKey>>) -> Keys {
    let mut columns = Keys::default();
    for key in keys {
        columns.0.push(key.map(|key| key.job.campaign.0));
        columns.1.push(key.map(|key| key.job.job));
        columns.2.push(key.map(|key| key.number));
    }
    columns
}

pub(crate) const RECORD_EVENTS: &str = "-- store.record_events
insert into events (campaign_id, district_id, job_id, number, id, ordinal, received_at, reported_at, outcome,
  account, provider_id, provider_code, raw, token_campaign_id, token_job_id, token_number, sequence)
select u.campaign_id, c.district_id, u.job_id, u.number, u.id, u.ordinal, u.received_at, u.reported_at,
  u.outcome, u.account, u.provider_id, u.provider_code, u.raw, u.token_campaign_id, u.token_job_id,
  u.token_number, u.sequence
from unnest($1::uuid[], $2::int[], $3::smallint[], $4::uuid[], $5::smallint[], $6::timestamptz[],
    $7::timestamptz[], $8::smallint[], $9::text[], $10::text[], $11::text[], $12::bytea[],
    $13::uuid[], $14::int[], $15::smallint[], $16::bigint[])
  u(campaign_id, job_id, number, id, ordinal, received_at, reported_at, outcome, account, provider_id,
    provider_code, raw, token_campaign_id, token_job_id, token_number, sequence)
left join lateral (select district_id from campaigns where id = u.campaign_id limit 1) c on true
order by u.campaign_id, u.job_id, u.id, u.ordinal
on conflict (campaign_id, job_id, id, ordinal) do nothing";
