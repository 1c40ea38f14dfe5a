//! A vendor with one fixed address: the token is in the body, and the body is not what is signed.

use serde_json::json;
use tocsin_domain::{Channel, JobState, Lane, Outcome};
use tocsin_providers::mailgun::TOKEN_VARIABLE;
use tocsin_providers::{Secret, TokenKeys};

use crate::stage::Stage;

fn event(name: &str, token: &str) -> serde_json::Value {
    json!({
        "event": name, "id": "e-1", "user-variables": { TOKEN_VARIABLE: token },
        "message": { "headers": { "message-id": "m-1@mail.example.org" } },
    })
}

#[tokio::test]
async fn an_email_event_finds_its_attempt_by_the_token_in_its_body() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::Priority, Channel::Email).await;
    let token = stage.token(attempt, Lane::Priority);
    assert_eq!(stage.mailgun(event("delivered", &token), 0).await, 200);
    stage.events_become(1, 0).await;
    let standing = stage.standing(attempt).await;
    assert_eq!((standing.outcome, standing.job), (Some(Outcome::Delivered), JobState::Ended));
    assert_eq!(standing.provider_id.as_deref(), Some("m-1@mail.example.org"));
}

#[tokio::test]
async fn an_event_with_a_forged_token_or_too_old_is_refused_in_the_vendors_words() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Email).await;
    let forged = TokenKeys::new(&Secret::new("other"), None).mint(attempt, Lane::General);
    let (token, old) = (stage.token(attempt, Lane::General), 10 * 3600);
    for (event, age_seconds, status) in [
        (event("delivered", &forged), 0, 403),
        (event("delivered", "nonsense"), 0, 404),
        (event("delivered", &token), old, 406),
    ] {
        assert_eq!(stage.mailgun(event, age_seconds).await, status);
    }
    assert_eq!(stage.collector.counts.taken.get(), 0);
    assert_eq!(stage.events().await, (0, 0));
}

#[tokio::test]
async fn an_event_without_a_token_is_kept_without_an_attempt() {
    let (stage, _) = Stage::memory().await;
    let mail = json!({ "event": "opened", "message": { "headers": { "message-id": "m-2@x.org" } } });
    assert_eq!(stage.mailgun(mail, 0).await, 200);
    stage.events_become(0, 1).await;
    let kept = stage.query("select provider_id, account, outcome, raw is not null from events", &[]).await;
    assert_eq!(kept.get::<_, &str>(0), "m-2@x.org");
    assert_eq!(kept.get::<_, &str>(1), "email-1");
    assert_eq!(kept.get::<_, i16>(2), Outcome::Opened.number());
    assert!(kept.get::<_, bool>(3));
}
