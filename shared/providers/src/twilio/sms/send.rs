//! Sending a text: `POST …/Messages.json` (wire A.4).

use tocsin_domain::sender::is_messaging_service;

use super::status;
use crate::http::Within;
use crate::twilio::account::{TwilioAccount, answer};
use crate::{Answer, SendRequest};

/// Seconds a message may wait in Twilio's queue.
const VALIDITY_PERIOD_MAX: u64 = 36_000;

pub(super) async fn send(account: &TwilioAccount, request: &SendRequest) -> Answer {
    let form = form(request.from.as_deref().unwrap_or(&account.sender), request);
    answer(account.create(form, Within::of([request])).await, |message| {
        status::outcome(message.status.as_deref().unwrap_or_default(), message.error_code)
    })
}

fn form(sender: &str, request: &SendRequest) -> String {
    let validity_seconds = request.valid_for.as_secs().clamp(1, VALIDITY_PERIOD_MAX);
    let capacity = 2 * request.body.len() + request.callback_url.len() + 160;
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(capacity));
    form.append_pair("To", &request.to)
        .append_pair(if is_messaging_service(sender) { "MessagingServiceSid" } else { "From" }, sender)
        .append_pair("Body", &request.body)
        .append_pair("StatusCallback", &request.callback_url)
        .append_pair("ValidityPeriod", &validity_seconds.to_string());
    form.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tocsin_domain::{AttemptKey, CampaignId, JobKey};
    use uuid::Uuid;

    use super::*;
    use crate::twilio::form::Form;

    #[test]
    fn the_form_carries_what_a_plain_text_needs() {
        for (valid_for, expected) in [(0, "1"), (90, "90"), (90_000, "36000")] {
            let request = SendRequest {
                attempt: AttemptKey { job: JobKey { campaign: CampaignId(Uuid::nil()), job: 1 }, number: 1 },
                from: None,
                to: "+14155550100".into(),
                extension: None,
                language: None,
                subject: None,
                body: "¡Hola & adiós!".into(),
                files: Default::default(),
                detection: None,
                audio_url: None,
                call_url: None,
                confirm: false,
                unsubscribe_url: None,
                tag: None,
                callback_url: "https://bell.example/callbacks/sms/tok".into(),
                valid_for: Duration::from_secs(valid_for),
                start_within: Duration::from_secs(2),
                deadline: Duration::from_secs(5),
            };
            let text = form("+15005550006", &request);
            let form = Form::parse(text.as_bytes());
            assert_eq!(form.get("To"), Some("+14155550100"));
            assert_eq!(form.get("From"), Some("+15005550006"));
            assert_eq!(form.get("Body"), Some("¡Hola & adiós!"));
            assert_eq!(form.get("StatusCallback"), Some("https://bell.example/callbacks/sms/tok"));
            assert_eq!(form.get("ValidityPeriod"), Some(expected));
            let service = "MG0123456789abcdef0123456789abcdef";
            let text = super::form(service, &request);
            let form = Form::parse(text.as_bytes());
            assert_eq!((form.get("MessagingServiceSid"), form.get("From")), (Some(service), None));
        }
    }
}
