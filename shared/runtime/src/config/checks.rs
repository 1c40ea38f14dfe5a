//! The checks that types alone do not make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use tocsin_domain::Channel;
use tocsin_domain::network::Network;

use super::file::{RawCallback, RawConfig, RawTrace, RawWebhooks};
use super::secret::{Secret, SecretPlace};
use super::{
    CallbackSecrets, Config, ConfigError, MetricsConfig, Origin, OtlpConfig, RetentionConfig, TraceConfig,
    WebhookSecrets, WebhooksConfig, accounts, sign_in,
};
use crate::telemetry;

/// Shorter secrets could be guessed.
const SECRET_MIN_CHARS: usize = 16;
/// A week: nobody posts a callback later.
const OVERLAP_HOURS_MAX: u32 = 168;
/// A deploy waits for these, process by process.
const DELAY_SECONDS_MAX: u32 = 300;
const DEADLINE_SECONDS_MAX: u32 = 3_600;
const OTLP_INTERVAL_SECONDS_MAX: u32 = 3_600;
/// Webhooks tell of devices for 31 days after a campaign closed.
const RETENTION_MONTHS_MIN: u32 = 2;
const RETENTION_MONTHS_MAX: u32 = 600;

/// The configuration, or every fault that was found.
pub(super) fn check(
    raw: RawConfig,
    environment: &BTreeMap<String, String>,
    origin: Origin,
) -> Result<Config, Vec<ConfigError>> {
    let mut faults = Vec::new();
    let database_url = address("database_url", raw.database_url, raw.database_url_file, environment);
    let database_url = note(&mut faults, database_url).flatten();
    let amqp_url = address("amqp_url", raw.amqp_url, raw.amqp_url_file, environment);
    let amqp_url = note(&mut faults, amqp_url).flatten();
    if let Some(url) = &database_url {
        note(&mut faults, check_scheme("database_url", url, &["postgres", "postgresql"]));
    }
    if let Some(url) = &amqp_url {
        note(&mut faults, check_scheme("amqp_url", url, &["amqp", "amqps"]));
    }
    note(&mut faults, at_least_one("database_pool", raw.database_pool));
    note(&mut faults, at_least_one("worker.prefetch_emergency", raw.worker.prefetch_emergency));
    note(&mut faults, at_least_one("worker.prefetch_priority", raw.worker.prefetch_priority));
    note(&mut faults, at_least_one("worker.prefetch_general", raw.worker.prefetch_general));
    note(&mut faults, at_least_one("worker.in_flight_max", raw.worker.in_flight_max));
    note(&mut faults, at_least_one("scaling.target_seconds", raw.scaling.target_seconds));
    for channel in Channel::ALL {
        let key = format!("scaling.replicas_max.{channel}");
        note(&mut faults, at_least_one(&key, raw.scaling.replicas_max.of(channel)));
    }
    note(&mut faults, retention(&raw.retention));
    note(&mut faults, at_least_one("credentials.reread_seconds", raw.credentials.reread_seconds));
    note(&mut faults, at_most("credentials.overlap_hours", raw.credentials.overlap_hours, OVERLAP_HOURS_MAX));
    let interval = raw.metrics.otlp_interval_seconds;
    note(&mut faults, at_least_one("metrics.otlp_interval_seconds", interval));
    note(&mut faults, at_most("metrics.otlp_interval_seconds", interval, OTLP_INTERVAL_SECONDS_MAX));
    note(&mut faults, at_most("shutdown.delay_seconds", raw.shutdown.delay_seconds, DELAY_SECONDS_MAX));
    let deadline = raw.shutdown.deadline_seconds;
    note(&mut faults, at_least_one("shutdown.deadline_seconds", deadline));
    note(&mut faults, at_most("shutdown.deadline_seconds", deadline, DEADLINE_SECONDS_MAX));
    let otlp_endpoint =
        raw.metrics.otlp_endpoint.map(|url| web_address("metrics.otlp_endpoint", url)).transpose();
    let otlp_endpoint = note(&mut faults, otlp_endpoint).flatten();
    let filter = telemetry::parse_filter(&raw.log.filter).map_err(|error| {
        ConfigError::value(
            "log.filter",
            error.to_string(),
            "write directives such as info,tocsin_worker=debug",
        )
    });
    note(&mut faults, filter.map(drop));
    let public_url = raw.public_url.map(|url| web_address("public_url", url)).transpose();
    let public_url = note(&mut faults, public_url).flatten();
    let trace = note(&mut faults, trace(raw.trace));
    let (accounts, faulty) = accounts::check(raw.accounts, environment);
    faults.extend(faulty);
    let callback = note(&mut faults, callback(raw.callback, environment)).flatten();
    let webhooks = note(&mut faults, webhooks(raw.webhooks, environment));
    let sign_in = sign_in::check(raw.sign_in, raw.oidc, environment).map_err(|more| faults.extend(more)).ok();
    // None: there is a fault.
    let (Some(webhooks), Some(trace), Some(sign_in)) = (webhooks, trace, sign_in) else { return Err(faults) };
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Config {
        database_url,
        database_pool: raw.database_pool,
        amqp_url,
        api: raw.api,
        collector: raw.collector,
        public_url,
        callback,
        webhooks,
        sign_in,
        worker: raw.worker,
        scaling: raw.scaling,
        retention: raw.retention,
        credentials: raw.credentials,
        health_listen: raw.health.listen,
        metrics: MetricsConfig {
            otlp: otlp_endpoint.map(|endpoint| OtlpConfig {
                endpoint,
                protocol: raw.metrics.otlp_protocol,
                interval: Duration::from_secs(interval.into()),
            }),
            database_size_max_bytes: raw.metrics.database_size_max_bytes,
        },
        shutdown: raw.shutdown,
        log: raw.log,
        trace,
        accounts,
        origin,
    })
}

fn note<T>(faults: &mut Vec<ConfigError>, checked: Result<T, ConfigError>) -> Option<T> {
    checked.map_err(|fault| faults.push(fault)).ok()
}

/// The address without the slash at its end, so that paths can be put behind it.
pub(super) fn web_address(key: &str, url: String) -> Result<String, ConfigError> {
    let remedy = "write http:// or https://, the host and, if any, a path";
    let uri: Uri =
        url.parse().map_err(|_| ConfigError::value(key, format!("{url:?} is not an address"), remedy))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(ConfigError::value(key, format!("{url:?} is neither http:// nor https://"), remedy));
    }
    if uri.query().is_some() {
        return Err(ConfigError::value(key, format!("{url:?} has a query"), remedy));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn trace(raw: RawTrace) -> Result<TraceConfig, ConfigError> {
    let RawTrace { endpoint, protocol, sample_ratio, slow_seconds } = raw;
    if !(0.0..=1.0).contains(&sample_ratio) {
        let remedy = "give a part from 0 to 1, as 0.01 for one job of a hundred";
        return Err(ConfigError::value("trace.sample_ratio", format!("is {sample_ratio}"), remedy));
    }
    let slow = Duration::try_from_secs_f64(slow_seconds).ok().filter(|slow| !slow.is_zero());
    let slow = slow.ok_or_else(|| {
        ConfigError::value("trace.slow_seconds", format!("is {slow_seconds}"), "give more than 0")
    })?;
    let endpoint = endpoint.map(|url| web_address("trace.endpoint", url)).transpose()?;
    Ok(TraceConfig { endpoint, protocol, sample_ratio, slow })
}

/// What else is wrong with it is said by its adapter.
pub(super) fn relay_address(key: &str, url: String) -> Result<String, ConfigError> {
    if url.starts_with("smtps://") || url.starts_with("smtp://") {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let remedy = "write smtps:// (TLS at once) or smtp:// (STARTTLS), the host and, if need be, the port";
    Err(ConfigError::value(key, format!("{url:?} is neither smtps:// nor smtp://"), remedy))
}

/// An address that may hold a password: itself, or the file that holds it.
fn address(
    key: &str,
    value: Option<Secret>,
    file: Option<PathBuf>,
    environment: &BTreeMap<String, String>,
) -> Result<Option<Secret>, ConfigError> {
    SecretPlace { value, variable: None, file }.resolve(key, environment)
}

/// The names of the secrets' schemes are all that is checked here; what else is wrong with an address is said by
/// whoever connects. The value is not shown: it may hold a password.
fn check_scheme(key: &str, url: &Secret, schemes: &[&str]) -> Result<(), ConfigError> {
    let scheme = url.expose().split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
        return Ok(());
    }
    let remedy = format!("begin it with {}://", schemes.join(":// or "));
    Err(ConfigError::value(key, "is not such an address", remedy))
}

fn at_least_one(key: &str, number: impl TryInto<u64>) -> Result<(), ConfigError> {
    if number.try_into().is_ok_and(|number| number == 0) {
        return Err(ConfigError::value(key, "is 0", "give at least 1"));
    }
    Ok(())
}

fn retention(raw: &RetentionConfig) -> Result<(), ConfigError> {
    match raw.months {
        Some(months) if !(RETENTION_MONTHS_MIN..=RETENTION_MONTHS_MAX).contains(&months) => {
            let remedy = format!(
                "give {RETENTION_MONTHS_MIN} to {RETENTION_MONTHS_MAX}, or leave it out to keep everything"
            );
            Err(ConfigError::value("retention.months", format!("is {months}"), remedy))
        }
        Some(_) | None => Ok(()),
    }
}

fn at_most(key: &str, number: u32, most: u32) -> Result<(), ConfigError> {
    if number > most {
        return Err(ConfigError::value(key, format!("is {number}"), format!("give at most {most}")));
    }
    Ok(())
}

fn callback(
    raw: RawCallback,
    environment: &BTreeMap<String, String>,
) -> Result<Option<CallbackSecrets>, ConfigError> {
    let secrets = secrets("callback", raw.places(), environment)?;
    Ok(secrets.map(|(current, previous)| CallbackSecrets { current, previous }))
}

fn webhooks(raw: RawWebhooks, environment: &BTreeMap<String, String>) -> Result<WebhooksConfig, ConfigError> {
    let named = |(at, text): (usize, &String)| {
        text.parse::<Network>().map_err(|_| {
            let key = format!("webhooks.networks[{at}]");
            ConfigError::value(key, format!("{text:?} is no network"), "write it as 127.0.0.0/8 or ::1/128")
        })
    };
    let networks = raw.networks.iter().enumerate().map(named).collect::<Result<_, _>>()?;
    let secrets = secrets("webhooks", raw.places(), environment)?;
    Ok(WebhooksConfig {
        secrets: secrets.map(|(current, previous)| WebhookSecrets { current, previous }),
        networks,
    })
}

/// `secret` and `previous_secret` of a section.
fn secrets(
    section: &str,
    (current, previous): (SecretPlace, SecretPlace),
    environment: &BTreeMap<String, String>,
) -> Result<Option<(Secret, Option<Secret>)>, ConfigError> {
    let (key, previous_key) = (format!("{section}.secret"), format!("{section}.previous_secret"));
    let current = current.resolve(&key, environment)?;
    let previous = previous.resolve(&previous_key, environment)?;
    let Some(current) = current else {
        return match previous {
            None => Ok(None),
            Some(_) => Err(ConfigError::missing(key, "set it beside previous_secret")),
        };
    };
    let mut seen = BTreeSet::new();
    for (key, secret) in [(&key, Some(&current)), (&previous_key, previous.as_ref())] {
        let Some(secret) = secret else { continue };
        if secret.expose().chars().count() < SECRET_MIN_CHARS {
            let remedy = format!("give at least {SECRET_MIN_CHARS} random characters");
            return Err(ConfigError::value(key, "is too short", remedy));
        }
        if !seen.insert(secret.expose()) {
            let fault = format!("is the same as {section}.secret");
            return Err(ConfigError::value(key, fault, "give the old one, or remove it"));
        }
    }
    Ok(Some((current, previous)))
}
