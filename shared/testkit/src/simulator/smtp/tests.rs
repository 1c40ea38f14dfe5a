//! The SMTP door with a real client, and with one that says exactly what it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use lettre::address::{Address, Envelope};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tocsin_domain::Channel;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::super::{Fate, Kind, Record, Scenario, Simulator, SimulatorConfig, SmtpFaults, SmtpScenario};
use super::SmtpDoor;

type Transport = AsyncSmtpTransport<Tokio1Executor>;
type Builder = lettre::transport::smtp::AsyncSmtpTransportBuilder;

/// Only a request that is never answered waits so long.
const TIMEOUT: Duration = Duration::from_secs(2);
const MAIL: &str = "Subject: Snow\r\n\r\nSchool is closed.\r\n";

struct Stage {
    simulator: Simulator,
    door: SmtpDoor,
}

impl Stage {
    async fn set(smtp: SmtpScenario) -> Self {
        let scenario = Scenario { smtp, ..Scenario::default() };
        let simulator = Simulator::start(SimulatorConfig { listen: None, scenario }).await.unwrap();
        let door = simulator.take_mail(None).await.unwrap();
        Self { simulator, door }
    }

    /// With a pool of one.
    fn client(&self) -> Builder {
        Transport::builder_dangerous("localhost")
            .port(self.door.address.port())
            .timeout(Some(TIMEOUT))
            .pool_config(PoolConfig::new().max_size(1))
    }

    fn sends(&self) -> Vec<Record> {
        self.simulator.sends()
    }
}

fn envelope(from: &str, to: &[&str]) -> Envelope {
    let addresses = to.iter().map(|to| to.parse::<Address>().unwrap()).collect();
    Envelope::new(Some(from.parse().unwrap()), addresses).unwrap()
}

async fn send(transport: &Transport, to: &str) -> Result<u16, lettre::transport::smtp::Error> {
    let envelope = envelope("bounce+token@mail.example.org", &[to]);
    transport.send_raw(&envelope, MAIL.as_bytes()).await.map(|response| u16::from(response.code()))
}

#[tokio::test]
async fn mails_over_pooled_connections_are_taken_as_they_were_and_recorded() {
    let stage = Stage::set(SmtpScenario::default()).await;
    let transport = stage.client().build();
    let contents =
        ["Subject: x\r\n\r\ny", "\r\n.\r\n..two\r\n.three", "Message-ID: <other@x>\r\n\r\nGr\u{fc}\u{df}e"];
    for content in contents {
        let envelope = envelope("bounce+token@mail.example.org", &["ana@example.org"]);
        assert!(transport.send_raw(&envelope, content.as_bytes()).await.unwrap().is_positive());
    }
    let mails = stage.simulator.mails();
    let kept: Vec<String> =
        mails.iter().map(|mail| String::from_utf8(mail.content.clone()).unwrap()).collect();
    // The last line's end is the client's.
    assert_eq!(kept, contents.map(|content| format!("{content}\r\n")));
    for send in stage.sends() {
        assert_eq!((send.channel, send.kind, send.answered), (Channel::Email, Kind::Send, 250));
        assert_eq!(
            (send.token.as_deref(), send.to.as_deref(), send.from.as_deref()),
            (Some("token"), Some("ana@example.org"), Some("mail.example.org"))
        );
        assert!(send.provider_id.is_some());
    }
    assert_eq!(stage.sends().len(), 3);
}

#[tokio::test]
async fn each_recipient_of_a_mail_is_a_send_of_its_own() {
    let stage = Stage::set(SmtpScenario::default()).await;
    let envelope = envelope("office@mail.example.org", &["ana@example.org", "ben@example.org"]);
    let mail = b"Message-ID: <tok@mail.example.org>\r\n\r\nHello\r\n";
    stage.client().build().send_raw(&envelope, mail).await.unwrap();
    let sends = stage.sends();
    let to: Vec<_> = sends.iter().map(|send| (send.to.as_deref(), send.token.as_deref())).collect();
    assert_eq!(to, [(Some("ana@example.org"), Some("tok")), (Some("ben@example.org"), Some("tok"))]);
    assert_ne!(sends[0].provider_id, sends[1].provider_id);
    assert_eq!(stage.simulator.mails()[0].to, ["ana@example.org", "ben@example.org"]);
}

#[tokio::test]
async fn logins_are_taken_by_either_mechanism_in_private_or_not() {
    let stage = Stage::set(SmtpScenario { auth_required: true, ..Default::default() }).await;
    let refused = send(&stage.client().build(), "ana@example.org").await.unwrap_err();
    assert_eq!(refused.status().map(u16::from), Some(530));
    let known = Credentials::new("simulated".to_owned(), "simulated-password".to_owned());
    let unknown = Credentials::new("simulated".to_owned(), "guessed".to_owned());
    let certificate = Certificate::from_der(stage.door.certificate.clone()).unwrap();
    let private =
        TlsParameters::builder("localhost".to_owned()).add_root_certificate(certificate).build_rustls();
    for tls in [Tls::None, Tls::Required(private.unwrap())] {
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            let client = || stage.client().tls(tls.clone()).authentication(vec![mechanism]);
            let taken = send(&client().credentials(known.clone()).build(), "ana@example.org").await;
            assert_eq!(taken.unwrap(), 250, "{mechanism:?}");
            let refused = send(&client().credentials(unknown.clone()).build(), "ana@example.org").await;
            assert_eq!(refused.unwrap_err().status().map(u16::from), Some(535), "{mechanism:?}");
        }
    }
    assert_eq!(stage.sends().len(), 4);
}

#[tokio::test]
async fn every_fault_is_what_the_client_and_the_record_see() {
    let none = SmtpFaults::default;
    // The reply's code or None for no reply, the record's code, and whether it has a message.
    let table = [
        (SmtpFaults { closing: 1.0, ..none() }, Some(421), 421, false),
        (SmtpFaults { recipient_refused: 1.0, ..none() }, Some(550), 550, false),
        (SmtpFaults { recipient_deferred: 1.0, ..none() }, Some(451), 451, false),
        (SmtpFaults { refused: 1.0, ..none() }, Some(554), 554, false),
        (SmtpFaults { deferred: 1.0, ..none() }, Some(451), 451, false),
        (SmtpFaults { hang: 1.0, ..none() }, None, 0, false),
        (SmtpFaults { dropped: 1.0, ..none() }, None, 0, true),
    ];
    for (faults, code, recorded, taken) in table {
        let name = format!("{faults:?}");
        let stage = Stage::set(SmtpScenario { faults, ..Default::default() }).await;
        let transport = stage.client().build();
        let sent = tokio::time::timeout(TIMEOUT, send(&transport, "ana@example.org")).await;
        let told = sent.ok().and_then(|sent| sent.unwrap_err().status().map(u16::from));
        assert_eq!(told, code, "{name}");
        let sends = stage.sends();
        assert_eq!((sends.len(), sends[0].answered), (1, recorded), "{name}");
        assert_eq!(sends[0].provider_id.is_some(), taken, "{name}");
        assert_eq!(stage.simulator.mails().len(), usize::from(taken), "{name}");
    }
}

#[tokio::test]
async fn fates_are_refused_where_a_mail_server_refuses_them() {
    let always = |fate| SmtpScenario {
        fates: vec![BTreeMap::from([(fate, 1.0)])],
        greylist_seconds: 0.0,
        ..Default::default()
    };
    let table = [
        (Fate::Invalid, &[550, 550][..]),
        (Fate::SoftBounced, &[451, 250]),
        (Fate::Rejected, &[554, 554]),
        (Fate::Bounced, &[250, 250]),
    ];
    for (fate, codes) in table {
        let stage = Stage::set(always(fate)).await;
        let transport = stage.client().build();
        let mut replies = Vec::new();
        for _ in codes {
            let sent = send(&transport, "ana@example.org").await;
            replies.push(sent.unwrap_or_else(|error| error.status().map_or(0, u16::from)));
        }
        assert_eq!(replies, codes, "{fate:?}");
        let recorded: Vec<u16> = stage.sends().iter().map(|send| send.answered).collect();
        assert_eq!(recorded, codes, "{fate:?}");
    }
}

#[tokio::test]
async fn a_greylisted_address_has_to_wait() {
    let fates = vec![BTreeMap::from([(Fate::SoftBounced, 1.0)])];
    let stage = Stage::set(SmtpScenario { fates, greylist_seconds: 3_600.0, ..Default::default() }).await;
    let transport = stage.client().build();
    for _ in 0..2 {
        assert!(send(&transport, "ana@example.org").await.unwrap_err().is_transient());
    }
}

/// Says `words` in pieces of `size`, and returns the codes that came back until the server hung up.
async fn codes(door: &SmtpDoor, words: &str, size: usize) -> Vec<u16> {
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    for piece in words.as_bytes().chunks(size) {
        // The server may have hung up before it has heard everything.
        if writer.write_all(piece).await.is_err() {
            break;
        }
    }
    // Whoever says no more is not waited for.
    drop(writer);
    let mut lines = BufReader::new(reader).lines();
    let mut codes = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        // Of several lines with one code the last has a space.
        if line.as_bytes()[3] == b' ' {
            codes.push(line[..3].parse().unwrap());
        }
    }
    codes
}

#[tokio::test]
async fn commands_are_answered_in_their_order_however_they_come() {
    let one_mail = "MAIL FROM:<a@x.org> BODY=8BITMIME SIZE=20\r\nRCPT TO:<b@x.org>\r\nDATA\r\n";
    let table: [(String, Vec<u16>); 8] = [
        (
            format!("EHLO me\r\n{one_mail}x\r\n.\r\n{one_mail}y\r\n.\r\nQUIT\r\n"),
            vec![220, 250, 250, 250, 354, 250, 250, 250, 354, 250, 221],
        ),
        (
            "HELO me\r\nNOOP\r\nVRFY b\r\nHELP\r\nRSET\r\nQUIT\r\n".to_owned(),
            vec![220, 250, 250, 252, 214, 250, 221],
        ),
        // Nothing before a greeting, nobody without a sender, no mail without a recipient, no second sender.
        (
            "MAIL FROM:<a@x.org>\r\nEHLO me\r\nRCPT TO:<b@x.org>\r\nDATA\r\nMAIL FROM:<a@x.org>\r\nDATA\r\n\
             MAIL FROM:<a@x.org>\r\nRSET\r\nDATA\r\nQUIT\r\n"
                .to_owned(),
            vec![220, 503, 250, 503, 503, 250, 554, 503, 250, 503, 221],
        ),
        (
            "EHLO me\r\nJUMP\r\nETRN x\r\nMAIL FROM:<a@x.org> SIZE=101\r\nQUIT\r\n".to_owned(),
            vec![220, 250, 500, 502, 552, 221],
        ),
        (
            format!("EHLO me\r\n{one_mail}{}\r\n.\r\nQUIT\r\n", "x".repeat(200)),
            vec![220, 250, 250, 250, 354, 552, 221],
        ),
        // "*" gives a login up.
        (
            "EHLO me\r\nAUTH LOGIN\r\n*\r\nAUTH CRAM-MD5\r\nQUIT\r\n".to_owned(),
            vec![220, 250, 334, 501, 504, 221],
        ),
        // What was said in the same breath as STARTTLS is not heard.
        ("EHLO me\r\nSTARTTLS\r\nNOOP\r\n".to_owned(), vec![220, 250, 220]),
        ("JUMP\r\n".repeat(21), [&[220][..], &[500; 20], &[421]].concat()),
    ];
    let stage = Stage::set(SmtpScenario { size_max: 100, ..Default::default() }).await;
    for (words, expected) in table {
        for size in [words.len(), 1] {
            // Byte by byte it is said afterwards, and is a handshake.
            if words.contains("STARTTLS") && size == 1 {
                continue;
            }
            assert_eq!(codes(&stage.door, &words, size).await, expected, "{words:?} by {size}");
        }
    }
}

#[tokio::test]
async fn a_connection_is_closed_after_its_mails() {
    let stage = Stage::set(SmtpScenario { mails_per_connection_max: Some(2), ..Default::default() }).await;
    let one_mail = "MAIL FROM:<a@x.org>\r\nRCPT TO:<b@x.org>\r\nDATA\r\nx\r\n.\r\n";
    let one_reply = [250, 250, 354, 250];
    let words = format!("EHLO me\r\n{}", one_mail.repeat(2)) + "MAIL FROM:<a@x.org>\r\n";
    let expected = [&[220, 250][..], &one_reply, &one_reply, &[421]].concat();
    assert_eq!(codes(&stage.door, &words, words.len()).await, expected);
    assert_eq!(stage.sends().len(), 2);
}
