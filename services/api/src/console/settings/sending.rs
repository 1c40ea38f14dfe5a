//! The undo period.

use serde_json::{Value, json};
use tocsin_store::tenant::sending::SendingPolicy;

use super::number;
use crate::console::form::{Complaints, Form};
use crate::fields::Fault;

pub(super) struct SendingForm {
    pub undo_seconds: String,
    pub faults: Complaints,
}

impl SendingForm {
    pub fn of(kept: &SendingPolicy) -> Self {
        Self { undo_seconds: kept.undo.as_secs().to_string(), faults: Complaints::default() }
    }

    pub fn typed(form: &Form, faults: Complaints) -> Self {
        Self { undo_seconds: form.text("undo_seconds"), faults }
    }

    /// As `PUT /v1/sending-policy` takes it.
    pub fn request(form: &Form) -> Result<Value, Vec<Fault>> {
        let mut faults = Vec::new();
        let request = json!({ "undo_seconds": number(form, "undo_seconds", "undo_seconds", &mut faults) });
        if faults.is_empty() { Ok(request) } else { Err(faults) }
    }
}
