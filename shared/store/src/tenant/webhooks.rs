//! A district's webhook endpoints, and what became of what was sent there.

mod deliveries;

use chrono::{DateTime, Utc};
use tocsin_domain::webhook::{DisabledReason, ENDPOINTS_MAX, SecretName};
use tokio_postgres::Row;
use uuid::Uuid;

pub use self::deliveries::{Delivery, NewDelivery};
use super::Tenant;
use crate::StoreError;

pub(crate) use self::deliveries::DELIVERIES;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: Uuid,
    pub url: String,
    pub description: String,
    /// Names of events.
    pub events: Vec<String>,
    /// None: it is enabled.
    pub disabled: Option<DisabledReason>,
    pub secret: SecretName,
    /// So long the secret before signs, too.
    pub previous_secret_until: Option<DateTime<Utc>>,
    pub failing_since: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub changed_at: DateTime<Utc>,
    pub changed_by: String,
}

#[derive(Debug, Clone)]
pub struct NewEndpoint<'a> {
    pub id: Uuid,
    pub url: &'a str,
    pub description: &'a str,
    pub events: &'a [String],
    pub disabled: Option<DisabledReason>,
    /// The key that its secrets are made with.
    pub secret_key: &'a str,
}

/// What is to be changed; None stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointChange {
    pub url: Option<String>,
    pub description: Option<String>,
    pub events: Option<Vec<String>>,
    pub enabled: Option<Enabled>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enabled {
    Yes,
    No,
}

impl Tenant {
    /// All of them, the oldest first: there are few.
    pub async fn webhooks(&self) -> Result<Vec<Endpoint>, StoreError> {
        let sql = "-- store.webhooks
                   select * from webhook_endpoints where district_id = $1 order by created_at, id";
        self.rows("webhooks", sql, &[&self.district.0]).await?.iter().map(read).collect()
    }

    pub async fn webhook(&self, id: Uuid) -> Result<Option<Endpoint>, StoreError> {
        let sql = "-- store.webhook
                   select * from webhook_endpoints where district_id = $1 and id = $2";
        self.rows("webhook", sql, &[&self.district.0, &id]).await?.first().map(read).transpose()
    }

    /// False: the district has as many as it may.
    pub async fn add_webhook(&self, new: &NewEndpoint<'_>, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let reason = new.disabled.map(DisabledReason::as_str);
        let (most, actor) = (ENDPOINTS_MAX as i64, self.acts_as());
        let rows = self
            .rows(
                "add_webhook",
                ADD_WEBHOOK,
                &[
                    &self.district.0,
                    &new.id,
                    &new.url,
                    &new.description,
                    &new.events,
                    &reason,
                    &new.secret_key,
                    &now,
                    &actor,
                    &most,
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// False: there is no such endpoint. One that is enabled again begins anew: what it failed before is forgotten, and
    /// what waits goes on at once.
    pub async fn change_webhook(
        &self,
        id: Uuid,
        change: &EndpointChange,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let enabled = change.enabled.map(|enabled| enabled == Enabled::Yes);
        let rows = self
            .rows(
                "change_webhook",
                CHANGE_WEBHOOK,
                &[
                    &self.district.0,
                    &id,
                    &change.url,
                    &change.description,
                    &change.events,
                    &enabled,
                    &now,
                    &self.acts_as(),
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// From its commit on messages are signed with the next secret, and until `overlap_until` with the present one, too.
    pub async fn rotate_webhook(
        &self,
        id: Uuid,
        secret_key: &str,
        overlap_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "rotate_webhook",
                ROTATE_WEBHOOK,
                &[&self.district.0, &id, &secret_key, &overlap_until, &now, &self.acts_as()],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// With it goes what waits, and the list of what was sent. False: there is no such endpoint.
    pub async fn remove_webhook(&self, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let rows = self
            .rows("remove_webhook", REMOVE_WEBHOOK, &[&self.district.0, &id, &now, &self.acts_as()])
            .await?;
        Ok(!rows.is_empty())
    }
}

fn read(found: &Row) -> Result<Endpoint, StoreError> {
    let reason: Option<String> = found.get("disabled_reason");
    let disabled = reason.map(|name| {
        DisabledReason::named(&name).ok_or(StoreError::Unreadable {
            statement: "webhook",
            what: "why a webhook is disabled",
            value: name,
        })
    });
    Ok(Endpoint {
        id: found.get("id"),
        url: found.get("url"),
        description: found.get("description"),
        events: found.get("events"),
        disabled: disabled.transpose()?,
        secret: SecretName { key: found.get("secret_key"), number: found.get("secret_number") },
        previous_secret_until: found.get("previous_secret_until"),
        failing_since: found.get("failing_since"),
        created_at: found.get("created_at"),
        created_by: found.get("created_by"),
        changed_at: found.get("changed_at"),
        changed_by: found.get("changed_by"),
    })
}

/// Two at once may each see one place left: one endpoint more than most harms nothing.
const ADD_WEBHOOK: &str = "-- store.add_webhook
with made as (
  insert into webhook_endpoints (district_id, id, url, description, events, enabled, disabled_reason, enabled_at,
    secret_key, created_at, created_by, changed_at, changed_by)
  select $1::uuid, $2::uuid, $3::text, $4::text, $5::text[], $6::text is null, $6::text, $8::timestamptz, $7::text,
    $8::timestamptz, $9::text, $8::timestamptz, $9::text
  where (select count(*) from webhook_endpoints where district_id = $1) < $10
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $8, $9, 'webhook.add', id::text, jsonb_build_object('url', $3::text, 'events', $5::text[]) from made
)
select id from made";

/// `$6`: null leaves it enabled or disabled as it is.
const CHANGE_WEBHOOK: &str = "-- store.change_webhook
with changed as (
  update webhook_endpoints set url = coalesce($3, url), description = coalesce($4, description),
    events = coalesce($5::text[], events),
    enabled_at = case when $6 and not enabled then $7 else enabled_at end,
    failing_since = case when $6 and not enabled then null else failing_since end,
    held_until = case when ($6 and not enabled) or $3 <> url then null else held_until end,
    disabled_reason = case when $6 then null when not $6 then coalesce(disabled_reason, 'by_hand') else disabled_reason end,
    enabled = coalesce($6, enabled), changed_at = $7, changed_by = $8
  where district_id = $1 and id = $2
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $7, $8, 'webhook.change', id::text, jsonb_strip_nulls(jsonb_build_object('url', $3::text,
    'description', $4::text, 'events', $5::text[], 'enabled', $6::boolean))
  from changed
)
select id from changed";

const ROTATE_WEBHOOK: &str = "-- store.rotate_webhook
with rotated as (
  update webhook_endpoints set previous_secret_key = secret_key, previous_secret_number = secret_number,
    previous_secret_until = $4, secret_key = $3, secret_number = secret_number + 1, changed_at = $5, changed_by = $6
  where district_id = $1 and id = $2
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $5, $6, 'webhook.rotate', id::text, jsonb_build_object('previous_until', $4::timestamptz) from rotated
)
select id from rotated";

const REMOVE_WEBHOOK: &str = "-- store.remove_webhook
with removed as (
  delete from webhook_endpoints where district_id = $1 and id = $2 returning id, url
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $3, $4, 'webhook.remove', id::text, jsonb_build_object('url', url) from removed
)
select id from removed";
