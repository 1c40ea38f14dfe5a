//! How an account does: what its workers' answers come to, and what that leaves of it (docs/adr/0025-failover.md).

use chrono::{DateTime, Utc};
use tocsin_domain::failover::{Answers, Health, Standing};
use tokio_postgres::Row;

use super::NAME;
use super::transaction::{HEALTH_CHANGED, Locked};
use crate::StoreError;

/// How an account does, for a worker that sends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedHealth {
    pub health: Health,
    /// Names this health: answers to requests that began before are not told of.
    pub epoch: i32,
    /// Nothing is to be sent with it: another account of its channel does its work.
    pub rests: bool,
}

impl LeasedHealth {
    /// Of an account that never failed.
    pub const SOUND: Self = Self { health: Health::Full, epoch: 0, rests: false };
}

/// An account's health during a renewal.
pub(super) struct Judged {
    standing: Standing,
    /// Counts its changes.
    pub epoch: i32,
    /// The best health among the other accounts of its channel.
    best_other: i16,
}

impl Judged {
    pub fn read(found: &Row) -> Result<Self, StoreError> {
        let standing = standing_of(NAME, found)?;
        Ok(Self { standing, epoch: found.get("health_epoch"), best_other: found.get("best_other") })
    }

    /// What its workers' answers come to. Returns whether anything changed.
    pub fn judge(&mut self, account: &str, answers: Answers, now: DateTime<Utc>) -> bool {
        let Some(next) = self.standing.after(answers, now) else { return false };
        if next.health < self.standing.health {
            tracing::warn!(
                account,
                answers = answers.all,
                failed = answers.failed,
                falls = next.falls,
                "the account fails: others of its channel do its work, where there are any"
            );
        } else if next.health != self.standing.health {
            tracing::info!(account, health = %next.health, "the account comes back by a step");
        }
        (self.standing, self.epoch) = (next, self.epoch + 1);
        true
    }

    pub async fn write(&self, account: i32, locked: &Locked) -> Result<(), StoreError> {
        let Standing { health, since, falls } = self.standing;
        let falls = i32::try_from(falls).unwrap_or(i32::MAX);
        locked
            .query(HEALTH_CHANGED, &[&account, &health.number(), &since, &falls, &self.epoch])
            .await
            .map(drop)
    }

    pub fn leased(&self) -> LeasedHealth {
        let health = self.standing.health;
        LeasedHealth { health, epoch: self.epoch, rests: self.gives_way() && health == Health::Resting }
    }

    /// What is left of the account's rate. Where it rests nobody asks for a permit; what it had is kept for the way back.
    pub fn limited(&self, rate_per_second: Option<f64>) -> Option<f64> {
        match (self.gives_way(), self.standing.health) {
            (false, _) | (true, Health::Resting | Health::Full) => rate_per_second,
            (true, Health::Trial) => Some(Health::Trial.part_of(rate_per_second.unwrap_or(f64::INFINITY))),
            (true, health) => rate_per_second.map(|rate| health.part_of(rate)),
        }
    }

    fn gives_way(&self) -> bool {
        self.best_other > self.standing.health.number()
    }
}

/// How an account does, as its row has it.
pub(crate) fn standing_of(statement: &'static str, found: &Row) -> Result<Standing, StoreError> {
    let number: i16 = found.get("health");
    let health = Health::from_number(number).ok_or_else(|| StoreError::Unreadable {
        statement,
        what: "a health",
        value: number.to_string(),
    })?;
    let since = found.get::<_, Option<DateTime<Utc>>>("health_since").unwrap_or(DateTime::UNIX_EPOCH);
    Ok(Standing { health, since, falls: found.get::<_, i32>("falls").unsigned_abs() })
}
