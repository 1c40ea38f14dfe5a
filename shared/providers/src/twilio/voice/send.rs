//! Placing a call: `POST …/Calls.json` (wire A.2).

use tocsin_domain::Outcome;
use tocsin_domain::policy::Detection;

use super::{detection, status, twiml};
use crate::twilio::account::{TwilioAccount, answer};
use crate::{Answer, RefusalClass, SendRequest};

/// `initiated` clears up a lost answer while the phone still rings; `answered` says that someone was
/// reached before the call ends. `ringing` would tell us nothing more.
const EVENTS: [&str; 3] = ["initiated", "answered", "completed"];
const SEND_DIGITS_MAX: usize = 32;
/// Two seconds between the answer and the first digit, for the switchboard to listen.
const PAUSE: &str = "wwww";

pub(super) async fn send(account: &TwilioAccount, request: &SendRequest) -> Answer {
    match form(account, request) {
        Ok(form) => answer(account.create(form, request.deadline).await, status::of_call),
        Err(outcome) => Answer::Refused { outcome, provider_code: None, class: RefusalClass::Permanent },
    }
}

/// The call's parameters, or what is wrong with the request.
fn form(account: &TwilioAccount, request: &SendRequest) -> Result<String, Outcome> {
    let twiml = twiml::say(&request.body, request.language.as_deref()).ok_or(Outcome::CallNotInitiated)?;
    let digits = request.extension.as_deref().map(send_digits).transpose()?;
    // With digits to dial the vendor detects nothing.
    let asked = request.detection.filter(|_| digits.is_none());
    let status_callback = match asked {
        Some(_) => detection::marked(&request.callback_url),
        None => request.callback_url.clone(),
    };
    let capacity = 2 * twiml.len() + request.callback_url.len() + 256;
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(capacity));
    form.append_pair("To", &request.to)
        .append_pair("From", request.from.as_deref().unwrap_or(&account.sender))
        .append_pair("Twiml", &twiml)
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
    use super::*;

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
