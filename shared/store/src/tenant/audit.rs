//! What was done in a district, by whom and when.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Tenant;
use super::keys::END_OF_TIME;
use crate::StoreError;

#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    /// The user or API key; None: an operator, the engine, or the release before users.
    pub actor_id: Option<Uuid>,
    pub action: String,
    pub subject: String,
    pub details: serde_json::Value,
}

/// Which rows, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub from: Option<DateTime<Utc>>,
    /// Not itself.
    pub to: Option<DateTime<Utc>>,
    /// Only rows before this one.
    pub before: Option<(DateTime<Utc>, i64)>,
    pub rows_max: u32,
}

impl Tenant {
    pub async fn audit_log(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        // Of two ends the earlier counts. No row has an id below 0: `to` itself is left out.
        let end = query.to.map_or((END_OF_TIME, i64::MAX), |to| (to, -1));
        let (before, id) = query.before.map_or(end, |before| before.min(end));
        let from = query.from.unwrap_or(DateTime::UNIX_EPOCH);
        let (district, rows_max) = (self.district.0, i64::from(query.rows_max));
        let rows = match (&query.actor, &query.action) {
            (None, None) => {
                self.rows("audit_log", AUDIT_LOG, &[&district, &from, &before, &id, &rows_max]).await?
            }
            (None, Some(action)) => {
                let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                    [&district, &from, &before, &id, &rows_max, action];
                self.rows("audit_of_action", AUDIT_OF_ACTION, &parameters).await?
            }
            (Some(actor), action) => {
                let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                    [&district, &from, &before, &id, &rows_max, actor, action];
                self.rows("audit_of_actor", AUDIT_OF_ACTOR, &parameters).await?
            }
        };
        Ok(rows.iter().map(read).collect())
    }
}

fn read(found: &tokio_postgres::Row) -> AuditRow {
    AuditRow {
        id: found.get("id"),
        at: found.get("at"),
        actor: found.get("actor"),
        actor_id: found.get("actor_id"),
        action: found.get("action"),
        subject: found.get("subject"),
        details: found.get("details"),
    }
}

pub(crate) const AUDIT_LOG: &str = "-- store.audit_log
select * from audit where district_id = $1 and at >= $2 and (at, id) < ($3, $4)
order by at desc, id desc limit $5";

pub(crate) const AUDIT_OF_ACTION: &str = "-- store.audit_of_action
select * from audit where district_id = $1 and action = $6 and at >= $2 and (at, id) < ($3, $4)
order by at desc, id desc limit $5";

pub(crate) const AUDIT_OF_ACTOR: &str = "-- store.audit_of_actor
select * from audit where district_id = $1 and actor = $6 and at >= $2 and (at, id) < ($3, $4)
  and ($7::text is null or action = $7)
order by at desc, id desc limit $5";
