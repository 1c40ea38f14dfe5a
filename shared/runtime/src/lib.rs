//! Starting and stopping a process: configuration, telemetry, health, signals, tracked tasks, tickers, retry, clocks.
//!
//! Every role starts through these modules and stops through [`Tasks::stop`]. This crate knows no SQL, no AMQP and
//! no vendor; it is also the only place where the wall clock is read and where tasks are spawned.

mod clock;
pub mod config;
pub mod health;
pub mod metrics;
#[cfg(test)]
mod pages;
mod pulse;
mod retry;
mod signals;
mod tasks;
pub mod telemetry;
mod ticker;

pub use clock::{Clock, Reading, SharedClock, Stopwatch, SystemClock};
pub use config::{Config, ConfigError};
pub use pulse::{Link, LinkUp, Pulse};
pub use retry::retry;
pub use signals::{on_signal, stop_on_signal};
pub use tasks::{Failure, Stopped, Tasks};
pub use telemetry::{LogFormat, TelemetryError, init as init_telemetry};
pub use ticker::{Progress, run_ticker};
pub use tokio_util::sync::CancellationToken;
