//! The pages of people.

use reqwest::Method;
use tocsin_runtime::Clock as _;

use super::{Visitor, text_of};
use crate::imports::{PARENT, STUDENT};
use crate::stage::Stage;

#[tokio::test]
async fn people_are_looked_up_and_what_was_typed_stays() {
    let stage = Stage::start().await;
    stage.family().await;
    let visitor = Visitor::sign_in(&stage).await;
    let page = visitor.page("/people?q=ana").await;
    assert!(page.contains("href=\"/people/ana\"") && !page.contains("href=\"/people/bo\""), "{page}");
    assert!(page.contains("value=\"ana\""));
    let refused = visitor.get("/people?q=a").await;
    assert_eq!(refused.status, 422);
    assert!(
        text_of(&refused).contains("value=\"a\"") && text_of(&refused).contains("aria-describedby=\"fault\"")
    );
    assert_eq!(visitor.get("/people/nobody").await.status, 404);
    let bo = visitor.page("/people/bo").await;
    assert!(bo.contains("Lincoln, grade 03") && bo.contains("href=\"/people/ana\""), "{bo}");
}

#[tokio::test]
async fn preferences_are_saved_by_a_form_without_script_and_faults_stand_beside_their_fields() {
    let stage = Stage::start().await;
    stage.family().await;
    let visitor = Visitor::sign_in(&stage).await;
    let page = visitor.page("/people/ana").await;
    assert!(
        page.contains("name=\"use.0.general\" value=\"1\"") && page.contains("Emergencies use every device")
    );
    let devices =
        "device.0=sms%20%2B16035550142&use.0.attendance=1&device.1=email%20ana@example.org&use.1.general=1";
    let faulty =
        visitor.post("/people/ana/preferences", &format!("language=Spanish&time_zone=Mars&{devices}")).await;
    assert_eq!(faulty.status, 422);
    let text = text_of(&faulty);
    assert!(text.contains("id=\"language-fault\"") && text.contains("id=\"zone-fault\""), "{text}");
    assert!(text.contains("value=\"Spanish\"") && text.contains("value=\"Mars\""), "nothing typed is lost");
    assert!(
        text.contains(
            "name=\"use.0.attendance\" value=\"1\" aria-label=\"Text +16035550142 for Attendance\" checked"
        ),
        "{text}"
    );
    let saved = visitor.post("/people/ana/preferences", &format!("language=vi&time_zone=&{devices}")).await;
    assert_eq!((saved.status, saved.headers["location"].to_str().unwrap()), (303, "/people/ana?saved"));
    let person = stage.get("/v1/people/ana").await.body;
    assert_eq!(person["language"], "vi");
    assert_eq!(person["devices"][0]["declined"].as_array().unwrap().len(), 8);
    assert!(visitor.page("/people/ana?saved").await.contains(r#"role="status">Saved."#));
}

#[tokio::test]
async fn communications_are_filtered_by_tags_that_can_be_removed_sorted_and_shown_as_sent() {
    let stage = Stage::start().await;
    stage.family().await;
    let campaign = stage.submit("k", &crate::stage::to_guardians("Bus & tram")).await.id();
    stage.expand_all().await;
    let visitor = Visitor::sign_in(&stage).await;
    for person in ["ana", "bo"] {
        let page = visitor.page(&format!("/people/{person}/communications")).await;
        assert_eq!(page.matches("Bus &#38; tram").count(), 2, "{page}");
    }
    let page = visitor.page("/people/ana/communications?mode=sms&status=open&subject=bus").await;
    assert_eq!(page.matches("Bus &#38; tram").count(), 1);
    assert!(page.contains("Remove Mode: Text") && page.contains("Remove Subject: bus"), "{page}");
    assert!(page.contains("?status=open&#38;subject=bus") || page.contains("status=open"), "{page}");
    assert!(page.contains("aria-sort=\"descending\""));
    let empty = visitor.page("/people/ana/communications?from=2020-01-01&to=2020-01-31").await;
    assert!(empty.contains("Nothing was sent") && empty.contains("value=\"2020-01-01\""));
    let faulty = visitor.get("/people/ana/communications?from=soon&subject=bus").await;
    assert_eq!(faulty.status, 422);
    assert!(text_of(&faulty).contains("id=\"from-fault\"") && text_of(&faulty).contains("value=\"bus\""));
    let sent = visitor.page(&format!("/people/ana/communications/{campaign}/1?channel=sms")).await;
    assert!(sent.contains("As sent to Ana Lee for Bo Lee") && sent.contains("Dear Ana"), "{sent}");
}

#[tokio::test]
async fn people_and_devices_of_the_districts_own_are_added_changed_and_stopped_by_forms() {
    let stage = Stage::start().await;
    stage.family().await;
    let visitor = Visitor::sign_in(&stage).await;
    assert!(visitor.page("/people").await.contains("href=\"/new-person\""));
    let bo = visitor.page("/people/bo").await;
    assert!(bo.contains("href=\"/new-person?student=bo\""), "{bo}");
    let form = visitor.page("/new-person?student=bo").await;
    assert!(
        form.contains("name=\"student\" autocomplete=\"off\" spellcheck=\"false\" value=\"bo\""),
        "{form}"
    );

    let names = "given_name=Cy&family_name=Lee%20%3Cjr%3E&role=guardian";
    for (typed, fault) in [
        ("given_name=&family_name=Lee&role=guardian".to_owned(), "id=\"given-fault\""),
        (format!("{names}&language=Klingon"), "id=\"language-fault\""),
        (format!("{names}&time_zone=Mars"), "id=\"zone-fault\""),
        (format!("{names}&student=ana"), "id=\"student-fault\""),
        (format!("{names}&student=nobody"), "id=\"student-fault\""),
        ("given_name=Cy&family_name=Lee&role=owner".to_owned(), "id=\"role-fault\""),
    ] {
        let faulty = visitor.post("/new-person", &typed).await;
        assert!(faulty.status == 422 && text_of(&faulty).contains(fault), "{typed}: {faulty:?}");
    }
    let people = stage.sql.query_one("select count(*) from people", &[]).await.unwrap();
    assert_eq!(people.get::<_, i64>(0), 2, "nothing of a faulty form is kept");
    let added = visitor.post("/new-person", &format!("{names}&student=bo&relationship=relative")).await;
    assert_eq!(added.status, 303, "{added:?}");
    let page = added.headers["location"].to_str().unwrap().trim_end_matches("?saved").to_owned();
    let id = page.strip_prefix("/people/").unwrap();
    let person = stage.get(&format!("/v1/people/{id}")).await.body;
    assert_eq!(person["students"][0]["source_id"], "bo", "{person}");
    assert_eq!(person["students"][0]["relationship"], "relative", "{person}");
    assert!(visitor.page(&page).await.contains("Lee &#60;jr&#62;"));

    let faulty = visitor.post(&format!("{page}/device"), "channel=sms&address=12").await;
    let text = text_of(&faulty);
    assert!(
        faulty.status == 422 && text.contains("id=\"address-fault\"") && text.contains("value=\"12\""),
        "{text}"
    );
    assert!(text.contains("<option value=\"sms\" selected>"), "{text}");
    assert_eq!(visitor.post(&format!("{page}/device"), "channel=sms&address=603-555-0143").await.status, 303);
    let shown = visitor.page(&page).await;
    assert!(shown.contains("aria-label=\"Remove Text +16035550143\""), "{shown}");
    // What the roster has is removed there.
    let ana = visitor.page("/people/ana").await;
    assert!(!ana.contains("Remove Text") && ana.contains("Add device"), "{ana}");
    let refused = visitor.post("/people/ana/remove-device", "device=sms%20%2B16035550142").await;
    assert_eq!(refused.status, 409);
    for device in ["sms%20%2B16035550199", "fax%201", "sms", ""] {
        let unknown = visitor.post(&format!("{page}/remove-device"), &format!("device={device}")).await;
        assert_eq!(unknown.status, 404, "{device}");
    }
    assert_eq!(
        visitor.post(&format!("{page}/remove-device"), "device=sms%20%2B16035550143").await.status,
        303
    );
    assert_eq!(stage.get(&format!("/v1/people/{id}")).await.body["devices"].as_array().unwrap().len(), 0);

    for (form, active) in [("", false), ("active=yes", true)] {
        assert_eq!(visitor.post(&format!("{page}/active"), form).await.status, 303);
        assert_eq!(stage.get(&format!("/v1/people/{id}")).await.body["active"], active);
    }
    stage.user(stage.north, "sec@north.example", &["secretary"]).await;
    let secretary = Visitor::of(&stage, "sec@north.example").await;
    let seen = secretary.page(&page).await;
    assert!(!seen.contains("Add device") && !seen.contains("Deactivate"), "{seen}");
    assert_eq!(secretary.post(&format!("{page}/active"), "").await.status, 403);
}

#[tokio::test]
async fn activities_say_what_was_done_about_a_person_and_who_may_see_consents_sees_them() {
    let stage = Stage::start().await;
    stage.family().await;
    let visitor = Visitor::sign_in(&stage).await;
    let path = "/people/ana/activities";
    let before = visitor.page(path).await;
    assert!(before.contains("Nothing was done") && before.contains("/people/ana/communications"), "{before}");
    let saved = visitor.post("/people/ana/preferences", "language=es&time_zone=").await;
    assert_eq!(saved.status, 303, "{saved:?}");
    let device = visitor.post("/people/ana/device", "channel=sms&address=%2B16035550177").await;
    assert_eq!(device.status, 303, "{device:?}");
    visitor.post("/people/bo/device", "channel=sms&address=%2B16035550178").await;
    let phone = "+16035550177";
    stage.engine.opt_out(stage.north, phone, "text", stage.clock.now()).await.unwrap();
    let page = visitor.page(path).await;
    for said in ["Preferences changed", "Device added", "+16035550177: Opted Out"] {
        assert_eq!(page.matches(said).count(), 1, "{said}: {page}");
    }
    for tab in ["/people/ana", "/people/ana/communications"] {
        assert!(visitor.page(tab).await.contains("href=\"/people/ana/activities\""), "{tab}");
    }
    stage.user(stage.north, "sec@north.example", &["secretary"]).await;
    let secretary = Visitor::of(&stage, "sec@north.example").await.page(path).await;
    assert!(secretary.contains("Device added") && !secretary.contains("Opted Out"), "{secretary}");
    assert_eq!(visitor.get("/people/nobody/activities").await.status, 404);
}

/// Requirement 168: a student's page lists everything that relates to the student.
#[tokio::test]
async fn a_students_activities_tell_of_contacts_and_enrolments_by_hand_and_by_deliveries() {
    let stage = Stage::start().await;
    stage.import(&[STUDENT, PARENT]).await;
    let visitor = Visitor::sign_in(&stage).await;
    let page = visitor.page("/people/s1/activities").await;
    for said in ["Ana Lee became a contact, by a delivery of the roster", "Enrolled at North, by a delivery"]
    {
        assert_eq!(page.matches(said).count(), 1, "{said}: {page}");
    }
    let parent = visitor.page("/people/g1/activities").await;
    assert_eq!(
        parent.matches("Became a contact of Bo Lee, by a delivery of the roster").count(),
        1,
        "{parent}"
    );
    let send = async |method, path: &str, body: &serde_json::Value| {
        let answer = stage.send(method, path, body).await;
        assert!(answer.status < 300, "{path}: {answer:?}");
    };
    let none = &serde_json::Value::Null;
    let aunt = serde_json::json!({"source_id": "aunt", "given_name": "Una", "family_name": "<Orr>", "role": "guardian"});
    send(Method::POST, "/v1/people", &aunt).await;
    let contact = serde_json::json!({"relationship": "relative"});
    send(Method::PUT, "/v1/people/aunt/students/s1", &contact).await;
    send(Method::DELETE, "/v1/people/g1/students/s1", none).await;
    let page = visitor.page("/people/s1/activities").await;
    for said in ["Una &#60;Orr&#62; became a contact<", "Ana Lee is no contact any more<"] {
        assert_eq!(page.matches(said).count(), 1, "{said}: {page}");
    }
    let parent = visitor.page("/people/g1/activities").await;
    assert_eq!(parent.matches("No contact of Bo Lee any more<").count(), 1, "{parent}");
}
