//! One run of the program.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::Command;

/// Many times what a small run takes, for machines that do much else.
const WITHIN: Duration = Duration::from_secs(240);

pub struct Run {
    pub code: Option<i32>,
    pub said: String,
    /// Null unless it printed figures.
    pub figures: Value,
}

/// Runs `loadtest` with these words, and with these variables beside the test's own.
pub async fn loadtest(words: &[&str], variables: &[(&str, &str)]) -> Result<Run> {
    let running = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(words)
        .envs(variables.iter().copied())
        .kill_on_drop(true)
        .output();
    let Output { status, stdout, stderr } =
        tokio::time::timeout(WITHIN, running).await.with_context(|| format!("{words:?} did not end"))??;
    let said = String::from_utf8_lossy(&stderr).into_owned();
    let figures = serde_json::from_slice(&stdout).unwrap_or(Value::Null);
    Ok(Run { code: status.code(), said, figures })
}
