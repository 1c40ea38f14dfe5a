//! Stopping a call that has not reached anyone yet (wire A.2).

use std::time::Duration;

use reqwest::StatusCode;

use crate::RecallAnswer;
use crate::http::NoReply;
use crate::twilio::account::TwilioAccount;
use crate::twilio::refusal::error_code;
use crate::twilio::resource::Resource;

const RECALL_DEADLINE: Duration = Duration::from_secs(10);
/// `Invalid call state`: it has ended.
const INVALID_CALL_STATE: u32 = 21220;

/// `Status=canceled` stops a call that is queued or ringing. `completed` would also cut off one that
/// someone is listening to, half-way through a sentence: that person was contacted.
pub(super) async fn recall(account: &TwilioAccount, sid: &str) -> RecallAnswer {
    let reply = match account.update(sid, "Status=canceled".to_owned(), RECALL_DEADLINE).await {
        Ok(reply) => reply,
        Err(NoReply::NotSent(why) | NoReply::Lost(why)) => return RecallAnswer::Unknown(why),
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
        Some("in-progress" | "completed" | "busy" | "no-answer" | "failed") => RecallAnswer::TooLate,
        // Taken, and not carried out yet: the final callback will tell.
        Some(_) | None => RecallAnswer::Unknown("the call's state after the recall is not known".to_owned()),
    }
}
