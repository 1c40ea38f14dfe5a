//! A text to our number (wire A.4, E.3), and its answer in TwiML.

use tocsin_domain::address::Phone;
use tocsin_domain::consent::keyword::{Keyword, Reading};

use crate::twilio::form::Form;
use crate::{InboundText, ParseError, RawRequest, Reply};

/// Single words that Twilio confirms by itself, unless the account has that switched off. A second confirmation is
/// one too many, and after a STOP it would be refused.
const CONFIRMED_BY_TWILIO: [&str; 13] = [
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
    "START",
    "YES",
    "UNSTOP",
    "HELP",
    "INFO",
];

pub(super) fn parse(raw: &RawRequest) -> Result<InboundText, ParseError> {
    let form = Form::parse(&raw.body);
    let id = form
        .get("MessageSid")
        .or_else(|| form.get("SmsMessageSid"))
        .or_else(|| form.get("SmsSid"))
        .ok_or(ParseError::Missing("MessageSid"))?;
    let from = Phone::parse(form.get("From").ok_or(ParseError::Missing("From"))?);
    Ok(InboundText {
        id: id.to_owned(),
        from: from.map_err(|_| ParseError::Malformed("From"))?.into(),
        // A picture without a text has none.
        body: form.get("Body").unwrap_or_default().to_owned(),
        taken_for: form.get("OptOutType").and_then(taken_for),
    })
}

/// Empty where Twilio answers itself, and where nothing is asked.
pub(super) fn reply(raw: &RawRequest) -> Reply {
    let text = parse(raw).ok().filter(|text| !is_confirmed_by_twilio(text));
    let body = match text.map(|text| Reading::of(&text.body)) {
        Some(Reading::Keyword(keyword)) => {
            format!("<Response><Message>{}</Message></Response>", escaped(keyword.reply()))
        }
        Some(Reading::Review | Reading::Other) | None => "<Response/>".to_owned(),
    };
    Reply { content_type: "text/xml", body }
}

fn is_confirmed_by_twilio(text: &InboundText) -> bool {
    text.taken_for.is_some()
        || CONFIRMED_BY_TWILIO.iter().any(|word| text.body.trim().eq_ignore_ascii_case(word))
}

fn taken_for(opt_out_type: &str) -> Option<Keyword> {
    match opt_out_type {
        "STOP" => Some(Keyword::Stop),
        "START" => Some(Keyword::Start),
        "HELP" => Some(Keyword::Help),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn raw(body: &str) -> RawRequest {
        let body = Bytes::copy_from_slice(body.as_bytes());
        RawRequest { method: "POST".into(), url: "https://x/inbound/sms".into(), headers: vec![], body }
    }

    #[test]
    fn a_text_is_read_with_its_sender_and_what_twilio_took_it_for() {
        let text =
            parse(&raw("MessageSid=SM1&From=%2B14155550100&To=%2B15005550006&Body=Stop%21&NumMedia=0"))
                .unwrap();
        let plain = ("SM1", "+14155550100", "Stop!", None);
        assert_eq!((text.id.as_str(), text.from.as_str(), text.body.as_str(), text.taken_for), plain);
        for (word, taken_for) in [
            ("STOP", Some(Keyword::Stop)),
            ("START", Some(Keyword::Start)),
            ("HELP", Some(Keyword::Help)),
            ("X", None),
        ] {
            let text = parse(&raw(&format!("SmsSid=SM1&From=%2B14155550100&OptOutType={word}"))).unwrap();
            assert_eq!((text.taken_for, text.body.as_str()), (taken_for, ""), "{word}");
        }
        assert!(!format!("{text:?}").contains("4155550100"));
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert!(matches!(parse(&raw("From=%2B14155550100")), Err(ParseError::Missing("MessageSid"))));
        assert!(matches!(parse(&raw("MessageSid=SM1")), Err(ParseError::Missing("From"))));
        // A short code writes too, and is no person's phone.
        for from in ["72345", "SCHOOL", "%2B1"] {
            let fault = parse(&raw(&format!("MessageSid=SM1&From={from}")));
            assert!(matches!(fault, Err(ParseError::Malformed("From"))), "{from}");
        }
    }

    #[test]
    fn a_keyword_is_confirmed_once_by_twilio_or_by_us() {
        let table = [
            ("Body=STOP", None),
            ("Body=+stop+", None),
            ("Body=help", None),
            ("Body=Anything&OptOutType=STOP", None),
            ("Body=opt+out", Some("You have opted out")),
            ("Body=Y", Some("You will get texts")),
            ("Body=help%21", Some("rates may apply")),
            ("Body=please+stop", None),
            ("Body=Ana+is+ill", None),
            ("", None),
        ];
        for (fields, says) in table {
            let reply = reply(&raw(&format!("MessageSid=SM1&From=%2B14155550100&{fields}")));
            assert_eq!(reply.content_type, "text/xml");
            match says {
                None => assert_eq!(reply.body, "<Response/>", "{fields}"),
                Some(says) => assert!(reply.body.contains(says), "{fields}: {}", reply.body),
            }
            assert!(!reply.body.contains("& "), "{}", reply.body);
        }
        assert_eq!(reply(&raw("%%%")).body, "<Response/>");
    }

    #[test]
    fn copies_of_one_text_are_one_event_and_texts_of_two_accounts_are_not() {
        let text = parse(&raw("MessageSid=SM1&From=%2B14155550100")).unwrap();
        assert_eq!(text.event_id("a"), text.clone().event_id("a"));
        assert_ne!(text.event_id("a"), text.event_id("b"));
        assert_ne!(text.event_id("a"), InboundText { id: "SM2".into(), ..text.clone() }.event_id("a"));
    }
}
