//! Twilio's words for a call, in ours (wire A.2, A.3).

use tocsin_domain::Outcome;

use crate::CallbackReport;
use crate::twilio::resource::Resource;

/// `sip` is the final SIP response code, where Twilio told it.
pub(super) fn outcome(status: &str, answered_by: Option<&str>, sip: Option<&str>) -> Outcome {
    match status {
        "queued" | "initiated" | "ringing" | "in-progress" => Outcome::InProgress,
        "completed" => who_answered(answered_by),
        "busy" => Outcome::Busy,
        "no-answer" => Outcome::NoAnswer,
        "canceled" => Outcome::Canceled,
        // The network does not know the number.
        "failed" if sip == Some("404") => Outcome::NotInService,
        "failed" => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}

/// Without machine detection nobody says who answered: the call was completed.
fn who_answered(answered_by: Option<&str>) -> Outcome {
    match answered_by {
        Some("human") => Outcome::LivePerson,
        Some("fax") => Outcome::Fax,
        Some(by) if by.starts_with("machine_") => Outcome::AnsweringMachine,
        Some(_) | None => Outcome::Completed,
    }
}

/// What a call fetched by a look-up says.
pub(super) fn report(call: &Resource) -> CallbackReport {
    let status = call.status.clone();
    CallbackReport {
        attempt: None,
        provider_id: call.sid.clone(),
        outcome: outcome(status.as_deref().unwrap_or_default(), call.answered_by.as_deref(), None),
        provider_code: status,
        at: None,
        sequence: None,
        event_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_a_call_has_its_outcome() {
        let table = [
            ("queued", None, None, Outcome::InProgress),
            ("initiated", None, None, Outcome::InProgress),
            ("ringing", None, None, Outcome::InProgress),
            ("in-progress", None, None, Outcome::InProgress),
            ("in-progress", Some("human"), None, Outcome::InProgress),
            ("completed", None, Some("200"), Outcome::Completed),
            ("completed", Some("unknown"), None, Outcome::Completed),
            ("completed", Some("human"), None, Outcome::LivePerson),
            ("completed", Some("machine_start"), None, Outcome::AnsweringMachine),
            ("completed", Some("machine_end_beep"), None, Outcome::AnsweringMachine),
            ("completed", Some("machine_end_silence"), None, Outcome::AnsweringMachine),
            ("completed", Some("machine_end_other"), None, Outcome::AnsweringMachine),
            ("completed", Some("fax"), None, Outcome::Fax),
            ("busy", None, Some("486"), Outcome::Busy),
            ("no-answer", None, Some("487"), Outcome::NoAnswer),
            ("canceled", None, None, Outcome::Canceled),
            ("failed", None, Some("404"), Outcome::NotInService),
            ("failed", None, Some("503"), Outcome::Failed),
            ("failed", None, None, Outcome::Failed),
            ("something-new", None, None, Outcome::Unknown),
        ];
        for (status, answered_by, sip, expected) in table {
            assert_eq!(outcome(status, answered_by, sip), expected, "{status} {answered_by:?} {sip:?}");
        }
    }
}
