//! Deliveries that are due. An endpoint is served by one planner at a time, so that what it is sent at once is bounded, and
//! so that one that does not answer holds up nobody else.

use chrono::{DateTime, Utc};
use tocsin_domain::webhook::{DeliveryState, DisabledReason, Fault, SecretName};
use tocsin_domain::{CampaignId, DistrictId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{Store, StoreError};

/// An endpoint that this planner serves now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    pub district: DistrictId,
    pub endpoint: Uuid,
    pub url: String,
    /// The one in force, and the one before while it still signs.
    pub secrets: Vec<SecretName>,
    pub failing_since: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    pub id: Uuid,
    /// Of which campaign it tells.
    pub campaign: Option<CampaignId>,
    pub body: String,
    pub due_at: DateTime<Utc>,
    /// How often it was tried before.
    pub attempts: i16,
}

/// What one attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub id: Uuid,
    /// Before this attempt.
    pub attempts: i16,
    /// When this attempt was due.
    pub due_at: DateTime<Utc>,
    pub state: DeliveryState,
    /// Of one that waits.
    pub next_at: Option<DateTime<Utc>>,
    pub status: Option<u16>,
    pub fault: Option<Fault>,
}

/// What serving an endpoint came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    pub records: Vec<Record>,
    /// It took something, so it does not fail.
    pub took_some: Option<DateTime<Utc>>,
    /// Until then nothing is sent there.
    pub hold_until: Option<DateTime<Utc>>,
    pub disable: Option<DisabledReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    Done,
    /// The endpoint was disabled by this.
    Disabled,
}

impl Store {
    /// Takes up to `endpoints_max` endpoints that have something due and that nobody serves, for `seconds` by the store's
    /// clock.
    pub async fn serve_webhooks(
        &self,
        planner: Uuid,
        endpoints_max: i64,
        seconds: f64,
        now: DateTime<Utc>,
    ) -> Result<Vec<Served>, StoreError> {
        let rows =
            self.rows("serve_webhooks", SERVE_WEBHOOKS, &[&planner, &endpoints_max, &seconds, &now]).await?;
        Ok(rows.iter().map(read_served).collect())
    }

    /// What is due at one endpoint, the longest due first.
    pub async fn due_deliveries(
        &self,
        served: &Served,
        deliveries_max: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let rows = self
            .rows(
                "due_deliveries",
                DUE_DELIVERIES,
                &[&served.district.0, &served.endpoint, &now, &deliveries_max],
            )
            .await?;
        let read = |found: &Row| DueDelivery {
            id: found.get("id"),
            campaign: found.get::<_, Option<Uuid>>("campaign_id").map(CampaignId),
            body: found.get("body"),
            due_at: found.get("next_at"),
            attempts: found.get("attempts"),
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Writes what became of them, and lets go of the endpoint. A delivery that somebody else recorded meanwhile (after a
    /// pause that outlived the turn), or that was then sent again by hand, stays as that left it.
    pub async fn record_deliveries(
        &self,
        planner: Uuid,
        served: &Served,
        turn: &Turn,
        now: DateTime<Utc>,
    ) -> Result<Recorded, StoreError> {
        let records = &turn.records;
        let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
        let attempts: Vec<i16> = records.iter().map(|record| record.attempts).collect();
        let due_at: Vec<DateTime<Utc>> = records.iter().map(|record| record.due_at).collect();
        let states: Vec<i16> = records.iter().map(|record| record.state.number()).collect();
        let next_at: Vec<Option<DateTime<Utc>>> = records.iter().map(|record| record.next_at).collect();
        let statuses: Vec<Option<i16>> = records
            .iter()
            .map(|record| record.status.and_then(|status| i16::try_from(status).ok()))
            .collect();
        let faults: Vec<Option<&str>> =
            records.iter().map(|record| record.fault.map(Fault::as_str)).collect();
        let failed = records.iter().any(|record| record.state != DeliveryState::Delivered);
        let took_some = turn.took_some.is_some();
        let reason = turn.disable.map(DisabledReason::as_str);
        let rows = self
            .rows(
                "record_deliveries",
                RECORD_DELIVERIES,
                &[
                    &served.district.0,
                    &served.endpoint,
                    &planner,
                    &ids,
                    &attempts,
                    &states,
                    &next_at,
                    &statuses,
                    &faults,
                    &now,
                    &took_some,
                    &failed,
                    &turn.hold_until,
                    &reason,
                    &due_at,
                ],
            )
            .await?;
        Ok(if rows.is_empty() { Recorded::Done } else { Recorded::Disabled })
    }
}

fn read_served(found: &Row) -> Served {
    let previous = found.get::<_, Option<String>>("previous_key").zip(found.get("previous_number"));
    let current = SecretName { key: found.get("secret_key"), number: found.get("secret_number") };
    let previous = previous.map(|(key, number)| SecretName { key, number });
    Served {
        district: DistrictId(found.get("district_id")),
        endpoint: found.get("id"),
        url: found.get("url"),
        secrets: [current].into_iter().chain(previous).collect(),
        failing_since: found.get("failing_since"),
    }
}

/// Whoever was served longest ago comes first, so that all have their turn.
const SERVE_WEBHOOKS: &str = "-- store.serve_webhooks
with due as materialized (
  select e.district_id, e.id from webhook_endpoints e
  where e.enabled and (e.held_until is null or e.held_until <= $4)
    and (e.served_by is null or e.served_until <= tocsin_now())
    and exists (
      select from webhook_deliveries d
      where d.district_id = e.district_id and d.endpoint_id = e.id and d.next_at <= $4 offset 0)
  order by e.served_until nulls first, e.district_id, e.id
  limit $2
  for no key update of e skip locked
)
update webhook_endpoints e set served_by = $1, served_until = tocsin_now() + make_interval(secs => $3)
from due
where e.district_id = due.district_id and e.id = due.id
returning e.district_id, e.id, e.url, e.secret_key, e.secret_number, e.failing_since,
  case when e.previous_secret_until > $4 then e.previous_secret_key end as previous_key,
  case when e.previous_secret_until > $4 then e.previous_secret_number end as previous_number";

const DUE_DELIVERIES: &str = "-- store.due_deliveries
select id, campaign_id, body, next_at, attempts from webhook_deliveries
where district_id = $1 and endpoint_id = $2 and next_at <= $3
order by next_at, id limit $4";

/// Delivery state 1 is waiting. The endpoint is let go of only by whoever has it. One that was changed by hand meanwhile
/// is disabled all the same: it is the endpoint at that address that said so.
const RECORD_DELIVERIES: &str = "-- store.record_deliveries
with told as materialized (
  select * from unnest($4::uuid[], $5::smallint[], $6::smallint[], $7::timestamptz[], $8::smallint[], $9::text[],
    $15::timestamptz[])
  u(id, attempts, state, next_at, status, fault, due_at)
), recorded as (
  update webhook_deliveries d set state = t.state, attempts = t.attempts + 1, next_at = t.next_at, tried_at = $10,
    status = t.status, fault = t.fault
  from told t
  where d.district_id = $1 and d.endpoint_id = $2 and d.id = t.id and d.state = 1 and d.attempts = t.attempts
    and d.next_at = t.due_at
), before as materialized (
  select enabled from webhook_endpoints where district_id = $1 and id = $2
), served as (
  update webhook_endpoints e set
    failing_since = case when $11 then null when $12 then coalesce(e.failing_since, $10) else e.failing_since end,
    held_until = coalesce($13, case when $11 then null else e.held_until end),
    enabled = e.enabled and $14::text is null,
    disabled_reason = case when e.enabled then $14 else e.disabled_reason end,
    served_by = case when e.served_by = $3 then null else e.served_by end,
    served_until = case when e.served_by = $3 then tocsin_now() else e.served_until end
  where e.district_id = $1 and e.id = $2
  returning e.id, e.disabled_reason
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $10, 'tocsin', 'webhook.disable', s.id::text, jsonb_build_object('reason', $14::text)
  from served s, before b where b.enabled and s.disabled_reason = $14
)
select s.id from served s, before b where b.enabled and s.disabled_reason = $14";
