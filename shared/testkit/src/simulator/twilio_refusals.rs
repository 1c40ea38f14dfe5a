//! What Twilio refuses: requests that lack something or hold what it does not know, and its test numbers (wire A.2, A.4,
//! A.6, A.7).

use tocsin_domain::Channel;
use tocsin_providers::twilio::form::Form;

use super::SENDER;

/// Every number that starts so is one of Twilio's test numbers.
const TEST_NUMBERS: &str = "+1500555";
const BODY_CHARS_MAX: usize = 1600;
const TWIML_CHARS_MAX: usize = 4000;

const SEND_DIGITS_MAX: usize = 32;
const TIMEOUT_SECONDS: std::ops::RangeInclusive<u64> = 1..=600;
const VALIDITY_SECONDS: std::ops::RangeInclusive<u64> = 1..=36_000;
/// A parameter that there is none of, or a value that it does not take.
const UNKNOWN_PARAMETER: u32 = 20001;
const BAD_CALLBACK: u32 = 21609;
const BAD_URL: u32 = 21205;

#[rustfmt::skip]
const CALL_PARAMETERS: [&str; 28] = [
    "To", "From", "Url", "Method", "Twiml", "ApplicationSid", "FallbackUrl", "FallbackMethod", "StatusCallback",
    "StatusCallbackMethod", "StatusCallbackEvent", "Timeout", "TimeLimit", "SendDigits", "MachineDetection",
    "MachineDetectionTimeout", "MachineDetectionSpeechThreshold", "MachineDetectionSpeechEndThreshold",
    "MachineDetectionSilenceTimeout", "AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "Record",
    "RecordingChannels", "RecordingStatusCallback", "CallerId", "CallReason", "CallToken",
];
#[rustfmt::skip]
const TEXT_PARAMETERS: [&str; 22] = [
    "To", "From", "MessagingServiceSid", "Body", "MediaUrl", "ContentSid", "ContentVariables", "StatusCallback",
    "ValidityPeriod", "SmartEncoded", "ScheduleType", "SendAt", "ProvideFeedback", "Attempt", "MaxPrice",
    "ContentRetention", "AddressRetention", "ShortenUrls", "SendAsMms", "RiskCheck", "ApplicationSid", "ForceDelivery",
];
const EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];
const METHODS: [&str; 2] = ["GET", "POST"];

/// The error code of a request that is refused with HTTP 400. None: it is taken.
pub(super) fn of_request(channel: Channel, form: &Form<'_>) -> Option<u32> {
    let known: &[&str] = match channel {
        Channel::Voice => &CALL_PARAMETERS,
        Channel::Sms | Channel::Email | Channel::Inbox => &TEXT_PARAMETERS,
    };
    let lacking = match channel {
        Channel::Voice => of_call(form),
        Channel::Sms | Channel::Email | Channel::Inbox => of_text(form),
    };
    let strange = form.pairs().iter().any(|(name, _)| !known.contains(&&**name));
    // In its own words first: what is missing tells more than what is strange.
    lacking.or_else(|| strange.then_some(UNKNOWN_PARAMETER)).or_else(|| of_values(form))
}

/// Values outside of what a parameter takes.
fn of_values(form: &Form<'_>) -> Option<u32> {
    form.pairs().iter().find_map(|(name, value)| {
        let within = |range: std::ops::RangeInclusive<u64>| value.parse().is_ok_and(|is| range.contains(&is));
        let (holds, code) = match &**name {
            "StatusCallback" | "AsyncAmdStatusCallback" => (is_callback(value), BAD_CALLBACK),
            "Url" | "FallbackUrl" => (is_callback(value), BAD_URL),
            "StatusCallbackEvent" => (EVENTS.contains(&&**value), UNKNOWN_PARAMETER),
            "MachineDetection" => (["Enable", "DetectMessageEnd"].contains(&&**value), UNKNOWN_PARAMETER),
            "AsyncAmd" => (["true", "false"].contains(&&**value), UNKNOWN_PARAMETER),
            "Timeout" => (within(TIMEOUT_SECONDS), UNKNOWN_PARAMETER),
            "TimeLimit" => (within(1..=24 * 3600), UNKNOWN_PARAMETER),
            "ValidityPeriod" => (within(VALIDITY_SECONDS), UNKNOWN_PARAMETER),
            "SendDigits" => (is_dialable(value), UNKNOWN_PARAMETER),
            name if name.ends_with("Method") => (METHODS.contains(&&**value), UNKNOWN_PARAMETER),
            _ => (true, UNKNOWN_PARAMETER),
        };
        (!holds).then_some(code)
    })
}

/// Its host has no underscore.
fn is_callback(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    host.is_some_and(|host| !host.is_empty() && !host.contains('_'))
}

fn is_dialable(digits: &str) -> bool {
    digits.len() <= SEND_DIGITS_MAX && digits.chars().all(|c| c.is_ascii_digit() || "ABCD#*wW".contains(c))
}

fn of_call(form: &Form<'_>) -> Option<u32> {
    let Some(to) = form.get("To") else { return Some(21201) };
    let Some(from) = form.get("From") else { return Some(21212) };
    match from {
        SENDER => {}
        "+15005550001" => return Some(21212),
        _ if from.starts_with(TEST_NUMBERS) => return Some(21210),
        _ if !is_e164(from) => return Some(21212),
        _ => {}
    }
    match to {
        "+15005550001" => return Some(21217),
        "+15005550002" => return Some(21214),
        "+15005550003" => return Some(21215),
        "+15005550004" => return Some(21216),
        _ if !is_e164(to) => return Some(21217),
        _ => {}
    }
    match form.get("Url").or_else(|| form.get("ApplicationSid")).or_else(|| form.get("Twiml")) {
        None => Some(21205),
        Some(twiml) if form.get("Twiml") == Some(twiml) && twiml.chars().count() > TWIML_CHARS_MAX => {
            Some(21218)
        }
        Some(_) => None,
    }
}

fn of_text(form: &Form<'_>) -> Option<u32> {
    let Some(to) = form.get("To") else { return Some(21604) };
    let Some(from) = form.get("From").or_else(|| form.get("MessagingServiceSid")) else { return Some(21606) };
    match from {
        "+15005550001" => return Some(21212),
        "+15005550007" => return Some(21606),
        "+15005550008" => return Some(21611),
        _ => {}
    }
    match to {
        "+15005550001" => return Some(21211),
        "+15005550002" => return Some(21612),
        "+15005550003" => return Some(21408),
        "+15005550004" => return Some(21610),
        "+15005550009" => return Some(21614),
        _ if !is_e164(to) => return Some(21211),
        _ => {}
    }
    match form.get("Body").or_else(|| form.get("MediaUrl")) {
        None => Some(21602),
        Some(body) if body.chars().count() > BODY_CHARS_MAX => Some(21617),
        Some(_) => None,
    }
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+')
        .is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(from: &str, to: &str) -> Option<u32> {
        of_request(Channel::Voice, &Form::from_pairs(&[("From", from), ("To", to), ("Twiml", "<Response/>")]))
    }

    fn text(from: &str, to: &str) -> Option<u32> {
        of_request(Channel::Sms, &Form::from_pairs(&[("From", from), ("To", to), ("Body", "Hi")]))
    }

    #[test]
    fn the_test_numbers_are_refused_as_published() {
        const PERSON: &str = "+14155550100";
        let calls = [
            (SENDER, PERSON, None),
            ("+15005550001", PERSON, Some(21212)),
            ("+15005550009", PERSON, Some(21210)),
            (SENDER, "+15005550001", Some(21217)),
            (SENDER, "+15005550002", Some(21214)),
            (SENDER, "+15005550003", Some(21215)),
            (SENDER, "+15005550004", Some(21216)),
        ];
        for (from, to, code) in calls {
            assert_eq!(call(from, to), code, "call {from} {to}");
        }
        let texts = [
            (SENDER, PERSON, None),
            ("+15005550001", PERSON, Some(21212)),
            ("+15005550007", PERSON, Some(21606)),
            ("+15005550008", PERSON, Some(21611)),
            (SENDER, "+15005550001", Some(21211)),
            (SENDER, "+15005550002", Some(21612)),
            (SENDER, "+15005550003", Some(21408)),
            (SENDER, "+15005550004", Some(21610)),
            (SENDER, "+15005550009", Some(21614)),
        ];
        for (from, to, code) in texts {
            assert_eq!(text(from, to), code, "text {from} {to}");
        }
    }

    #[test]
    fn a_request_that_lacks_something_is_refused_with_the_vendors_code() {
        let table = [
            (Channel::Voice, vec![], 21201),
            (Channel::Voice, vec![("To", "+14155550100")], 21212),
            (Channel::Voice, vec![("To", "+14155550100"), ("From", SENDER)], 21205),
            (Channel::Sms, vec![], 21604),
            (Channel::Sms, vec![("To", "+14155550100")], 21606),
            (Channel::Sms, vec![("To", "+14155550100"), ("From", SENDER)], 21602),
            (Channel::Sms, vec![("To", "4155550100"), ("From", SENDER), ("Body", "x")], 21211),
        ];
        for (channel, pairs, code) in table {
            assert_eq!(of_request(channel, &Form::from_pairs(&pairs)), Some(code), "{pairs:?}");
        }
        let long = "x".repeat(BODY_CHARS_MAX + 1);
        let pairs = [("To", "+14155550100"), ("From", SENDER), ("Body", long.as_str())];
        assert_eq!(of_request(Channel::Sms, &Form::from_pairs(&pairs)), Some(21617));
    }

    #[test]
    fn what_the_vendor_does_not_know_is_refused() {
        let call = [("To", "+14155550100"), ("From", SENDER), ("Twiml", "<Response/>")];
        let text = [("To", "+14155550100"), ("From", SENDER), ("Body", "x")];
        let long = "1".repeat(SEND_DIGITS_MAX + 1);
        let table = [
            (Channel::Voice, ("Timeout", "60"), None),
            (Channel::Voice, ("Timeout", "601"), Some(20001)),
            (Channel::Voice, ("TimeLimit", "0"), Some(20001)),
            (Channel::Voice, ("StatusCallbackEvents", "answered"), Some(20001)),
            (Channel::Voice, ("StatusCallbackEvent", "hung-up"), Some(20001)),
            (Channel::Voice, ("StatusCallback", "https://my_host.example/x"), Some(21609)),
            (Channel::Voice, ("StatusCallbackMethod", "PUT"), Some(20001)),
            (Channel::Voice, ("MachineDetection", "Yes"), Some(20001)),
            (Channel::Voice, ("SendDigits", "ww12x"), Some(20001)),
            (Channel::Voice, ("SendDigits", long.as_str()), Some(20001)),
            (Channel::Voice, ("Body", "x"), Some(20001)),
            (Channel::Sms, ("ValidityPeriod", "36000"), None),
            (Channel::Sms, ("ValidityPeriod", "36001"), Some(20001)),
            (Channel::Sms, ("ValidityPeriod", "0"), Some(20001)),
            (Channel::Sms, ("StatusCallback", "not a url"), Some(21609)),
            (Channel::Sms, ("validityPeriod", "60"), Some(20001)),
        ];
        for (channel, more, code) in table {
            let base = if channel == Channel::Voice { call } else { text };
            let pairs: Vec<(&str, &str)> = base.into_iter().chain([more]).collect();
            assert_eq!(of_request(channel, &Form::from_pairs(&pairs)), code, "{more:?}");
        }
    }
}
