//! Configuration: defaults, then a TOML file, then the environment; read and checked once, before anything runs.
//!
//! Unknown keys are refused, and every error names the key, what is wrong with its value and what to do. Secrets are
//! resolved from their files and variables here, and are never shown. `docs/tocsin.sample.toml` shows every key, `docs/CONFIG.md`
//! is written from the fields of `file.rs` and of the structs here, and their comments.

mod accounts;
mod checks;
mod error;
mod file;
#[cfg(test)]
mod page;
mod secret;
mod sign_in;
mod source;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::Months;
use serde::Deserialize;
use tocsin_domain::Channel;
use tocsin_domain::network::Network;

pub use self::error::ConfigError;
pub use self::secret::Secret;
pub use self::sign_in::{IssuerConfig, SignInConfig};
use crate::LogFormat;

/// The variable that names the configuration file when `--config` does not.
pub const CONFIG_FILE_VARIABLE: &str = "TOCSIN_CONFIG";

/// Everything a process is told at start. What only some roles need is optional here and demanded by the roles that
/// need it, through the methods.
#[derive(Debug, Clone)]
pub struct Config {
    pub database_url: Option<Secret>,
    /// Connections held open to the database, at most.
    pub database_pool: usize,
    pub amqp_url: Option<Secret>,
    pub api: ApiConfig,
    pub collector: Listen,
    /// Where providers reach the status collector, without a slash at the end: `https://calls.example.org`.
    pub public_url: Option<String>,
    pub callback: Option<CallbackSecrets>,
    pub webhooks: WebhooksConfig,
    pub sign_in: SignInConfig,
    pub worker: WorkerConfig,
    pub scaling: ScalingConfig,
    pub retention: RetentionConfig,
    pub credentials: CredentialsConfig,
    /// Where every role serves `/livez`, `/readyz` and `/metrics`; nowhere when None.
    pub health_listen: Option<SocketAddr>,
    pub metrics: MetricsConfig,
    pub shutdown: ShutdownConfig,
    pub log: LogConfig,
    pub trace: TraceConfig,
    /// Names are unique.
    pub accounts: Vec<AccountConfig>,
    origin: Origin,
}

/// Where it was read, so that it can be read again.
#[derive(Clone)]
struct Origin {
    file: Option<PathBuf>,
    environment: Arc<BTreeMap<String, String>>,
}

/// Variables may hold secrets.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin(…)")
    }
}

/// How secrets that are kept in files are changed while a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CredentialsConfig {
    /// The files are read again this often.
    pub reread_seconds: u32,
    /// For so long callbacks are accepted that are signed with what a changed file held before.
    pub overlap_hours: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// Where REST API and console are served.
    pub listen: SocketAddr,
    /// How many proxies stand before the api, whose `X-Forwarded-For` is believed where tries to sign in are counted.
    pub proxies: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where callbacks are taken.
    pub listen: SocketAddr,
}

/// What callback addresses are signed with. The previous secret is still accepted, never used to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackSecrets {
    pub current: Secret,
    pub previous: Option<Secret>,
}

/// How a district's own systems are told what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhooksConfig {
    /// What endpoints' secrets are made with. None: there are no webhooks.
    pub secrets: Option<WebhookSecrets>,
    /// Beside the public internet endpoints may be in these, and there over plain http: for development.
    pub networks: Vec<Network>,
}

/// Endpoints whose secret was made with the previous one keep it until they are rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSecrets {
    pub current: Secret,
    pub previous: Option<Secret>,
}

/// Limits of one worker process. Prefetch counts jobs by lane that wait here for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Jobs of emergencies that may wait in the process for a permit.
    pub prefetch_emergency: u16,
    /// The same of priority messages.
    pub prefetch_priority: u16,
    /// The same of general messages.
    pub prefetch_general: u16,
    /// Requests to providers that may be open at once.
    pub in_flight_max: usize,
}

/// How many workers the planner says that there should be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScalingConfig {
    /// What is due should be sent within this time.
    pub target_seconds: u32,
    /// So many workers at most, by channel.
    pub replicas_max: ReplicasMax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReplicasMax {
    /// Workers for voice, at most.
    pub voice: u32,
    /// Workers for texts, at most.
    pub sms: u32,
    /// Workers for emails, at most.
    pub email: u32,
    /// Workers for portal inboxes, at most.
    pub inbox: u32,
}

impl ReplicasMax {
    pub fn of(&self, channel: Channel) -> u32 {
        match channel {
            Channel::Voice => self.voice,
            Channel::Sms => self.sms,
            Channel::Email => self.email,
            Channel::Inbox => self.inbox,
        }
    }
}

/// For how long what closed campaigns sent, and to whom, is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// A month of campaigns is dropped, with their recipients and attempts, when all of them are closed for so many months:
    /// 2 to 600. Without it nothing ever is.
    pub months: Option<u32>,
}

impl RetentionConfig {
    /// None: for ever.
    pub fn kept(&self) -> Option<Months> {
        self.months.map(Months::new)
    }
}

/// What metrics are told beside what is counted, and where they are pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsConfig {
    /// None: they are not pushed.
    pub otlp: Option<OtlpConfig>,
    pub database_size_max_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Without a slash at the end.
    pub endpoint: String,
    pub protocol: OtlpProtocol,
    pub interval: Duration,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OtlpProtocol {
    Grpc,
    Http,
}

/// What a process does when it is asked to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// For so long api and status collector go on serving after SIGTERM, while they are not ready: until whoever sends them
    /// requests has noticed.
    pub delay_seconds: u32,
    /// Then a process has so long to finish what it has begun.
    pub deadline_seconds: u32,
}

impl ShutdownConfig {
    pub fn delay(&self) -> Duration {
        Duration::from_secs(self.delay_seconds.into())
    }

    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_seconds.into())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Lines for people, or a JSON object a line.
    pub format: LogFormat,
    /// `tracing` directives: `info,tocsin_worker=debug`.
    pub filter: String,
}

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceConfig {
    /// A collector's address, without a slash at the end. None: there are no traces.
    pub endpoint: Option<String>,
    pub protocol: OtlpProtocol,
    /// The part of jobs whose traces are kept, from 0 to 1. Emergencies, errors and what is slow are kept beside.
    pub sample_ratio: f64,
    /// What takes so long is slow: from the release to the request, or from the claim to the last word.
    pub slow: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    Twilio,
    Mailgun,
    /// A mail relay of one's own.
    Smtp,
    /// Any API over HTTP that a profile describes.
    Gateway,
    /// The portal inbox: a row in the store, no vendor.
    Inbox,
}

/// An account at a provider, and how fast it may be used. None as a limit means that the account has none.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountConfig {
    /// Lower-case letters, digits and hyphens: it is part of callback addresses.
    pub name: String,
    pub channel: Channel,
    pub provider: ProviderKind,
    /// The vendor's own address when None. No slash at the end.
    pub base_url: Option<String>,
    /// Twilio's account SID; Mailgun's user when it is not `api`; the login at an SMTP relay.
    pub user: Option<String>,
    /// Present for every provider but the inbox and a relay on this machine.
    pub secret: Option<Secret>,
    /// What callbacks are verified with, the current key first. Empty: the secret is the key (Twilio).
    /// SMTP: what bounces are posted with.
    pub signing_keys: Vec<Secret>,
    /// The calling number in E.164, a messaging service's SID, or an email address.
    pub sender: Option<String>,
    /// The sending domain (Mailgun, SMTP).
    pub domain: Option<String>,
    /// The authorities that an SMTP relay's certificate is checked against, in place of the machine's.
    pub ca_file: Option<PathBuf>,
    /// The profile of a gateway: the name of one that comes with Tocsin, or a file.
    pub profile: Option<String>,
    /// Requests of one process to the account that are open at once, over HTTP.
    pub connections_max: Option<u32>,
    /// The only district that may use the account; all may when None.
    pub district: Option<String>,
    /// In the unit the account counts: calls, text segments, messages.
    pub rate_per_second: Option<f64>,
    pub burst: Option<u32>,
    pub concurrency: Option<u32>,
    /// The part of `concurrency` that general messages never get; less than it.
    pub reserve: Option<u32>,
    /// Messages that the provider may hold: sent, and not reported as ended.
    pub depth: Option<u32>,
    /// How much of its channel's work the account takes beside others, at least 1.
    pub weight: u32,
}

impl Config {
    /// Reads the file (`file`, else the one `TOCSIN_CONFIG` names, else none) and the process's environment.
    ///
    /// # Errors
    /// The first key that is unknown, missing or wrong.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_from(file, &variables())
    }

    /// As [`Config::load`], with the environment as a parameter.
    pub fn load_from(
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        Self::check_from(file, environment).map_err(|mut faults| faults.remove(0))
    }

    /// As [`Config::load`]; all faults instead of the first, of which there is at least one.
    pub fn check(file: Option<&Path>) -> Result<Self, Vec<ConfigError>> {
        Self::check_from(file, &variables())
    }

    fn check_from(
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, Vec<ConfigError>> {
        let named = environment.get(CONFIG_FILE_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        let origin =
            Origin { file: file.map(Path::to_owned).or(named), environment: Arc::new(environment.clone()) };
        let raw = source::read(origin.file.as_deref(), environment).map_err(|fault| vec![fault])?;
        checks::check(raw, environment, origin)
    }

    /// Reads everything again as it was read at first: what stands in files may have changed.
    pub fn read_again(&self) -> Result<Self, ConfigError> {
        Self::load_from(self.origin.file.as_deref(), &self.origin.environment)
    }

    pub fn require_database_url(&self) -> Result<&str, ConfigError> {
        let url = self.database_url.as_ref().map(Secret::expose);
        url.ok_or_else(|| {
            ConfigError::missing("database_url", "set DATABASE_URL to postgres://user@host/database")
        })
    }

    pub fn require_amqp_url(&self) -> Result<&str, ConfigError> {
        let url = self.amqp_url.as_ref().map(Secret::expose);
        url.ok_or_else(|| {
            ConfigError::missing("amqp_url", "set AMQP_URL to amqp://user:password@host:5672/vhost")
        })
    }

    pub fn require_public_url(&self) -> Result<&str, ConfigError> {
        let remedy = "set it to where providers reach the status collector, as https://calls.example.org";
        self.public_url.as_deref().ok_or_else(|| ConfigError::missing("public_url", remedy))
    }

    pub fn require_callback(&self) -> Result<&CallbackSecrets, ConfigError> {
        let remedy =
            "set it, or callback.secret_file, to at least 16 random characters, the same for every process";
        self.callback.as_ref().ok_or_else(|| ConfigError::missing("callback.secret", remedy))
    }
}

/// A variable that is not UTF-8 can be none of ours, and must not stop the start.
fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
