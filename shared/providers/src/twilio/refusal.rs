//! What an HTTP answer other than success means: Twilio's error codes as one table (wire A.6).

use tocsin_domain::Outcome;

use super::resource::ErrorBody;
use crate::http::Reply;
use crate::{Answer, RefusalClass, Whose};

/// An error code, sorted by what we do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Refused(RefusalClass, Outcome),
    /// Not processed: later.
    Throttled(Whose),
    /// May have been processed (wire A.1).
    Lost,
}

/// Turns a reply without a success status into an answer.
pub(super) fn answer(reply: &Reply) -> Answer {
    let code = error_code(reply);
    let status = reply.status.as_u16();
    let word = code.map_or_else(|| format!("HTTP {status}"), |code| code.to_string());
    match code.and_then(meaning).unwrap_or_else(|| meaning_of_status(status)) {
        Meaning::Refused(class, outcome) => Answer::Refused { outcome, provider_code: Some(word), class },
        Meaning::Throttled(whose) => {
            Answer::Throttled { provider_code: Some(word), retry_after: reply.retry_after(), whose }
        }
        Meaning::Lost => Answer::Lost { why: word },
    }
}

/// None when the body is not Twilio's: an error page of a proxy.
pub(super) fn error_code(reply: &Reply) -> Option<u32> {
    serde_json::from_slice::<ErrorBody>(reply.bytes()).unwrap_or_default().code
}

fn meaning(code: u32) -> Option<Meaning> {
    use Outcome::{
        FailedToSend, Ineligible, InvalidNumber, OptOut, ProviderRejected, RouteUnavailable, TextNotInitiated,
    };
    use RefusalClass::{Configuration, Permanent};
    let meaning = match code {
        20429 | 10004 => Meaning::Throttled(Whose::Account),
        // The queue of the number that it was sent from is full.
        21611 => Meaning::Throttled(Whose::Sender),
        20500 | 20503 => Meaning::Lost,
        21610 => Meaning::Refused(RefusalClass::OptOut, OptOut),
        // Authentication, account inactive, forbidden, trial account.
        20003 | 20005 | 20006 | 10001 | 20403 | 21219 | 21608 => {
            Meaning::Refused(Configuration, ProviderRejected)
        }
        // A region that the account may not reach.
        21215 | 21408 => Meaning::Refused(Configuration, ProviderRejected),
        // Bad callback address or application.
        21205 | 21218 | 21609 | 21626 => Meaning::Refused(Configuration, ProviderRejected),
        // A sender that is not ours or not made for this, and messaging services.
        21210 | 21212 | 21606 | 21601 | 21701..=21705 => {
            Meaning::Refused(RefusalClass::Sender, ProviderRejected)
        }
        // Scheduling, which we do not use: a fault of ours for every message.
        35111 | 35114 | 35115 | 35117 | 35118 | 35125 => Meaning::Refused(Configuration, ProviderRejected),
        21211 | 21201 | 21217 | 21401 => Meaning::Refused(Permanent, InvalidNumber),
        21214 => Meaning::Refused(Permanent, RouteUnavailable),
        21612 => Meaning::Refused(Permanent, FailedToSend),
        21614 => Meaning::Refused(Permanent, Ineligible),
        21216 | 13225 | 20404 => Meaning::Refused(Permanent, ProviderRejected),
        21602 | 21604 | 21617 | 21619 => Meaning::Refused(Permanent, TextNotInitiated),
        _ => return None,
    };
    Some(meaning)
}

/// The default for codes we do not know: Twilio advises not to depend on codes too tightly.
fn meaning_of_status(status: u16) -> Meaning {
    match status {
        429 => Meaning::Throttled(Whose::Account),
        408 | 500.. => Meaning::Lost,
        // A redirect is not the API either: the address is wrong.
        300..=399 | 401 | 403 | 407 => {
            Meaning::Refused(RefusalClass::Configuration, Outcome::ProviderRejected)
        }
        _ => Meaning::Refused(RefusalClass::Permanent, Outcome::ProviderRejected),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::*;
    use crate::http::Body;

    fn reply(status: u16, body: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers: HeaderMap::new(), body: Body::Whole(body.as_bytes().to_vec()) }
    }

    fn coded(status: u16, code: u32) -> Answer {
        answer(&reply(status, &format!(r#"{{"code":{code},"message":"m","status":{status}}}"#)))
    }

    #[test]
    fn every_code_has_its_class() {
        use RefusalClass::{Configuration, OptOut, Permanent, Sender};
        let table: [(RefusalClass, &[u32]); 4] = [
            (
                Permanent,
                &[
                    20404, 21211, 21201, 21217, 21401, 21214, 21612, 21216, 13225, 21602, 21604, 21617,
                    21619, 21614,
                ],
            ),
            (
                Configuration,
                &[
                    20003, 20005, 20006, 10001, 20403, 21215, 21408, 21205, 21218, 21609, 21626, 21219,
                    21608, 35111, 35114, 35115, 35117, 35118, 35125,
                ],
            ),
            (Sender, &[21210, 21212, 21606, 21601, 21701, 21702, 21703, 21704, 21705]),
            (OptOut, &[21610]),
        ];
        for (expected, codes) in table {
            for &code in codes {
                match coded(400, code) {
                    Answer::Refused { class, provider_code, .. } => {
                        assert_eq!((class, provider_code), (expected, Some(code.to_string())));
                    }
                    other => panic!("{code}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_limit_is_throttled_whatever_its_status() {
        use Whose::{Account, Sender};
        let table = [(429, 20429, Account), (429, 1, Account), (400, 10004, Account), (400, 21611, Sender)];
        for (status, code, expected) in table {
            let answer = coded(status, code);
            assert!(
                matches!(answer, Answer::Throttled { whose, .. } if whose == expected),
                "{status} {code}"
            );
        }
        let mut limited = reply(429, "<html>busy</html>");
        limited.headers.insert(RETRY_AFTER, HeaderValue::from_static("3"));
        let provider_code = Some("HTTP 429".to_owned());
        let retry_after = Some(Duration::from_secs(3));
        assert_eq!(answer(&limited), Answer::Throttled { provider_code, retry_after, whose: Account });
    }

    #[test]
    fn a_server_error_leaves_the_attempt_unknown() {
        for (status, code) in [(500, 20500), (503, 20503), (502, 7), (408, 7)] {
            assert!(matches!(coded(status, code), Answer::Lost { .. }), "{status} {code}");
        }
        assert_eq!(answer(&reply(502, "<html/>")), Answer::Lost { why: "HTTP 502".into() });
    }

    #[test]
    fn an_unknown_code_is_classed_by_its_status_and_kept() {
        use RefusalClass::{Configuration, Permanent};
        for (status, expected) in
            [(400, Permanent), (404, Permanent), (401, Configuration), (403, Configuration)]
        {
            let refused = Answer::Refused {
                outcome: Outcome::ProviderRejected,
                provider_code: Some("99999".into()),
                class: expected,
            };
            assert_eq!(coded(status, 99999), refused);
        }
        let moved = answer(&reply(302, ""));
        assert!(matches!(moved, Answer::Refused { class: Configuration, .. }), "{moved:?}");
    }

    #[test]
    fn the_outcome_tells_the_device_what_is_wrong() {
        let table = [
            (21211, Outcome::InvalidNumber),
            (21614, Outcome::Ineligible),
            (21610, Outcome::OptOut),
            (21214, Outcome::RouteUnavailable),
            (21612, Outcome::FailedToSend),
            (21617, Outcome::TextNotInitiated),
        ];
        for (code, expected) in table {
            let answer = coded(400, code);
            assert!(matches!(answer, Answer::Refused { outcome, .. } if outcome == expected), "{code}");
        }
    }
}
