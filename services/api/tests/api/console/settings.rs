//! What the district decides, by form: kept where it is right, and lost nowhere.

use serde_json::json;

use super::{Visitor, text_of};
use crate::series::with_zone;
use crate::stage::Stage;

#[tokio::test]
async fn a_policy_is_decided_by_form_and_read_back() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let admin = Visitor::sign_in(&stage).await;
    let page = admin.page("/settings").await;
    assert!(page.contains(r#"href="/settings/policies/attendance""#) && page.contains(">Never<"), "{page}");
    let form = "attempts_max=4&wait_seconds=120&outcome=busy&outcome=no_answer&machines=leave_message&confirm=yes\
        &window=hours&opens_monday=08:00&closes_monday=20:00&opens_friday=09:30&closes_friday=00:00\
        &holidays=2026-12-25%0D%0A2027-01-01";
    let saved = admin.post("/settings/policies/attendance", form).await;
    assert_eq!((saved.status, saved.headers["location"].to_str().unwrap()), (303, "/settings#types"));
    let kept = stage.get("/v1/policies/attendance").await.body;
    assert_eq!(kept["redial"]["attempts_max"], 4);
    assert_eq!(kept["redial"]["outcomes"], json!(["busy", "no_answer"]), "{kept}");
    assert_eq!(
        (&kept["redial"]["machines"], &kept["redial"]["confirm"]),
        (&json!("leave_message"), &json!(true))
    );
    assert_eq!(
        kept["calling_window"]["hours"][1],
        json!({"days": ["friday"], "opens": "09:30", "closes": "24:00"})
    );
    assert_eq!(kept["calling_window"]["holidays"], json!(["2026-12-25", "2027-01-01"]));
    assert_eq!(kept["updated_by"], "test");
    let page = admin.page("/settings/policies/attendance").await;
    for shown in [
        r#"name="attempts_max" type="number" min="1" max="10" required value="4""#,
        r#"value="leave_message" checked"#,
        r#"name="closes_friday" value="00:00""#,
        r#"name="opens_tuesday" value="""#,
        "2026-12-25\n2027-01-01",
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    assert!(admin.page("/settings").await.contains("3 times, 2 min apart"));
    let any = admin.post("/settings/policies/attendance", "attempts_max=1&wait_seconds=60&window=any").await;
    assert_eq!(any.status, 303);
    assert_eq!(stage.get("/v1/policies/attendance").await.body["calling_window"], json!(null));
    assert_eq!(admin.get("/settings/policies/gossip").await.status, 404);
}

#[tokio::test]
async fn a_faulty_policy_keeps_what_was_typed_and_says_beside_each_field_what_is_wrong() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    let form = "attempts_max=99&wait_seconds=120&outcome=busy&window=hours&opens_monday=20:00&closes_monday=08:00\
        &opens_friday=09:30&closes_friday=&holidays=Christmas+%3Cb%3E";
    let refused = admin.post("/settings/policies/general", form).await;
    assert_eq!(refused.status, 422);
    let page = text_of(&refused);
    for shown in [
        r#"id="attempts-fault" role="alert">It is 99: use a whole number from 1 to 10."#,
        r#"id="monday-fault" role="alert">The closing time 08:00 is not after opens"#,
        r#"id="friday-fault" role="alert">The closing time &#34;&#34; is no time of day"#,
        r#"id="holidays-fault" role="alert">It &#34;Christmas"#,
        "Christmas &#60;b&#62;</textarea>",
        r#"value="busy" checked"#,
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    let empty = admin.post("/settings/policies/general", "attempts_max=&wait_seconds=soon").await;
    let page = text_of(&empty);
    assert!(page.contains("It is empty: write a number.") && page.contains(r#"value="soon""#), "{page}");
    assert_eq!(stage.get("/v1/policies/general").await.body["updated_at"], json!(null), "nothing is kept");
    let emergency =
        admin.post("/settings/policies/emergency", "attempts_max=2&wait_seconds=60&window=hours").await;
    assert!(emergency.status == 422 || emergency.status == 303, "{emergency:?}");
    assert!(!admin.page("/settings/policies/emergency").await.contains("Calling hours"));
}

#[tokio::test]
async fn limits_undo_and_consent_are_decided_by_form_and_a_fault_keeps_what_was_typed() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    let saved = admin
        .post("/settings/limits", "rate_voice=2.5&concurrency_voice=10&spares_voice=yes&rate_sms=")
        .await;
    assert_eq!(saved.status, 303, "{saved:?}");
    let kept = stage.get("/v1/limits").await.body["channels"].clone();
    assert_eq!(
        kept,
        json!({"voice": {"rate_per_second": 2.5, "concurrency": 10, "spares_emergencies": true}})
    );
    assert!(admin.page("/settings?saved=limits").await.contains(r#"role="status">Saved."#));
    let faulty = admin.post("/settings/limits", "rate_voice=fast&concurrency_sms=0&spares_email=yes").await;
    let page = text_of(&faulty);
    assert_eq!(faulty.status, 422);
    assert!(page.contains(r#"id="rate-voice-fault""#) && page.contains(r#"value="fast""#), "{page}");
    let faulty = admin.post("/settings/limits", "concurrency_sms=0&spares_email=yes").await;
    let page = text_of(&faulty);
    assert!(page.contains("It is 0: use a whole number from 1 to 2000."), "{page}");
    assert!(page.contains("Nothing is limited that could be spared"), "{page}");
    assert_eq!(stage.get("/v1/limits").await.body["channels"], kept, "nothing of a faulty form is kept");

    assert_eq!(admin.post("/settings/undo", "undo_seconds=90").await.status, 303);
    assert_eq!(stage.get("/v1/sending-policy").await.body["undo_seconds"], 90);
    for (typed, shown) in [("4000", "4000"), ("soon", "soon"), ("", "")] {
        let faulty = admin.post("/settings/undo", &format!("undo_seconds={typed}")).await;
        let page = text_of(&faulty);
        assert!(faulty.status == 422, "{page}");
        assert!(page.contains(&format!(r#"value="{shown}" aria-invalid="true""#)), "{page}");
        assert!(
            page.contains(r#"name="rate_voice" inputmode="decimal" autocomplete="off" value="2.5""#),
            "{page}"
        );
    }

    stage.staff("lee", &[(2, "+15550000001")]).await;
    assert_eq!(admin.post("/settings/second-person", "second_person=yes").await.status, 303);
    assert_eq!(admin.post("/settings/tests", "test_people=%0D%0A+lee+%0D%0A%0D%0A").await.status, 303);
    let kept = stage.get("/v1/sending-policy").await.body;
    // Each form leaves the others' decisions as they are.
    let decided = [&kept["undo_seconds"], &kept["second_person"], &kept["test_people"]];
    assert_eq!(decided, [&json!(90), &json!(true), &json!(["lee"])]);
    let shown = admin.page("/settings?saved=second-person").await;
    assert!(shown.contains(r#"name="second_person" value="yes" checked"#), "{shown}");
    assert!(shown.contains(">lee</textarea>") && shown.contains(r#"role="status">Saved."#), "{shown}");
    let faulty = admin.post("/settings/tests", "test_people=lee%0D%0A%3Cnobody%3E").await;
    let page = text_of(&faulty);
    assert!(faulty.status == 422 && page.contains("&#60;nobody&#62;</textarea>"), "{page}");
    assert!(page.contains(r#"name="second_person" value="yes" checked"#), "{page}");
    assert!(
        page.contains(r#"id="test-people-fault" role="alert">A line names nobody: write &#34;&#60;nobody"#),
        "{page}"
    );
    let many = (0..51).map(|at| format!("p{at}%0D%0A")).collect::<String>();
    let faulty = admin.post("/settings/tests", &format!("test_people={many}")).await;
    let page = text_of(&faulty);
    assert!(page.contains("The list has 51 people: at most 50 are taken.") && page.contains("p50"), "{page}");
    assert_eq!(stage.get("/v1/sending-policy").await.body, kept, "nothing of a faulty form is kept");
    assert_eq!(admin.post("/settings/second-person", "").await.status, 303);
    assert_eq!(admin.post("/settings/tests", "test_people=").await.status, 303);
    let kept = stage.get("/v1/sending-policy").await.body;
    let decided = [&kept["undo_seconds"], &kept["second_person"], &kept["test_people"]];
    assert_eq!(decided, [&json!(90), &json!(false), &json!([])]);

    let form = "overrides_stop=yes&opt_in_needed=general&times_max=3&every_days=10&flyer_url=https://a.example/f.pdf";
    assert_eq!(admin.post("/settings/consent", form).await.status, 303);
    let kept = stage.get("/v1/consent-policy").await.body;
    assert_eq!(
        kept,
        json!({"emergency_overrides_stop": true, "opt_in_needed": ["general"],
            "reminder": {"times_max": 3, "every_days": 10, "flyer_url": "https://a.example/f.pdf"}})
    );
    let faulty = admin.post("/settings/consent", "times_max=9&every_days=1&flyer_url=nowhere").await;
    let page = text_of(&faulty);
    assert!(page.contains(r#"id="times-fault""#) && page.contains(r#"id="flyer-fault""#), "{page}");
    assert_eq!(stage.get("/v1/consent-policy").await.body, kept);
}

#[tokio::test]
async fn settings_are_for_those_who_have_the_right() {
    let stage = Stage::start().await;
    stage.user(stage.north, "sec@north.example", &["secretary"]).await;
    let secretary = Visitor::of(&stage, "sec@north.example").await;
    let page = secretary.page("/account").await;
    assert!(!page.contains(r#"href="/settings""#) && !page.contains(r#"href="/imports""#), "{page}");
    assert!(page.contains(r#"href="/templates""#), "{page}");
    for path in ["/settings", "/settings/policies/general", "/imports"] {
        assert_eq!(secretary.get(path).await.status, 403, "{path}");
    }
    for path in [
        "/settings/limits",
        "/settings/undo",
        "/settings/second-person",
        "/settings/tests",
        "/settings/consent",
        "/settings/policies/general",
    ] {
        assert_eq!(secretary.post(path, "").await.status, 403, "{path}");
        let admin = "admin@north.example";
        if path == "/settings/limits" {
            stage.user(stage.north, admin, &["administrator"]).await;
        }
        let admin = Visitor::of(&stage, admin).await;
        let foreign = super::post_from(
            &stage,
            path,
            &[("cookie", admin.cookie()), ("origin", "https://evil.example")],
            "",
        )
        .await;
        assert_eq!(foreign.status, 403, "{path} from another site");
    }
}
