//! Reports of campaigns, and the list of consents, as files.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tocsin_domain::{CampaignId, CampaignState};
use tocsin_runtime::Clock as _;

use crate::console::Visitor;
use crate::stage::{KEY, OTHER_KEY, SOON, Stage, campaign};

/// Nine people with odd outcomes: shared phones, an opt-out, no device, late bounces, formulas, several scripts.
async fn odd(stage: &Stage) -> String {
    stage.staff("ana", &[(1, "+15551230001"), (3, "ana@example.org")]).await;
    stage.staff("ben", &[]).await;
    stage.staff("cem", &[(1, "+15551230001"), (2, "+15551230003")]).await;
    stage.staff("dia", &[(2, "+15551230004")]).await;
    stage.staff("eva", &[]).await;
    stage.staff("=1+1", &[(4, "fay-portal"), (2, "+15551230006")]).await;
    stage.staff("Nguyễn", &[(3, "bounces@example.org")]).await;
    stage.staff("Жанна", &[(3, "bounces@example.org"), (1, "+15551230008")]).await;
    stage.staff("ida", &[(2, "+15551230009")]).await;
    stage.engine.opt_out(stage.north, "+15551230004", "test", stage.clock.now()).await.unwrap();
    let id = stage.campaign("odd").await;
    stage.expand_all().await;
    id
}

/// As workers and collector would leave it: by address what each job came to.
async fn end(stage: &Stage, id: &str) {
    for (address, outcome) in [
        ("+15551230001", 60),         // busy
        ("ana@example.org", 107),     // delivered
        ("+15551230003", 81),         // undelivered
        ("+15551230006", 36),         // canceled
        ("fay-portal", 108),          // inbox delivered
        ("bounces@example.org", 120), // hard bounce
        ("+15551230008", 104),        // answering machine
        ("+15551230009", 1),          // unknown
    ] {
        let sql = format!(
            "update jobs j set state = 4, outcome = {outcome}, due_at = null, wait_reason = null, ended_at = now()
             from destinations d where d.campaign_id = $1 and j.campaign_id = $1 and d.job_id = j.id
               and d.address = '{address}' and not d.duplicate"
        );
        stage.change(&sql, id).await;
    }
    let state = CampaignState::Sent.number();
    let sql = format!(
        "update campaigns set state = {state}, started_at = now(), ended_at = now(), closed_at = now() where id = $1"
    );
    stage.change(&sql, id).await;
    // The counters are corrected by the store's own recount; a second one finds nothing more.
    let campaign: CampaignId = id.parse().unwrap();
    stage.engine.audit_campaign(campaign, stage.clock.now()).await.unwrap();
    let drift = stage.engine.audit_campaign(campaign, stage.clock.now()).await.unwrap();
    assert_eq!(drift, Some(Vec::new()));
}

async fn fetch(stage: &Stage, method: Method, path: &str) -> Response {
    let request =
        stage.client.request(method, format!("{}{path}", stage.address)).timeout(SOON).bearer_auth(KEY);
    request.send().await.unwrap()
}

async fn bytes(stage: &Stage, path: &str) -> Vec<u8> {
    let answer = fetch(stage, Method::GET, path).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

async fn csv(stage: &Stage, path: &str) -> Vec<Vec<String>> {
    let bytes = bytes(stage, path).await;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The lines below the head of the detail.
fn detail(records: &[Vec<String>]) -> &[Vec<String>] {
    let head = records.iter().position(|record| record[0] == "Recipient").unwrap();
    &records[head + 1..]
}

#[tokio::test]
async fn a_report_streams_in_each_format_with_its_type_and_name() {
    let stage = Stage::start().await;
    let id = odd(&stage).await;
    end(&stage, &id).await;
    let number = stage.get(&format!("/v1/campaigns/{id}")).await.body["number"].clone();
    let cases: [(&str, &str, &str, &[u8]); 3] = [
        ("", "application/pdf", "inline", b"%PDF-1.7"),
        ("?format=csv", "text/csv; charset=utf-8", "attachment", "\u{feff}".as_bytes()),
        (
            "?format=docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "attachment",
            b"PK\x03\x04",
        ),
    ];
    for (query, media_type, how, begin) in cases {
        let path = format!("/v1/campaigns/{id}/report{query}");
        let extension = query.split('=').nth(1).unwrap_or("pdf");
        for method in [Method::GET, Method::HEAD] {
            let answer = fetch(&stage, method.clone(), &path).await;
            assert_eq!(answer.status(), 200, "{method} {path}");
            assert_eq!(answer.headers()[CONTENT_TYPE], media_type);
            let disposition = format!("{how}; filename=\"sent-message-report-{number}.{extension}\"");
            assert_eq!(answer.headers()[CONTENT_DISPOSITION], disposition.as_str());
            assert_eq!(answer.headers()["cache-control"], "no-store");
            let body = answer.bytes().await.unwrap();
            assert_eq!(body.starts_with(begin), method == Method::GET, "{method} {path}");
        }
        // Of a message that is over, the same bytes at any time.
        let first = bytes(&stage, &path).await;
        stage.clock.advance(chrono::TimeDelta::days(3));
        assert_eq!(bytes(&stage, &path).await, first, "{path}");
    }
}

#[tokio::test]
async fn every_number_of_a_report_is_the_message_details_and_the_recounts() {
    let stage = Stage::start().await;
    let id = odd(&stage).await;
    end(&stage, &id).await;
    let records = csv(&stage, &format!("/v1/campaigns/{id}/report?format=csv&include_no_device=true")).await;
    let told: BTreeMap<&str, &str> = records
        .iter()
        .filter(|record| record.len() == 2)
        .map(|record| (record[0].as_str(), record[1].as_str()))
        .collect();
    let shown = stage.get(&format!("/v1/campaigns/{id}")).await.body;
    let summary = &shown["delivery_summary"];
    for (name, member) in [
        ("Total Recipients", "recipients"),
        ("Total No Device", "no_device"),
        ("Total Inbox", "inbox"),
        ("Total Emails", "emails"),
        ("Total Voice", "voice"),
        ("Total Text", "text"),
        ("Total Inbox Attempted", "inbox_attempted"),
        ("Total Emails Attempted", "emails_attempted"),
        ("Total Voice Attempted", "voice_attempted"),
        ("Total Text Messages Attempted", "text_attempted"),
        ("Recipients contacted successfully by phone", "contacted_by_phone"),
        ("Recipients not contacted by phone", "not_contacted_by_phone"),
    ] {
        assert_eq!(told[name], summary[member].to_string(), "{name}");
    }
    assert_eq!(told["Email Delivery Progress"], format!("{}%", summary["email_progress_percent"]));
    // By hand: two voice numbers; three texts of which one was canceled and one opted out.
    let by_hand = ["Total Recipients", "Total Voice", "Total Text", "Total Text Messages Attempted"];
    assert_eq!(by_hand.map(|name| told[name]), ["9", "2", "4", "2"]);
    for (channel, name) in [("voice", "Voice"), ("sms", "Text"), ("email", "Email"), ("inbox", "Inbox")] {
        let row = records.iter().find(|record| record.len() == 9 && record[0] == name).unwrap();
        let counts = &shown["by_channel"][channel];
        let members =
            ["devices", "attempts", "successful", "error", "canceled", "not_dispatched", "duplicates"];
        let expected: Vec<String> = members.iter().map(|member| counts[member].to_string()).collect();
        assert_eq!(row[1..8], expected, "{channel}");
    }
    // Whoever is starred is not contacted, and nobody else.
    let starred: BTreeSet<&str> =
        detail(&records).iter().map(|line| line[0].as_str()).filter(|name| name.ends_with(" *")).collect();
    assert_eq!(starred.len().to_string(), told["Recipients not contacted by phone"]);
}

#[tokio::test]
async fn the_rows_are_those_of_the_recipients_list_in_its_order() {
    let stage = Stage::start().await;
    let id = odd(&stage).await;
    let listed = stage.get(&format!("/v1/campaigns/{id}/recipients")).await.body;
    let listed: Vec<String> = listed["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            format!("{} {}", row["recipient"].as_str().unwrap(), row["address"].as_str().unwrap_or(""))
        })
        .collect();
    let plain = |line: &Vec<String>| {
        let name = line[0].trim_end_matches(" *").trim_start_matches('\'');
        format!("{name} {}", line[3].trim_end_matches(" &"))
    };
    let all = csv(&stage, &format!("/v1/campaigns/{id}/report?format=csv&include_no_device=true")).await;
    assert_eq!(detail(&all).iter().map(plain).collect::<Vec<_>>(), listed);
    // What is in progress is shown as that (191), and when it was read.
    assert!(detail(&all).iter().any(|line| line[4] == "In-Progress"));
    assert!(all.iter().any(|record| record[0] == "As of"), "{all:?}");
    let some = csv(
        &stage,
        &format!("/v1/campaigns/{id}/report?format=csv&modes=email,sms&statuses=duplicate,opt_out"),
    )
    .await;
    let cells: Vec<String> = detail(&some).iter().map(|line| line[2..5].join(" ")).collect();
    assert_eq!(cells, ["Text +15551230004 Opt-Out", "Email bounces@example.org & Duplicate"]);
}

#[tokio::test]
async fn failed_delivery_waits_until_the_message_is_over() {
    let stage = Stage::start().await;
    let id = odd(&stage).await;
    let path = format!("/v1/campaigns/{id}/report?format=csv&detail=failed");
    stage.get(&path).await.assert_problem(409, "in-progress");
    for state in [CampaignState::Scheduled, CampaignState::Sending, CampaignState::Canceling] {
        stage.change(&format!("update campaigns set state = {} where id = $1", state.number()), &id).await;
        let answer = stage.get(&path).await;
        answer.assert_problem(409, "in-progress");
        assert!(answer.body["detail"].as_str().unwrap().contains("detail=failed"), "{answer:?}");
    }
    end(&stage, &id).await;
    let records = csv(&stage, &path).await;
    let names: Vec<&str> = detail(&records).iter().map(|line| line[0].trim_end_matches(" *")).collect();
    // Of each of them every device; a canceled text is no failed delivery.
    assert_eq!(names, ["cem Lee", "cem Lee", "Nguyễn Lee", "Жанна Lee", "Жанна Lee"]);
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let stage = Stage::start().await;
    let mut body = campaign();
    body["channels"] = json!(["sms"]);
    let id = stage.submit("sms", &body).await.id();
    for (query, field) in [
        ("format=xls", "format"),
        ("detail=some", "detail"),
        ("modes=voice", "modes"),
        ("modes=", "modes"),
        ("statuses=lost", "statuses"),
        ("statuses=", "statuses"),
        ("include_no_device=yes", "include_no_device"),
        ("columns=all", "columns"),
    ] {
        let answer = stage.get(&format!("/v1/campaigns/{id}/report?{query}")).await;
        answer.assert_problem(400, "invalid-query");
        assert_eq!(answer.body["errors"][0]["field"], field, "{answer:?}");
    }
    let path = format!("/v1/campaigns/{id}/report");
    stage.get_as(OTHER_KEY, &path).await.assert_problem(404, "unknown-campaign");
    stage.ask(Method::GET, &path, &[], "").await.assert_problem(401, "unauthorized");
    stage.post(&path, "").await.assert_problem(405, "wrong-method");
}

/// Two thousand jobs are a page; here everybody is on the edge of one.
#[tokio::test]
async fn pages_of_rows_meet_without_a_gap_and_with_whoever_has_no_device() {
    let stage = Stage::start().await;
    let sql = "with made as (
          insert into people (district_id, source_id, given_name, family_name, role, active)
          select $1, 'p' || n, 'P' || n, 'Lee', 3, true from generate_series(1, 4700) n returning id, source_id)
        insert into devices (district_id, person_id, channel, address, position)
        select $1, id, 3, source_id || '@example.org', 0 from made where id % 7 <> 0";
    stage.sql.execute(sql, &[&stage.north.0]).await.unwrap();
    let mut body = campaign();
    body["channels"] = json!(["email"]);
    let id = stage.submit("many", &body).await.id();
    for _ in 0..6 {
        stage.expand_all().await;
    }
    let names = |records: &[Vec<String>]| -> Vec<u32> {
        let number =
            |line: &Vec<String>| line[0].trim_start_matches('P').trim_end_matches(" Lee").parse().unwrap();
        detail(records).iter().map(number).collect()
    };
    let all = csv(&stage, &format!("/v1/campaigns/{id}/report?format=csv&include_no_device=true")).await;
    assert_eq!(names(&all), (1..=4700).collect::<Vec<_>>());
    let with_device = csv(&stage, &format!("/v1/campaigns/{id}/report?format=csv")).await;
    assert_eq!(detail(&with_device).len(), detail(&all).iter().filter(|line| !line[3].is_empty()).count());
}

#[tokio::test]
async fn reports_that_are_asked_for_at_once_take_turns() {
    let stage = Stage::start().await;
    let id = odd(&stage).await;
    let path = format!("/v1/campaigns/{id}/report");
    let made = futures::future::join_all((0..6).map(|_| bytes(&stage, &path))).await;
    assert!(made.iter().all(|pdf| pdf.ends_with(b"%%EOF\n")));
}

#[tokio::test]
async fn the_page_offers_what_the_message_has_and_says_why_the_rest_is_not_there() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(2, "+15551230001")]).await;
    let mut body = campaign();
    body["channels"] = json!(["sms"]);
    let id = stage.submit("page", &body).await.id();
    stage.expand_all().await;
    let page = visitor.page(&format!("/campaigns/{id}/report")).await;
    assert!(page.contains(r#"name="modes" value="sms" checked"#), "{page}");
    for missing in ["voice", "email", "inbox"] {
        assert!(page.contains(&format!(r#"name="modes" value="{missing}" disabled"#)), "{page}");
    }
    assert!(page.contains("not in this message"), "{page}");
    assert!(page.contains(r#"name="detail" value="failed" disabled"#), "{page}");
    assert!(page.contains("not available while the message is waiting or in progress"), "{page}");
    let form = "modes=&modes=sms&statuses=&statuses=open&statuses=error&detail=all&format=csv";
    let answer = visitor.get(&format!("/campaigns/{id}/report/file?{form}")).await;
    assert_eq!(
        (answer.status, &answer.headers[CONTENT_TYPE]),
        (200, &"text/csv; charset=utf-8".parse().unwrap())
    );
    assert!(answer.body.as_str().unwrap().contains("In-Progress, Error"), "{answer:?}");
    // Nothing ticked: the form again, as it was filled in.
    let answer = visitor
        .get(&format!("/campaigns/{id}/report/file?modes=&statuses=&statuses=error&format=docx"))
        .await;
    let page = answer.body.as_str().unwrap();
    assert_eq!(answer.status, 400);
    assert!(page.contains("Delivery devices is empty: choose at least one"), "{page}");
    assert!(page.contains(r#"name="format" value="docx" checked"#), "{page}");
    assert!(!page.contains(r#"name="statuses" value="open" checked"#), "{page}");
    let answer = visitor.get(&format!("/campaigns/{id}/report/file?detail=failed")).await;
    assert_eq!(answer.status, 409);
    assert!(visitor.page(&format!("/campaigns/{id}")).await.contains(&format!("/campaigns/{id}/report")));
}

#[tokio::test]
async fn a_long_report_tells_how_many_rows_are_done_with_each_part() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = odd(&stage).await;
    end(&stage, &id).await;
    let path = format!("/campaigns/{id}/report/file?format=csv&include_no_device=true");
    let request = stage.client.get(format!("{}{path}", stage.address)).timeout(SOON);
    let request = request.header("cookie", visitor.cookie()).header(ACCEPT, "application/x-tocsin-frames");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/x-tocsin-frames");
    assert_eq!(answer.headers()["tocsin-content-type"], "text/csv; charset=utf-8");
    assert_eq!(answer.headers()["tocsin-rows"], "13");
    let framed = answer.bytes().await.unwrap();
    let (mut whole, mut rest, mut done) = (Vec::new(), &framed[..], 0);
    while !rest.is_empty() {
        let number = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
        let end = 8 + number(0) as usize;
        done = number(4);
        whole.extend_from_slice(&rest[8..end]);
        rest = &rest[end..];
    }
    assert_eq!(done, 13);
    assert_eq!(whole, bytes(&stage, &format!("/v1{path}").replace("/file", "")).await);
}

#[tokio::test]
async fn every_status_stands_on_the_help_page() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let page = visitor.page("/help/statuses").await;
    for outcome in tocsin_domain::Outcome::all() {
        assert!(page.contains(&format!(r#"<tr id="{}">"#, outcome.code())), "{outcome:?}");
    }
    let id = stage.campaign("help").await;
    assert!(visitor.page(&format!("/campaigns/{id}/recipients")).await.contains("/help/statuses"));
}

#[tokio::test]
async fn all_consents_are_a_file_and_one_is_looked_up() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let now = stage.clock.now();
    for phone in ["+13125550100", "+13125550101"] {
        stage.engine.opt_out(stage.north, phone, "text", now).await.unwrap();
    }
    let path = "/v1/consents/+13125550102";
    let body = json!({"state": "opted_in", "source": "=cmd()"}).to_string();
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(stage.ask(Method::PUT, path, &headers, &body).await.status, 200);
    let records = csv(&stage, "/v1/consents.csv").await;
    assert_eq!(records[0], ["Phone", "Status", "Changed (UTC)", "Source"]);
    let rows: Vec<[&str; 3]> = records[1..].iter().map(|row| [0, 1, 3].map(|at| row[at].as_str())).collect();
    assert_eq!(
        rows,
        [
            ["+13125550100", "Opted Out", "text"],
            ["+13125550101", "Opted Out", "text"],
            ["+13125550102", "Opted In", "'=cmd()"],
        ]
    );
    let answer = fetch(&stage, Method::HEAD, "/v1/consents.csv").await;
    assert_eq!(answer.headers()[CONTENT_DISPOSITION], "attachment; filename=\"text-consents.csv\"");
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/consents.csv").await.body.as_str().unwrap().lines().count(), 1);
    // The same bytes for whoever is at the console.
    let page = visitor.page("/consents").await;
    assert!(page.contains(r#"href="/consents.csv""#) && page.contains("Opted Out"), "{page}");
    let file = visitor.get("/consents.csv").await;
    assert_eq!(file.body.as_str().unwrap().as_bytes(), bytes(&stage, "/v1/consents.csv").await);
    let found = visitor.page("/consents?phone=(312)+555-0102").await;
    assert!(
        found.contains("+13125550102") && found.contains("Opted In") && found.contains("=cmd()"),
        "{found}"
    );
    assert!(visitor.page("/consents?phone=%2B13125550199").await.contains("No consent is known"));
    let wrong = visitor.get("/consents?phone=12").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.as_str().unwrap().contains("write it as +15550100123"), "{wrong:?}");
}

/// Asked by nobody else than those who sign in.
#[tokio::test]
async fn the_pages_ask_for_a_sign_in_and_lead_back() {
    let stage = Stage::start().await;
    for path in ["/consents", "/help/statuses"] {
        let answer = crate::console::get(&stage, path, "").await;
        let page = match &answer.body {
            Value::String(page) => page.clone(),
            other => other.to_string(),
        };
        assert!(page.contains(&format!(r#"value="{path}""#)), "{path}: {page}");
    }
}
