//! Readers who want no more mails: by the link in one, and as their vendor tells it.

use serde_json::json;
use tocsin_domain::{Channel, Lane, Outcome};
use tocsin_providers::mailgun::TOKEN_VARIABLE;
use tocsin_testkit::wait_until;

use crate::stage::{BOUND, Stage};

const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// The first of the fixture's guardians.
const ADDRESS: &str = "guardian0@example.org";

impl Stage {
    async fn unsubscribes(&self) -> i64 {
        self.query("select count(*) from unsubscribes", &[]).await.get(0)
    }

    async fn suppressions(&self, reason: &str) -> i64 {
        let sql = "select count(*) from suppressions where channel = 3 and address = $1 and reason = $2";
        self.query(sql, &[&ADDRESS, &reason]).await.get(0)
    }
}

#[tokio::test]
async fn one_click_ends_mails_of_that_type_and_no_others() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(2, Channel::Email).await.unwrap();
    let mail = stage.attempts(Lane::General, Channel::Email).await.remove(0);
    let path = format!("/unsubscribe/{}", stage.collector.token_keys.mint_unsubscribe(mail));
    // Programs that check links look at it; people who press the button see it first.
    assert_eq!(stage.get(&path).await, 200);
    let multipart = ("content-type", "multipart/form-data; boundary=b");
    let in_parts =
        "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
    assert_eq!(stage.unsubscribes().await, 0, "a look changes nothing");
    for (kind, body) in [(FORM, ONE_CLICK), (multipart, in_parts), (FORM, ONE_CLICK)] {
        let (status, content_type, said) = stage.post_for_answer(&path, &[kind], body).await;
        assert_eq!((status, content_type.as_str()), (200, "text/html; charset=utf-8"));
        assert!(said.contains("Unsubscribed"), "{said}");
    }
    stage.events_become(3, 0).await;
    assert_eq!((stage.unsubscribes().await, stage.collector.counts.unsubscribed.get()), (1, 1));
    let kept = stage.query("select address, message_type from unsubscribes", &[]).await;
    assert_eq!((kept.get::<_, &str>(0), kept.get::<_, &str>(1)), (ADDRESS, "general"));

    assert_eq!(stage.attempts(Lane::General, Channel::Email).await.len(), 1, "the other guardian's");
    let barred = "select outcome from jobs where state = 4 and outcome = $1";
    let found = stage.query(barred, &[&Outcome::Suppressed.number()]).await;
    assert_eq!(found.get::<_, i16>(0), Outcome::Suppressed.number());
    stage.query("update unsubscribes set message_type = 'behavior' returning 1", &[]).await;
    assert_eq!(stage.attempts(Lane::General, Channel::Email).await.len(), 2, "mails of another type");
    stage.leave().await;
}

#[tokio::test]
async fn who_unsubscribes_between_release_and_claim_is_not_mailed() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(1, Channel::Email).await.unwrap();
    let first = stage.attempts(Lane::General, Channel::Email).await.remove(0);
    stage.fixture.campaign(Lane::General, &[Channel::Email]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let released = stage.fixture.release_all().await.unwrap();
    assert_eq!(released.len(), 1);
    let path = format!("/unsubscribe/{}", stage.collector.token_keys.mint_unsubscribe(first));
    assert_eq!(stage.post(&path, &[FORM], ONE_CLICK).await, 200);
    wait_until("the reader is kept", BOUND, async || stage.unsubscribes().await == 1).await.unwrap();
    let worker = tocsin_domain::WorkerId(uuid::Uuid::now_v7());
    assert!(stage.fixture.claim(worker, &released).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_unsubscribes_from_emergencies_or_without_the_link() {
    let (stage, broker) = Stage::memory().await;
    let emergency = stage.one_attempt(Lane::Emergency, Channel::Email).await;
    let link = format!("/unsubscribe/{}", stage.collector.token_keys.mint_unsubscribe(emergency));
    assert_eq!(stage.post(&link, &[FORM], ONE_CLICK).await, 200);
    stage.events_become(1, 0).await;
    assert_eq!(stage.unsubscribes().await, 0);

    let callback = stage.token(emergency, Lane::Emergency);
    for (path, body, expected) in [
        ("/unsubscribe/nonsense".to_owned(), ONE_CLICK, 404),
        (format!("/unsubscribe/{callback}"), ONE_CLICK, 404),
        (link.clone(), "", 400),
        (link.clone(), "List-Unsubscribe=Maybe", 400),
    ] {
        assert_eq!(stage.post(&path, &[FORM], body).await, expected, "{path} {body}");
    }
    assert_eq!(stage.get("/unsubscribe/nonsense").await, 404);
    broker.stop();
    assert_eq!(stage.post(&link, &[FORM], ONE_CLICK).await, 503, "it could not be kept");
}

#[tokio::test]
async fn an_event_without_our_token_suppresses_the_address_that_it_names() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(2, Channel::Email).await.unwrap();
    let complaint = json!({ "event": "complained", "id": "e-1", "recipient": "guardian0@EXAMPLE.org" });
    assert_eq!(stage.mailgun(complaint, 0).await, 200);
    stage.events_become(0, 1).await;
    assert_eq!((stage.suppressions("complaint").await, stage.collector.counts.suppressed.get()), (1, 1));
    assert_eq!(stage.attempts(Lane::General, Channel::Email).await.len(), 1, "the other guardian's");
    // Of nobody that a district has.
    let stranger = json!({ "event": "unsubscribed", "id": "e-2", "recipient": "stranger@example.org" });
    assert_eq!(stage.mailgun(stranger, 0).await, 200);
    stage.events_become(0, 2).await;
    assert_eq!(stage.query("select count(*) from suppressions", &[]).await.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn of_a_districts_own_account_nothing_is_learned_about_the_people_of_others() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(1, Channel::Email).await.unwrap();
    let to_another = "with other as (
        insert into districts (id, name, created_at) values (gen_random_uuid(), 'Other', now()) returning id)
      update provider_accounts set district_id = other.id from other where channel = 3 returning 1";
    stage.query(to_another, &[]).await;
    let complaint = json!({ "event": "complained", "id": "e-1", "recipient": "guardian0@example.org" });
    assert_eq!(stage.mailgun(complaint, 0).await, 200);
    stage.events_become(0, 1).await;
    assert_eq!(stage.suppressions("complaint").await, 0);
}

#[tokio::test]
async fn a_signature_is_taken_once_for_it_does_not_cover_what_is_said() {
    let (stage, broker) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Email).await;
    let event = |name: &str| {
        json!({ "event": name, "id": "e-1", "recipient": ADDRESS,
            "user-variables": { TOKEN_VARIABLE: stage.token(attempt, Lane::General) } })
    };
    let token = "u".repeat(50);
    broker.refuse_next(1);
    assert_eq!(stage.mailgun_signed(&token, event("delivered"), 0).await, 503);
    assert_eq!(stage.mailgun_signed(&token, event("delivered"), 0).await, 200, "it was not taken before");
    stage.events_become(1, 0).await;
    let mut other = event("complained");
    other["user-variables"] = json!({});
    for event in [event("delivered"), other] {
        assert_eq!(stage.mailgun_signed(&token, event, 0).await, 200);
    }
    assert_eq!(stage.collector.counts.repeated.get(), 2);
    assert_eq!((stage.events().await, stage.suppressions("complaint").await), ((1, 0), 0));
}
