//! Connections are kept from mail to mail, and none that is in doubt is used again.

use std::time::Duration;

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::super::account::SmtpAccount;
use super::super::relay::{Relay as OurRelay, Security};
use super::relay::{Relay, Says, Script, Tls};
use super::*;

#[tokio::test]
async fn mails_after_one_another_share_a_connection() {
    let relay = Relay::start(Script::default()).await;
    let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
    for _ in 0..3 {
        assert_eq!(sent(&provider).await, accepted());
    }
    let heard = relay.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].iter().filter(|line| line.starts_with("EHLO")).count(), 1);
    assert_eq!(relay.mails().len(), 3);
}

#[tokio::test]
async fn mails_at_once_have_a_connection_each() {
    let relay = Relay::start(Script::default()).await;
    let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
    let requests: Vec<_> = (0..4).map(|_| request("x")).collect();
    assert_eq!(provider.send_batch(&requests).await, vec![accepted(); 4]);
    assert_eq!(relay.heard().len(), 4);
}

#[tokio::test]
async fn a_refused_recipient_leaves_the_connection_for_the_next() {
    let relay = Relay::start(Script { rcpt: Says::Line("550 5.1.1 no"), ..Script::default() }).await;
    let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
    for _ in 0..2 {
        assert!(matches!(sent(&provider).await, Answer::Refused { .. }));
    }
    let heard = relay.heard();
    let verbs: Vec<_> = heard[0].iter().filter_map(|line| line.split([' ', ':']).next()).collect();
    assert_eq!((heard.len(), verbs), (1, vec!["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "RSET"]));
}

#[tokio::test]
async fn a_connection_that_cannot_be_reset_is_not_used_again() {
    for reset in [Says::Nothing, Says::HangUp, Says::Line("503 no")] {
        let script = Script { rcpt: Says::Line("550 5.1.1 no"), reset, ..Script::default() };
        let relay = Relay::start(script).await;
        let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
        for _ in 0..2 {
            assert!(matches!(sent(&provider).await, Answer::Refused { .. }), "{reset:?}");
        }
        assert_eq!(relay.heard().len(), 2, "{reset:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_relay_closed_is_replaced_without_a_second_mail() {
    let relay = Relay::start(Script { mails_max: 1, ..Script::default() }).await;
    let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
    for _ in 0..3 {
        assert_eq!(sent(&provider).await, accepted());
    }
    assert_eq!((relay.heard().len(), relay.mails().len()), (3, 3));
}

/// What lettre's own pool gets wrong (ADR 0024): the next mail would be written into this one.
#[tokio::test]
async fn a_connection_given_up_in_the_middle_of_a_mail_is_never_used_again() {
    for script in [
        Script { rcpt: Says::Nothing, ..Script::default() },
        Script { data: Says::Nothing, ..Script::default() },
        Script { content: Says::Nothing, ..Script::default() },
    ] {
        let relay = Relay::start(script).await;
        let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
        for _ in 0..2 {
            let hurried = SendRequest { deadline: Duration::from_millis(300), ..request("x") };
            assert!(!matches!(provider.send(&hurried).await, Answer::Accepted { .. }), "{script:?}");
        }
        assert_eq!(relay.heard().len(), 2, "{script:?}");
    }
    // Nor one that the caller gave up.
    let relay = Relay::start(Script { content: Says::Nothing, ..Script::default() }).await;
    let provider = SmtpEmail::new(&account(&relay.url())).unwrap();
    for _ in 0..2 {
        assert!(tokio::time::timeout(Duration::from_millis(300), sent(&provider)).await.is_err());
    }
    assert_eq!(relay.heard().len(), 2);
}

#[tokio::test]
async fn tls_at_once_is_spoken_with_a_relay_of_the_named_authority() {
    let relay = Relay::start(Script { tls: Tls::AtOnce, ..Script::default() }).await;
    let settings = AccountSettings {
        user: "tocsin".into(),
        secret: Secret::new("relay hush"),
        ca_file: Some(relay.authority.path().into()),
        ..account(&format!("smtps://localhost:{}", relay.port))
    };
    assert_eq!(sent(&SmtpEmail::new(&settings).unwrap()).await, accepted());
    let stranger = AccountSettings { ca_file: None, ..settings.clone() };
    let by_number = AccountSettings { base_url: format!("smtps://127.0.0.1:{}", relay.port), ..settings };
    for untrusted in [stranger, by_number] {
        let answer = sent(&SmtpEmail::new(&untrusted).unwrap()).await;
        assert!(matches!(&answer, Answer::NotSent { why } if why.contains("certificate")), "{answer:?}");
    }
    assert_eq!(relay.mails().len(), 1);
    assert!(relay.heard()[1..].iter().all(Vec::is_empty), "{:?}", relay.heard());
}

/// Plain `smtp://` is this machine's by its settings, so the account is put together here.
fn with_starttls(relay: &Relay) -> SmtpEmail {
    let pem = std::fs::read(relay.authority.path()).unwrap();
    let tls = TlsParameters::builder("localhost".into())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(&pem).unwrap())
        .build()
        .unwrap();
    let credentials =
        lettre::transport::smtp::authentication::Credentials::new("tocsin".into(), "relay hush".into());
    let relay = OurRelay::new(
        ("localhost".into(), relay.port),
        Security::StartTls(tls),
        Some(credentials),
        ClientId::Domain(DOMAIN.into()),
    );
    SmtpEmail { account: SmtpAccount { relay, ..SmtpAccount::new(&account("smtp://localhost")).unwrap() } }
}

#[tokio::test]
async fn nothing_but_hello_is_said_before_starttls() {
    let hello = Says::Line("250-relay.example\r\n250-AUTH PLAIN\r\n250 STARTTLS");
    let relay = Relay::start(Script { tls: Tls::OnDemand, hello, ..Script::default() }).await;
    assert_eq!(sent(&with_starttls(&relay)).await, accepted());
    let heard = relay.heard().remove(0);
    assert_eq!(heard[..4], ["EHLO mail.example.org", "STARTTLS", "(encrypted)", "EHLO mail.example.org"]);
    assert!(heard[4].starts_with("AUTH PLAIN "), "{heard:?}");
}

#[tokio::test]
async fn a_relay_that_cannot_encrypt_hears_no_password_and_no_mail() {
    let relay = Relay::start(Script::default()).await;
    let answer = sent(&with_starttls(&relay)).await;
    assert!(matches!(&answer, Answer::NotSent { why } if why.contains("STARTTLS")), "{answer:?}");
    assert_eq!(relay.heard(), [["EHLO mail.example.org"]]);
}
