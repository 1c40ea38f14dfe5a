//! Detection of answering machines, as Twilio plays it (wire A.2, A.3).

use tocsin_providers::twilio::form::Form;

use super::fate::{Fate, Step};

/// Whether a call was asked to find out who answers, and how it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Detection {
    /// A scenario that has machines answer is taken to mean that it was asked for all the same: the last report tells.
    #[default]
    NotAsked,
    /// The call waits for it, and its last report tells.
    First,
    /// A report of its own tells, beside those of the call.
    Beside,
}

impl Detection {
    /// With digits to dial it is ignored.
    pub(super) fn of(form: &Form<'_>) -> Self {
        let detects = form.get("MachineDetection").is_some() && form.get("SendDigits").is_none();
        match form.get("AsyncAmd") {
            _ if !detects => Self::NotAsked,
            Some("true") => Self::Beside,
            Some(_) | None => Self::First,
        }
    }

    /// The word for who answered, in the report of `step`.
    pub(super) fn answered_by(self, fate: Fate, step: Step) -> Option<&'static str> {
        match self {
            Self::NotAsked => fate.answered_by().filter(|_| step.is_final()),
            Self::First => fate.answered_by().filter(|_| step.is_final() || step == Step::Answered),
            Self::Beside if step != Step::Detected => None,
            Self::Beside => Some(match fate {
                Fate::Machine => "machine_start",
                _ => fate.answered_by().unwrap_or("unknown"),
            }),
        }
    }
}
