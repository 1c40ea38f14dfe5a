//! The keys as they are written, before they are checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use tocsin_domain::Channel;

use super::secret::{Secret, SecretPlace};
use super::{ApiConfig, CredentialsConfig, Listen, LogConfig, ProviderKind, WorkerConfig};

/// The lowest layer: what holds when neither the file nor the environment says otherwise.
pub(super) const DEFAULTS: &str = r#"
database_pool = 8
accounts = []
oidc = []
sign_in = { passwords = true }
api = { listen = "127.0.0.1:8080", proxies = 0 }
collector.listen = "127.0.0.1:8081"
callback = {}
webhooks = { networks = [] }
health = {}
log = { format = "text", filter = "info,lapin=off" }

[worker]
prefetch_emergency = 200
prefetch_priority = 500
prefetch_general = 1000
in_flight_max = 400

[credentials]
reread_seconds = 10
overlap_hours = 24
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub database_url: Option<Secret>,
    pub database_pool: usize,
    pub amqp_url: Option<Secret>,
    pub api: ApiConfig,
    pub collector: Listen,
    pub public_url: Option<String>,
    pub callback: RawCallback,
    pub webhooks: RawWebhooks,
    pub sign_in: RawSignIn,
    pub oidc: Vec<RawIssuer>,
    pub worker: WorkerConfig,
    pub credentials: CredentialsConfig,
    pub health: RawHealth,
    pub log: LogConfig,
    pub accounts: Vec<RawAccount>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHealth {
    pub listen: Option<std::net::SocketAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCallback {
    secret: Option<Secret>,
    secret_env: Option<String>,
    secret_file: Option<PathBuf>,
    previous_secret: Option<Secret>,
    previous_secret_env: Option<String>,
    previous_secret_file: Option<PathBuf>,
}

impl RawCallback {
    pub fn places(self) -> (SecretPlace, SecretPlace) {
        (
            SecretPlace { value: self.secret, variable: self.secret_env, file: self.secret_file },
            SecretPlace {
                value: self.previous_secret,
                variable: self.previous_secret_env,
                file: self.previous_secret_file,
            },
        )
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhooks {
    secret: Option<Secret>,
    secret_env: Option<String>,
    secret_file: Option<PathBuf>,
    previous_secret: Option<Secret>,
    previous_secret_env: Option<String>,
    previous_secret_file: Option<PathBuf>,
    pub networks: Vec<String>,
}

impl RawWebhooks {
    pub fn places(self) -> (SecretPlace, SecretPlace) {
        (
            SecretPlace { value: self.secret, variable: self.secret_env, file: self.secret_file },
            SecretPlace {
                value: self.previous_secret,
                variable: self.previous_secret_env,
                file: self.previous_secret_file,
            },
        )
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccount {
    pub name: String,
    pub channel: Channel,
    pub provider: ProviderKind,
    pub base_url: Option<String>,
    pub user: Option<String>,
    pub secret: Option<Secret>,
    pub secret_env: Option<String>,
    pub secret_file: Option<PathBuf>,
    pub signing_key: Option<Secret>,
    pub signing_key_env: Option<String>,
    pub signing_key_file: Option<PathBuf>,
    pub previous_signing_key: Option<Secret>,
    pub previous_signing_key_env: Option<String>,
    pub previous_signing_key_file: Option<PathBuf>,
    pub sender: Option<String>,
    pub domain: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub profile: Option<String>,
    pub connections_max: Option<u32>,
    pub district: Option<String>,
    pub rate_per_second: Option<f64>,
    pub burst: Option<u32>,
    pub concurrency: Option<u32>,
    pub reserve: Option<u32>,
    pub depth: Option<u32>,
    pub weight: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignIn {
    pub url: Option<String>,
    pub passwords: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIssuer {
    pub name: String,
    pub title: Option<String>,
    pub issuer: String,
    pub client_id: String,
    pub secret: Option<Secret>,
    pub secret_env: Option<String>,
    pub secret_file: Option<PathBuf>,
    pub scopes: Option<Vec<String>>,
    pub login_claim: Option<String>,
    pub groups_claim: Option<String>,
    pub district: Option<String>,
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    pub new_user_role: Option<String>,
}
