//! A delivery as the API shows it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_store::tenant::imports::{Import, ImportState};
use uuid::Uuid;

use crate::openapi::shapes::{shapes, words};

/// Longer no work on a delivery takes: whoever did it went away, and nothing of it was applied.
const BROKEN_OFF_AFTER: TimeDelta = TimeDelta::minutes(30);

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Import")]
pub(crate) struct ImportView {
    id: Uuid,
    #[schemars(with = "StateName")]
    state: &'static str,
    /// Why nothing will become of it.
    reason: Option<String>,
    name: String,
    strict: bool,
    created_at: DateTime<Utc>,
    created_by: String,
    /// What it changes, by table, and some of it; the files and their faults. Null while it is being read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ImportPreview>")]
    preview: Option<Value>,
    applied_at: Option<DateTime<Utc>>,
    applied_by: Option<String>,
}

shapes! {
    StateName = words(ImportState::ALL.map(ImportState::as_str));
    Version = words(["1.1", "1.2"]);
    FileMode = words(["absent", "bulk", "delta"]);
}

/// What was found of a delivery, as it was stored. Of one that was refused only what was read.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "tells what was stored as JSON")]
struct ImportPreview {
    /// Of OneRoster.
    version: Version,
    files: Vec<FilePreview>,
    /// Rows with faults.
    errors: u64,
    warnings: u64,
    /// Of each table how many rows: `delivered`, `added`, `changed`, `gone`; and `unresolved`, the links left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<BTreeMap<String, Value>>,
    /// Of each table some rows that are `added`, `changed`, `gone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<BTreeMap<String, BTreeMap<String, Vec<String>>>>,
}

/// A file of a delivery.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "tells what was stored as JSON")]
struct FilePreview {
    file: String,
    mode: FileMode,
    rows: u64,
    rows_left_out: u64,
}

/// Where a delivery is by now, and why nothing will become of it.
pub(crate) fn standing(import: &Import, now: DateTime<Utc>) -> (ImportState, Option<String>) {
    let under_way = matches!(import.state, ImportState::Reading | ImportState::Applying);
    let broken_off = under_way && import.looked_at.is_none_or(|at| now - at > BROKEN_OFF_AFTER);
    match broken_off {
        true => (ImportState::GivenUp, Some("the work on it broke off: send it again".to_owned())),
        false => (import.state, import.reason.clone()),
    }
}

impl ImportView {
    pub fn of(import: Import, now: DateTime<Utc>) -> Self {
        let (state, reason) = standing(&import, now);
        Self {
            id: import.id,
            state: state.as_str(),
            reason,
            name: import.file_name,
            strict: import.strict,
            created_at: import.created_at,
            created_by: import.created_by,
            preview: import.summary,
            applied_at: import.applied_at,
            applied_by: import.applied_by,
        }
    }
}
