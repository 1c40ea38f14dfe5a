//! Mails that come back: whose they are, what they report, and what of them is shown.

use chrono::DateTime;
use tocsin_domain::Outcome::{
    self, Complained, Delivered, EmailSent, Failed, HardBounce, SoftBounce, Unknown,
};

use super::*;
use crate::{CallbackReport, ParseError, VerifyFault};

const URL: &str = "https://bell.example/callbacks/relay";

fn provider() -> SmtpEmail {
    SmtpEmail::new(&account("smtp://localhost")).unwrap()
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// As Postfix writes them: words for people, the report, our headers.
fn notification(report: &str) -> String {
    crlf(&format!(
        "Return-Path: <>
Delivered-To: {return_path}
Received: by mx.example.org (Postfix) id 4Xy2; Thu, 26 Nov 2026 08:00:01 +0000 (UTC)
Date: Thu, 26 Nov 2026 08:00:00 +0000 (UTC)
From: MAILER-DAEMON@relay.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {return_path}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary=\"4Xy1.1764/relay.example\"
Message-Id: <dsn-1@relay.example>

This is a MIME-encapsulated message.

--4Xy1.1764/relay.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that ann@example.net could not be reached.

--4Xy1.1764/relay.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example
X-Postfix-Queue-ID: 4Xy1
Arrival-Date: Thu, 26 Nov 2026 07:59:00 +0000 (UTC)

{report}
--4Xy1.1764/relay.example
Content-Description: Undelivered Message
Content-Type: message/rfc822

Return-Path: <{return_path}>
Date: Thu, 26 Nov 2026 07:59:00 +0000
From: Example School <office@example.org>
To: ann@example.net
Subject: Ann's grades
Message-ID: <{MESSAGE_ID}>
Content-Type: text/plain; charset=utf-8

Status: 5.1.1 is no field of ours.

--4Xy1.1764/relay.example--
",
        return_path = return_path(),
    ))
}

fn parsed(mail: &str) -> Vec<CallbackReport> {
    provider().parse(&posted(URL, &[], mail)).unwrap()
}

fn told(mail: &str) -> Vec<(Outcome, String)> {
    parsed(mail).into_iter().map(|report| (report.outcome, report.provider_code.unwrap())).collect()
}

#[test]
fn a_bounce_is_read_with_its_mail_its_time_and_an_id_of_its_own() {
    let mail = notification(
        "Final-Recipient: rfc822; ann@example.net
Original-Recipient: rfc822;ann@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 <ann@example.net>: Recipient address rejected:
    User unknown in virtual mailbox table
Last-Attempt-Date: Thu, 26 Nov 2026 07:59:30 +0000
",
    );
    assert_eq!(
        parsed(&mail),
        [CallbackReport {
            attempt: None,
            provider_id: Some(MESSAGE_ID.into()),
            outcome: HardBounce,
            provider_code: Some("failed 5.1.1 550".into()),
            at: Some(DateTime::parse_from_rfc3339("2026-11-26T07:59:30Z").unwrap().to_utc()),
            sequence: None,
            event_id: Some("dsn-1@relay.example/1".into()),
        }]
    );
}

#[test]
fn every_recipient_of_a_notification_is_a_report() {
    let mail = notification(
        "Final-Recipient: rfc822; ann@example.net
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; bob@example.net
Action: delivered
Status: 2.1.5

Final-Recipient: rfc822; eve@example.net
Action: delayed
Status: 4.4.1
Will-Retry-Until: Tue, 1 Dec 2026 07:59:00 +0000
",
    );
    let reports = parsed(&mail);
    let told: Vec<_> = reports.iter().map(|report| report.outcome).collect();
    assert_eq!(told, [HardBounce, Delivered, SoftBounce]);
    let ids: Vec<_> = reports.iter().filter_map(|report| report.event_id.as_deref()).collect();
    assert_eq!(ids, ["dsn-1@relay.example/1", "dsn-1@relay.example/2", "dsn-1@relay.example/3"]);
    let written = DateTime::parse_from_rfc3339("2026-11-26T08:00:00Z").unwrap().to_utc();
    assert!(reports.iter().all(|report| report.at == Some(written)), "{reports:?}");
}

#[test]
fn every_action_and_status_has_its_outcome() {
    let table = [
        ("Action: failed\nStatus: 5.1.1", HardBounce, "failed 5.1.1"),
        ("Action: failed\nStatus: 5.1.2", HardBounce, "failed 5.1.2"),
        ("Action: failed\nStatus: 5.1.3", HardBounce, "failed 5.1.3"),
        ("Action: failed\nStatus: 5.1.6", HardBounce, "failed 5.1.6"),
        ("Action: failed\nStatus: 5.1.10", HardBounce, "failed 5.1.10"),
        ("Action: failed\nStatus: 5.2.1", HardBounce, "failed 5.2.1"),
        ("Action: failed\nStatus: 5.2.2", SoftBounce, "failed 5.2.2"),
        ("Action: failed\nStatus: 4.2.2", SoftBounce, "failed 4.2.2"),
        ("Action: failed\nStatus: 4.4.7", SoftBounce, "failed 4.4.7"),
        ("Action: failed\nStatus: 4.7.1", SoftBounce, "failed 4.7.1"),
        ("Action: failed\nStatus: 5.7.1", Failed, "failed 5.7.1"),
        ("Action: failed\nStatus: 5.6.0", Failed, "failed 5.6.0"),
        ("Action: failed\nStatus: 5.4.4", Failed, "failed 5.4.4"),
        ("Action: failed\nStatus: 5.0.0", Failed, "failed 5.0.0"),
        ("Action: failed", Failed, "failed"),
        ("Action: delayed\nStatus: 4.4.1", SoftBounce, "delayed 4.4.1"),
        ("Action: delayed\nStatus: 4.7.0", SoftBounce, "delayed 4.7.0"),
        ("Action: delivered\nStatus: 2.1.5", Delivered, "delivered 2.1.5"),
        ("Action: relayed\nStatus: 2.0.0", EmailSent, "relayed 2.0.0"),
        ("Action: expanded\nStatus: 2.0.0", EmailSent, "relayed 2.0.0"),
        // As servers write them.
        ("Action: Delayed\nStatus: 4.4.0 (text)", SoftBounce, "delayed 4.4.0"),
        ("action: FAILED (bad)\nstatus: 5.1.1 (no such user)", HardBounce, "failed 5.1.1"),
        ("Action: deliverable\nStatus: 2.1.5", EmailSent, "relayed 2.1.5"),
        ("Status: 5.1.1", HardBounce, "failed 5.1.1"),
        ("Status: 4.2.2", SoftBounce, "delayed 4.2.2"),
        ("Status: 2.0.0", Delivered, "delivered 2.0.0"),
        ("Action: failed\nDiagnostic-Code: smtp; 550 5.1.1 ann", HardBounce, "failed 5.1.1 550"),
        ("Action: failed\nDiagnostic-Code: SMTP;550-5.1.1 ann", HardBounce, "failed 5.1.1 550"),
        (
            "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 ann",
            HardBounce,
            "failed 5.1.1 550",
        ),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 552 ann", SoftBounce, "failed 5.0.0 552"),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp;550 no ann", HardBounce, "failed 5.0.0 550"),
        ("Action: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; 550 5.1.1 ann", Failed, "failed 5.7.1 550"),
        ("Action: failed\nStatus: 5.3.0\nDiagnostic-Code: x-unix; 550 ann", Failed, "failed 5.3.0"),
        ("Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; ann é", HardBounce, "failed 5.1.1"),
        ("Action: vanished\nStatus: nonsense", Unknown, "unknown"),
        ("Action: ann\nStatus: 5.1", Unknown, "unknown"),
    ];
    for (fields, outcome, word) in table {
        let mail = notification(&format!("Final-Recipient: rfc822; ann@example.net\n{fields}\n"));
        assert_eq!(told(&mail), [(outcome, word.to_owned())], "{fields}");
    }
}

#[test]
fn a_notification_is_found_whatever_is_around_it() {
    let report = "Reporting-MTA: dns; relay.example\n\nFinal-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\n";
    // A gateway's footer around it, and the report in base64, which RFC 3464 does not allow and servers do.
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, report);
    let wrapped = format!(
        "From: postmaster@relay.example
Date: Thu, 26 Nov 2026 08:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/report; report-type=delivery-status; boundary=inner

--inner
Content-Type: text/html

<p>no</p>
--inner
Content-Type: Message/Delivery-Status
Content-Transfer-Encoding: base64

{base64}
--inner
Content-Type: text/rfc822-headers

Message-ID: <{MESSAGE_ID}>
To: ann@example.net
--inner--
--outer
Content-Type: text/plain

This mail was scanned.
--outer--
"
    );
    let of_wrapped = parsed(&crlf(&wrapped));
    assert_eq!(of_wrapped.len(), 1);
    assert_eq!(of_wrapped[0].outcome, HardBounce);
    assert_eq!(of_wrapped[0].provider_id.as_deref(), Some(MESSAGE_ID));
    assert_eq!(parsed(&wrapped), parsed(&wrapped), "line feeds alone, and the same event again");
    let cut = notification(report)
        .split("--4Xy1.1764/relay.example\r\nContent-Description: Undel")
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(told(&cut), [(HardBounce, "failed 5.1.1".to_owned())], "cut off behind the report");
}

fn complaint(kind: &str, fields: &str, returned: &str) -> String {
    crlf(&format!(
        "From: fbl@provider.example
Date: Thu, 26 Nov 2026 09:00:00 +0000
Subject: FW: Ann's grades
To: abuse@mail.example.org
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=b
Message-ID: <arf-1@provider.example>

--b
Content-Type: text/plain

This is an email abuse report.
--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
{fields}
--b
Content-Type: message/rfc822

{returned}From: Example School <office@example.org>
To: redacted@provider.example
Message-ID: <{MESSAGE_ID}>
Subject: Ann's grades

Text.
--b--
"
    ))
}

#[test]
fn who_marks_a_mail_as_spam_complained() {
    let table = [
        ("abuse", Some((Complained, "complaint abuse"))),
        ("ABUSE", Some((Complained, "complaint abuse"))),
        ("fraud", Some((Complained, "complaint fraud"))),
        ("opt-out", Some((Delivered, "opt-out"))),
        ("not-spam", None),
        ("auth-failure", None),
        ("virus", None),
        ("ann", None),
    ];
    for (kind, expected) in table {
        let reports = parsed(&complaint(kind, "", ""));
        let told = reports.first().map(|report| (report.outcome, report.provider_code.as_deref().unwrap()));
        assert_eq!(told, expected, "{kind}");
        for report in reports {
            assert_eq!(report.provider_id.as_deref(), Some(MESSAGE_ID));
            assert_eq!(report.event_id.as_deref(), Some("arf-1@provider.example"));
        }
    }
}

#[test]
fn what_is_no_report_is_taken_and_reports_nothing() {
    let vacation = crlf(&format!(
        "From: ann@example.net
To: {}
Subject: Out of office
Auto-Submitted: auto-replied
Message-ID: <v@example.net>

I am away. Status: 5.1.1
",
        return_path()
    ));
    let forwarded = format!(
        "From: ann@example.net\r\nContent-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\nContent-Type: message/rfc822\r\n\r\n{}\r\n--f--\r\n",
        notification("Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\n")
    );
    let empty = notification("");
    for mail in [vacation, forwarded, empty] {
        assert_eq!(parsed(&mail), [], "{mail}");
    }
}

#[test]
fn what_is_no_mail_is_named() {
    for body in ["", "nonsense", "{\"event-data\": {}}", "a=b&c=d", "\0\u{1}", "Name: value\n\nbody"] {
        let fault = provider().parse(&posted(URL, &[], body)).unwrap_err();
        assert!(matches!(fault, ParseError::Malformed("mail")), "{body:?}: {fault:?}");
    }
}

#[test]
fn the_same_mail_again_has_the_same_ids_and_another_mail_has_others() {
    let report = "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\n";
    let named = notification(report);
    let nameless = named.replace("Message-Id: <dsn-1@relay.example>\r\n", "");
    let other = nameless.replace("08:00:00", "08:00:09");
    let id = |mail: &str| parsed(mail)[0].event_id.clone().unwrap();
    assert_eq!((id(&named), id(&nameless)), (id(&named), id(&nameless)));
    assert!(id(&named) != id(&nameless) && id(&nameless) != id(&other));
}

#[test]
fn the_token_is_found_wherever_the_mail_server_writes_the_return_path() {
    let address = return_path();
    let encoded: String = form_urlencoded::byte_serialize(address.as_bytes()).collect();
    let mail = |header: &str| format!("From: MAILER-DAEMON@relay.example\r\n{header}\r\n\r\ntext\r\n");
    let ours = Some(token());
    let table = [
        (format!("{URL}?recipient={encoded}"), mail("Subject: x"), ours.clone()),
        (format!("{URL}?recipient={address}"), mail("Subject: x"), ours.clone()),
        (format!("{URL}?a=b&recipient=%3C{encoded}%3E"), String::new(), ours.clone()),
        (URL.to_owned(), mail(&format!("Delivered-To: {address}")), ours.clone()),
        (URL.to_owned(), mail(&format!("delivered-to: <{address}>")), ours.clone()),
        (URL.to_owned(), mail(&format!("X-Original-To: {address}")), ours.clone()),
        (URL.to_owned(), mail(&format!("Envelope-To: {address}")), ours.clone()),
        (URL.to_owned(), mail(&format!("To: \"Bounces\" <{address}>")), ours.clone()),
        (URL.to_owned(), mail(&format!("To: office@example.org,\r\n {address}")), ours.clone()),
        (URL.to_owned(), mail(&format!("To: {}", address.to_uppercase())), ours.clone()),
        (URL.to_owned(), mail(&format!("Delivered-To: catchall@example.org\r\nTo: {address}")), ours.clone()),
        (URL.to_owned(), complaint("abuse", &format!("Original-Mail-From: <{address}>"), ""), ours.clone()),
        (URL.to_owned(), complaint("abuse", "", &format!("Return-Path: <{address}>\n")), ours),
        (URL.to_owned(), complaint("abuse", "Original-Mail-From: <a@b.example>", ""), None),
        (URL.to_owned(), mail("To: bounce+x@mail.example.org"), None),
        (URL.to_owned(), mail(&format!("To: {}@mail.example.org", token())), None),
        (URL.to_owned(), mail(&format!("To: x{address}")), None),
        (URL.to_owned(), mail(&format!("Subject: {address}")), None),
        (format!("{URL}?recipient=office@example.org"), mail("To: office@example.org"), None),
        (URL.to_owned(), String::new(), None),
    ];
    for (url, body, expected) in table {
        assert_eq!(provider().token(&posted(&url, &[], &body)), expected, "{url} {body}");
    }
}

#[test]
fn a_bounce_without_its_return_path_still_names_the_mail() {
    let mail = notification("Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\n")
        .replace(&return_path(), "postmaster@mail.example.org");
    assert_eq!(provider().token(&posted(URL, &[], &mail)), None);
    assert_eq!(parsed(&mail)[0].provider_id.as_deref(), Some(MESSAGE_ID));
}

#[test]
fn the_return_path_fits_and_survives_a_change_of_case() {
    let address = return_path();
    assert_eq!(address.split('@').next().map(str::len), Some(63));
    assert_eq!(super::super::verp::token(&address.to_uppercase()), Some(token()));
    assert_eq!(super::super::verp::return_path("tok", DOMAIN), None);
}

#[test]
fn only_who_has_a_password_may_post() {
    let basic = |text: &str| {
        format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text))
    };
    let table = [
        (Some(basic("bounces:new hush")), None),
        (Some(basic("whoever:old hush")), None),
        (Some(basic(":old hush").replace("Basic", "basic")), None),
        (Some(basic("bounces:new hus")), Some(VerifyFault::Mismatch)),
        (Some(basic("bounces:new hushh")), Some(VerifyFault::Mismatch)),
        (Some(basic("new hush:")), Some(VerifyFault::Mismatch)),
        (Some(basic("bounces:")), Some(VerifyFault::Mismatch)),
        (Some(basic("new hush")), Some(VerifyFault::Malformed)),
        (Some("Bearer new hush".to_owned()), Some(VerifyFault::Malformed)),
        (Some("Basic !".to_owned()), Some(VerifyFault::Malformed)),
        (Some(String::new()), Some(VerifyFault::Malformed)),
        (None, Some(VerifyFault::Missing)),
    ];
    for (header, fault) in table {
        let headers: Vec<_> = header.iter().map(|value| ("Authorization", value.as_str())).collect();
        let verified = provider().verify(&posted(URL, &headers, "mail"), DateTime::UNIX_EPOCH);
        assert_eq!(verified.as_ref().err().map(|error| error.fault), fault, "{header:?}");
        assert!(verified.err().is_none_or(|error| error.http_status == 401));
    }
}

#[test]
fn nothing_of_a_person_is_shown() {
    let bounce = notification(
        "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 ann\n",
    );
    let table = [
        (bounce, "failed 5.1.1 550"),
        (complaint("abuse", "Original-Rcpt-To: ann@example.net", ""), "complaint abuse"),
        (complaint("ann@example.net", "", ""), "no report"),
        ("To: ann@example.net\r\n\r\nAnn".to_owned(), "no mail"),
        ("From: ann@example.net\r\n\r\nAnn".to_owned(), "no report"),
    ];
    for (mail, says) in table {
        let shown = provider().redact(&posted(URL, &[], &mail));
        assert_eq!(shown, format!("[redacted: {} bytes, {says}]", mail.len()));
    }
}
