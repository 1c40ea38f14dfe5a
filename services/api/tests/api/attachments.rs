//! Files for messages: uploaded, attached, copied with the message, and read by whoever may see it.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tocsin_domain::attachment::FILE_BYTES_MAX;
use tocsin_domain::{CampaignId, Channel, JobKey};
use tocsin_runtime::Clock as _;
use tocsin_store::accounts::AccountLimits;
use tocsin_store::inbox::InboxMessage;
use uuid::Uuid;

use crate::console::{Visitor, post_from};
use crate::receipts::canceled;
use crate::series::with_zone;
use crate::stage::{Answer, KEY, OTHER_KEY, SOON, Stage, campaign};

/// Larger than two parts of it in the store.
fn pdf() -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    bytes.extend((0..=255).cycle().take(700_000));
    bytes
}

impl Stage {
    pub async fn attach_as(&self, key: &str, name: &str, bytes: Vec<u8>) -> Answer {
        let mut url = reqwest::Url::parse(&format!("{}/v1/attachments", self.address)).unwrap();
        url.query_pairs_mut().append_pair("name", name);
        let request = self.client.post(url).bearer_auth(key).header(CONTENT_TYPE, "application/octet-stream");
        let response = request.timeout(SOON).body(bytes).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer =
            Answer { status, headers, body: serde_json::from_str(&response.text().await.unwrap()).unwrap() };
        crate::conformance::check("POST", "/v1/attachments", status, &answer.headers, &answer.body);
        answer
    }

    async fn attach(&self, name: &str, bytes: Vec<u8>) -> String {
        let answer = self.attach_as(KEY, name, bytes).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.id()
    }

    async fn bytes(&self, path: &str, header: (&str, &str)) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
        let request = self.client.get(format!("{}{path}", self.address)).header(header.0, header.1);
        let response = request.timeout(SOON).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().await.unwrap().to_vec())
    }
}

fn with(files: &[&str]) -> Value {
    let mut campaign = campaign();
    campaign["attachments"] = json!(files);
    campaign
}

#[tokio::test]
async fn a_file_is_attached_listed_and_read_as_it_was_uploaded() {
    let stage = Stage::start().await;
    let file = stage.attach("../Plan Żółw.PDF", pdf()).await;
    let made = stage.submit("k", &with(&[&file])).await;
    assert_eq!(made.status, 201, "{made:?}");
    let told = &made.body["contents"][0]["attachments"][0];
    assert_eq!(
        told,
        &json!({"id": file, "name": "Plan Żółw.pdf", "media_type": "application/pdf", "bytes": pdf().len()})
    );
    let path = format!("/v1/campaigns/{}/attachments/{file}", made.id());
    let bearer = format!("Bearer {KEY}");
    let (status, headers, bytes) = stage.bytes(&path, ("authorization", &bearer)).await;
    assert_eq!((status, bytes == pdf()), (200, true));
    assert_eq!(headers["content-type"], "application/pdf");
    assert_eq!(headers["content-length"], pdf().len().to_string());
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["content-security-policy"], "default-src 'none'; sandbox");
    let disposition = headers["content-disposition"].to_str().unwrap();
    assert!(
        disposition.starts_with("attachment; filename=\"Plan ___w.pdf\"; filename*=UTF-8''Plan%20"),
        "{disposition}"
    );
    let visitor = Visitor::sign_in(&stage).await;
    let page = visitor.page(&format!("/campaigns/{}", made.id())).await;
    assert!(page.contains(&format!("/campaigns/{}/attachments/{file}", made.id())), "{page}");
    let list = visitor.page("/upcoming?tab=in-progress&show=all").await;
    assert!(list.contains("A file or a recording is attached"), "{list}");
    let page_path = format!("/campaigns/{}/attachments/{file}", made.id());
    let (status, headers, bytes) = stage.bytes(&page_path, ("cookie", visitor.cookie())).await;
    assert_eq!((status, bytes == pdf()), (200, true));
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment;"));
    let policies: Vec<_> = headers.get_all("content-security-policy").iter().collect();
    assert!(policies.iter().any(|policy| *policy == "default-src 'none'; sandbox"), "{policies:?}");
    // Another district has neither the message nor the file, and may attach none of ours.
    stage.get_as(OTHER_KEY, &path).await.assert_problem(404, "unknown-campaign");
    let taken = stage.submit_as(OTHER_KEY, "k", &with(&[&file])).await;
    taken.assert_problem(422, "invalid-body");
    assert_eq!(taken.body["errors"][0]["field"], "attachments[0]");
    let other = stage.campaign("without").await;
    stage
        .get(&format!("/v1/campaigns/{other}/attachments/{file}"))
        .await
        .assert_problem(404, "unknown-attachment");
    stage
        .get(&format!("/v1/campaigns/{other}/attachments/none"))
        .await
        .assert_problem(404, "unknown-attachment");
}

#[tokio::test]
async fn what_cannot_be_attached_is_refused_and_not_kept() {
    let stage = Stage::start().await;
    let too_large = {
        let mut bytes = pdf();
        bytes.resize(FILE_BYTES_MAX + 1, 0);
        bytes
    };
    let table: [(&str, Vec<u8>, u16, &str); 6] = [
        ("run.exe", b"MZ".to_vec(), 400, "not-attachable"),
        ("page.html", b"<html>".to_vec(), 400, "not-attachable"),
        ("flyer.pdf", b"MZ\x90".to_vec(), 400, "not-attachable"),
        ("flyer.pdf", Vec::new(), 400, "not-attachable"),
        (".pdf", pdf(), 400, "not-attachable"),
        ("flyer.pdf", too_large, 413, "too-large"),
    ];
    for (name, bytes, status, kind) in table {
        stage.attach_as(KEY, name, bytes).await.assert_problem(status, kind);
    }
    stage.post("/v1/attachments", "").await.assert_problem(400, "invalid-query");
    let kept: i64 = stage
        .sql
        .query_one(
            "select (select count(*) from attachments) + (select count(*) from attachment_chunks)",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(kept, 0, "nothing is left of what was refused");
}

#[tokio::test]
async fn attachments_of_a_request_are_checked_whole() {
    let stage = Stage::start().await;
    let mut files = Vec::new();
    for number in 0..6 {
        files.push(stage.attach(&format!("{number}.txt"), b"text".to_vec()).await);
    }
    let large = |byte: u8| {
        let mut bytes = b"%PDF-".to_vec();
        bytes.resize(7 * 1024 * 1024, byte);
        bytes
    };
    let (one, other) = (stage.attach("a.pdf", large(0)).await, stage.attach("b.pdf", large(1)).await);
    let unfinished = Uuid::now_v7();
    stage
        .sql
        .execute(
            "insert into attachments (district_id, id, name, media_type, created_at, created_by)
             values ($1, $2, 'a.txt', 'text/plain', now(), 'x')",
            &[&stage.north.0, &unfinished],
        )
        .await
        .unwrap();
    let all: Vec<&str> = files.iter().map(String::as_str).collect();
    let unfinished = unfinished.to_string();
    let table: [(Value, &str, &str); 7] = [
        (with(&all), "attachments", "at most"),
        (with(&[all[0], all[0]]), "attachments[1]", "twice"),
        (with(&["nonsense"]), "attachments[0]", "POST /v1/attachments"),
        (with(&[&unfinished]), "attachments[0]", "POST /v1/attachments"),
        (with(&[&one, &other]), "attachments", "14.0 MB together"),
        (
            json!({"attachments": "x", "subject": "A", "channels": ["email"], "body": "x",
            "audience": {"all": true}}),
            "attachments",
            "",
        ),
        (
            json!({"attachments": [all[0]], "subject": "A", "channels": ["sms", "voice"], "body": "x",
                "audience": {"all": true}}),
            "attachments",
            "add email or inbox",
        ),
    ];
    for (nth, (request, field, says)) in table.into_iter().enumerate() {
        let answer = stage.submit(&nth.to_string(), &request).await;
        answer.assert_problem(422, "invalid-body");
        let fault = &answer.body["errors"][0];
        assert_eq!(fault["field"], field, "{answer:?}");
        assert!(fault["reason"].as_str().unwrap().contains(says), "{answer:?}");
    }
    assert_eq!(stage.submit("none", &with(&[])).await.status, 201);
}

#[tokio::test]
async fn texts_and_calls_have_no_files_and_edits_and_series_keep_them() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let file = stage.attach("menu.csv", b"a,b\n".to_vec()).await;
    let at = (stage.clock.now() + chrono::TimeDelta::days(2)).to_rfc3339();
    let mut later = with(&[&file]);
    later["scheduled_at"] = json!(at);
    later.as_object_mut().unwrap().remove("body");
    later["contents"] =
        json!([{"body": "All"}, {"body": "Short", "channel": "sms"}, {"body": "Tarde", "language": "es"}]);
    let made = stage.submit("k", &later).await;
    assert_eq!(made.status, 201, "{made:?}");
    let counts = |answer: &Answer| -> Vec<usize> {
        let contents = answer.body["contents"].as_array().unwrap();
        contents.iter().map(|it| it["attachments"].as_array().map_or(0, Vec::len)).collect()
    };
    assert_eq!(counts(&made), [1, 0, 1]);
    let path = format!("/v1/campaigns/{}", made.id());
    let edit = json!({"version": 1, "subject": "Later"});
    let edited = stage.send_as(KEY, Method::PATCH, &path, &edit).await;
    assert_eq!((edited.status, counts(&edited)), (200, vec![1, 0, 1]), "{edited:?}");
    let taken = stage.send_as(KEY, Method::PATCH, &path, &json!({"version": 2, "attachments": []})).await;
    assert_eq!((taken.status, counts(&taken)), (200, vec![0, 0, 0]), "{taken:?}");
    let mut series = with(&[&file]);
    let starts_on = (stage.clock.now() + chrono::TimeDelta::days(2)).format("%Y-%m-%d").to_string();
    series["recurrence"] = json!({"frequency": "daily", "starts_on": starts_on, "at": "08:00"});
    let bearer = format!("Bearer {KEY}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "s")];
    let made = stage.ask(Method::POST, "/v1/series", &headers, &series.to_string()).await;
    assert_eq!((made.status, counts(&made)), (201, vec![1]), "{made:?}");
    let preview = {
        stage.staff("ana", &[(3, "ana@example.org"), (2, "+15550100123")]).await;
        let mut request = with(&[&file]);
        request["person"] = json!("ana");
        stage.send_as(KEY, Method::POST, "/v1/campaigns/preview", &request).await
    };
    let messages = preview.body["previews"][0]["messages"].as_array().unwrap().clone();
    for message in messages {
        let files = message["attachments"].as_array().unwrap().len();
        let carries = ["email", "inbox"].contains(&message["channel"].as_str().unwrap());
        assert_eq!(files, usize::from(carries), "{message}");
    }
}

#[tokio::test]
async fn a_portal_reads_the_files_of_its_peoples_messages_and_no_others() {
    let stage = Stage::start().await;
    stage.staff("ana", &[(4, "ana.lee")]).await;
    stage.staff("ben", &[(4, "ben")]).await;
    let file = stage.attach("menu.csv", b"a,b\n".to_vec()).await;
    let id = stage.submit("k", &with(&[&file])).await.id();
    let key = JobKey { campaign: CampaignId(Uuid::parse_str(&id).unwrap()), job: 1 };
    let message =
        InboxMessage { key, account: "ana.lee".to_owned(), subject: "Menu".to_owned(), body: "x".to_owned() };
    stage.engine.deliver_to_inbox(&[message], stage.clock.now()).await.unwrap();
    let (portal, _) = stage.key(stage.north, "portal", &["portal"]).await;
    let shown = stage.get_as(&portal, &format!("/v1/people/ana/inbox/{id}.1")).await;
    assert_eq!(shown.body["attachments"][0]["name"], "menu.csv", "{shown:?}");
    let path = format!("/v1/people/ana/inbox/{id}.1/attachments/{file}");
    let bearer = format!("Bearer {portal}");
    let (status, headers, bytes) = stage.bytes(&path, ("authorization", &bearer)).await;
    assert_eq!((status, bytes.as_slice()), (200, &b"a,b\n"[..]));
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    for (key, path, status, kind) in [
        (portal.as_str(), path.replace("ana", "ben"), 404, "unknown-message"),
        (&portal, path.replace("ana", "cy"), 404, "unknown-person"),
        (&portal, path.replace(".1/", ".2/"), 404, "unknown-message"),
        (&portal, path.replace(&file, &Uuid::now_v7().to_string()), 404, "unknown-attachment"),
        (OTHER_KEY, path.clone(), 404, "unknown-person"),
        (&portal, format!("/v1/campaigns/{id}/attachments/{file}"), 403, "forbidden"),
    ] {
        stage.get_as(key, &path).await.assert_problem(status, kind);
    }
}

#[tokio::test]
async fn a_file_that_no_message_uses_goes_after_a_day_and_one_that_is_used_stays() {
    let stage = Stage::start().await;
    let (used, unused) = (
        stage.attach("used.txt", b"used".to_vec()).await,
        stage.attach("unused.txt", b"unused".to_vec()).await,
    );
    assert_eq!(stage.submit("k", &with(&[&used])).await.status, 201);
    stage.clock.advance(chrono::TimeDelta::hours(23));
    stage.attach("a.txt", b"a".to_vec()).await;
    assert_eq!(stage.submit("forecast", &with(&[&unused])).await.status, 201, "it was there for a day");
    let unused = stage.attach("unused.txt", b"unused".to_vec()).await;
    stage.clock.advance(chrono::TimeDelta::hours(25));
    stage.attach("b.txt", b"b".to_vec()).await;
    stage.submit("late", &with(&[&unused])).await.assert_problem(422, "invalid-body");
    assert_eq!(stage.submit("again", &with(&[&used])).await.status, 201, "it is kept with its message");
}

/// What a browser sends of a form with a file.
fn multipart(fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!("--xY\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    if let Some((name, bytes)) = file {
        let text = std::str::from_utf8(bytes).unwrap();
        body.push_str(&format!(
            "--xY\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: x/y\r\n\r\n{text}\r\n"
        ));
    }
    format!("{body}--xY--\r\n")
}

#[tokio::test]
async fn the_form_takes_files_keeps_what_was_typed_and_sends_them() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let typed = [
        ("key", "0198c5a0-0000-7000-8000-0000000000aa"),
        ("who", "all"),
        ("role", "staff"),
        ("channel", "email"),
        ("message_type", "general"),
        ("subject", "Menu <May>"),
        ("body", "See the file."),
        ("languages", "0"),
        ("when", "now"),
    ];
    let headers = [
        ("cookie", visitor.cookie()),
        ("origin", stage.address.as_str()),
        ("content-type", "multipart/form-data; boundary=xY"),
    ];
    let send = async |fields: &[(&str, &str)], action: &str, file: Option<(&str, &[u8])>| {
        let fields: Vec<_> = fields.iter().copied().chain([("action", action)]).collect();
        stage.ask(Method::POST, "/compose", &headers, &multipart(&fields, file)).await
    };
    let page = send(&typed, "attach", Some(("menu.csv", b"a,b\n"))).await;
    let text = page.body.as_str().unwrap();
    assert!(page.status == 200 && text.contains("menu.csv") && text.contains("Menu &#60;May&#62;"), "{text}");
    let id = text.split_once("name=\"attachment\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    for (file, says) in
        [(None, "Choose a file first."), (Some(("x.exe", &b"MZ"[..])), "No file of this kind")]
    {
        let refused = send(&typed, "attach", file).await;
        let text = refused.body.as_str().unwrap();
        assert!(refused.status == 422 && text.contains(says) && text.contains("See the file."), "{text}");
    }
    let mut fields = typed.to_vec();
    fields.push(("attachment", &id));
    let review = send(&fields, "review", None).await;
    let text = review.body.as_str().unwrap();
    assert!(review.status == 200 && text.contains(&format!("/attachments/{id}")), "{text}");
    let (status, of_file, bytes) =
        stage.bytes(&format!("/attachments/{id}"), ("cookie", visitor.cookie())).await;
    assert_eq!((status, bytes.as_slice()), (200, &b"a,b\n"[..]));
    assert!(of_file["content-disposition"].to_str().unwrap().starts_with("attachment;"), "never shown here");
    let full = [fields.clone(), [("attachment", id.as_str()); 4].to_vec()].concat();
    let sixth = send(&full, "attach", Some(("sixth.csv", b"a,b\n"))).await;
    let text = sixth.body.as_str().unwrap();
    assert!(sixth.status == 422 && text.contains("A message takes 5 files"), "{text}");
    let kept = stage.sql.query_one("select count(*) from attachments where name = 'sixth.csv'", &[]).await;
    assert_eq!(kept.unwrap().get::<_, i64>(0), 0, "nor is it kept");
    let without = send(&fields, &format!("detach_{id}"), None).await;
    assert!(!without.body.as_str().unwrap().contains("menu.csv"));
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields.iter().copied()).append_pair("action", "send");
    let sent = post_from(&stage, "/compose", &headers[..2], &form.finish()).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let path = sent.headers["location"].to_str().unwrap().to_owned();
    assert!(visitor.page(&path).await.contains("menu.csv"));
    let edit = stage.get(&format!("/v1{path}")).await;
    assert_eq!(edit.body["contents"][0]["attachments"][0]["id"], id.as_str(), "{edit:?}");
}

#[tokio::test]
async fn whom_a_form_reaches_is_told_while_it_is_filled_in() {
    let stage = Stage::start().await;
    stage.staff("ana", &[(3, "ana@example.org")]).await;
    stage.staff("ben", &[]).await;
    let visitor = Visitor::sign_in(&stage).await;
    let told = visitor.post("/compose/count", "who=all&role=staff&channel=email&message_type=general").await;
    assert_eq!(told.body["words"], "2 people, 1 without a device. Devices: 1 email.", "{told:?}");
    assert_eq!(told.body["again"], false);
    let nothing = visitor.post("/compose/count", "who=some&role=staff&channel=email").await;
    assert_eq!(nothing.status, 204, "what cannot be counted yet is no fault: {nothing:?}");
    let request = json!({"audience": {"all": true, "roles": ["staff"]}, "channels": ["email"]});
    for exact in [json!(null), json!(true), json!(false)] {
        let mut request = request.clone();
        request["exact"] = exact;
        let counted = stage.send_as(KEY, Method::POST, "/v1/audience/count", &request).await;
        let expected = json!({"recipients": 2, "no_device": 1, "devices": {"email": 1}, "exact": true});
        assert_eq!(counted.body, expected);
    }
}

/// A canceled campaign of which somebody was contacted, with this file.
async fn canceled_with(stage: &Stage, file: &str) -> String {
    let id = canceled(stage).await;
    let made = stage.submit("with a file", &with(&[file])).await;
    assert_eq!(made.status, 201, "{made:?}");
    let taken = format!(
        "update contents set attachments = (select attachments from contents where campaign_id = '{}') where campaign_id = $1",
        made.id()
    );
    stage.change(&taken, &id).await;
    id
}

fn files_of(answer: &Answer) -> Vec<&str> {
    let files = answer.body["contents"][0]["attachments"].as_array();
    files.into_iter().flatten().map(|file| file["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_correction_has_the_files_of_what_it_corrects_unless_its_author_says_otherwise() {
    let stage = Stage::start().await;
    let file = stage.attach("menu.csv", b"a,b\n".to_vec()).await;
    let other = stage.attach("right.csv", b"a,b\n".to_vec()).await;
    let id = canceled_with(&stage, &file).await;
    let path = format!("/v1/campaigns/{id}/correction");
    let bearer = format!("Bearer {KEY}");
    let correct = async |key: &str, body: Value| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        stage.ask(Method::POST, &path, &headers, &body.to_string()).await
    };
    for (key, more, expected) in [
        ("same", json!({}), vec![file.as_str()]),
        ("null", json!({"attachments": null}), vec![&file]),
        ("none", json!({"attachments": []}), vec![]),
        ("other", json!({"attachments": [other]}), vec![&other]),
        // Nothing carries them, so nobody misses them.
        ("texts", json!({"channels": ["sms"]}), vec![]),
    ] {
        let mut body = json!({"body": "It was wrong."});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = correct(key, body).await;
        assert_eq!((made.status, files_of(&made)), (201, expected), "{key}: {made:?}");
    }
    // One without stays so when it is edited.
    let at = (stage.clock.now() + chrono::TimeDelta::hours(2)).to_rfc3339();
    let later = correct("later", json!({"body": "x", "attachments": [], "scheduled_at": at})).await;
    let path = format!("/v1/campaigns/{}", later.id());
    let edited = stage.send_as(KEY, Method::PATCH, &path, &json!({"version": 1, "subject": "Later"})).await;
    assert_eq!((edited.status, files_of(&edited)), (200, vec![]), "{edited:?}");
}

#[tokio::test]
async fn the_form_of_a_correction_begins_with_the_files_and_takes_others() {
    let stage = Stage::start().await;
    let file = stage.attach("menu.csv", b"a,b\n".to_vec()).await;
    let id = canceled_with(&stage, &file).await;
    let visitor = Visitor::sign_in(&stage).await;
    let path = format!("/campaigns/{id}/correction");
    let page = visitor.page(&path).await;
    let attached = format!("name=\"attachment\" value=\"{file}\"");
    assert!(page.contains("menu.csv") && page.contains(&attached), "{page}");
    let headers = [
        ("cookie", visitor.cookie()),
        ("origin", stage.address.as_str()),
        ("content-type", "multipart/form-data; boundary=xY"),
    ];
    let typed = [
        ("key", "0198c5a0-0000-7000-8000-0000000000ab"),
        ("subject", "Sorry <b>"),
        ("body", "The other file."),
        ("sms", "Only the text"),
        ("attachment", file.as_str()),
    ];
    let send = async |fields: &[(&str, &str)], action: &str, file: Option<(&str, &[u8])>| {
        let fields: Vec<_> = fields.iter().copied().chain([("action", action)]).collect();
        stage.ask(Method::POST, &path, &headers, &multipart(&fields, file)).await
    };
    let kept = ["Sorry &#60;b&#62;", "The other file.", "Only the text", &attached];
    for (file, status, says) in [
        (None, 422, "Choose a file first."),
        (Some(("x.exe", &b"MZ"[..])), 422, "No file of this kind"),
        (Some(("right.csv", &b"c,d\n"[..])), 200, "right.csv"),
    ] {
        let answer = send(&typed, "attach", file).await;
        let text = answer.body.as_str().unwrap();
        assert!(answer.status == status && text.contains(says), "{says}: {text}");
        assert!(kept.iter().all(|kept| text.contains(kept)), "{says}: {text}");
    }
    let detached = send(&typed, &format!("detach_{file}"), None).await;
    let text = detached.body.as_str().unwrap();
    assert!(detached.status == 200 && !text.contains("menu.csv") && text.contains("Only the text"), "{text}");
    assert_eq!(stage.get("/v1/campaigns?limit=50").await.body["campaigns"].as_array().unwrap().len(), 2);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(typed).append_pair("action", "send");
    let sent = visitor.post(&path, &form.finish()).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let made = stage.get(&format!("/v1{}", sent.headers["location"].to_str().unwrap())).await;
    assert_eq!((files_of(&made), &made.body["subject"]), (vec![file.as_str()], &json!("Sorry <b>")));
}

#[tokio::test]
async fn a_template_keeps_its_files_and_a_message_begins_with_them() {
    let stage = Stage::start().await;
    let file = stage.attach("menu.csv", b"a,b\n".to_vec()).await;
    let template = json!({"name": "Menu", "subject": "Menu", "channels": ["email", "sms"], "body": "See the file.",
        "attachments": [file]});
    let made = stage.send_as(KEY, Method::POST, "/v1/templates", &template).await;
    assert_eq!((made.status, files_of(&made)), (201, vec![file.as_str()]), "{made:?}");
    // What only a template uses is used.
    stage.clock.advance(chrono::TimeDelta::hours(25));
    let other = stage.attach("other.csv", b"c,d\n".to_vec()).await;
    let visitor = Visitor::sign_in(&stage).await;
    let page = visitor.page(&format!("/compose?template={}", made.id())).await;
    let attached = format!("name=\"attachment\" value=\"{file}\"");
    assert!(page.contains(&attached) && page.contains("menu.csv"), "{page}");
    assert_eq!(stage.submit("of it", &with(&[&file])).await.status, 201);

    let path = format!("/templates/{}", made.id());
    assert!(visitor.page(&path).await.contains(&attached));
    let form = "name=Menu&version=1&who=later&channel=email&message_type=general&subject=Menu&body=x&languages=0&action=send";
    let saved = visitor.post(&path, &format!("{form}&attachment={other}")).await;
    assert_eq!(saved.status, 303, "{saved:?}");
    let api = format!("/v1/templates/{}", made.id());
    assert_eq!(files_of(&stage.get(&api).await), [other.as_str()]);
    let without = visitor.post(&path, &form.replace("version=1", "version=2")).await;
    assert_eq!((without.status, files_of(&stage.get(&api).await)), (303, vec![]), "{without:?}");
    let foreign =
        json!({"name": "Theirs", "subject": "M", "channels": ["email"], "body": "x", "attachments": [file]});
    let refused = stage.send_as(OTHER_KEY, Method::POST, "/v1/templates", &foreign).await;
    refused.assert_problem(422, "invalid-body");
    assert_eq!(refused.body["errors"][0]["field"], "attachments[0]");
}

/// Never without its files, and never first when they are missed.
#[tokio::test]
async fn a_message_whose_mails_could_have_no_files_is_refused_when_it_is_written() {
    let stage = Stage::start().await;
    let file = stage.attach("menu.csv", b"a,b\n".to_vec()).await;
    let now = stage.clock.now();
    let account = |name: &str, district| AccountLimits {
        name: name.to_owned(),
        district,
        channel: Channel::Email,
        rate_per_second: None,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    };
    let accounts = [account("relay", None), account("gateway", None), account("souths", Some(stage.south))];
    stage.engine.configure_accounts(&accounts, now).await.unwrap();
    let (with_files, without) = (["relay".to_owned(), "souths".to_owned()], ["gateway".to_owned()]);
    stage.engine.configure_files(&with_files, &without).await.unwrap();
    let refused = stage.submit("k", &with(&[&file])).await;
    refused.assert_problem(422, "invalid-body");
    let fault = &refused.body["errors"][0];
    assert_eq!(fault["field"], "attachments");
    let reason = fault["reason"].as_str().unwrap();
    assert!(reason.contains("account gateway carries no files") && !reason.contains("relay"), "{reason}");
    assert_eq!(stage.submit("without", &campaign()).await.status, 201);
    let mut inbox = with(&[&file]);
    inbox["channels"] = json!(["inbox"]);
    assert_eq!(stage.submit("inbox", &inbox).await.status, 201);
    // The other district has an account of its own, and no other is used for it.
    let theirs = stage.attach_as(OTHER_KEY, "menu.csv", b"a,b\n".to_vec()).await.id();
    assert_eq!(stage.submit_as(OTHER_KEY, "k", &with(&[&theirs])).await.status, 201);

    // Whoever chooses a file is told at once, with all that was typed.
    let visitor = Visitor::sign_in(&stage).await;
    let headers = [
        ("cookie", visitor.cookie()),
        ("origin", stage.address.as_str()),
        ("content-type", "multipart/form-data; boundary=xY"),
    ];
    for (channel, status) in [("email", 422), ("inbox", 200)] {
        let form = multipart(
            &[("channel", channel), ("subject", "Typed"), ("action", "attach")],
            Some(("menu.csv", b"a,b\n")),
        );
        let answer = stage.ask(Method::POST, "/compose", &headers, &form).await;
        let text = answer.body.as_str().unwrap();
        assert!(answer.status == status && text.contains("Typed"), "{channel}: {text}");
        assert_eq!(text.contains("account gateway carries no files"), status == 422, "{channel}: {text}");
    }
    // A stopped account sends nothing; what carries files again is used.
    stage.engine.configure_files(&["gateway".to_owned()], &[]).await.unwrap();
    assert_eq!(stage.submit("carried", &with(&[&file])).await.status, 201);
    stage.engine.configure_files(&[], &without).await.unwrap();
    let known = stage.engine.accounts().await.unwrap();
    let gateway = known.iter().find(|account| account.limits.name == "gateway").unwrap();
    stage.engine.stop_account(gateway.id, "by hand", now).await.unwrap();
    assert_eq!(stage.submit("stopped", &with(&[&file])).await.status, 201);
}
