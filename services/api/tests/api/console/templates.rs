//! Templates by form: made, used, changed, removed.

use serde_json::json;

use super::{Visitor, text_of};
use crate::stage::Stage;

const FORM: &str = "name=Snow+day&who=later&channel=sms&channel=email&message_type=priority&subject=Closed&body=No+school.\
    &languages=1&language_1=es&body_1=No+hay+clases.&action=send";

async fn only_template(stage: &Stage) -> serde_json::Value {
    let list = stage.get("/v1/templates").await.body;
    assert_eq!(list["templates"].as_array().unwrap().len(), 1, "{list}");
    list["templates"][0].clone()
}

#[tokio::test]
async fn a_template_is_made_used_changed_and_removed_by_form() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    assert!(visitor.page("/templates").await.contains("No templates yet"));
    assert!(visitor.page("/templates/new").await.contains("Chosen when it is used"));
    let made = visitor.post("/templates/new", FORM).await;
    assert_eq!(
        (made.status, made.headers["location"].to_str().unwrap()),
        (303, "/templates?saved"),
        "{made:?}"
    );
    let template = only_template(&stage).await;
    assert_eq!((&template["name"], &template["audience"]), (&json!("Snow day"), &json!(null)), "{template}");
    assert_eq!(template["contents"].as_array().unwrap().len(), 2);
    let id = template["id"].as_str().unwrap();
    let list = visitor.page("/templates?saved").await;
    for shown in ["Snow day", "Spanish", &format!("/compose?template={id}"), "Saved."] {
        assert!(list.contains(shown), "no {shown} in {list}");
    }
    assert!(visitor.page(&format!("/compose?template={id}")).await.contains("No hay clases."));

    let taken = visitor.post("/templates/new", FORM).await;
    assert_eq!(taken.status, 409);
    let page = text_of(&taken);
    assert!(
        page.contains("another template&#39;s of the district") && page.contains("No hay clases."),
        "{page}"
    );
    assert!(
        page.contains(
            r#"id="name" name="name" maxlength="120" required value="Snow day" aria-invalid="true""#
        )
    );

    let path = format!("/templates/{id}");
    let page = visitor.page(&path).await;
    assert!(page.contains(r#"name="version" value="1""#) && page.contains("Remove template"), "{page}");
    let change = FORM.replace("Snow+day", "Ice+day").replace("who=later", "who=all&role=staff");
    let changed = visitor.post(&path, &format!("version=1&{change}")).await;
    assert_eq!(changed.status, 303, "{changed:?}");
    let template = only_template(&stage).await;
    assert_eq!((&template["name"], &template["version"]), (&json!("Ice day"), &json!(2)));
    assert_eq!(template["audience"]["roles"], json!(["staff"]));
    let late = visitor.post(&path, &format!("version=1&{change}")).await;
    assert!(late.status == 409 && text_of(&late).contains("No hay clases."), "a later edit is not undone");

    assert_eq!(visitor.post(&format!("{path}/remove"), "").await.status, 303);
    assert_eq!(visitor.get(&path).await.status, 404);
    assert_eq!(stage.get("/v1/templates").await.body["templates"], json!([]));
}

#[tokio::test]
async fn a_faulty_template_keeps_what_was_typed() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let form = "name=&who=later&message_type=general&subject=%3Cb%3E&body=Dear+%7B%7B+nobody+%7D%7D&channel=sms&action=send";
    let refused = visitor.post("/templates/new", form).await;
    let page = text_of(&refused);
    assert_eq!(refused.status, 422);
    for shown in
        ["Not saved yet", r##"<a href="#name">The name is empty"##, "unknown merge field", "&#60;b&#62;"]
    {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    let step = visitor.post("/templates/new", &form.replace("action=send", "action=add_language")).await;
    assert!(text_of(&step).contains(r#"id="language_1""#) && text_of(&step).contains("Save template"));
    assert_eq!(stage.get("/v1/templates").await.body["templates"], json!([]));
}

#[tokio::test]
async fn whoever_may_not_send_its_type_changes_no_template() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    admin.post("/templates/new", FORM).await;
    admin.post("/roles/new", "name=clerk&right=send&types=some&type=attendance").await;
    let path = format!("/templates/{}", only_template(&stage).await["id"].as_str().unwrap());
    stage.user(stage.north, "clerk@north.example", &["clerk"]).await;
    let clerk = Visitor::of(&stage, "clerk@north.example").await;
    assert!(!clerk.page("/templates").await.contains(&format!(r#"href="{path}""#)));
    for (path, form) in
        [(path.clone(), format!("version=1&{FORM}")), (format!("{path}/remove"), String::new())]
    {
        assert_eq!(clerk.post(&path, &form).await.status, 403, "{path}");
    }
    assert_eq!(only_template(&stage).await["version"], 1);
}
