//! The pages for users, roles, keys and the audit: forms that lose nothing, and a navigation that leads nowhere in vain.

use super::{Visitor, get, post, sign_in_form, text_of};
use crate::stage::{PASSWORD, Stage};

fn location(answer: &crate::stage::Answer) -> String {
    answer.headers["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_navigation_shows_what_the_visitor_may_see() {
    let stage = Stage::start().await;
    for (role, messages, administration, audit) in [
        ("administrator", true, true, true),
        ("secretary", true, false, false),
        ("portal", false, false, false),
    ] {
        let email = format!("{role}@north.example");
        stage.user(stage.north, &email, &[role]).await;
        let visitor = Visitor::of(&stage, &email).await;
        let page = visitor.page("/account").await;
        let shows = |link: &str| page.contains(&format!(r#"href="{link}""#));
        let shown = (shows("/campaigns?view=ended"), shows("/users"), shows("/audit"));
        assert_eq!(shown, (messages, administration, audit), "{role}");
        let start = visitor.get("/").await;
        let first = if messages { "/campaigns" } else { "/account" };
        assert_eq!((start.status, location(&start).as_str()), (303, first), "{role}");
    }
}

#[tokio::test]
async fn a_viewer_is_offered_no_cancel_and_told_which_right_is_missing() {
    let stage = Stage::start().await;
    let id = stage.campaign("theirs").await;
    stage.user(stage.north, "vic@north.example", &["viewer"]).await;
    let viewer = Visitor::of(&stage, "vic@north.example").await;
    assert!(!viewer.page(&format!("/campaigns/{id}")).await.contains("Cancel message"));
    let refused = viewer.post(&format!("/campaigns/{id}/cancel"), "").await;
    assert!(refused.status == 403 && text_of(&refused).contains("messages.cancel_all"), "{refused:?}");
    let admin = Visitor::sign_in(&stage).await;
    assert!(admin.page(&format!("/campaigns/{id}")).await.contains("Cancel message"));
}

#[tokio::test]
async fn a_user_is_added_by_form_and_a_faulty_form_loses_nothing() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    let faulty = admin.post("/users/new", "email=nobody&name=%3Cb%3EBea&role=viewer&password=short").await;
    let text = text_of(&faulty);
    assert_eq!(faulty.status, 422);
    for expected in [
        r#"value="nobody" aria-invalid="true" aria-describedby="email-fault""#,
        r#"id="email-fault" role="alert">It is no email address"#,
        r#"value="viewer" checked"#,
        "It has 5 characters",
        "Bea",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("<b>Bea") && !text.contains("short\""), "{text}");
    let form =
        format!("email=bea@north.example&name=Bea&role=secretary&password={}", PASSWORD.replace(' ', "+"));
    let made = admin.post("/users/new", &form).await;
    assert_eq!((made.status, location(&made).as_str()), (303, "/users"));
    let taken = admin.post("/users/new", &form).await;
    assert!(taken.status == 409 && text_of(&taken).contains("It is another user"), "{taken:?}");
    let list = admin.page("/users").await;
    assert!(list.contains("bea@north.example") && list.contains("Secretary"), "{list}");
    assert_eq!(post(&stage, "/sign-in", "", &sign_in_form("bea@north.example", PASSWORD)).await.status, 303);

    let bea =
        stage.sql.query_one("select id from users where login = 'bea@north.example'", &[]).await.unwrap();
    let path = format!("/users/{}", bea.get::<_, uuid::Uuid>(0));
    let saved =
        admin.post(&path, "email=bea@north.example&name=Bea+B.&role=viewer&role=portal&active=yes").await;
    assert_eq!(saved.status, 303, "{saved:?}");
    let page = admin.page(&format!("{path}?saved")).await;
    assert!(page.contains("Saved.") && page.contains("Bea B.") && page.contains(r#"value="portal" checked"#));
}

#[tokio::test]
async fn a_role_and_a_key_are_made_by_form() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    let odd = admin.post("/roles/new", "name=Big+Name&right=audit&types=all").await;
    assert!(odd.status == 422 && text_of(&odd).contains(r#"value="Big Name""#), "{odd:?}");
    let made = admin.post("/roles/new", "name=auditor&right=audit&types=some&type=general").await;
    assert_eq!(made.status, 303, "{made:?}");
    let taken = admin.post("/roles/new", "name=auditor&right=send&types=all").await;
    assert_eq!(taken.status, 409);
    assert!(admin.page("/roles").await.contains(r#"href="/roles/auditor""#));
    let shown = admin.page("/roles/auditor").await;
    assert!(
        shown.contains(r#"value="audit" checked"#) && shown.contains(r#"value="some" checked"#),
        "{shown}"
    );

    let key = admin.post("/keys", "name=Student+system&role=auditor").await;
    assert_eq!(key.status, 201, "{key:?}");
    let (_, rest) = text_of(&key).split_once(r#"id="key">"#).unwrap();
    let key = rest.split('<').next().unwrap().to_owned();
    assert_eq!(stage.get_as(&key, "/v1/audit").await.status, 200);
    assert!(!admin.page("/keys").await.contains(&key), "shown once");
    let used = admin.post("/roles/auditor/remove", "").await;
    assert!(used.status == 409 && text_of(&used).contains("Not removed:"), "{used:?}");
    let row =
        stage.sql.query_one("select id from api_keys where name = 'Student system'", &[]).await.unwrap();
    let path = format!("/keys/{}", row.get::<_, uuid::Uuid>(0));
    assert_eq!(admin.post(&format!("{path}/revoke"), "").await.status, 303);
    stage.get_as(&key, "/v1/me").await.assert_problem(401, "unauthorized");
    assert_eq!(admin.post("/roles/auditor/remove", "").await.status, 303);
    assert_eq!(admin.get("/roles/auditor").await.status, 404);

    let audit = admin.page("/audit?action=role.put&actor=&from=&to=").await;
    assert!(audit.contains("auditor") && !audit.contains("key.revoke"), "{audit}");
    assert!(audit.contains("test"), "who it was");
}

#[tokio::test]
async fn a_webhook_is_added_tested_rotated_and_removed_by_form() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    assert!(admin.page("/users").await.contains(r#"href="/webhooks""#));
    assert!(admin.page("/webhooks").await.contains("No webhooks yet"));
    let faulty = admin.post("/webhooks", "url=https%3A%2F%2F10.0.0.1%2F&description=%3Cb%3ESIS").await;
    let text = text_of(&faulty);
    assert_eq!(faulty.status, 422);
    for expected in
        [r#"value="https://10.0.0.1/" aria-invalid="true""#, "It lies in a private", "The list is empty"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("<b>SIS"), "{text}");
    let form =
        "url=https%3A%2F%2Fhooks.example.org%2Fin&description=SIS&event=device.outcome&event=campaign.closed";
    let made = admin.post("/webhooks", form).await;
    assert_eq!(made.status, 201, "{made:?}");
    let secret_of = |answer: &crate::stage::Answer| {
        let (_, rest) = text_of(answer).split_once(r#"id="secret">"#).unwrap();
        rest.split('<').next().unwrap().to_owned()
    };
    let secret = secret_of(&made);
    let list = admin.page("/webhooks").await;
    assert!(
        secret.starts_with("whsec_") && !list.contains("whsec_") && list.contains("hooks.example.org"),
        "{list}"
    );
    let row = stage.sql.query_one("select id from webhook_endpoints", &[]).await.unwrap();
    let path = format!("/webhooks/{}", row.get::<_, uuid::Uuid>(0));
    let page = admin.page(&path).await;
    assert!(
        page.contains(r#"value="device.outcome" checked"#) && page.contains("Nothing was sent yet"),
        "{page}"
    );
    let tested = admin.post(&format!("{path}/test"), "").await;
    assert_eq!((tested.status, location(&tested)), (303, path.clone()));
    let page = admin.page(&path).await;
    assert!(page.contains("webhook.test") && page.contains("Waiting"), "{page}");
    assert!(!page.contains("/redeliver\""), "it still waits: {page}");
    let failed = "update webhook_deliveries set state = 3, attempts = 10, next_at = null, status = 500";
    stage.sql.batch_execute(failed).await.unwrap();
    let page = admin.page(&path).await;
    let (_, rest) = page.split_once("/deliveries/").unwrap_or_else(|| panic!("{page}"));
    let again = format!("{path}/deliveries/{}", rest.split('"').next().unwrap());
    assert!(page.contains("Failed") && page.contains("/redeliver\""), "{page}");
    let others = [("cookie", admin.cookie()), ("origin", "https://evil.example")];
    assert_eq!(super::post_from(&stage, &again, &others, "").await.status, 403);
    assert!(admin.page(&path).await.contains("Failed"), "not by another site's form");
    let sent = admin.post(&again, "").await;
    assert_eq!((sent.status, location(&sent)), (303, path.clone()));
    let page = admin.page(&path).await;
    assert!(page.contains("Waiting") && !page.contains("Failed"), "{page}");
    let refused = admin.post(&again, "").await;
    assert!(refused.status == 409 && text_of(&refused).contains("waits"), "{refused:?}");
    let rotated = admin.post(&format!("{path}/secret"), "").await;
    assert!(rotated.status == 200 && secret_of(&rotated) != secret, "{rotated:?}");
    let off = admin.post(&path, form).await;
    assert_eq!((off.status, location(&off)), (303, path.clone()));
    assert!(admin.page(&path).await.contains("Disabled"));
    let refused = admin.post(&format!("{path}/test"), "").await;
    assert!(refused.status == 409 && text_of(&refused).contains("disabled"), "{refused:?}");
    assert_eq!(admin.post(&format!("{path}/remove"), "").await.status, 303);
    assert_eq!(admin.get(&path).await.status, 404);
}

#[tokio::test]
async fn forms_of_others_sites_change_no_user() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    let form = format!(
        "email=eve@north.example&name=Eve&role=administrator&password={}",
        PASSWORD.replace(' ', "+")
    );
    for headers in [
        vec![("cookie", admin.cookie())],
        vec![("cookie", admin.cookie()), ("origin", "https://evil.example")],
        vec![("cookie", admin.cookie()), ("origin", &stage.address), ("sec-fetch-site", "cross-site")],
    ] {
        for path in ["/users/new", "/keys", "/webhooks", "/roles/new", "/account", "/sign-out"] {
            let answer = super::post_from(&stage, path, &headers, &form).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}");
        }
    }
    assert_eq!(get(&stage, "/users", admin.cookie()).await.status, 200, "not signed out either");
    assert!(!admin.page("/users").await.contains("eve@"));
}
