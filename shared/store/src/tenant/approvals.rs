//! Emergencies to the whole district that a second person is asked for (docs/adr/0040-second-person-and-tests.md).

mod deciding;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tocsin_domain::CampaignId;
use tocsin_domain::rights::Right;
use tocsin_domain::second_person::{ApprovalState, Decision};
use uuid::Uuid;

pub use self::deciding::{Approve, Approved};
use super::Tenant;
use crate::StoreError;

/// A validated request, to be kept until somebody else decides.
#[derive(Debug, Clone)]
pub struct NewApproval {
    pub id: Uuid,
    /// Of the campaign that it becomes.
    pub client_key: String,
    pub request_hash: Vec<u8>,
    pub request: Value,
    pub subject: String,
    pub asked_by: String,
    pub asked_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// What endpoints are told.
    pub event: NewsOfApproval,
    /// Where browsers find its page, if that is known.
    pub page_url: Option<String>,
    /// The names of built-in roles whose users may approve. A district's own roles say so themselves.
    pub approving_roles: Vec<&'static str>,
}

/// The event that it waits, for each endpoint that asks for it.
#[derive(Debug, Clone)]
pub struct NewsOfApproval {
    /// UUIDv7.
    pub id: Uuid,
    pub event: &'static str,
    pub body: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub id: Uuid,
    pub client_key: String,
    pub request_hash: Vec<u8>,
    pub request: Value,
    pub subject: String,
    pub asked_by: String,
    /// The user or API key that asked; None: nobody signed in.
    pub asker: Option<Uuid>,
    pub asked_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub decision: Option<Decision>,
    pub decided_at: Option<DateTime<Utc>>,
    pub decided_by: Option<String>,
    pub reason: Option<String>,
    /// What it became.
    pub campaign: Option<CampaignId>,
}

/// How many wait for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Which whoever looks may decide.
    pub others: i64,
    /// Which they asked for.
    pub own: i64,
}

impl Waiting {
    pub fn all(self) -> i64 {
        self.others + self.own
    }
}

/// How many were told by email, and of how many others what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    pub sent: i64,
    /// Their mails are on their way, or wait for an account.
    pub waiting: i64,
    /// Nobody knows, or their mails were refused.
    pub failed: i64,
}

/// Of one approval: more have the right in no district that uses it well.
const MAILS_MAX: i64 = 200;

/// Which to list, newest first.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApprovalQuery {
    pub state: Option<ApprovalState>,
    pub before: Option<Uuid>,
    pub rows_max: u32,
}

impl Approval {
    pub fn state(&self, now: DateTime<Utc>) -> ApprovalState {
        ApprovalState::of(self.decision, self.expires_at, now)
    }
}

impl Tenant {
    /// Keeps what is asked for. With a key that was used before it returns what that asked for, or
    /// [`StoreError::KeyReused`] if it was something else, or a campaign.
    pub async fn ask_approval(&self, new: &NewApproval) -> Result<Approval, StoreError> {
        let rows = self
            .rows(
                "ask_approval",
                ASK_APPROVAL,
                &[
                    &self.district.0,
                    &new.id,
                    &new.client_key,
                    &new.request_hash,
                    &new.request,
                    &new.subject,
                    &new.asked_by,
                    &new.asked_at,
                    &new.expires_at,
                    &new.event.id,
                    &new.event.event,
                    &new.event.body,
                    &new.page_url,
                    &new.approving_roles,
                    &Right::SendEmergency.as_str(),
                    &MAILS_MAX,
                ],
            )
            .await?;
        if let Some(made) = rows.first() {
            return read("ask_approval", made);
        }
        match self.approval_by_key(&new.client_key, &new.request_hash).await? {
            Some(known) => Ok(known),
            None => Err(StoreError::KeyReused { key: new.client_key.clone() }),
        }
    }

    /// What `client_key` asked for, or None. [`StoreError::KeyReused`] if it was something else.
    pub async fn approval_by_key(
        &self,
        client_key: &str,
        request_hash: &[u8],
    ) -> Result<Option<Approval>, StoreError> {
        const NAME: &str = "approval_by_key";
        let sql = "-- store.approval_by_key
                   select * from approvals where district_id = $1 and client_key = $2";
        let rows = self.rows(NAME, sql, &[&self.district.0, &client_key]).await?;
        let Some(known) = rows.first() else { return Ok(None) };
        let known = read(NAME, known)?;
        if known.request_hash != request_hash {
            return Err(StoreError::KeyReused { key: client_key.to_owned() });
        }
        Ok(Some(known))
    }

    pub async fn approval(&self, id: Uuid) -> Result<Option<Approval>, StoreError> {
        const NAME: &str = "approval";
        let sql = "-- store.approval
                   select * from approvals where district_id = $1 and id = $2";
        let rows = self.rows(NAME, sql, &[&self.district.0, &id]).await?;
        rows.first().map(|found| read(NAME, found)).transpose()
    }

    pub async fn approvals(
        &self,
        query: &ApprovalQuery,
        now: DateTime<Utc>,
    ) -> Result<Vec<Approval>, StoreError> {
        const NAME: &str = "approvals";
        let state = query.state.map(ApprovalState::as_str);
        let most = i64::from(query.rows_max);
        let rows =
            self.rows(NAME, APPROVALS, &[&self.district.0, &query.before, &state, &now, &most]).await?;
        rows.iter().map(|found| read(NAME, found)).collect()
    }

    /// Asked with every page of those who may approve: a handful of rows by an index of those that wait.
    pub async fn approvals_waiting(&self, now: DateTime<Utc>) -> Result<Waiting, StoreError> {
        let sql = "-- store.approvals_waiting
                   select count(*) filter (where asker_id is distinct from $3::uuid) as others,
                     count(*) filter (where asker_id is not distinct from $3) as own
                   from approvals where district_id = $1 and decision is null and expires_at > $2";
        let rows = self.rows("approvals_waiting", sql, &[&self.district.0, &now, &self.me()]).await?;
        let read =
            |found: &tokio_postgres::Row| Waiting { others: found.get("others"), own: found.get("own") };
        Ok(rows.first().map(read).unwrap_or_default())
    }

    /// Who was told by email that it waits.
    pub async fn approval_told(&self, id: Uuid) -> Result<Told, StoreError> {
        let sql = "-- store.approval_told
                   select count(*) filter (where state = 3) as sent,
                     count(*) filter (where state = 1 or state = 2) as waiting,
                     count(*) filter (where state > 3) as failed
                   from approval_mails where district_id = $1 and approval_id = $2";
        let rows = self.rows("approval_told", sql, &[&self.district.0, &id]).await?;
        let read = |found: &tokio_postgres::Row| Told {
            sent: found.get("sent"),
            waiting: found.get("waiting"),
            failed: found.get("failed"),
        };
        Ok(rows.first().map(read).unwrap_or_default())
    }

    /// Does no active school of the district stand outside this list?
    pub async fn are_all_schools(&self, source_ids: &[String]) -> Result<bool, StoreError> {
        let sql = "-- store.are_all_schools
                   select not exists (
                     select from schools where district_id = $1 and active and source_id <> all($2::text[])) as are_all";
        let rows = self.rows("are_all_schools", sql, &[&self.district.0, &source_ids]).await?;
        Ok(rows.first().is_some_and(|found| found.get("are_all")))
    }
}

fn read(name: &'static str, found: &tokio_postgres::Row) -> Result<Approval, StoreError> {
    let decision: Option<i16> = found.get("decision");
    let known = |number: i16| {
        Decision::from_number(number).ok_or_else(|| StoreError::Unreadable {
            statement: name,
            what: "a decision",
            value: number.to_string(),
        })
    };
    Ok(Approval {
        id: found.get("id"),
        client_key: found.get("client_key"),
        request_hash: found.get("request_hash"),
        request: found.get("request"),
        subject: found.get("subject"),
        asked_by: found.get("asked_by"),
        asker: found.get("asker_id"),
        asked_at: found.get("asked_at"),
        expires_at: found.get("expires_at"),
        decision: decision.map(known).transpose()?,
        decided_at: found.get("decided_at"),
        decided_by: found.get("decided_by"),
        reason: found.get("reason"),
        campaign: found.get::<_, Option<Uuid>>("campaign_id").map(CampaignId),
    })
}

/// A key that made a campaign makes no approval. Endpoints are told in the same breath, and so are those who may approve: a
/// planner that looked for it would come later, and half an hour is short.
const ASK_APPROVAL: &str = "-- store.ask_approval
with made as (
  insert into approvals (district_id, id, client_key, request_hash, request, subject, asked_by, asked_at, expires_at,
    page_url)
  select $1, $2, $3, $4, $5, $6, $7, $8, $9, $13
  where not exists (select from campaigns where district_id = $1 and client_key = $3)
  on conflict (district_id, client_key) do nothing
  returning *
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $8, $7, 'approval.ask', id::text, jsonb_build_object('subject', subject, 'expires_at', expires_at) from made
), told as (
  insert into webhook_deliveries (district_id, endpoint_id, id, event_type, body, created_at, next_at)
  select e.district_id, e.id, $10, $11, $12, $8, $8
  from made, webhook_endpoints e
  where e.district_id = $1 and e.enabled and $11 = any(e.events)
), mailed as (
  insert into approval_mails (district_id, approval_id, user_id, ordinal, due_at, useless_at)
  select $1, made.id, u.id, row_number() over (order by u.login), $8, $9
  from made, users u
  where u.district_id = $1 and u.active and u.id is distinct from made.asker_id and (u.roles && $14::text[]
    or exists (select from roles r where r.district_id = $1 and r.name = any(u.roles) and $15::text = any(r.rights)))
  order by u.login limit $16::bigint
)
select * from made";

/// Decisions 1 approved, 2 declined.
pub(crate) const APPROVALS: &str = "-- store.approvals
select * from approvals
where district_id = $1 and id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and ($3::text is null or $3 = case when decision = 1 then 'approved' when decision = 2 then 'declined'
    when expires_at > $4::timestamptz then 'waiting' else 'expired' end)
order by id desc
limit $5";
