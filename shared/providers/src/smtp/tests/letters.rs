//! A message in, the exact dialogue out.

use mail_parser::{MessageParser, MimeHeaders as _};

use super::relay::{Relay, Script};
use super::*;

/// One mail's whole dialogue and the mail that the relay's other side would read.
async fn transmitted(request: &SendRequest) -> (Vec<String>, String) {
    let relay = Relay::start(Script::default()).await;
    let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
    let answer = provider.send(request).await;
    assert_eq!(answer, accepted(), "{request:?}");
    let heard = relay.heard();
    assert_eq!(heard.len(), 1);
    (heard[0].clone(), relay.mails().remove(0))
}

/// What a mail client shows: dots unstuffed, encodings undone.
fn shown(mail: &str) -> (String, String) {
    let plain = mail.strip_suffix(".\r\n").unwrap().replace("\r\n.", "\r\n");
    let parsed = MessageParser::default().parse(plain.as_bytes()).unwrap();
    let subject = parsed.subject().unwrap_or_default().to_owned();
    (subject, parsed.body_text(0).unwrap_or_default().replace("\r\n", "\n").trim_end().to_owned())
}

fn header<'a>(mail: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn a_message_is_one_envelope_with_its_own_return_path() {
    let (dialogue, mail) = transmitted(&request("No school today.")).await;
    let expected = [
        "EHLO mail.example.org".to_owned(),
        format!("MAIL FROM:<{}>", return_path()),
        "RCPT TO:<ann@example.net>".to_owned(),
        "DATA".to_owned(),
        mail.clone(),
    ];
    assert_eq!(dialogue, expected);
    let date = header(&mail, "Date").unwrap();
    assert!(chrono::DateTime::parse_from_rfc2822(date).is_ok(), "{date}");
    let without_date = mail.replace(date, "today");
    assert_eq!(
        without_date,
        format!(
            "Date: today\r\n\
             From: \"Example School\" <office@example.org>\r\n\
             To: ann@example.net\r\n\
             Subject: Snow day\r\n\
             Message-ID: <{MESSAGE_ID}>\r\n\
             Auto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 7bit\r\n\
             \r\n\
             No school today.\r\n\
             .\r\n"
        )
    );
}

#[tokio::test]
async fn a_reader_unsubscribes_with_one_click_where_the_message_may_be_ended() {
    let url = format!("https://notices.district.example/unsubscribe/{}", "t".repeat(46));
    let offered = SendRequest { unsubscribe_url: Some(url.clone()), ..request("x") };
    let (_, mail) = transmitted(&offered).await;
    assert_eq!(header(&mail, "List-Unsubscribe"), Some(format!("<{url}>").as_str()));
    assert_eq!(header(&mail, "List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    let (_, mail) = transmitted(&request("x")).await;
    assert!(!mail.contains("List-Unsubscribe"), "{mail}");
}

#[tokio::test]
async fn every_attempt_of_a_job_has_the_same_message_id_and_a_return_path_of_its_own() {
    let keys = TokenKeys::new(&Secret::new("callback key"), None);
    let mut seen = Vec::new();
    for number in [1, 2] {
        let token = keys.mint(attempt(number), Lane::Emergency);
        let callback_url = callback_url("https://bell.example", "relay", &token);
        let (dialogue, mail) =
            transmitted(&SendRequest { attempt: attempt(number), callback_url, ..request("x") }).await;
        assert_eq!(header(&mail, "Message-ID"), Some(format!("<{MESSAGE_ID}>").as_str()));
        seen.push(dialogue[1].clone());
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn nobody_can_tell_another_mails_message_id() {
    let relay = Relay::start(Script::default()).await;
    let settings = account(&relay.url());
    let other_key = AccountSettings { signing_keys: vec![Secret::new("other")], ..settings.clone() };
    let mut other_job = attempt(1);
    other_job.job.job += 1;
    let mut tags = Vec::new();
    for (settings, attempt) in [(&settings, attempt(1)), (&settings, other_job), (&other_key, attempt(1))] {
        let answer = SmtpEmail::new(settings).unwrap().send(&SendRequest { attempt, ..request("x") }).await;
        let Answer::Accepted { provider_id: Some(id), .. } = answer else { panic!("{answer:?}") };
        let tag = id.split(['.', '@']).nth(2).unwrap().to_owned();
        assert!(tag.len() == 20 && !tags.contains(&tag), "{id}");
        tags.push(tag);
    }
}

#[tokio::test]
async fn any_text_arrives_as_it_was_written() {
    let long = "snow ".repeat(900);
    let vietnamese = "Trường đóng cửa hôm nay vì tuyết. ".repeat(40);
    let table = [
        ("plain", "7bit"),
        ("two\nlines\n\nand a gap", "7bit"),
        (".\n..\n.dot at the start\nin the middle . and at the end.\n.", "7bit"),
        ("Mañana no hay clases. ¿Preguntas?", "quoted-printable"),
        (long.trim_end(), "quoted-printable"),
        (vietnamese.trim_end(), "base64"),
        ("From the office\n=3D stays =3D", "7bit"),
    ];
    for (body, encoding) in table {
        let (_, mail) = transmitted(&request(body)).await;
        assert!(mail.is_ascii() && mail.split("\r\n").all(|line| line.len() <= 998), "{mail}");
        assert_eq!(header(&mail, "Content-Transfer-Encoding"), Some(encoding), "{body}");
        assert_eq!(shown(&mail).1, body);
    }
}

#[tokio::test]
async fn carriage_returns_by_themselves_are_line_breaks_like_others() {
    for body in [
        "a\r\n.\r\nMAIL FROM:<x@y>",
        "a\r.\rMAIL FROM:<x@y>",
        "a\n.\nMAIL FROM:<x@y>",
        "a\r.\r\nMAIL FROM:<x@y>",
    ] {
        let (dialogue, mail) = transmitted(&request(body)).await;
        assert_eq!(dialogue.len(), 5, "{body:?} became two mails");
        assert!(mail.contains("a\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n"), "{mail:?}");
    }
}

#[tokio::test]
async fn no_author_can_add_a_header() {
    let long = "snow ".repeat(60);
    let table = [
        ("Snow\r\nBcc: all@example.org", "Snow Bcc: all@example.org"),
        ("Snow\nBcc: all@example.org", "Snow Bcc: all@example.org"),
        ("Snow\rBcc: all@example.org", "Snow Bcc: all@example.org"),
        ("¡Mañana!\r\nBcc: all@example.org", "¡Mañana! Bcc: all@example.org"),
        ("Trường đóng cửa", "Trường đóng cửa"),
        (long.trim_end(), long.trim_end()),
        ("", ""),
    ];
    for (subject, expected) in table {
        let (dialogue, mail) =
            transmitted(&SendRequest { subject: Some(subject.into()), ..request("x") }).await;
        assert_eq!(header(&mail, "Bcc"), None, "{mail}");
        assert_eq!(dialogue.iter().filter(|line| line.starts_with("RCPT")).count(), 1);
        assert!(mail.is_ascii() && mail.split("\r\n").all(|line| line.len() <= 998), "{mail}");
        assert_eq!(shown(&mail).0, expected);
    }
}

#[tokio::test]
async fn a_sender_of_the_account_is_the_from_address_and_not_the_return_path() {
    let from = Some("Nurse <nurse@example.org>".to_owned());
    let (dialogue, mail) = transmitted(&SendRequest { from, ..request("x") }).await;
    assert_eq!(header(&mail, "From"), Some("Nurse <nurse@example.org>"));
    assert_eq!(dialogue[1], format!("MAIL FROM:<{}>", return_path()));
}

#[tokio::test]
async fn a_domain_that_is_not_ascii_is_sent_to_in_ascii() {
    let (dialogue, _) = transmitted(&SendRequest { to: "ann@schüle.example".into(), ..request("x") }).await;
    assert_eq!(dialogue[2], "RCPT TO:<ann@xn--schle-mva.example>");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is_said() {
    use crate::RefusalClass::{Permanent, Sender};
    use tocsin_domain::Outcome::{FailedToSend, InvalidAddress, ProviderRejected};
    let relay = Relay::start(Script::default()).await;
    let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
    let to = |to: &str| SendRequest { to: to.into(), ..request("x") };
    let from = |from: &str| SendRequest { from: Some(from.into()), ..request("x") };
    let table = [
        (to("ann"), Permanent, InvalidAddress),
        (to(""), Permanent, InvalidAddress),
        (to("ann@example.net, bob@example.net"), Permanent, InvalidAddress),
        (to("ann@example.net>\r\nRCPT TO:<bob@example.net"), Permanent, InvalidAddress),
        (to("ann\r\n@example.net"), Permanent, InvalidAddress),
        (from("office"), Sender, ProviderRejected),
        (from("A <a@example.org>\r\nBcc: b@example.org"), Sender, ProviderRejected),
        (
            SendRequest { callback_url: "https://bell.example/tok".into(), ..request("x") },
            Permanent,
            FailedToSend,
        ),
    ];
    for (request, class, outcome) in table {
        let answer = provider.send(&request).await;
        assert!(
            matches!(&answer, Answer::Refused { class: c, outcome: o, .. } if *c == class && *o == outcome),
            "{} {:?}: {answer:?}",
            request.to,
            request.from
        );
    }
    assert!(relay.heard().is_empty());
}

#[tokio::test]
async fn an_address_that_needs_utf8_is_sent_where_the_relay_takes_it() {
    let utf8 = Script { hello: relay::Says::Line("250-relay.example\r\n250 SMTPUTF8"), ..Script::default() };
    let to = SendRequest { to: "añn@example.net".into(), ..request("x") };
    for (script, mail) in [(utf8, Some(" SMTPUTF8")), (Script::default(), None)] {
        let relay = Relay::start(script).await;
        let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
        let answer = provider.send(&to).await;
        match mail {
            Some(parameter) => {
                assert_eq!(answer, accepted());
                assert!(relay.heard()[0][1].ends_with(parameter), "{:?}", relay.heard());
            }
            None => assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}"),
        }
    }
}

/// A text is one like any other file: its line breaks stay as they are, and a dot at the beginning of a line, too.
#[tokio::test]
async fn files_arrive_byte_for_byte_with_their_names() {
    let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let text = b"\r\n.\r\n.\n.leading\rMAIL FROM:<x>\r\n\0end".to_vec();
    let file = |name: &str, media_type: &str, bytes: &[u8]| crate::File {
        name: name.into(),
        media_type: media_type.into(),
        bytes: Bytes::copy_from_slice(bytes),
    };
    let files =
        [file("Plan Żółw.pdf", "application/pdf", &all), file("menu.txt", "text/plain", &text)].into();
    let (_, mail) = transmitted(&SendRequest { files, ..request("See the plan.\n.") }).await;
    let plain = mail.strip_suffix(".\r\n").unwrap().replace("\r\n.", "\r\n");
    let parsed = MessageParser::default().parse(plain.as_bytes()).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "See the plan.\n.".replace('\n', "\r\n"));
    let found: Vec<_> =
        parsed.attachments().map(|part| (part.attachment_name().unwrap(), part.contents())).collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], ("Plan Żółw.pdf", &all[..]));
    assert_eq!(found[1], ("menu.txt", &text[..]));
    assert!(plain.lines().all(|line| line.len() <= 998), "a line longer than SMTP takes");
    assert_eq!(header(&mail, "MIME-Version"), Some("1.0"));
}
