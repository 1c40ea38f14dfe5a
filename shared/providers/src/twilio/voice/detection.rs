//! Who answers a call: asked for with the call, told with its last report or by a report of its own (wire A.2, A.3).
//!
//! A call that ended without a word of who answered is over for good where nobody asked, and waits for that word where
//! somebody did. Which of the two it is stands in the address of its reports.

use tocsin_domain::Outcome;

const MARK: &str = "?detection=1";

/// The address for reports of a call for which detection was asked.
pub(super) fn marked(callback_url: &str) -> String {
    format!("{callback_url}{MARK}")
}

pub(super) fn was_asked(url: &str) -> bool {
    url.ends_with(MARK)
}

/// What the vendor's word says, while the call goes on. That it could not tell is an answer, too.
pub(super) fn answered(by: &str) -> Outcome {
    match by {
        "human" => Outcome::PersonAnswered,
        "fax" => Outcome::FaxAnswered,
        _ if by.starts_with("machine_") => Outcome::MachineAnswered,
        _ => Outcome::CallAnswered,
    }
}
