//! Stopping a call: one that waits or rings is canceled, one that is in progress is hung up (wire A.2).

use std::time::Duration;

use reqwest::StatusCode;

use crate::RecallAnswer;
use crate::twilio::account::TwilioAccount;
use crate::twilio::refusal::error_code;
use crate::twilio::resource::Resource;

const RECALL_DEADLINE: Duration = Duration::from_secs(10);
/// `Invalid call state`: it has ended.
const INVALID_CALL_STATE: u32 = 21220;

/// A call that is hung up has reached somebody, who is among the contacted: it was too late to spare them, and its
/// final report says what came of it. So it is asked for by `canceled` first, which ends no call that was answered.
pub(super) async fn recall(account: &TwilioAccount, sid: &str) -> RecallAnswer {
    let reply = match account.update(sid, "Status=canceled".to_owned(), RECALL_DEADLINE).await {
        Ok(reply) => reply,
        Err(no_reply) => return RecallAnswer::Unknown(no_reply.into_why()),
    };
    if reply.status == StatusCode::NOT_FOUND || error_code(&reply) == Some(INVALID_CALL_STATE) {
        return RecallAnswer::TooLate;
    }
    if !reply.status.is_success() {
        return RecallAnswer::Unknown(format!("HTTP {}", reply.status.as_u16()));
    }
    let call = serde_json::from_slice::<Resource>(reply.bytes()).ok();
    match call.as_ref().and_then(|call| call.status.as_deref()) {
        Some("canceled") => RecallAnswer::Stopped,
        Some("in-progress") => hang_up(account, sid).await,
        Some("completed" | "busy" | "no-answer" | "failed") => RecallAnswer::TooLate,
        // Taken, and not carried out yet: the final callback will tell.
        Some(_) | None => RecallAnswer::Unknown("the call's state after the recall is not known".to_owned()),
    }
}

async fn hang_up(account: &TwilioAccount, sid: &str) -> RecallAnswer {
    match account.update(sid, "Status=completed".to_owned(), RECALL_DEADLINE).await {
        Ok(reply) if reply.status.is_success() || error_code(&reply) == Some(INVALID_CALL_STATE) => {
            RecallAnswer::TooLate
        }
        Ok(reply) => RecallAnswer::Unknown(format!("HTTP {} to hanging up", reply.status.as_u16())),
        Err(no_reply) => RecallAnswer::Unknown(no_reply.into_why()),
    }
}
