//! Bounces that a mail server posts: the token is in the return path, and the reports in the mail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tocsin_domain::{Channel, JobState, Lane, Outcome};
use tocsin_providers::smtp::verp;
use tocsin_providers::{Secret, TokenKeys};

use crate::stage::{BOUNCE_PASSWORD, RELAY, Stage};

fn notification(return_path: &str, report: &str) -> String {
    format!(
        "From: MAILER-DAEMON@relay.example\r
Delivered-To: {return_path}\r
Message-ID: <dsn-1@relay.example>\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; relay.example\r
\r
Final-Recipient: rfc822; ann@example.net\r
{report}\r
\r
--b--\r
"
    )
}

async fn post(stage: &Stage, password: &str, mail: &str) -> u16 {
    let credentials = format!("Basic {}", STANDARD.encode(format!("bounces:{password}")));
    let headers = [("authorization", credentials.as_str()), ("content-type", "message/rfc822")];
    stage.post(&format!("/callbacks/{RELAY}"), &headers, mail.to_owned()).await.as_u16()
}

fn return_path(token: &str) -> String {
    verp::return_path(token, "mail.example.org").unwrap().to_string()
}

#[tokio::test]
async fn a_bounce_ends_its_attempt_suppresses_the_address_and_changes_nothing_twice() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::Priority, Channel::Email).await;
    let return_path = return_path(&stage.token(attempt, Lane::Priority));
    let delayed = notification(&return_path, "Action: delayed\r\nStatus: 4.4.1");
    let failed = notification(&return_path, "Action: failed\r\nStatus: 5.1.1");
    let delivered = notification(&return_path, "Action: delivered\r\nStatus: 2.0.0");
    for (kept, mail) in [(1, &delayed), (2, &failed), (3, &failed), (4, &delivered)] {
        assert_eq!(post(&stage, BOUNCE_PASSWORD, mail).await, 200);
        stage.events_become(kept, 0).await;
    }
    let standing = stage.standing(attempt).await;
    assert_eq!((standing.outcome, standing.job), (Some(Outcome::HardBounce), JobState::Ended));
    assert_eq!(standing.provider_code.as_deref(), Some("failed 5.1.1"));
    let suppressed = stage.query("select count(*) from suppressions", &[]).await;
    assert_eq!(suppressed.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_bounce_with_a_wrong_password_or_a_forged_return_path_is_refused() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Email).await;
    let report = "Action: failed\r\nStatus: 5.1.1";
    let ours = notification(&return_path(&stage.token(attempt, Lane::General)), report);
    let forged = TokenKeys::new(&Secret::new("other"), None).mint(attempt, Lane::General);
    let forged = notification(&return_path(&forged), report);
    for (password, mail, status) in [("guess", &ours, 401), ("", &ours, 401), (BOUNCE_PASSWORD, &forged, 403)]
    {
        assert_eq!(post(&stage, password, mail).await, status);
    }
    assert_eq!(stage.collector.counts.taken.get(), 0);
    assert_eq!(stage.events().await, (0, 0));
}

#[tokio::test]
async fn an_automatic_answer_is_kept_and_says_nothing_and_a_bounce_without_its_return_path_names_the_mail() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Email).await;
    let return_path = return_path(&stage.token(attempt, Lane::General));
    let before = stage.standing(attempt).await;
    let vacation =
        format!("From: ann@example.net\r\nTo: {return_path}\r\nSubject: away\r\n\r\nUntil Monday.\r\n");
    assert_eq!(post(&stage, BOUNCE_PASSWORD, &vacation).await, 200);
    stage.events_become(1, 0).await;
    let elsewhere = notification("postmaster@mail.example.org", "Action: failed\r\nStatus: 5.1.1");
    assert_eq!(post(&stage, BOUNCE_PASSWORD, &elsewhere).await, 200);
    stage.events_become(1, 1).await;
    assert_eq!(stage.standing(attempt).await, before);
}
