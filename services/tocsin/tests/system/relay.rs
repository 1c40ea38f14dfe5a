//! Mail over a relay through every role, and what comes back of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::promises::facts;
use tocsin_testkit::{TestVhost, wait_until};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::district::{DEVICES, message};
use crate::facts::{WITHIN, closed, counters_are_the_rows, outcomes};
use crate::fleet::{BOUNCE_PASSWORD, Fleet};

/// Whose mailbox is gone.
const GONE: &str = "guardian0@example.org";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bounce_posted_by_the_mail_server_is_the_outcome_and_its_address_is_tried_no_more() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let relay = Relay::start().await?;
    let fleet = Fleet::over_relay(&vhost.amqp_url, &relay.url).await?;
    let _planner = fleet.planner().await?;
    let _worker = fleet.worker(&[Channel::Email]).await?;

    let first = fleet.client.send(&message("priority", &[Channel::Email])).await?;
    let mails = relay.mails_reach(DEVICES).await?;
    fleet
        .until("every mail to be accepted", &format!("count(*) = {DEVICES} from attempts where state = 2"))
        .await?;
    for mail in &mails {
        let said = if mail.to == GONE { "failed\nStatus: 5.1.1" } else { "delivered\nStatus: 2.1.5" };
        post(&fleet, mail, said).await?;
    }
    closed(&fleet.store, first).await?;
    let ended = facts(&fleet.store, first).await?;
    let expected = BTreeMap::from([(Outcome::Delivered, DEVICES - 1), (Outcome::HardBounce, 1)]);
    ensure!(outcomes(&ended, Channel::Email) == expected, "{:?}", outcomes(&ended, Channel::Email));
    counters_are_the_rows(&fleet.client, &fleet.store, first).await?;

    // A bounce after a delivery counts, and one that comes twice counts once.
    let late = mails.iter().find(|mail| mail.to != GONE).context("one mail alone")?;
    for _ in 0..2 {
        post(&fleet, late, "failed\nStatus: 5.1.1").await?;
    }
    let suppressed = "count(*) = 2 from suppressions";
    fleet.until("both addresses to be suppressed", suppressed).await?;
    counters_are_the_rows(&fleet.client, &fleet.store, first).await?;

    let second = fleet.client.send(&message("priority", &[Channel::Email])).await?;
    let mails = relay.mails_reach(2 * DEVICES - 2).await?;
    for mail in &mails[DEVICES..] {
        ensure!(mail.to != GONE && mail.to != late.to, "{} was mailed again", mail.to);
        post(&fleet, mail, "delivered\nStatus: 2.1.5").await?;
    }
    closed(&fleet.store, second).await?;
    let ended = facts(&fleet.store, second).await?;
    let expected = BTreeMap::from([(Outcome::Delivered, DEVICES - 2), (Outcome::Dropped, 2)]);
    ensure!(outcomes(&ended, Channel::Email) == expected, "{:?}", outcomes(&ended, Channel::Email));
    Ok(())
}

/// As a mail server's pipe does (docs/BOUNCES.md).
async fn post(fleet: &Fleet, mail: &Mail, said: &str) -> Result<()> {
    let notification = format!(
        "From: MAILER-DAEMON@relay.example
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example

Final-Recipient: rfc822; {}
Action: {said}

--b--
",
        mail.to
    );
    let answer = tocsin_providers::http_client()?
        .post(format!("{}/callbacks/email", fleet.public_url()))
        .query(&[("recipient", &mail.return_path)])
        .basic_auth("bounces", Some(BOUNCE_PASSWORD))
        .body(notification.replace('\n', "\r\n"))
        .send()
        .await?;
    ensure!(answer.status().is_success(), "the collector answered {}", answer.status());
    Ok(())
}

#[derive(Debug, Clone, Default)]
struct Mail {
    return_path: String,
    to: String,
}

/// Takes every mail and keeps its envelope.
struct Relay {
    url: String,
    mails: Arc<Mutex<Vec<Mail>>>,
    _serving: JoinSet<()>,
}

impl Relay {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("smtp://{}", listener.local_addr()?);
        let mails = Arc::default();
        let taken = Arc::clone(&mails);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&taken);
                connections.spawn(async move {
                    // A connection that breaks is the worker's to notice.
                    let _ = take(stream, &taken).await;
                });
            }
        });
        Ok(Self { url, mails, _serving: serving })
    }

    async fn mails_reach(&self, count: usize) -> Result<Vec<Mail>> {
        let mails = || self.mails.lock().map(|mails| mails.clone()).unwrap_or_default();
        wait_until(&format!("{count} mails to arrive"), WITHIN, async || mails().len() >= count).await?;
        ensure!(mails().len() == count, "{} mails arrived and not {count}", mails().len());
        Ok(mails())
    }
}

async fn take(stream: TcpStream, taken: &Mutex<Vec<Mail>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut mail, mut line, mut in_mail) = (Mail::default(), String::new(), false);
    stream.write_all(b"220 relay.example\r\n").await?;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let said = line.trim_end();
        let address = || said.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match said.split([' ', ':']).next().unwrap_or_default() {
            "." if in_mail => {
                in_mail = false;
                if let Ok(mut taken) = taken.lock() {
                    taken.push(std::mem::take(&mut mail));
                }
                "250 2.0.0 queued"
            }
            _ if in_mail => continue,
            "DATA" => {
                in_mail = true;
                "354 go on"
            }
            "MAIL" => {
                mail.return_path = address();
                "250 2.1.0 ok"
            }
            "RCPT" => {
                mail.to = address();
                "250 2.1.5 ok"
            }
            _ => "250 ok",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}
