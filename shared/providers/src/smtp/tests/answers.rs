//! What each answer of the relay means, at each step of the dialogue.

use std::time::Duration;

use tocsin_domain::Outcome::{self, HardBounce, ProviderRejected, TemporarilyUnavailable};
use tocsin_domain::suppression::{AddressFact, SuppressionReason};

use super::relay::{Relay, Says, Script};
use super::*;
use crate::RefusalClass::{self, Configuration, Permanent};
use crate::Whose;

async fn answer(script: Script) -> Answer {
    let relay = Relay::start(script).await;
    sent(&SmtpEmail::new(&account(&relay.url())).unwrap()).await
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Refused(RefusalClass, Outcome),
    Throttled,
}

use Expected::{Refused, Throttled};

fn expect(answer: &Answer, expected: Expected, word: &str) {
    let word = Some(word.to_owned());
    let expected = match expected {
        Refused(class, outcome) => Answer::Refused { outcome, provider_code: word, class },
        Throttled => Answer::Throttled { provider_code: word, retry_after: None, whose: Whose::Account },
    };
    assert_eq!(*answer, expected);
}

#[tokio::test]
async fn every_answer_about_the_recipient_has_its_meaning() {
    let account_is_refused = Refused(Configuration, ProviderRejected);
    let no_mailbox = Refused(Permanent, HardBounce);
    let later = Refused(Permanent, TemporarilyUnavailable);
    let refused = Refused(Permanent, ProviderRejected);
    let table = [
        ("550 5.1.1 <ann@example.net>: no such user", no_mailbox, "rcpt 550 5.1.1"),
        ("550-5.1.1 no such user,\r\n550 5.1.1 ann@example.net", no_mailbox, "rcpt 550 5.1.1"),
        ("550 5.1.10 null MX", no_mailbox, "rcpt 550 5.1.10"),
        ("550 5.2.1 disabled", no_mailbox, "rcpt 550 5.2.1"),
        ("501 5.1.3 bad syntax", no_mailbox, "rcpt 501 5.1.3"),
        ("550 no such user", no_mailbox, "rcpt 550"),
        ("551 moved", no_mailbox, "rcpt 551"),
        ("556 takes no mail", no_mailbox, "rcpt 556"),
        ("550 5.1.1 user unknown in relay recipient table", no_mailbox, "rcpt 550 5.1.1"),
        ("552 mailbox full", later, "rcpt 552"),
        ("552 5.2.2 over quota", later, "rcpt 552 5.2.2"),
        ("550 5.2.2 over quota", later, "rcpt 550 5.2.2"),
        ("452 4.2.2 over quota", later, "rcpt 452 4.2.2"),
        ("450 4.7.1 greylisted, come back", later, "rcpt 450 4.7.1"),
        ("450 busy", later, "rcpt 450"),
        ("451 local error", later, "rcpt 451"),
        ("454 4.4.1 no route now", later, "rcpt 454 4.4.1"),
        ("550 5.7.1 relay.example.net: refused by policy", refused, "rcpt 550 5.7.1"),
        ("554 5.7.1 blocked", refused, "rcpt 554 5.7.1"),
        ("554 no", refused, "rcpt 554"),
        ("503 5.5.1 bad sequence", refused, "rcpt 503 5.5.1"),
        ("421 4.3.2 shutting down", Throttled, "rcpt 421 4.3.2"),
        ("451 4.3.0 queue full", Throttled, "rcpt 451 4.3.0"),
        ("452 4.5.3 too many recipients", Throttled, "rcpt 452 4.5.3"),
        ("450 4.7.1 Error: too many connections from 192.0.2.1", Throttled, "rcpt 450 4.7.1"),
        ("451 4.7.0 rate limit exceeded", Throttled, "rcpt 451 4.7.0"),
        ("530 5.7.0 authenticate first", account_is_refused, "rcpt 530 5.7.0"),
        ("554 5.7.1 <ann@example.net>: Relay access denied", account_is_refused, "rcpt 554 5.7.1"),
        ("550 relay not permitted", account_is_refused, "rcpt 550"),
        ("550 5.7.54 SMTP; Unable to relay recipient", account_is_refused, "rcpt 550 5.7.54"),
    ];
    for (line, expected, word) in table {
        let answer = answer(Script { rcpt: Says::Line(line), ..Script::default() }).await;
        expect(&answer, expected, word);
    }
}

#[tokio::test]
async fn an_answer_to_the_mail_itself_is_about_the_mail_unless_its_code_names_the_mailbox() {
    let table = [
        ("550 spam", Refused(Permanent, ProviderRejected), "content 550"),
        ("550 5.7.1 spam", Refused(Permanent, ProviderRejected), "content 550 5.7.1"),
        ("554 5.6.0 malformed", Refused(Permanent, ProviderRejected), "content 554 5.6.0"),
        ("552 5.3.4 too large", Refused(Permanent, ProviderRejected), "content 552 5.3.4"),
        ("550 5.1.1 no such user", Refused(Permanent, HardBounce), "content 550 5.1.1"),
        ("552 5.2.2 over quota", Refused(Permanent, TemporarilyUnavailable), "content 552 5.2.2"),
        ("451 4.7.1 scanner is down", Refused(Permanent, TemporarilyUnavailable), "content 451 4.7.1"),
        ("452 4.3.1 disk full", Throttled, "content 452 4.3.1"),
        ("421 4.4.2 good bye", Throttled, "content 421 4.4.2"),
    ];
    for (line, expected, word) in table {
        expect(&answer(Script { content: Says::Line(line), ..Script::default() }).await, expected, word);
    }
    let data = |line| answer(Script { data: Says::Line(line), ..Script::default() });
    expect(&data("554 no valid recipients").await, Refused(Permanent, ProviderRejected), "data 554");
    expect(&data("451 4.3.0 later").await, Throttled, "data 451 4.3.0");
}

#[tokio::test]
async fn what_is_refused_before_the_recipient_is_refused_to_the_whole_account() {
    let stop = Refused(Configuration, ProviderRejected);
    let greeting = |line| Script { greeting: Says::Line(line), ..Script::default() };
    let hello = |line| Script { hello: Says::Line(line), ..Script::default() };
    let auth = |line| Script { auth: Says::Line(line), ..Script::default() };
    let mail = |line| Script { mail: Says::Line(line), ..Script::default() };
    let table = [
        (greeting("554 5.7.1 your address is blocked"), stop, "connect 554 5.7.1"),
        (greeting("421 4.7.0 too many connections"), Throttled, "connect 421 4.7.0"),
        (greeting("450 4.3.2 overloaded"), Throttled, "connect 450 4.3.2"),
        (hello("550 who are you"), stop, "connect 550"),
        (auth("535 5.7.8 wrong password"), stop, "auth 535 5.7.8"),
        (auth("534 5.7.9 too weak"), stop, "auth 534 5.7.9"),
        (auth("530 5.7.0 encrypt first"), stop, "auth 530 5.7.0"),
        (auth("454 4.7.0 later"), Throttled, "auth 454 4.7.0"),
        (hello("250-relay.example\r\n250 AUTH CRAM-MD5"), stop, "auth no PLAIN or LOGIN"),
        (mail("553 5.7.1 not your address"), stop, "mail 553 5.7.1"),
        (mail("530 5.7.0 authenticate first"), stop, "mail 530 5.7.0"),
        (mail("451 4.3.0 later"), Throttled, "mail 451 4.3.0"),
        (mail("452 4.3.1 disk full"), Throttled, "mail 452 4.3.1"),
    ];
    for (script, expected, word) in table {
        let relay = Relay::start(script).await;
        let settings = AccountSettings {
            user: "tocsin".into(),
            secret: Secret::new("relay hush"),
            ..account(&relay.url())
        };
        expect(&sent(&SmtpEmail::new(&settings).unwrap()).await, expected, word);
    }
}

#[tokio::test]
async fn a_login_is_made_once_and_only_where_there_is_one() {
    let relay = Relay::start(Script::default()).await;
    let settings =
        AccountSettings { user: "tocsin".into(), secret: Secret::new("relay hush"), ..account(&relay.url()) };
    let provider = SmtpEmail::new(&settings).unwrap();
    assert_eq!((sent(&provider).await, sent(&provider).await), (accepted(), accepted()));
    let logins: Vec<_> = relay.heard().concat().into_iter().filter(|line| line.starts_with("AUTH")).collect();
    assert_eq!(logins, ["AUTH PLAIN AHRvY3NpbgByZWxheSBodXNo"]);
}

#[tokio::test]
async fn a_relay_that_breaks_off_has_the_mail_only_from_data_on() {
    for says in [Says::HangUp, Says::Line("what?")] {
        let not_sent = [
            Script { greeting: says, ..Script::default() },
            Script { hello: says, ..Script::default() },
            Script { mail: says, ..Script::default() },
            Script { rcpt: says, ..Script::default() },
        ];
        for script in not_sent {
            let answer = answer(script).await;
            assert!(matches!(answer, Answer::NotSent { .. }), "{says:?} {script:?}: {answer:?}");
        }
        let lost =
            [Script { data: says, ..Script::default() }, Script { content: says, ..Script::default() }];
        for script in lost {
            let answer = answer(script).await;
            assert!(matches!(answer, Answer::Lost { .. }), "{says:?} {script:?}: {answer:?}");
        }
    }
    let odd = answer(Script { data: Says::Line("250 thanks"), ..Script::default() }).await;
    assert!(matches!(odd, Answer::Lost { .. }), "{odd:?}");
    let odd = answer(Script { content: Says::Line("354 more"), ..Script::default() }).await;
    assert!(matches!(odd, Answer::Lost { .. }), "{odd:?}");
}

#[tokio::test]
async fn silence_ends_with_the_deadline_and_means_the_same() {
    let silent = Says::Nothing;
    let table = [
        (Script { greeting: silent, ..Script::default() }, false),
        (Script { mail: silent, ..Script::default() }, false),
        (Script { rcpt: silent, ..Script::default() }, false),
        (Script { data: silent, ..Script::default() }, true),
        (Script { content: silent, ..Script::default() }, true),
    ];
    for (script, lost) in table {
        let relay = Relay::start(script).await;
        let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
        let hurried = SendRequest { deadline: Duration::from_millis(500), ..request("x") };
        let answer = provider.send(&hurried).await;
        assert_eq!(matches!(answer, Answer::Lost { .. }), lost, "{script:?}: {answer:?}");
        assert_eq!(matches!(answer, Answer::NotSent { .. }), !lost, "{script:?}: {answer:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_not_sent() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let provider = SmtpEmail::new(&account(&format!("smtp://127.0.0.1:{port}"))).unwrap();
    let answer = sent(&provider).await;
    assert!(matches!(&answer, Answer::NotSent { why } if why.contains("refused")), "{answer:?}");
}

#[tokio::test]
async fn no_answer_names_the_person() {
    let lines = ["550 5.1.1 ann@example.net", "451 4.3.0 ann@example.net", "what ann@example.net"];
    for line in lines.map(Says::Line) {
        for script in
            [Script { rcpt: line, ..Script::default() }, Script { content: line, ..Script::default() }]
        {
            let shown = format!("{:?}", answer(script).await);
            assert!(!shown.contains("ann") && !shown.contains("example"), "{shown}");
        }
    }
}

#[test]
fn only_what_names_the_mailbox_suppresses_the_address() {
    use SuppressionReason::{Complaint, HardBounce, Unsubscribe};
    let table = [
        ("rcpt 550 5.1.1", Some(HardBounce)),
        ("rcpt 550", Some(HardBounce)),
        ("rcpt 550 5.2.1", Some(HardBounce)),
        ("rcpt 550 5.7.1", None),
        ("rcpt 550 5.2.2", None),
        ("rcpt 552", None),
        ("rcpt 450 4.1.1", None),
        ("mail 550 5.1.1", None),
        ("content 550 5.1.1", Some(HardBounce)),
        ("content 550", None),
        ("failed 5.1.1 550", Some(HardBounce)),
        ("failed 5.1.2", Some(HardBounce)),
        ("failed 5.0.0 550", Some(HardBounce)),
        ("failed 550", Some(HardBounce)),
        ("failed 5.7.1 550", None),
        ("failed 5.4.4", None),
        ("failed 4.4.7", None),
        ("failed", None),
        ("delayed 5.1.1", None),
        ("delivered 2.1.5", None),
        ("complaint abuse", Some(Complaint)),
        ("opt-out", Some(Unsubscribe)),
        ("no SMTPUTF8", None),
        ("", None),
    ];
    for (word, reason) in table {
        assert_eq!(super::super::status::address_fact(word), reason.map(AddressFact::Suppress), "{word:?}");
    }
}
