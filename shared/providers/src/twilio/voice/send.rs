//! Placing a call: `POST …/Calls.json` (wire A.2).

use tocsin_domain::Outcome;
use tocsin_domain::policy::Detection;

use super::{detection, status, twiml};
use crate::http::Within;
use crate::twilio::account::{TwilioAccount, answer};
use crate::{Answer, RefusalClass, SendRequest, Spoken};

/// `initiated` clears up a lost answer while the phone still rings; `answered` says that someone was
/// reached before the call ends. `ringing` would tell us nothing more.
const EVENTS: [&str; 3] = ["initiated", "answered", "completed"];
/// The longest message, heard twice. A line that was never hung up must not cost hours.
const TIME_LIMIT_SECONDS: &str = "900";
const SEND_DIGITS_MAX: usize = 32;
/// Two seconds between the answer and the first digit, for the switchboard to listen.
const PAUSE: &str = "wwww";

pub(super) async fn send(account: &TwilioAccount, request: &SendRequest) -> Answer {
    match form(account, request) {
        Ok(form) => answer(account.create(form, Within::of([request])).await, status::of_call),
        Err(outcome) => Answer::Refused { outcome, provider_code: None, class: RefusalClass::Permanent },
    }
}

/// The call's parameters, or what is wrong with the request.
fn form(account: &TwilioAccount, request: &SendRequest) -> Result<String, Outcome> {
    let says = Says::of(request).ok_or(Outcome::CallNotInitiated)?;
    let digits = request.extension.as_deref().map(send_digits).transpose()?;
    // With digits to dial the vendor detects nothing.
    let asked = request.detection.filter(|_| digits.is_none());
    let status_callback = match asked {
        Some(_) => detection::marked(&request.callback_url),
        None => request.callback_url.clone(),
    };
    let capacity = 2 * says.value.len() + request.callback_url.len() + 256;
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(capacity));
    form.append_pair("To", &request.to)
        .append_pair("From", request.from.as_deref().unwrap_or(&account.sender))
        .append_pair(says.parameter, &says.value)
        .append_pair("TimeLimit", TIME_LIMIT_SECONDS)
        .append_pair("StatusCallback", &status_callback);
    for event in EVENTS {
        form.append_pair("StatusCallbackEvent", event);
    }
    match asked {
        None => {}
        Some(Detection::AfterGreeting) => {
            form.append_pair("MachineDetection", "DetectMessageEnd");
        }
        Some(Detection::Meanwhile) => {
            form.append_pair("MachineDetection", "Enable")
                .append_pair("AsyncAmd", "true")
                .append_pair("AsyncAmdStatusCallback", &status_callback);
        }
    }
    if let Some(digits) = digits {
        form.append_pair("SendDigits", &digits);
    }
    Ok(form.finish())
}

/// What the call says: the document itself, or where it is, if it is too long to go along.
struct Says {
    parameter: &'static str,
    value: String,
}

impl Says {
    /// None: it is longer than any call takes.
    fn of(request: &SendRequest) -> Option<Self> {
        let document = twiml::document(&Spoken {
            body: &request.body,
            language: request.language.as_deref(),
            audio_url: request.audio_url.as_deref(),
            keys_below: request.call_url.as_deref().filter(|_| request.confirm),
        });
        if twiml::goes_along(&document) {
            return Some(Self { parameter: "Twiml", value: document });
        }
        let url = request.call_url.clone().filter(|_| twiml::can_be_served(&document))?;
        Some(Self { parameter: "Url", value: url })
    }
}

fn send_digits(extension: &str) -> Result<String, Outcome> {
    let dialable = |byte: u8| byte.is_ascii_digit() || byte == b'*' || byte == b'#';
    let fits = extension.len() <= SEND_DIGITS_MAX - PAUSE.len();
    if extension.is_empty() || !fits || !extension.bytes().all(dialable) {
        return Err(Outcome::InvalidNumber);
    }
    Ok(format!("{PAUSE}{extension}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey};
    use uuid::Uuid;

    use super::*;
    use crate::twilio::account::Collection;
    use crate::{AccountClient, AccountSettings, ProviderKind, Secret};

    const CALLBACK: &str = "https://bell.example/callbacks/voice/tok";
    const CALL: &str = "https://bell.example/calls/voice/tok";

    fn account() -> TwilioAccount {
        let settings = AccountSettings {
            name: "voice".into(),
            channel: Channel::Voice,
            kind: ProviderKind::Twilio,
            base_url: "https://api.twilio.com".into(),
            user: "AC00000000000000000000000000000001".into(),
            secret: Secret::new("token"),
            signing_keys: vec![],
            sender: "+15005550006".into(),
            domain: None,
            ca_file: None,
            profile: None,
            connections_max: None,
        };
        TwilioAccount::new(&settings, AccountClient::new(1).unwrap(), Collection::Calls).unwrap()
    }

    fn request() -> SendRequest {
        SendRequest {
            attempt: AttemptKey { job: JobKey { campaign: CampaignId(Uuid::nil()), job: 1 }, number: 1 },
            from: None,
            to: "+14155550100".into(),
            extension: None,
            language: Some("es".into()),
            subject: None,
            body: "Hola".into(),
            files: Default::default(),
            audio_url: None,
            call_url: Some(CALL.into()),
            confirm: false,
            unsubscribe_url: None,
            tag: None,
            detection: None,
            callback_url: CALLBACK.into(),
            valid_for: Duration::from_secs(60),
            start_within: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
        }
    }

    #[test]
    fn a_call_is_asked_for_with_exactly_this() {
        type Pair<'a> = (&'a str, &'a str);
        /// The request, and then sender, what is said, the callback's address and more.
        type Case<'a> = (SendRequest, &'a str, Pair<'a>, &'a str, &'a [Pair<'a>]);
        const SAYS: Pair<'_> = ("Twiml", "<Response><Say language=\"es-MX\">Hola</Say></Response>");
        const PLAYS: Pair<'_> = ("Twiml", "<Response><Play>https://a.example/1.mp3</Play></Response>");
        let marked = format!("{CALLBACK}?detection=1");
        let marked = marked.as_str();
        let after_greeting = [("MachineDetection", "DetectMessageEnd")];
        let meanwhile =
            [("MachineDetection", "Enable"), ("AsyncAmd", "true"), ("AsyncAmdStatusCallback", marked)];
        let detected = |detection| SendRequest { detection: Some(detection), ..request() };
        let extension = || Some("12#".to_owned());
        let table: [Case<'_>; 7] = [
            (request(), "+15005550006", SAYS, CALLBACK, &[]),
            (
                SendRequest { from: Some("+15005550009".into()), ..request() },
                "+15005550009",
                SAYS,
                CALLBACK,
                &[],
            ),
            (detected(Detection::AfterGreeting), "+15005550006", SAYS, marked, &after_greeting),
            (detected(Detection::Meanwhile), "+15005550006", SAYS, marked, &meanwhile),
            (
                SendRequest { extension: extension(), ..detected(Detection::Meanwhile) },
                "+15005550006",
                SAYS,
                CALLBACK,
                &[("SendDigits", "wwww12#")],
            ),
            (
                SendRequest { audio_url: Some("https://a.example/1.mp3".into()), ..request() },
                "+15005550006",
                PLAYS,
                CALLBACK,
                &[],
            ),
            (
                SendRequest { body: "a".repeat(3990), ..request() },
                "+15005550006",
                ("Url", CALL),
                CALLBACK,
                &[],
            ),
        ];
        for (request, from, says, callback, more) in table {
            let events = EVENTS.map(|event| ("StatusCallbackEvent", event));
            let first = [
                ("To", "+14155550100"),
                ("From", from),
                says,
                ("TimeLimit", "900"),
                ("StatusCallback", callback),
            ];
            let expected: Vec<(String, String)> = first
                .iter()
                .chain(&events)
                .chain(more)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let form = form(&account(), &request).unwrap();
            let asked: Vec<(String, String)> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            assert_eq!(asked, expected);
        }
    }

    #[test]
    fn a_call_that_asks_carries_the_question_and_none_is_longer_than_a_call_takes() {
        let asking = form(&account(), &SendRequest { confirm: true, ..request() }).unwrap();
        let keys = "https%3A%2F%2Fbell.example%2Fcalls%2Fvoice%2Ftok%2Fkeys%3Flanguage%3Des-MX";
        assert!(asking.contains("%3CGather") && asking.contains(keys), "{asking}");
        let endless = SendRequest { body: "&".repeat(20_000), ..request() };
        assert_eq!(form(&account(), &endless), Err(Outcome::CallNotInitiated));
        let nowhere = SendRequest { body: "a".repeat(4_000), call_url: None, ..request() };
        assert_eq!(form(&account(), &nowhere), Err(Outcome::CallNotInitiated));
    }

    #[test]
    fn an_extension_is_dialed_after_a_pause() {
        assert_eq!(send_digits("123#"), Ok("wwww123#".to_owned()));
        assert_eq!(send_digits(&"1".repeat(28)).map(|digits| digits.len()), Ok(SEND_DIGITS_MAX));
    }

    #[test]
    fn an_extension_that_cannot_be_dialed_is_an_invalid_number() {
        for extension in ["", "12a", "1 2", "١٢", &"1".repeat(29)] {
            assert_eq!(send_digits(extension), Err(Outcome::InvalidNumber), "{extension:?}");
        }
    }
}
