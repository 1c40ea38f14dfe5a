//! Log lines: how they are written, and which of them.

use std::io::{self, IsTerminal as _};

use serde::Deserialize;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::TryInitError;

use super::log_filter;

/// How log lines are written. Both go to standard error: standard output belongs to a command's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for a person.
    #[default]
    Text,
    /// One JSON object a line, for a log store.
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.filter {filter:?} cannot be read: use directives such as `info,tocsin_worker=debug`")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("trace.endpoint {endpoint:?}: no spans can be sent there: {why}")]
    Exporter { endpoint: String, why: String },
}

/// Starts logging. `filter` is a list of `tracing` directives. Once a process logs, further calls change nothing, so
/// that every test may call it.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt as _;
    let directives = parse_filter(filter)?;
    // Colours where somebody sees them, and does not forbid them (https://no-color.org).
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder =
        tracing_subscriber::fmt().with_env_filter(directives).with_ansi(colours).with_writer(io::stderr);
    let (started, change): (Result<(), TryInitError>, log_filter::Change) = match format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            (
                builder.finish().with(filter_fn(tells_of_nobody)).try_init(),
                Box::new(move |filter| handle.reload(filter).is_ok()),
            )
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (
                builder.finish().with(filter_fn(tells_of_nobody)).try_init(),
                Box::new(move |filter| handle.reload(filter).is_ok()),
            )
        }
    };
    match started {
        Ok(()) => log_filter::started(filter, change),
        Err(_) => tracing::debug!("logging was started before"),
    }
    Ok(())
}

/// Of whatever filter is asked for, the lines of libraries stay out that quote what they are given: the client of the
/// database tells of each statement with its parameters, which are names, numbers and texts.
fn tells_of_nobody(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::INFO || !line.target().starts_with("tokio_postgres")
}

/// Reads a filter without starting anything, so that the configuration is checked before anything runs.
pub(crate) fn parse_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_changes_nothing() {
        init(LogFormat::Json, "warn").unwrap();
        init(LogFormat::Text, "debug").unwrap();
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = init(LogFormat::Text, "tocsin=loudly").unwrap_err();
        assert!(error.to_string().contains("tocsin=loudly"), "{error}");
    }
}
