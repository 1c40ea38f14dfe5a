//! The keys as they are written, before they are checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use tocsin_domain::Channel;

use super::secret::{Secret, SecretPlace};
use super::{
    ApiConfig, CredentialsConfig, Listen, LogConfig, OtlpProtocol, ProviderKind, RetentionConfig,
    ScalingConfig, ShutdownConfig, WorkerConfig,
};

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
retention = {}
log = { format = "text", filter = "info,lapin=off" }
metrics = { otlp_protocol = "grpc", otlp_interval_seconds = 30 }
shutdown = { delay_seconds = 0, deadline_seconds = 25 }
trace = { protocol = "grpc", sample_ratio = 0.01, slow_seconds = 120.0 }

[worker]
prefetch_emergency = 200
prefetch_priority = 500
prefetch_general = 1000
in_flight_max = 400

[scaling]
target_seconds = 60
replicas_max = { voice = 10, sms = 10, email = 10, inbox = 4 }

[credentials]
reread_seconds = 10
overlap_hours = 24
"#;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// Where campaigns, jobs and outcomes are kept: PostgreSQL 15 or newer, as `postgres://user@host/database`.
    pub database_url: Option<Secret>,
    /// The file that holds `database_url`.
    pub database_url_file: Option<PathBuf>,
    /// Connections held open by one process, at most.
    pub database_pool: usize,
    /// The broker: RabbitMQ 3.10 or newer, as `amqp://user:password@host:5672/vhost`.
    pub amqp_url: Option<Secret>,
    /// The file that holds `amqp_url`.
    pub amqp_url_file: Option<PathBuf>,
    /// The REST API and the console.
    pub api: ApiConfig,
    /// The status collector.
    pub collector: Listen,
    /// Where providers reach the status collector, or `tocsin up`: part of every callback address.
    pub public_url: Option<String>,
    /// What callback addresses are signed with.
    pub callback: RawCallback,
    /// How districts' own systems are told what happens.
    pub webhooks: RawWebhooks,
    /// How people sign in.
    pub sign_in: RawSignIn,
    /// One table for each issuer of OpenID Connect whose accounts people may sign in with.
    pub oidc: Vec<RawIssuer>,
    /// Limits of one worker process.
    pub worker: WorkerConfig,
    /// How many workers the planner says that there should be.
    pub scaling: ScalingConfig,
    /// For how long what closed campaigns sent, and to whom, is kept.
    pub retention: RetentionConfig,
    /// How secrets that are kept in files are changed while a process runs.
    pub credentials: CredentialsConfig,
    /// What watches a process.
    pub health: RawHealth,
    /// Metrics beyond what is scraped.
    pub metrics: RawMetrics,
    /// What a process does when it is asked to leave.
    pub shutdown: ShutdownConfig,
    /// The log, on standard error.
    pub log: LogConfig,
    /// Where traces go, and which of them are kept.
    pub trace: RawTrace,
    /// One table for each account at a provider.
    pub accounts: Vec<RawAccount>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawHealth {
    /// Where `/livez`, `/readyz` and `/metrics` are served. The api and the status collector serve the first two at
    /// their own address as well.
    pub listen: Option<std::net::SocketAddr>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    /// Where metrics are pushed by OTLP, as `http://collector.example.org:4317`. Nowhere without it.
    pub otlp_endpoint: Option<String>,
    /// How they are pushed.
    pub otlp_protocol: OtlpProtocol,
    /// How often they are pushed.
    pub otlp_interval_seconds: u32,
    /// What the database may take on its disk: shown beside what it takes, for alerts.
    pub database_size_max_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrace {
    /// A collector's address, as `http://collector.example.org:4317`. There are no traces without it.
    pub endpoint: Option<String>,
    /// How the collector is spoken to.
    pub protocol: OtlpProtocol,
    /// The part of attempts whose traces are kept, from 0 to 1. Emergencies, errors and what is slow are kept beside. The planner's
    /// decides and workers follow it; give planner and status collector the same one, or traces that only the larger one keeps
    /// have holes. Of the api it is the part of its requests.
    pub sample_ratio: f64,
    /// What takes so long is slow: from the release to the request, or from the claim to the last word.
    pub slow_seconds: f64,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCallback {
    /// What callback addresses are signed with: at least 16 characters, the same for every process.
    secret: Option<Secret>,
    /// The variable that holds `secret`.
    secret_env: Option<String>,
    /// The file that holds `secret`.
    secret_file: Option<PathBuf>,
    /// The one before: still accepted, and never used for what is new.
    previous_secret: Option<Secret>,
    /// The variable that holds `previous_secret`.
    previous_secret_env: Option<String>,
    /// The file that holds `previous_secret`.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhooks {
    /// What endpoints' secrets are made with: at least 16 characters, the same for api and planners. Without it there
    /// are no webhooks.
    secret: Option<Secret>,
    /// The variable that holds `secret`.
    secret_env: Option<String>,
    /// The file that holds `secret`.
    secret_file: Option<PathBuf>,
    /// The one before: still accepted, and never used for what is new.
    previous_secret: Option<Secret>,
    /// The variable that holds `previous_secret`.
    previous_secret_env: Option<String>,
    /// The file that holds `previous_secret`.
    previous_secret_file: Option<PathBuf>,
    /// Networks that endpoints may be in beside the public internet, over plain http too: for development.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccount {
    /// Lower-case letters, digits and hyphens. Part of callback addresses: a changed name is another account.
    pub name: String,
    /// What the account sends.
    pub channel: Channel,
    /// Which API it is.
    pub provider: ProviderKind,
    /// Where the provider is reached. Without it the vendor's own address.
    pub base_url: Option<String>,
    /// Twilio's account SID; Mailgun's user when it is not `api`; the login at a relay.
    pub user: Option<String>,
    /// Twilio's auth token, Mailgun's API key, the relay's or gateway's password.
    pub secret: Option<Secret>,
    /// The variable that holds `secret`.
    pub secret_env: Option<String>,
    /// The file that holds `secret`. It is read again while the process runs.
    pub secret_file: Option<PathBuf>,
    /// What callbacks are verified with, where that is not `secret`; what bounces are posted with.
    pub signing_key: Option<Secret>,
    /// The variable that holds `signing_key`.
    pub signing_key_env: Option<String>,
    /// The file that holds `signing_key`.
    pub signing_key_file: Option<PathBuf>,
    /// The key before: callbacks signed with it are still accepted.
    pub previous_signing_key: Option<Secret>,
    /// The variable that holds `previous_signing_key`.
    pub previous_signing_key_env: Option<String>,
    /// The file that holds `previous_signing_key`.
    pub previous_signing_key_file: Option<PathBuf>,
    /// The calling number in E.164, a messaging service's SID, or an email address.
    pub sender: Option<String>,
    /// The sending domain (Mailgun), or the one that bounces come back to (a relay).
    pub domain: Option<String>,
    /// The authorities that a relay's certificate is checked against, in place of the machine's.
    pub ca_file: Option<PathBuf>,
    /// The profile of a gateway: the name of one that comes along, or a file.
    pub profile: Option<String>,
    /// Requests of one process to the account that are open at once, over HTTP. 500 without it.
    pub connections_max: Option<u32>,
    /// The only district that may use the account. All may without it.
    pub district: Option<String>,
    /// What the provider takes, for all workers together, in the unit that it counts: calls, text segments, messages.
    /// No limit without it.
    pub rate_per_second: Option<f64>,
    /// How many may be sent at once.
    pub burst: Option<u32>,
    /// Requests open at once; of voice, calls until they end.
    pub concurrency: Option<u32>,
    /// The part of `concurrency` that general messages never get.
    pub reserve: Option<u32>,
    /// Messages that the provider may hold: sent, and not reported as ended.
    pub depth: Option<u32>,
    /// How much of its channel's work the account takes beside others. 1 without it.
    pub weight: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignIn {
    /// Where browsers reach the console, as `https://tocsin.example.org`: issuers send people back there, and mails lead there.
    pub url: Option<String>,
    /// Are passwords taken? Without them, issuers alone let people in.
    pub passwords: bool,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawIssuer {
    /// Part of the return address: letters, digits and dashes.
    pub name: String,
    /// What the sign-in page calls it.
    pub title: Option<String>,
    /// The issuer's own address, as its discovery document spells it.
    pub issuer: String,
    /// Which client Tocsin is to the issuer.
    pub client_id: String,
    /// The client's secret.
    pub secret: Option<Secret>,
    /// The variable that holds `secret`.
    pub secret_env: Option<String>,
    /// The file that holds `secret`.
    pub secret_file: Option<PathBuf>,
    /// What the issuer is asked for.
    pub scopes: Option<Vec<String>>,
    /// The claim by which a user is found.
    pub login_claim: Option<String>,
    /// The claim that lists the person's groups.
    pub groups_claim: Option<String>,
    /// The one district whose users it lets in.
    pub district: Option<String>,
    /// Roles by the names of groups.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// With it users that are not there yet are made, with this role.
    pub new_user_role: Option<String>,
}
