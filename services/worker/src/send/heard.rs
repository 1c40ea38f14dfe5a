//! What an answer means: for its attempt, its account and its address.

use tocsin_domain::Outcome;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::suppression::AddressFact;
use tocsin_domain::trace::{SpanId, TraceId};
use tocsin_providers::{Answer, Provider, RefusalClass};

use super::batch::Claimed;
use crate::Worker;
use crate::places::Call;
use crate::shares::AccountShare;

/// The provider's answer in the settlement's words. What concerns more than this attempt is done here.
pub(super) async fn heard(worker: &Worker, claimed: &Claimed, answer: Answer) -> ReportKind {
    let attempt = claimed.grant.attempt;
    if may_go_on(&answer) {
        claimed.calls.iter().for_each(Call::goes_on);
    }
    if matches!(answer, Answer::Accepted { .. }) {
        claimed.share.accepted();
    }
    match answer {
        Answer::Accepted { provider_id, outcome: None } => ReportKind::Accepted { provider_id },
        Answer::Accepted { provider_id, outcome: Some(outcome) } => {
            ReportKind::Status { outcome, provider_code: None, provider_id }
        }
        Answer::Refused { outcome, provider_code, class } => {
            match class {
                // Nothing was sent, and another sender may do: the job is due again, and this one gets none.
                RefusalClass::Sender if claimed.share.sender.is_some() => {
                    stop(worker, &claimed.share, provider_code.as_deref(), place(claimed)).await;
                    return ReportKind::Throttled { provider_code, retry_after: None };
                }
                // It is not this message's fault: another account may send it, or this one once it is put right. One
                // that an account did not take before is believed for another one's sake only: alone it would stop one
                // account after the other.
                RefusalClass::Configuration | RefusalClass::Sender
                    if claimed.share.refused(claimed.grant.attempt.job) || is_first_asked(claimed) =>
                {
                    stop(worker, claimed.share.of_account(), provider_code.as_deref(), place(claimed)).await;
                    return ReportKind::Throttled { provider_code, retry_after: None };
                }
                RefusalClass::Configuration | RefusalClass::Sender => {
                    let (trace, span) = place(claimed);
                    tracing::warn!(
                        account = claimed.share.name,
                        code = provider_code.as_deref(),
                        trace_id = %trace,
                        span_id = %span,
                        "a message that no account takes: none is stopped for it"
                    );
                }
                RefusalClass::Permanent | RefusalClass::OptOut => {}
            }
            ReportKind::Status { outcome, provider_code, provider_id: None }
        }
        // Asked for by itself, nothing is refused so.
        Answer::RefusedTogether { provider_code } => {
            ReportKind::Status { outcome: Outcome::ProviderRejected, provider_code, provider_id: None }
        }
        Answer::Throttled { provider_code, retry_after, whose } => {
            worker.shares.throttled(&claimed.share, whose, retry_after);
            ReportKind::Throttled { provider_code, retry_after }
        }
        // It took too long here, and says nothing of the account.
        Answer::NotStarted => ReportKind::NotAsked,
        Answer::NotSent { why } => {
            let (trace, span) = place(claimed);
            tracing::warn!(account = claimed.share.name, why, campaign.id = %attempt.job.campaign,
                job.id = attempt.job.job, attempt.id = attempt.number, trace_id = %trace, span_id = %span,
                "provider could not be reached");
            ReportKind::Status {
                outcome: Outcome::ProviderUnavailable,
                provider_code: None,
                provider_id: None,
            }
        }
        Answer::Lost { why } => {
            let (trace, span) = place(claimed);
            tracing::warn!(account = claimed.share.name, why, campaign.id = %attempt.job.campaign,
                job.id = attempt.job.job, attempt.id = attempt.number, trace_id = %trace, span_id = %span,
                "outcome unknown: the provider's answer was lost");
            ReportKind::Lost
        }
    }
}

/// Has every earlier attempt of the job been taken?
fn is_first_asked(claimed: &Claimed) -> bool {
    claimed.times_not_taken() == 0
}

/// Where what is logged of an answer is in the trace of its attempt, whether or not that is kept.
fn place(claimed: &Claimed) -> (TraceId, SpanId) {
    let trace = TraceId::of_attempt(claimed.grant.attempt);
    let asking = claimed.traced.as_ref().and_then(|traced| traced.asking.as_ref());
    (trace, asking.map_or_else(|| trace.root(), |asking| asking.span(trace)))
}

/// Does the provider hold the attempt, or is it unknown whether it does?
fn may_go_on(answer: &Answer) -> bool {
    match answer {
        Answer::Accepted { outcome, .. } => outcome.is_none_or(|outcome| !outcome.terminal()),
        Answer::Lost { .. } => true,
        Answer::Refused { .. }
        | Answer::RefusedTogether { .. }
        | Answer::Throttled { .. }
        | Answer::NotStarted
        | Answer::NotSent { .. } => false,
    }
}

/// Stops an account or a sender that its provider refuses, as it said to one request.
async fn stop(worker: &Worker, refused: &AccountShare, code: Option<&str>, (trace, span): (TraceId, SpanId)) {
    // Many messages are refused together.
    if refused.is_given_up() {
        return;
    }
    let what = if refused.sender.is_some() { "sender" } else { "account" };
    let reason = format!("the provider refuses the {what}: {}", code.unwrap_or("no code"));
    match worker.store.stop_account(refused.account, &reason, worker.clock.now()).await {
        Ok(true) => {
            tracing::error!(
                account = refused.name,
                account.id = refused.account.0,
                code,
                trace_id = %trace,
                span_id = %span,
                "{what} stopped: its provider refuses it; put it right, then `tocsin {what} resume` it"
            );
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, account = refused.name, "{what} could not be stopped"),
    }
    // After it is so for all: what goes back to its row is not released to it again.
    worker.shares.stopped(refused.account);
}

/// What a refusal tells of the address itself: who opted out at the provider has opted out here, and a phone
/// without texts is not texted again.
pub(super) fn fact_of(provider: Option<&dyn Provider>, answer: &Answer) -> Option<AddressFact> {
    let Answer::Refused { provider_code, class, .. } = answer else { return None };
    let said =
        provider.zip(provider_code.as_deref()).and_then(|(provider, code)| provider.address_fact(code));
    match class {
        RefusalClass::Permanent => said,
        RefusalClass::Configuration | RefusalClass::Sender => None,
        RefusalClass::OptOut => said.or(Some(AddressFact::OptedOut)),
    }
}
