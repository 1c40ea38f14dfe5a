//! Deliveries of a roster by form: sent, looked at, applied.

use reqwest::Method;
use serde_json::json;
use tocsin_testkit::wait_until;

use super::{Visitor, text_of};
use crate::imports::{BROKEN, PARENT, STUDENT, delivery};
use crate::stage::{Answer, SOON, Stage};

const BOUNDARY: &str = "----WebKitFormBoundaryAbC";

/// Posts a form with a file, as a browser does.
async fn send(stage: &Stage, visitor: &Visitor<'_>, name: &str, file: &[u8], strict: bool) -> Answer {
    let mut body = Vec::new();
    if strict {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"strict\"\r\n\r\nyes\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/zip\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let request = stage
        .client
        .request(Method::POST, format!("{}/imports", stage.address))
        .header("cookie", visitor.cookie())
        .header("origin", &stage.address)
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .timeout(SOON)
        .body(body);
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: json!(response.text().await.unwrap()) }
}

async fn page_with(visitor: &Visitor<'_>, path: &str, text: &str) -> String {
    let mut page = String::new();
    let shown = wait_until(text, SOON, async || {
        page = visitor.page(path).await;
        page.contains(text)
    });
    shown.await.unwrap_or_else(|error| panic!("{error}: {page}"));
    page
}

#[tokio::test]
async fn a_delivery_is_sent_looked_at_and_applied_by_form() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    assert!(admin.page("/imports").await.contains("No delivery yet"));
    let sent = send(&stage, &admin, "monday.zip", &delivery(&[STUDENT, PARENT, BROKEN]), false).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let path = sent.headers["location"].to_str().unwrap().to_owned();
    let page = page_with(&admin, &path, "Waits to be applied").await;
    for shown in [
        "What it would change",
        r#"<th scope="row" class="main">People</th><td class="number" data-label="Added">3</td>"#,
        "Ana Lee for Bo Lee",
        "users.csv:4",
        "sent by test",
        "Apply these",
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    assert!(!page.contains("data-poll"), "nothing is under way");
    assert!(
        stage.get("/v1/people").await.body["people"].as_array().unwrap().is_empty(),
        "nothing is applied yet"
    );
    let file = admin.get(&format!("{path}/problems")).await;
    assert!(file.headers["content-disposition"].to_str().unwrap().contains("problems.csv"), "{file:?}");
    assert!(text_of(&file).starts_with("file,line,column,kind,problem\nusers.csv,4,"), "{file:?}");

    assert_eq!(admin.post(&format!("{path}/apply"), "").await.status, 303);
    let page = page_with(&admin, &path, "What it changed").await;
    assert!(page.contains("applied by test") && !page.contains("apply-button"), "{page}");
    assert_eq!(stage.get("/v1/people").await.body["people"].as_array().unwrap().len(), 3);
    let again = admin.post(&format!("{path}/apply"), "").await;
    assert!(again.status == 409 && text_of(&again).contains("only one that is compared"), "{again:?}");
    let list = admin.page("/imports").await;
    assert!(list.contains("monday.zip") && list.contains("Applied"), "{list}");
}

#[tokio::test]
async fn what_is_no_delivery_is_refused_beside_the_field() {
    let stage = Stage::start().await;
    let admin = Visitor::sign_in(&stage).await;
    for (name, file, says) in
        [("", &b""[..], "No file is chosen"), ("<i>.zip", b"not a zip", "&#60;i&#62;.zip")]
    {
        let refused = send(&stage, &admin, name, file, true).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        let page = text_of(&refused);
        assert!(page.contains(says) && page.contains(r#"id="file-fault" role="alert""#), "{page}");
        assert!(page.contains(r#"value="yes" checked"#), "what was ticked stays: {page}");
    }
    let odd = admin.post("/imports", "file=x").await;
    assert!(odd.status == 422 && text_of(&odd).contains("The form broke off"), "{odd:?}");
    let strict = send(&stage, &admin, "strict.zip", &delivery(&[STUDENT, BROKEN]), true).await;
    let path = strict.headers["location"].to_str().unwrap().to_owned();
    let page = page_with(&admin, &path, "Refused").await;
    assert!(page.contains("Nothing was applied: 2 rows have faults"), "{page}");
    assert_eq!(admin.get("/imports/none").await.status, 404);
}
