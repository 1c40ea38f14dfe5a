//! The provider accounts that serve the district, and whether they send.

use axum::Json;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::Channel;
use tocsin_store::tenant::accounts::{AccountState, ServingAccount};

use crate::auth::Caller;
use crate::openapi::Operation;
use crate::openapi::shapes::{shapes, words};
use crate::problem::Problem;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Accounts")]
pub(crate) struct AccountsView {
    accounts: Vec<AccountView>,
    /// Null: nothing is stopped.
    stopped: Option<StopView>,
}

/// Nothing of the district is sent, by whatever account, until an operator lets it go on.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Stop")]
struct StopView {
    at: DateTime<Utc>,
    reason: String,
}

shapes! {
    /// `held`: its provider asked to be left alone; `fails`, but no other is better; `gives_way` to others; `on_trial`.
    StateName = words(["sends", "held", "fails", "gives_way", "on_trial", "stopped"]);
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Account")]
struct AccountView {
    name: String,
    #[schemars(with = "Channel")]
    channel: &'static str,
    #[schemars(with = "StateName")]
    state: &'static str,
    /// Of a stop.
    reason: Option<String>,
    /// Of a stop or a failure.
    #[schemars(with = "Option<DateTime<Utc>>")]
    since: Option<String>,
}

pub(crate) const LIST: Operation = Operation::new(
    "listAccounts",
    "List the provider accounts that serve the district, and whether they send",
);

/// `GET /v1/accounts`. An operator changes them: `tocsin account`, `tocsin stop`.
pub(crate) async fn list(Caller(tenant): Caller) -> Result<Json<AccountsView>, Problem> {
    let accounts = tenant.accounts().await?.into_iter().map(AccountView::of).collect();
    let stopped = tenant.stop().await?.map(|stop| StopView { at: stop.at, reason: stop.reason });
    Ok(Json(AccountsView { accounts, stopped }))
}

impl AccountView {
    fn of(account: ServingAccount) -> Self {
        let state = match account.state {
            AccountState::Sends => "sends",
            AccountState::Held => "held",
            AccountState::Fails => "fails",
            AccountState::GivesWay => "gives_way",
            AccountState::OnTrial => "on_trial",
            AccountState::Stopped => "stopped",
        };
        Self {
            name: account.name,
            channel: account.channel.as_str(),
            state,
            reason: account.reason,
            since: account.since.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        }
    }
}
