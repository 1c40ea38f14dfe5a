//! What the district decides about consent (decision D11).

use serde_json::{Value, json};
use tocsin_domain::MessageType;
use tocsin_domain::consent::EmergencyPolicy;
use tocsin_store::tenant::consents::ConsentPolicy;

use super::number;
use crate::console::form::{Choice, Complaints, Form};
use crate::console::words;
use crate::fields::Fault;

pub(super) struct ConsentForm {
    pub overrides_stop: bool,
    pub opt_in_needed: Vec<Choice>,
    pub times_max: String,
    pub every_days: String,
    pub flyer_url: String,
    pub faults: Complaints,
}

impl ConsentForm {
    pub fn of(kept: &ConsentPolicy) -> Self {
        let reminder = &kept.reminder;
        Self {
            overrides_stop: kept.emergencies == EmergencyPolicy::OverrideStop,
            opt_in_needed: choices(&kept.opt_in_needed),
            times_max: reminder.times_max.to_string(),
            every_days: reminder.every_days.to_string(),
            flyer_url: reminder.flyer_url.clone().unwrap_or_default(),
            faults: Complaints::default(),
        }
    }

    pub fn typed(form: &Form, faults: Complaints) -> Self {
        Self {
            overrides_stop: form.holds("overrides_stop"),
            opt_in_needed: choices(&form.all("opt_in_needed")),
            times_max: form.text("times_max"),
            every_days: form.text("every_days"),
            flyer_url: form.text("flyer_url"),
            faults,
        }
    }

    /// As `PUT /v1/consent-policy` takes it.
    pub fn request(form: &Form) -> Result<Value, Vec<Fault>> {
        let mut faults = Vec::new();
        let flyer = form.text("flyer_url");
        let flyer = Some(flyer.trim()).filter(|flyer| !flyer.is_empty());
        let request = json!({
            "emergency_overrides_stop": form.holds("overrides_stop"),
            "opt_in_needed": form.all("opt_in_needed"),
            "reminder": {
                "times_max": number(form, "times_max", "reminder.times_max", &mut faults),
                "every_days": number(form, "every_days", "reminder.every_days", &mut faults),
                "flyer_url": flyer,
            },
        });
        if faults.is_empty() { Ok(request) } else { Err(faults) }
    }
}

/// The message types that may need an opt-in.
fn choices(ticked: &[String]) -> Vec<Choice> {
    let types = MessageType::ALL.into_iter().filter(|kind| kind.may_need_opt_in().is_ok());
    let choice = |kind: MessageType| Choice {
        value: kind.as_str().to_owned(),
        name: words::message_type(kind.as_str()),
        hint: "",
        ticked: ticked.iter().any(|ticked| ticked == kind.as_str()),
    };
    types.map(choice).collect()
}
