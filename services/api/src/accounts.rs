//! The provider accounts that serve the district, and whether they send.

use axum::Json;
use serde::Serialize;
use tocsin_store::tenant::accounts::{AccountState, ServingAccount};

use crate::auth::Caller;
use crate::problem::Problem;

#[derive(Debug, Serialize)]
pub(crate) struct AccountsView {
    accounts: Vec<AccountView>,
}

#[derive(Debug, Serialize)]
struct AccountView {
    name: String,
    channel: &'static str,
    state: &'static str,
    reason: Option<String>,
    since: Option<String>,
}

/// `GET /v1/accounts`. An operator changes them: `tocsin account`.
pub(crate) async fn list(Caller(tenant): Caller) -> Result<Json<AccountsView>, Problem> {
    let accounts = tenant.accounts().await?.into_iter().map(AccountView::of).collect();
    Ok(Json(AccountsView { accounts }))
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
