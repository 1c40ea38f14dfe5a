//! Twilio's words for a call, in ours (wire A.2, A.3).

use tocsin_domain::Outcome;

use super::detection;
use crate::CallbackReport;
use crate::twilio::resource::Resource;

/// What a report, or the call itself, says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said<'a> {
    pub status: &'a str,
    pub answered_by: Option<&'a str>,
    /// The final SIP response code, where the vendor told it.
    pub sip: Option<&'a str>,
    /// Is who answered still to be told, if it is not told here?
    pub awaits_detection: bool,
}

pub(super) fn outcome(said: Said<'_>) -> Outcome {
    let answered = said.answered_by.map(detection::answered);
    match said.status {
        "queued" | "initiated" | "ringing" => Outcome::InProgress,
        "in-progress" => answered.unwrap_or(Outcome::InProgress),
        "completed" => match answered.and_then(Outcome::once_over) {
            Some(outcome) => outcome,
            None if said.awaits_detection => Outcome::CallEnded,
            // Nobody asked who answers: the call was completed.
            None => Outcome::Completed,
        },
        "busy" => Outcome::Busy,
        "no-answer" => Outcome::NoAnswer,
        "canceled" => Outcome::Canceled,
        // The network does not know the number.
        "failed" if said.sip == Some("404") => Outcome::NotInService,
        "failed" => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}

/// What the call itself says. Nothing more is to come of it than what stands there.
pub(super) fn of_call(call: &Resource) -> Outcome {
    let status = call.status.as_deref().unwrap_or_default();
    outcome(Said { status, answered_by: call.answered_by.as_deref(), ..Said::default() })
}

/// What a call fetched by a look-up says.
pub(super) fn report(call: &Resource) -> CallbackReport {
    let status = call.status.clone();
    CallbackReport {
        attempt: None,
        provider_id: call.sid.clone(),
        outcome: of_call(call),
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
            ("in-progress", Some("human"), None, Outcome::PersonAnswered),
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
            let said = Said { status, answered_by, sip, awaits_detection: false };
            assert_eq!(outcome(said), expected, "{said:?}");
        }
    }

    #[test]
    fn where_detection_was_asked_for_an_end_without_its_result_waits_for_it() {
        let table = [
            ("completed", None, Outcome::CallEnded),
            ("completed", Some("unknown"), Outcome::Completed),
            ("completed", Some("machine_start"), Outcome::AnsweringMachine),
            ("in-progress", None, Outcome::InProgress),
            ("in-progress", Some("machine_start"), Outcome::MachineAnswered),
            ("busy", None, Outcome::Busy),
        ];
        for (status, answered_by, expected) in table {
            let said = Said { status, answered_by, sip: None, awaits_detection: true };
            assert_eq!(outcome(said), expected, "{said:?}");
        }
    }
}
