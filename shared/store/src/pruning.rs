//! Rows that were kept for a while, removed when it is over. The audit keeps its lines of them.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

/// Rows of one kind that one call removes.
const PRUNED_MAX: i64 = 1_000;

/// What is older goes.
#[derive(Debug, Clone, Copy)]
pub struct Older {
    /// Approvals whose time was over by then, whatever became of them.
    pub approvals: DateTime<Utc>,
    /// Deliveries of rosters that came by then and were never applied: they hold everybody's names, and are given up.
    pub waiting_imports: DateTime<Utc>,
    /// Those of which nothing more becomes, with the faults of their rows.
    pub imports: DateTime<Utc>,
    /// What deliveries of rosters had changed of contacts and enrolments by then.
    pub roster_changes: DateTime<Utc>,
    /// Sessions that had ended by then.
    pub sessions: DateTime<Utc>,
    /// Browsers that were sent to an issuer and should have been back, and tries to sign in that count no more.
    pub sign_ins: DateTime<Utc>,
}

impl Store {
    /// A part at a time; returns how many rows it removed or emptied.
    pub async fn prune(&self, older: &Older) -> Result<u64, StoreError> {
        let mut removed = 0;
        for (name, sql, before) in [
            ("prune_approvals", PRUNE_APPROVALS, older.approvals),
            ("give_up_imports", GIVE_UP_IMPORTS, older.waiting_imports),
            ("prune_imports", PRUNE_IMPORTS, older.imports),
            ("prune_roster_changes", PRUNE_ROSTER_CHANGES, older.roster_changes),
            ("prune_sessions", PRUNE_SESSIONS, older.sessions),
            ("prune_sign_ins", PRUNE_SIGN_INS, older.sign_ins),
            ("prune_guesses", PRUNE_GUESSES, older.sign_ins),
        ] {
            removed += self.count(name, sql, &[&before, &PRUNED_MAX]).await?;
        }
        Ok(removed)
    }
}

/// One is decided before its time is over, so that this is later than whatever became of it.
const PRUNE_APPROVALS: &str = "-- store.prune_approvals
delete from approvals where ctid = any(array(
  select ctid from approvals where expires_at < $1 order by expires_at limit $2 for update skip locked))";

/// States 1 and 2 wait, 6 is given up. One that is being applied is left to whoever applies it.
const GIVE_UP_IMPORTS: &str = "-- store.give_up_imports
update imports set state = 6, delivery = null, problems = null, reason = 'nobody applied it in time'
where ctid = any(array(
  select ctid from imports where created_at < $1 and state in (1, 2) order by created_at limit $2 for update skip locked))";

/// States 4, 5 and 6 are ends.
const PRUNE_IMPORTS: &str = "-- store.prune_imports
delete from imports where ctid = any(array(
  select ctid from imports where created_at < $1 and state in (4, 5, 6) order by created_at limit $2 for update skip locked))";

const PRUNE_ROSTER_CHANGES: &str = "-- store.prune_roster_changes
delete from roster_changes where ctid = any(array(
  select ctid from roster_changes where at < $1 order by at limit $2 for update skip locked))";

const PRUNE_SESSIONS: &str = "-- store.prune_sessions
delete from sessions where ctid = any(array(
  select ctid from sessions where ends_at < $1 order by ends_at limit $2 for update skip locked))";

const PRUNE_SIGN_INS: &str = "-- store.prune_sign_ins
delete from sign_ins_begun where ctid = any(array(
  select ctid from sign_ins_begun where ends_at < $1 order by ends_at limit $2 for update skip locked))";

const PRUNE_GUESSES: &str = "-- store.prune_guesses
delete from guesses where ctid = any(array(
  select ctid from guesses where until < $1 order by until limit $2 for update skip locked))";

#[cfg(test)]
mod tests {
    use crate::tenant::imports::ImportState;

    #[test]
    fn the_states_written_into_the_statements_are_those_of_imports() {
        let numbers = [
            ImportState::Reading,
            ImportState::Compared,
            ImportState::Applied,
            ImportState::Refused,
            ImportState::GivenUp,
        ]
        .map(ImportState::number);
        assert_eq!(numbers, [1, 2, 4, 5, 6]);
    }
}
