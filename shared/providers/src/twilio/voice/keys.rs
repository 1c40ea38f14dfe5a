//! Keys pressed in a call that asked for them (wire A.8): 0 confirms, * repeats, any other is asked for again.

use tocsin_domain::Outcome;

use super::twiml;
use crate::twilio::form::Form;
use crate::{AfterKey, RawRequest};

const CONFIRM: &str = "0";
const REPEAT: &str = "*";
/// Below a call's address.
const PATH: &str = "/keys";
/// Names the voice that asked, so that the next words are in its language.
const LANGUAGE: &str = "?language=";

/// Where the keys of a call are posted.
pub(super) fn address(keys_below: &str, voice: &str) -> String {
    format!("{keys_below}{PATH}{LANGUAGE}{voice}")
}

/// The key in a request that tells of one. Progress reports are no such requests, whatever they repeat.
pub(super) fn pressed<'a>(form: &'a Form<'_>) -> Option<&'a str> {
    form.get("Digits").filter(|_| form.get("CallbackSource").is_none())
}

/// The call goes on; what it comes to is told by its end.
pub(super) fn outcome(key: &str) -> Outcome {
    if key == CONFIRM { Outcome::PressedToConfirm } else { Outcome::InProgress }
}

/// `raw` is verified: its address is one that this adapter gave away.
pub(super) fn after(raw: &RawRequest) -> AfterKey {
    let form = Form::parse(&raw.body);
    let voice = raw.url.split_once(LANGUAGE).map(|(_, voice)| voice);
    match pressed(&form) {
        Some(CONFIRM) => AfterKey::Say(twiml::reply(twiml::thanks(voice))),
        Some(REPEAT) => AfterKey::Repeat { otherwise: twiml::reply(twiml::ask(&raw.url, voice)) },
        Some(_) | None => AfterKey::Say(twiml::reply(twiml::ask(&raw.url, voice))),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Reply;

    fn after_digits(digits: &str, language: &str) -> AfterKey {
        after(&RawRequest {
            method: "POST".into(),
            url: address("https://bell.example/calls/voice/tok", language),
            headers: vec![],
            body: Bytes::from(format!("CallSid=CA1&CallStatus=in-progress&Digits={digits}")),
        })
    }

    #[test]
    fn zero_is_thanked_for_and_a_star_repeats_and_what_else_is_pressed_is_asked_for_again() {
        let AfterKey::Say(Reply { content_type, body }) = after_digits("0", "es-MX") else { panic!() };
        assert_eq!(content_type, "text/xml");
        assert!(body.contains("Gracias") && body.ends_with("<Hangup/></Response>"), "{body}");
        let again = "action=\"https://bell.example/calls/voice/tok/keys?language=es-MX\"";
        let AfterKey::Repeat { otherwise } = after_digits("%2A", "es-MX") else { panic!() };
        assert!(otherwise.body.contains(again) && otherwise.body.contains("asterisco"), "{otherwise:?}");
        for digits in ["5", "%23", ""] {
            let AfterKey::Say(reply) = after_digits(digits, "es-MX") else { panic!("{digits}") };
            assert_eq!(reply, otherwise, "{digits}");
        }
        let AfterKey::Say(reply) = after_digits("0", "xx-XX") else { panic!() };
        assert!(reply.body.contains("language=\"en-US\">Thank you"), "{reply:?}");
    }
}
