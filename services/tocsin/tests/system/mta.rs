//! Mail over a real mail server, with TLS and a login, into a mailbox; and back, when there is none.

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::suppression::SuppressionReason;
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::exim::{Exim, EximSettings, LOGIN, PASSWORD};
use tocsin_testkit::promises::facts;
use tocsin_testkit::simulator::MAIL_DOMAIN;
use tocsin_testkit::{TestVhost, wait_until};

use crate::district::{DEVICES, GUARDIANS, message};
use crate::facts::{WITHIN, outcomes};
use crate::fleet::{BOUNCE_PASSWORD, Fleet};

const DOCUMENT: &str = include_str!("../../../../docs/BOUNCES.md");
/// Whose mailbox is gone.
const GONE: &str = "guardian0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_delivers_over_tls_and_login_and_its_bounce_is_outcome_and_suppression() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let mailboxes: Vec<String> = (1..GUARDIANS).map(|number| format!("guardian{number}")).collect();
    let mut exim = Exim::prepare(EximSettings { mailboxes: &mailboxes, bounce_domain: MAIL_DOMAIN })?;
    let fleet = Fleet::with_accounts_of(&vhost.amqp_url, account(&exim)).await?;
    let curl =
        format!("url = \"{}/callbacks/email\"\nuser = \"bounces:{BOUNCE_PASSWORD}\"\n", fleet.public_url());
    exim.start(&bounce_script(&exim)?, &[("bounce.curl", curl)]).await?;
    let _planner = fleet.planner().await?;
    let _worker = fleet.worker(&[Channel::Email]).await?;

    let first = fleet.client.send(&message("priority", &[Channel::Email])).await?;
    let arrived = || mailboxes.iter().map(|mailbox| exim.mails(mailbox).len()).sum::<usize>();
    wait_until("every mail but one to be in its mailbox", WITHIN, async || arrived() >= DEVICES - 1)
        .await
        .with_context(|| format!("{} arrived\n{}", arrived(), exim.last_words()))?;
    let mails = exim.mails("guardian1");
    let [mail] = mails.as_slice() else { anyhow::bail!("{} mails in one mailbox", mails.len()) };
    // With ESMTPSA the server says that there was TLS and a login.
    for part in
        ["esmtpsa", "To: guardian1@example.org", "Subject: School is closed", "School is closed today"]
    {
        ensure!(mail.contains(part), "no {part:?} in\n{mail}");
    }

    let suppressed = format!(
        "count(*) = 1 from suppressions where address = '{GONE}@example.org' and reason = '{}'",
        SuppressionReason::HardBounce
    );
    let bounced = fleet.until("the bounce to come back", &suppressed).await;
    bounced.with_context(|| exim.last_words())?;
    let known = facts(&fleet.store, first).await?;
    let came_to = outcomes(&known, Channel::Email);
    ensure!(came_to == [(Outcome::HardBounce, 1)].into(), "{came_to:?}");
    // Of the others no more is known than that the relay has them.
    let sent = known.attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::EmailSent)).count();
    ensure!(sent == DEVICES - 1, "{sent} mails are sent");

    // Nobody mails that address again.
    let second = fleet.client.send(&message("priority", &[Channel::Email])).await?;
    wait_until("the second mails to arrive", WITHIN, async || arrived() >= 2 * (DEVICES - 1))
        .await
        .with_context(|| format!("{} arrived\n{}", arrived(), exim.last_words()))?;
    let dropped =
        outcomes(&facts(&fleet.store, second).await?, Channel::Email).get(&Outcome::Dropped).copied();
    ensure!(dropped == Some(1), "{dropped:?} of the second campaign were dropped");
    Ok(())
}

fn account(exim: &Exim) -> String {
    format!(
        r#"[[accounts]]
name = "email"
channel = "email"
provider = "smtp"
base_url = "{}"
user = "{LOGIN}"
secret = "{PASSWORD}"
signing_key = "{BOUNCE_PASSWORD}"
ca_file = "{}"
sender = "Office <office@{MAIL_DOMAIN}>"
domain = "{MAIL_DOMAIN}"
concurrency = 5
"#,
        exim.url,
        exim.ca_file.display()
    )
}

/// The documentation's own, with its configuration where this mail server may read it.
fn bounce_script(exim: &Exim) -> Result<String> {
    let (_, rest) = DOCUMENT.split_once("```sh\n").context("the script is documented no more")?;
    let (script, _) = rest.split_once("```").context("the script has no end")?;
    let configuration = exim.folder().join("bounce.curl");
    Ok(script.replace("/etc/tocsin/bounce.curl", configuration.to_str().context("an odd folder")?))
}
