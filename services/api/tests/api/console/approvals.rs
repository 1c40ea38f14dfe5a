//! The second person on the console: the notice, the page, its two buttons; and "send a test" while composing.

use serde_json::{Value, json};

use super::{Visitor, text_of};
use crate::second_person::{decided, emergency};
use crate::stage::{Stage, campaign};
use crate::test_messages::staffed;

const FORM: &str = "key=0199f000-0000-7000-8000-000000000009&who=all&role=staff&channel=sms&subject=Lockdown\
    &body=Stay+inside.&message_type=emergency&languages=0&when=now";

async fn two(stage: &Stage) -> (Visitor<'_>, Visitor<'_>) {
    for name in ["ana", "ben"] {
        stage.user(stage.north, &format!("{name}@north.example"), &["communications"]).await;
    }
    (Visitor::of(stage, "ana@north.example").await, Visitor::of(stage, "ben@north.example").await)
}

#[tokio::test]
async fn an_emergency_that_is_composed_waits_on_every_page_of_those_who_may_approve_it() {
    let stage = Stage::start().await;
    stage.staff("lee", &[(2, "+15550000001")]).await;
    stage.staff("kim", &[(2, "+15550000002")]).await;
    stage.user(stage.north, "sec@north.example", &["secretary"]).await;
    let (ana, ben) = two(&stage).await;
    let sec = Visitor::of(&stage, "sec@north.example").await;
    let review = ana.post("/compose", &format!("{FORM}&action=review")).await;
    assert!(text_of(&review).contains("Send to 2 people now"), "nobody decided: {review:?}");
    decided(&stage).await;
    let review = ana.post("/compose", &format!("{FORM}&action=review")).await;
    let text = text_of(&review);
    assert!(
        text.contains("Ask a second person to send to 2 people") && text.contains("id=\"second-person\""),
        "{text}"
    );
    let one_screen = ana.page("/compose?emergency=yes").await;
    assert!(
        one_screen.contains("ask a second person") && one_screen.contains("id=\"second-person\""),
        "{one_screen}"
    );
    assert!(!ben.page("/campaigns").await.contains("id=\"waits\""));

    let sent = ana.post("/compose", &format!("{FORM}&action=send")).await;
    let path = sent.headers["location"].to_str().unwrap().to_owned();
    assert!(sent.status == 303 && path.starts_with("/approvals/"), "{sent:?}");
    assert_eq!(stage.get("/v1/campaigns").await.body["campaigns"], json!([]));
    for page in ["/campaigns", "/upcoming", "/compose", "/people", "/account"] {
        assert!(ben.page(page).await.contains("id=\"waits\""), "{page}");
        assert!(!ana.page(page).await.contains("id=\"waits\""), "{page} of whoever asked");
    }
    for page in ["/campaigns", "/compose"] {
        assert!(!sec.page(page).await.contains("/approvals"), "{page} of who may not approve");
    }
    assert_eq!(sec.get(&path).await.status, 403);
    assert_eq!(sec.post(&format!("{path}/approve"), "").await.status, 403);

    let own = ana.page(&path).await;
    assert!(own.contains("You asked for this") && own.contains("Take it back"), "{own}");
    assert!(own.contains("Nobody is told by email, for no account sends emails now"), "{own}");
    let account = "insert into provider_accounts (name, channel, updated_at) values ('mail', 3, now())";
    stage.sql.batch_execute(account).await.unwrap();
    assert!(ana.page(&path).await.contains("Mails on their way: "), "{own}");
    assert!(!own.contains("approve-button"), "{own}");
    let refused = ana.post(&format!("{path}/approve"), "").await;
    assert!(
        refused.status == 403 && text_of(&refused).contains("You asked for this yourself"),
        "{refused:?}"
    );
    assert!(ben.page("/approvals").await.contains("Lockdown"));
    let page = ben.page(&path).await;
    for shown in ["Stay inside.", "Approve: send to 2 people now", "asked by ana", "Whom it reaches"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let approve = format!("{path}/approve");
    let (one, again) = tokio::join!(ben.post(&approve, ""), ben.post(&approve, ""));
    assert_eq!((one.status, again.status), (303, 303), "{one:?} {again:?}");
    assert_eq!(one.headers["location"], again.headers["location"]);
    let list = stage.get("/v1/campaigns").await.body;
    assert_eq!(list["campaigns"].as_array().unwrap().len(), 1);
    assert_eq!(list["campaigns"][0]["created_by"], "ana");
    assert!(!ben.page("/campaigns").await.contains("id=\"waits\""), "nothing waits any more");
    assert!(ana.page(&path).await.contains("decided by ben"));
}

#[tokio::test]
async fn whoever_may_approve_may_decline_and_says_why() {
    let stage = Stage::start().await;
    decided(&stage).await;
    let (_ana, ben) = two(&stage).await;
    let id = stage.submit("k", &emergency()).await.id();
    let path = format!("/approvals/{id}");
    let long = ben.post(&format!("{path}/decline"), &format!("reason={}", "x".repeat(1001))).await;
    assert_eq!(long.status, 422, "{long:?}");
    assert!(text_of(&long).contains(&"x".repeat(1001)), "what was typed is lost");
    let nul = ben.post(&format!("{path}/decline"), "reason=drill%00").await;
    assert!(nul.status == 422 && text_of(&nul).contains("NUL character: remove it"), "{nul:?}");
    let declined = ben.post(&format!("{path}/decline"), "reason=It+is+a+<drill>").await;
    assert_eq!((declined.status, declined.headers["location"].to_str().unwrap()), (303, &*path));
    let page = ben.page(&path).await;
    assert!(page.contains("Declined") && page.contains("It is a &#60;drill&#62;"), "{page}");
    assert!(!page.contains("approve-button"));
    assert_eq!(ben.post(&format!("{path}/approve"), "").await.status, 409);
    assert_eq!(ben.get("/approvals/none").await.status, 404);
}

#[tokio::test]
async fn a_test_is_sent_while_composing_and_the_message_itself_is_not() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let form = FORM.replace("emergency", "general");
    let review = visitor.post("/compose", &format!("{form}&action=review")).await;
    assert!(!text_of(&review).contains("test-button"), "nobody is named yet");
    let refused = visitor.post("/compose", &format!("{form}&action=test")).await;
    assert!(refused.status == 422 && text_of(&refused).contains("/v1/sending-policy"), "{refused:?}");
    staffed(&stage).await;
    let review = visitor.post("/compose", &format!("{form}&action=review")).await;
    let text = text_of(&review);
    assert!(text.contains("Send a test to 2 people") && text.contains("Send to 5 people now"), "{text}");
    let key = text.split("name=\"test_key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let test = format!("{form}&test_key={key}&action=test");
    let (one, two) = tokio::join!(visitor.post("/compose", &test), visitor.post("/compose", &test));
    for answer in [one, two] {
        let text = text_of(&answer);
        assert!(
            answer.status == 200 && text.contains("id=\"tested\"") && text.contains("Send to 5 people now"),
            "{text}"
        );
    }
    let campaigns = async || {
        let list = stage.get("/v1/campaigns").await.body["campaigns"].clone();
        let marks = |it: &Value| it["test"].as_bool().unwrap();
        list.as_array().unwrap().iter().map(marks).collect::<Vec<bool>>()
    };
    assert_eq!(campaigns().await, [true], "pressed twice it is one, and nothing but the test");
    // The message goes by its own key, which the test did not use up.
    let sent = visitor.post("/compose", &format!("{form}&test_key={key}&action=send")).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    assert_eq!(campaigns().await.iter().filter(|test| !**test).count(), 1);
    let emergency = visitor.page("/compose?emergency=yes").await;
    assert!(emergency.contains("test-button") && emergency.contains("name=\"test_key\""), "{emergency}");
    assert_eq!(stage.submit("other", &campaign()).await.body["test"], false);
}
