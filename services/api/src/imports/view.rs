//! A delivery as the API shows it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use tocsin_store::tenant::imports::{Import, ImportState};
use uuid::Uuid;

/// Longer no work on a delivery takes: whoever did it went away, and nothing of it was applied.
const BROKEN_OFF_AFTER: TimeDelta = TimeDelta::minutes(30);

#[derive(Debug, Serialize)]
pub(crate) struct ImportView {
    id: Uuid,
    state: &'static str,
    /// Why nothing will become of it.
    reason: Option<String>,
    name: String,
    strict: bool,
    created_at: DateTime<Utc>,
    created_by: String,
    /// What it changes, by table, and some of it; the files and their faults. Null while it is being read.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Value>,
    applied_at: Option<DateTime<Utc>>,
    applied_by: Option<String>,
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
