//! Sending a mail: `POST /v3/{domain}/messages`, and what its answer means (wire B.1).

use std::time::Duration;

use futures::future::join_all;
use serde::Deserialize;
use tocsin_domain::Outcome;

use super::account::MailgunAccount;
use super::event::mail_id;
use super::letter;
use crate::http::{Body, NoReply, Reply, Within};
use crate::{Answer, RefusalClass, SendRequest, Whose};

/// Of files, while a request is written.
const COPIES: usize = 1;

pub(super) async fn send(account: &MailgunAccount, request: &SendRequest) -> Answer {
    let Some(_room) = account.room.take(&request.files, COPIES, request.start_within).await else {
        return Answer::NotStarted;
    };
    let Some(form) = letter::form(&account.sender, &[request]) else {
        return Answer::NotSent { why: "nothing was asked".to_owned() };
    };
    of_mail(answer(account.post_message(form, Within::of([request])).await), &request.to)
}

/// What goes together as one request each, all at once. The answers in the order of `requests`.
pub(super) async fn send_batch(account: &MailgunAccount, requests: &[SendRequest]) -> Vec<Answer> {
    let groups = letter::groups(requests);
    let asked = groups.iter().map(async |places| {
        let together: Vec<&SendRequest> = places.iter().map(|&place| &requests[place]).collect();
        (places, send_together(account, &together).await)
    });
    let mut answers: Vec<Option<Answer>> = vec![None; requests.len()];
    for (places, said) in join_all(asked).await {
        for (&place, answer) in places.iter().zip(said) {
            answers[place] = Some(answer);
        }
    }
    // Every request is in one group.
    let unasked = || Answer::NotSent { why: "nothing was asked".to_owned() };
    answers.into_iter().map(|answer| answer.unwrap_or_else(unasked)).collect()
}

/// One answer is everybody's, but for what is each one's own: the id. Of several, one whose address Mailgun does not like
/// makes it refuse all.
async fn send_together(account: &MailgunAccount, together: &[&SendRequest]) -> Vec<Answer> {
    let within = Within::of(together.iter().copied());
    let files = together.first().map(|request| &request.files[..]).unwrap_or_default();
    let Some(_room) = account.room.take(files, COPIES, within.start).await else {
        return vec![Answer::NotStarted; together.len()];
    };
    let Some(form) = letter::form(&account.sender, together) else { return Vec::new() };
    let said = answer(account.post_message(form, within).await);
    let of = |request: &&SendRequest| match &said {
        Answer::Refused { class: RefusalClass::Permanent, provider_code, .. } if together.len() > 1 => {
            Answer::RefusedTogether { provider_code: provider_code.clone() }
        }
        said => of_mail(said.clone(), &request.to),
    };
    together.iter().map(of).collect()
}

/// Several mails have one id at Mailgun.
fn of_mail(answer: Answer, recipient: &str) -> Answer {
    match answer {
        Answer::Accepted { provider_id: Some(id), outcome } => {
            Answer::Accepted { provider_id: Some(mail_id(&id, Some(recipient))), outcome }
        }
        other => other,
    }
}

fn answer(reply: Result<Reply, NoReply>) -> Answer {
    let reply = match reply {
        Ok(reply) => reply,
        Err(no_reply) => return no_reply.into_answer(),
    };
    let status = reply.status.as_u16();
    let refused =
        |class, outcome| Answer::Refused { outcome, provider_code: Some(format!("HTTP {status}")), class };
    match status {
        200..300 => accepted(&reply),
        429 => {
            let provider_code = Some("HTTP 429".to_owned());
            Answer::Throttled { provider_code, retry_after: retry_after(&reply), whose: Whose::Account }
        }
        408 | 500.. => Answer::Lost { why: format!("HTTP {status}") },
        400 => refused(RefusalClass::Permanent, fault(&reply)),
        // Wrong key, not allowed, unpaid, no such domain, or not the API at all.
        300..=399 | 401..=404 | 407 => refused(RefusalClass::Configuration, Outcome::ProviderRejected),
        _ => refused(RefusalClass::Permanent, Outcome::ProviderRejected),
    }
}

#[derive(Deserialize)]
struct Queued {
    id: String,
}

fn accepted(reply: &Reply) -> Answer {
    if matches!(reply.body, Body::Broken) {
        return Answer::Accepted { provider_id: None, outcome: None };
    }
    match serde_json::from_slice::<Queued>(reply.bytes()) {
        Ok(queued) => Answer::Accepted { provider_id: Some(bare_id(&queued.id)), outcome: None },
        Err(_) => Answer::Lost { why: "an answer that is not Mailgun's".to_owned() },
    }
}

/// The answer has the id in angle brackets, events have it without.
fn bare_id(id: &str) -> String {
    id.trim_start_matches('<').trim_end_matches('>').to_owned()
}

/// A 400 names the parameter that it does not like. It may quote the address: it is not kept.
fn fault(reply: &Reply) -> Outcome {
    let text = String::from_utf8_lossy(reply.bytes());
    let about_to = text.contains("'to' parameter") || text.contains("to parameter");
    if about_to { Outcome::InvalidAddress } else { Outcome::ProviderRejected }
}

/// A header says it in seconds or as an instant; else the message's text may say so in words.
fn retry_after(reply: &Reply) -> Option<Duration> {
    reply.retry_after().or_else(|| until_reset(reply)).or_else(|| seconds_in_words(reply.bytes()))
}

/// The instant counts from the answer's own date, so that our clock does not matter.
fn until_reset(reply: &Reply) -> Option<Duration> {
    let reset: i64 = reply.header("x-ratelimit-reset")?.trim().parse().ok()?;
    let answered = chrono::DateTime::parse_from_rfc2822(reply.header("date")?).ok()?;
    u64::try_from(reset - answered.timestamp()).ok().map(Duration::from_secs)
}

/// `…, try again after 30 seconds`
fn seconds_in_words(body: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(body).ok()?;
    let rest = text.split_once("try again after ")?.1;
    let (number, unit) = rest.split_once(' ')?;
    if !unit.starts_with("second") {
        return None;
    }
    number.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Reply {
        let headers: HeaderMap = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers, body: Body::Whole(body.as_bytes().to_vec()) }
    }

    #[test]
    fn an_accepted_mail_has_its_id_without_brackets() {
        let accepted =
            answer(Ok(reply(200, &[], r#"{"id":"<1.2@m.example>","message":"Queued. Thank you."}"#)));
        assert_eq!(accepted, Answer::Accepted { provider_id: Some("1.2@m.example".into()), outcome: None });
        let broken = Reply { body: Body::Broken, ..reply(200, &[], "") };
        assert_eq!(answer(Ok(broken)), Answer::Accepted { provider_id: None, outcome: None });
        assert!(matches!(answer(Ok(reply(200, &[], "<html>"))), Answer::Lost { .. }));
    }

    #[test]
    fn every_status_has_its_class() {
        use RefusalClass::{Configuration, Permanent};
        let bad_to = r#"{"message":"'to' parameter is not a valid address. please check documentation"}"#;
        let table = [
            (400, bad_to, Permanent, Outcome::InvalidAddress),
            (400, r#"{"message":"from parameter is missing"}"#, Permanent, Outcome::ProviderRejected),
            (401, "Forbidden", Configuration, Outcome::ProviderRejected),
            (402, "", Configuration, Outcome::ProviderRejected),
            (403, "", Configuration, Outcome::ProviderRejected),
            (404, "", Configuration, Outcome::ProviderRejected),
            (301, "", Configuration, Outcome::ProviderRejected),
            (413, "", Permanent, Outcome::ProviderRejected),
        ];
        for (status, body, class, outcome) in table {
            let provider_code = Some(format!("HTTP {status}"));
            assert_eq!(
                answer(Ok(reply(status, &[], body))),
                Answer::Refused { outcome, provider_code, class }
            );
        }
        for status in [408, 500, 502, 503] {
            assert!(matches!(answer(Ok(reply(status, &[], ""))), Answer::Lost { .. }), "{status}");
        }
    }

    #[test]
    fn a_limit_tells_how_long_to_wait_in_three_ways() {
        let words = r#"{"message":"Domain x is not allowed to send: request limit exceeded, try again after 30 seconds"}"#;
        let date = r#"{"message":"limit exceeded, try again after Tue, 15 Nov 2022 08:12:31 GMT"}"#;
        const DATE: (&str, &str) = ("date", "Tue, 15 Nov 2022 08:12:11 GMT");
        type Headers = &'static [(&'static str, &'static str)];
        let table: [(Headers, &str, Option<u64>); 5] = [
            (&[("retry-after", "7")], words, Some(7)),
            (&[("x-ratelimit-reset", "1668499951"), DATE], "", Some(20)),
            (&[("x-ratelimit-reset", "1668499900"), DATE], "", None),
            (&[], words, Some(30)),
            (&[], date, None),
        ];
        for (headers, body, seconds) in table {
            let expected = seconds.map(Duration::from_secs);
            let answer = answer(Ok(reply(429, headers, body)));
            assert!(
                matches!(&answer, Answer::Throttled { retry_after, .. } if *retry_after == expected),
                "{answer:?}, expected {expected:?}"
            );
        }
    }
}
