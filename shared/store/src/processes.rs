//! Which roles run: each process tells every few seconds that it does.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Store, StoreError};

/// How often a process tells that it runs.
pub const PRESENCE_PERIOD: Duration = Duration::from_secs(5);
/// A process that was not heard of for so long does not run: it was killed, or cannot reach the database.
pub const PRESENCE_TERM: Duration = Duration::from_secs(15);

/// A process, as it tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    pub id: Uuid,
    /// `api`, `planner`, `worker sms email`, `status-collector` or `up`.
    pub role: String,
    pub version: String,
    pub host: String,
}

/// A process, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub is: Presence,
    pub started_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
    /// Was it heard of within [`PRESENCE_TERM`]?
    pub alive: bool,
}

/// Who may be sending, planning or serving.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alive {
    pub processes: i64,
    /// Shares of accounts that workers hold, and duties that planners hold: processes of an earlier release tell no more.
    pub leases: i64,
    pub duties: i64,
}

impl Alive {
    pub fn is_anybody(&self) -> bool {
        self.processes + self.leases + self.duties > 0
    }
}

impl Store {
    pub async fn tell_presence(&self, presence: &Presence) -> Result<(), StoreError> {
        let Presence { id, role, version, host } = presence;
        self.rows(
            "tell_presence",
            "-- store.tell_presence
             select process_seen($1, $2, $3, $4)",
            &[id, role, version, host],
        )
        .await
        .map(drop)
    }

    /// The process leaves.
    pub async fn end_presence(&self, id: Uuid) -> Result<(), StoreError> {
        self.rows(
            "end_presence",
            "-- store.end_presence
             select process_left($1)",
            &[&id],
        )
        .await
        .map(drop)
    }

    /// Those heard of within a day, by role.
    pub async fn processes(&self) -> Result<Vec<Process>, StoreError> {
        let term = PRESENCE_TERM.as_secs_f64();
        let rows = self.rows("processes", PROCESSES, &[&term]).await?;
        Ok(rows
            .iter()
            .map(|found| Process {
                is: Presence {
                    id: found.get("id"),
                    role: found.get("role"),
                    version: found.get("version"),
                    host: found.get("host"),
                },
                started_at: found.get("started_at"),
                seen_at: found.get("seen_at"),
                alive: found.get("alive"),
            })
            .collect())
    }

    pub async fn alive(&self) -> Result<Alive, StoreError> {
        let rows = self.rows("alive", ALIVE, &[&PRESENCE_TERM.as_secs_f64()]).await?;
        Ok(rows.first().map_or_else(Alive::default, |found| Alive {
            processes: found.get("processes"),
            leases: found.get("leases"),
            duties: found.get("duties"),
        }))
    }
}

const PROCESSES: &str = "-- store.processes
select id, role, version, host, started_at, seen_at, seen_at > tocsin_now() - $1 * interval '1 second' as alive
from processes order by role, started_at, id";

const ALIVE: &str = "-- store.alive
select (select count(*) from processes where seen_at > tocsin_now() - $1 * interval '1 second') as processes,
  (select count(*) from leases where expires_at > tocsin_now()) as leases,
  (select count(*) from planner_leases where expires_at > tocsin_now()) as duties";
