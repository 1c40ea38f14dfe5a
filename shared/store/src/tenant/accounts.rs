//! The provider accounts that serve a district.

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;

use super::Tenant;
use crate::accounts::best_other;
use crate::{StoreError, row};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingAccount {
    pub name: String,
    pub channel: Channel,
    pub state: AccountState,
    /// Why it is stopped.
    pub reason: Option<String>,
    /// Since when it is stopped, or fails.
    pub since: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    Sends,
    /// Its provider asked to be left alone for a while.
    Held,
    /// It failed lately, and is used all the same: no other is better.
    Fails,
    /// It failed just now, and others do its work.
    GivesWay,
    /// It failed lately, and is given a little again, or more by steps; others do most of its work.
    OnTrial,
    /// Its provider refuses it, or an operator stopped it.
    Stopped,
}

impl Tenant {
    /// Those of the district alone, where it has any of the channel, and those of all.
    pub async fn accounts(&self) -> Result<Vec<ServingAccount>, StoreError> {
        const NAME: &str = "serving_accounts";
        let rows = self.rows(NAME, SERVING_ACCOUNTS, &[]).await?;
        rows.iter()
            .map(|found| {
                let is = |column: &str| found.get::<_, bool>(column);
                let state = if is("stopped") {
                    AccountState::Stopped
                } else if is("gives_way") {
                    if is("rests") { AccountState::GivesWay } else { AccountState::OnTrial }
                } else if is("fails") {
                    AccountState::Fails
                } else if is("held") {
                    AccountState::Held
                } else {
                    AccountState::Sends
                };
                Ok(ServingAccount {
                    name: found.get("name"),
                    channel: row::channel(NAME, found.get("channel"))?,
                    state,
                    reason: found.get("stop_reason"),
                    since: match state {
                        AccountState::Stopped => found.get("stopped_at"),
                        AccountState::Fails | AccountState::GivesWay | AccountState::OnTrial => {
                            found.get("health_since")
                        }
                        AccountState::Sends | AccountState::Held => None,
                    },
                })
            })
            .collect()
    }

    /// The names of the accounts that mails of the district may go over, and that cannot carry files.
    pub async fn mail_without_files(&self) -> Result<Vec<String>, StoreError> {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&self.district.0, &Channel::Email.number()];
        let rows = self.rows("mail_without_files", MAIL_WITHOUT_FILES, &parameters).await?;
        Ok(rows.iter().map(|found| found.get("name")).collect())
    }
}

/// A district with accounts of its own for email has no others.
const MAIL_WITHOUT_FILES: &str = "-- store.mail_without_files
select a.name from provider_accounts a
where a.channel = $2 and a.parent_id is null and a.stopped_at is null and not a.carries_files
  and (a.district_id = $1 or not exists (
    select from provider_accounts b where b.channel = $2 and b.parent_id is null and b.district_id = $1))
order by a.name";

/// Health 1 is resting, 5 full.
const SERVING_ACCOUNTS: &str = concat!(
    "-- store.serving_accounts
select a.name, a.channel, a.stopped_at, a.stop_reason, a.health_since, a.stopped_at is not null as stopped,
  a.health < 5 as fails, a.health = 1 as rests, a.held_until is not null and a.held_until > tocsin_now() as held, ",
    best_other!(),
    " > a.health as gives_way
from provider_accounts a where a.parent_id is null order by a.channel, a.name"
);
