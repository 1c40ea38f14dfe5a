//! Compose, Upcoming, the log and series, as a browser without script uses them.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use super::{Visitor, post_from, text_of};
use crate::series::with_zone;
use crate::stage::{OTHER_KEY, Stage, campaign};

const KEY: &str = "0199f000-0000-7000-8000-000000000001";

/// Everything that a careful author types, encoded as a browser does.
fn form(more: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let typed = [
        ("key", KEY),
        ("who", "all"),
        ("role", "staff"),
        ("channel", "sms"),
        ("channel", "email"),
        ("message_type", "attendance"),
        ("subject", "Bus \"7\" <late>"),
        ("body", "Line one.\r\nIt's {{ given_name | there }} & more."),
        ("sms", "Late: żółw"),
        ("languages", "1"),
        ("language_1", "es"),
        ("subject_1", "Autobús"),
        ("body_1", "Llega tarde."),
        ("frequency", "weekly"),
        ("interval", "1"),
        ("ends", "never"),
    ];
    for (name, value) in typed.iter().filter(|(name, _)| !more.iter().any(|(is, _)| is == name)) {
        form.append_pair(name, value);
    }
    for (name, value) in more {
        form.append_pair(name, value);
    }
    form.finish()
}

fn shown(text: &str) -> String {
    text.replace('&', "&#38;")
        .replace('<', "&#60;")
        .replace('>', "&#62;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[tokio::test]
async fn what_is_composed_becomes_a_campaign_exactly_as_it_was_typed_and_once() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(2, "+15551230001"), (3, "ana@example.org")]).await;
    stage.staff("bob", &[(2, "+15551230002")]).await;
    let page = visitor.page("/compose").await;
    assert!(page.contains("Whoever was already told about a student today is left out."));
    assert!(page.contains("Review…") && page.contains(r#"name="key""#));
    let review = visitor.post("/compose", &form(&[("when", "now"), ("action", "review")])).await;
    assert_eq!(review.status, 200, "{review:?}");
    let review = text_of(&review);
    assert!(review.contains("Send to 2 people now"), "{review}");
    assert!(review.contains("special letters") && review.contains("1 segment"), "{review}");
    assert_eq!(stage.get("/v1/campaigns").await.body["campaigns"], json!([]), "a review stores something");
    // What the review sends on is what was typed.
    let hidden =
        |name: &str, value: &str| format!(r#"<input type="hidden" name="{name}" value="{}">"#, shown(value));
    for (name, value) in [("subject", "Bus \"7\" <late>"), ("sms", "Late: żółw"), ("channel", "email")] {
        assert!(review.contains(&hidden(name, value)), "{name}: {review}");
    }

    let send = form(&[("when", "now"), ("action", "send")]);
    let (one, two) = tokio::join!(visitor.post("/compose", &send), visitor.post("/compose", &send));
    assert_eq!((one.status, two.status), (303, 303), "{one:?} {two:?}");
    assert_eq!(one.headers["location"], two.headers["location"]);
    let list = stage.get("/v1/campaigns").await.body;
    assert_eq!(list["campaigns"].as_array().unwrap().len(), 1);
    let made = stage.get(&format!("/v1{}", one.headers["location"].to_str().unwrap())).await.body;
    assert_eq!((&made["subject"], &made["message_type"]), (&json!("Bus \"7\" <late>"), &json!("attendance")));
    assert_eq!((&made["channels"], &made["created_by"]), (&json!(["sms", "email"]), &json!("test")));
    let texts: Vec<(Value, Value, Value)> = made["contents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["language"].clone(), it["channel"].clone(), it["body"].clone()))
        .collect();
    let expected = [
        (Value::Null, Value::Null, json!("Line one.\nIt's {{ given_name | there }} & more.")),
        (Value::Null, json!("sms"), json!("Late: żółw")),
        (json!("es"), Value::Null, json!("Llega tarde.")),
    ];
    assert_eq!(texts, expected);
    assert_eq!(made["contents"][2]["subject"], "Autobús");
    let other =
        visitor.post("/compose", &form(&[("when", "now"), ("subject", "Other"), ("action", "send")])).await;
    assert!(other.status == 409 && text_of(&other).contains("The key made another campaign"), "{other:?}");
}

/// A server that has no room left for a moment: SQLSTATE 53100.
const AWAY: &str = "create function away() returns trigger language plpgsql as
      $$ begin raise exception 'no room' using errcode = '53100'; end $$;
    create trigger away before insert on contents for each statement execute function away()";

#[tokio::test]
async fn what_cannot_be_sent_for_a_moment_is_on_the_form_again_and_is_sent_once() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(2, "+15551230001"), (3, "ana@example.org")]).await;
    stage.sql.batch_execute(AWAY).await.unwrap();
    let send = form(&[("when", "now"), ("action", "send")]);
    let away = visitor.post("/compose", &send).await;
    assert_eq!(away.status, 503, "{away:?}");
    let page = text_of(&away);
    for kept in ["Unavailable for now: The store is away", "Late: żółw", "Llega tarde.", KEY] {
        assert!(page.contains(kept), "{kept} is not shown: {page}");
    }
    stage.sql.batch_execute("drop trigger away on contents").await.unwrap();
    for _ in 0..2 {
        assert_eq!(visitor.post("/compose", &send).await.status, 303);
    }
    assert_eq!(stage.get("/v1/campaigns").await.body["campaigns"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_form_with_faults_keeps_what_was_typed_and_says_beside_each_field_what_is_wrong() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let typed = [
        ("when", "at"),
        ("on_day", "soon"),
        ("subject", ""),
        ("body", "Dear {{ nobody }} <b>"),
        ("role", ""),
        ("students", "st-1\nst-2"),
        ("people", "p-1\nsomebody"),
        ("who", "some"),
    ];
    for action in ["review", "send"] {
        let mut more = typed.to_vec();
        more.push(("action", action));
        let refused = visitor.post("/compose", &form(&more)).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        let page = text_of(&refused);
        assert!(page.contains(r##"<a href="#on_day">"##), "{page}");
        for kept in [
            "Dear {{ nobody }} &#60;b&#62;",
            "st-1\nst-2",
            "p-1\nsomebody",
            "Late: żółw",
            "Llega tarde.",
            KEY,
        ] {
            assert!(page.contains(kept), "{kept} is lost: {page}");
        }
    }
    let mut more: Vec<_> =
        typed.into_iter().filter(|(name, _)| !["when", "on_day", "role"].contains(name)).collect();
    more.extend([("when", "now"), ("action", "review")]);
    let refused = visitor.post("/compose", &form(&more)).await;
    let page = text_of(&refused);
    for id in ["subject", "body"] {
        assert!(page.contains(&format!(r##"<a href="#{id}">"##)), "{id}: {page}");
        assert!(page.contains(r#"aria-invalid="true" aria-describedby="fault-"#), "{id}: {page}");
    }
    assert!(page.contains("unknown merge field"), "{page}");
    assert_eq!(stage.get("/v1/campaigns").await.body["campaigns"], json!([]));
    // A step that is no check keeps it all, too, and draws a key where there is none.
    let page = visitor.post("/compose", &form(&[("action", "add_language"), ("key", "none")])).await;
    let page = text_of(&page);
    assert!(
        page.contains(r#"id="language_2""#)
            && page.contains("Late: żółw")
            && !page.contains(r#"value="none""#)
    );
    let page = visitor.post("/compose", &form(&[("action", "remove_language_1")])).await;
    assert!(!text_of(&page).contains("Llega tarde."));
}

#[tokio::test]
async fn an_emergency_is_sent_from_one_screen_by_whoever_is_sure() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(2, "+15551230001")]).await;
    let page = visitor.page("/compose?emergency=yes").await;
    assert!(page.contains("Send the emergency") && !page.contains("Review…"), "{page}");
    let typed = [("message_type", "emergency"), ("one_screen", "yes"), ("when", "now"), ("languages", "0")];
    let with = |more: &[(&'static str, &'static str)]| form(&[&typed[..], more].concat());
    let counted = visitor.post("/compose", &with(&[("action", "count")])).await;
    assert!(text_of(&counted).contains("Send the emergency to 1 people now"), "{counted:?}");
    let unsure = visitor.post("/compose", &with(&[("action", "send")])).await;
    assert!(unsure.status == 422 && text_of(&unsure).contains(r##"href="#sure""##), "{unsure:?}");
    let sent = visitor.post("/compose", &with(&[("action", "send"), ("sure", "yes")])).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    assert_eq!(stage.get("/v1/campaigns").await.body["campaigns"][0]["lane"], "emergency");
}

#[tokio::test]
async fn a_scheduled_message_stands_in_upcoming_is_edited_there_and_keeps_who_did() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let visitor = Visitor::sign_in(&stage).await;
    let at = stage.clock.now() + TimeDelta::days(3);
    let day = at.format("%Y-%m-%d").to_string();
    let typed = [("when", "at"), ("on_day", day.as_str()), ("at_time", "08:15")];
    let sent = visitor.post("/compose", &form(&[&typed[..], &[("action", "send")]].concat())).await;
    let path = sent.headers["location"].to_str().unwrap().to_owned();
    let page = visitor.page("/upcoming").await;
    assert!(page.contains("Bus &#34;7&#34; &#60;late&#62;") && page.contains("8:15 AM"), "{page}");
    let edit = visitor.page(&format!("{path}/edit")).await;
    for kept in [
        "Late: żółw",
        "Llega tarde.",
        "value=\"08:15\"",
        &format!("value=\"{day}\""),
        "name=\"version\" value=\"1\"",
    ] {
        assert!(edit.contains(kept), "{kept}: {edit}");
    }
    let change = [("version", "1"), ("subject", "Bus 8"), ("action", "send")];
    let edited = visitor.post(&format!("{path}/edit"), &form(&[&typed[..], &change].concat())).await;
    assert_eq!(
        (edited.status, edited.headers["location"].to_str().unwrap()),
        (303, path.as_str()),
        "{edited:?}"
    );
    let page = visitor.page("/upcoming").await;
    assert!(page.contains("Bus 8") && page.contains("modified by test"), "{page}");
    let late = visitor.post(&format!("{path}/edit"), &form(&[&typed[..], &change].concat())).await;
    assert!(late.status == 409 && text_of(&late).contains("It was edited meanwhile"), "{late:?}");
    assert!(text_of(&late).contains("Late: żółw"), "what was typed is lost");
    for (filter, found) in
        [("subject=BUS", true), ("subject=snow", false), ("created_by=tes", true), ("created_by=ana", false)]
    {
        assert_eq!(visitor.page(&format!("/upcoming?{filter}")).await.contains("Bus 8"), found, "{filter}");
    }
    let other = stage.submit_as(OTHER_KEY, "theirs", &campaign()).await.id();
    for path in [format!("/campaigns/{other}/edit"), "/series/none/edit".into(), "/series/none".into()] {
        assert_eq!(visitor.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_series_is_composed_shown_and_canceled_with_its_receipt() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let visitor = Visitor::sign_in(&stage).await;
    let start = (stage.clock.now() + TimeDelta::days(2)).format("%Y-%m-%d").to_string();
    let typed = [
        ("when", "recurring"),
        ("frequency", "daily"),
        ("starts_on", start.as_str()),
        ("series_time", "07:30"),
    ];
    let review = visitor.post("/compose", &form(&[&typed[..], &[("action", "review")]].concat())).await;
    assert!(text_of(&review).contains("every day at 7:30 AM"), "{review:?}");
    let sent = visitor.post("/compose", &form(&[&typed[..], &[("action", "send")]].concat())).await;
    let path = sent.headers["location"].to_str().unwrap().to_owned();
    assert!(path.starts_with("/series/"), "{sent:?}");
    let upcoming = visitor.page("/upcoming").await;
    assert!(upcoming.contains("Recurring") && upcoming.contains("every day at 7:30 AM"), "{upcoming}");
    assert!(visitor.page(&format!("{path}/edit")).await.contains("value=\"07:30\""));
    let page = visitor.page(&path).await;
    assert!(page.contains("Cancel series…") && page.contains("Edit series…"), "{page}");
    assert!(visitor.page(&format!("{path}/cancel")).await.contains("cannot be taken up again"));
    let elsewhere = [("origin", "https://evil.example"), ("cookie", visitor.cookie.as_str())];
    assert_eq!(post_from(&stage, &format!("{path}/cancel"), &elsewhere, "").await.status, 403);
    for reason in ["no+more", "again"] {
        let canceled = visitor.post(&format!("{path}/cancel"), &format!("reason={reason}")).await;
        assert_eq!(
            (canceled.status, canceled.headers["location"].to_str().unwrap()),
            (303, &*format!("{path}#receipt"))
        );
    }
    let page = visitor.page(&path).await;
    assert!(
        page.contains("no more") && !page.contains("again.") && page.contains("By <strong>test</strong>"),
        "{page}"
    );
    assert!(!visitor.page("/upcoming?show=all").await.contains("every day"));
}

#[tokio::test]
async fn the_log_holds_what_ended_with_the_words_of_its_states_and_keeps_its_filter() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    for (subject, state) in [("Went", 5i16), ("Broke", 6), ("Stopped", 7), ("Nobody there", 8), ("Going", 3)]
    {
        let mut body = campaign();
        body["subject"] = json!(subject);
        let id = stage.submit(subject, &body).await.id();
        let sql = format!(
            "update campaigns set state = {state}, ended_at = now(), closed_at = now() where id = $1"
        );
        stage.change(&sql, &id).await;
    }
    assert!(visitor.page("/log").await.contains("You have sent nothing yet"), "these are the API's");
    let page = visitor.page("/log?show=all").await;
    for word in ["Went", "Sent", "Errored", "Canceled", "No recipients"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(!page.contains("Going"), "{page}");
    assert!(visitor.page("/upcoming?tab=in-progress&show=all").await.contains("Going"));
    let page = visitor.page("/log?show=all&subject=WENT&from=&to=&number=&sort=subject&order=asc").await;
    assert!(page.contains("Went") && !page.contains("Broke") && page.contains(">Reset<"), "{page}");
    assert!(page.contains(r#"aria-sort="ascending""#) && page.contains(r#"value="WENT""#), "{page}");
    let faulty = visitor.get("/log?show=all&from=x&subject=Went").await;
    let page = text_of(&faulty);
    assert!(faulty.status == 422 && page.contains("Broke") && page.contains(r#"value="Went""#), "{page}");
}

#[tokio::test]
async fn a_template_begins_a_message() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let template = json!({"name": "Late bus", "subject": "Bus is late", "channels": ["voice"], "message_type": "behavior",
        "contents": [{"body": "It is late."}, {"body": "Tarde.", "language": "es"}]});
    let bearer = format!("Bearer {}", crate::stage::KEY);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let made = stage.ask(reqwest::Method::POST, "/v1/templates", &headers, &template.to_string()).await;
    assert!(visitor.page("/compose").await.contains("Late bus"));
    let page = visitor.page(&format!("/compose?template={}", made.id())).await;
    for kept in ["Bus is late", "It is late.", "Tarde.", r#"<option value="behavior" selected>"#] {
        assert!(page.contains(kept), "{kept}: {page}");
    }
    let counted = visitor.post("/compose/segments", "body=%C5%BC%C3%B3%C5%82w").await;
    assert_eq!(text_of(&counted), "As a text: 1 segment (special letters, up to 70 characters)");
}
