//! What a provider is asked to send: the message as its recipient gets it.

use std::sync::Arc;

use tocsin_domain::content::{self, Message};
use tocsin_domain::policy::{REQUEST_DEADLINE, SEND_BY};
use tocsin_domain::segments::segments;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{Channel, Lane, Outcome};
use tocsin_providers::{SendRequest, call_url, callback_url, unsubscribe_url};
use tocsin_store::claim::Granted;

use super::batch::Claimed;
use crate::Worker;
use crate::files::Loaded;

/// The longest that a provider may keep a message waiting, whatever the campaign's expiry.
const VALID_FOR_MAX: std::time::Duration = std::time::Duration::from_secs(36_000);

/// Renders the message. An error is what the attempt ends with: the content was checked when the campaign
/// was made, so this is a value that one recipient lacks.
pub(super) fn request(
    worker: &Worker,
    channel: Channel,
    claimed: &Claimed,
) -> Result<SendRequest, ReportKind> {
    let Granted { attempt, address, extension, language, merge_values, .. } = &claimed.grant;
    let not_initiated = |code: String| ReportKind::Status {
        outcome: match channel {
            Channel::Voice => Outcome::CallNotInitiated,
            Channel::Sms => Outcome::TextNotInitiated,
            Channel::Email | Channel::Inbox => Outcome::FailedToSend,
        },
        provider_code: Some(code),
        provider_id: None,
    };
    let files = match &claimed.files {
        Loaded::Ready(files) => Arc::clone(files),
        Loaded::Unread => return Err(ReportKind::NotAsked),
        Loaded::Missing => return Err(not_initiated("an attachment is missing".to_owned())),
    };
    let Message { language, subject, body, audio_url, attachments: _ } =
        content::message(&claimed.brief.contents, channel, language.as_deref(), merge_values)
            .map_err(|why| not_initiated(why.to_string()))?;
    if channel == Channel::Sms {
        let segments = segments(&body).count;
        claimed.share.charge(segments.saturating_sub(1));
    }
    let token = worker.settings.token_keys.mint(*attempt, claimed.brief.lane);
    let left = (claimed.brief.expires_at - worker.clock.now()).to_std().unwrap_or_default();
    Ok(SendRequest {
        attempt: *attempt,
        from: claimed.share.sender.as_ref().map(|sender| sender.address.clone()),
        to: address.clone(),
        extension: extension.clone(),
        language,
        subject,
        body,
        files,
        audio_url,
        call_url: Some(call_url(&worker.settings.public_url, &claimed.share.name, &token))
            .filter(|_| channel == Channel::Voice),
        confirm: claimed.brief.redial.confirm && channel == Channel::Voice,
        unsubscribe_url: may_unsubscribe(channel, claimed.brief.lane).then(|| {
            unsubscribe_url(
                &worker.settings.public_url,
                &worker.settings.token_keys.mint_unsubscribe(*attempt),
            )
        }),
        tag: Some(claimed.brief.message_type.clone()).filter(|_| channel == Channel::Email),
        detection: claimed.brief.redial.detection(claimed.grant.tries).filter(|_| channel == Channel::Voice),
        callback_url: callback_url(&worker.settings.public_url, &claimed.share.name, &token),
        valid_for: left.min(VALID_FOR_MAX),
        start_within: SEND_BY.saturating_sub(claimed.since.elapsed()),
        deadline: REQUEST_DEADLINE,
    })
}

/// Nobody is offered to end emergencies.
fn may_unsubscribe(channel: Channel, lane: Lane) -> bool {
    channel == Channel::Email && lane != Lane::Emergency
}
