//! The reason that is typed where something is canceled or declined.

use super::sign_in::field;
use crate::cancel::{Order, REASON_CHARS_MAX};

/// A reason that is not taken, to be shown as it was typed.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub typed: String,
    pub fault: String,
}

/// What is ordered by a form with a `reason`, which may be left empty.
pub(crate) fn order_of(body: &[u8], by: &str) -> Result<Order, Faulty> {
    let typed = field(body, "reason").unwrap_or_default();
    let reason = typed.trim();
    let is = reason.chars().count();
    if is > REASON_CHARS_MAX {
        let fault = format!("The reason has {is} characters: at most {REASON_CHARS_MAX} are taken.");
        return Err(Faulty { typed, fault });
    }
    if reason.contains('\0') {
        return Err(Faulty { typed, fault: "The reason holds a NUL character: remove it.".to_owned() });
    }
    let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
    Ok(Order { by: by.to_owned(), reason })
}
