//! The table of recipients: filters and pages.

use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use super::Visitor;
use crate::stage::{Stage, campaign};

/// People with a text and an email, and people without a device; every tenth text was answered by STOP.
const WITH_DEVICES: usize = 120;
const WITHOUT: usize = 60;

async fn expanded(stage: &Stage) -> String {
    for number in 0..WITH_DEVICES {
        let (phone, email) = (format!("+1555123{number:04}"), format!("p{number}@example.org"));
        stage.staff(&format!("with{number:03}"), &[(2, &phone), (3, &email)]).await;
        if number % 10 == 0 {
            stage.engine.opt_out(stage.north, &phone, "test", stage.clock.now()).await.unwrap();
        }
    }
    for number in 0..WITHOUT {
        stage.staff(&format!("without{number:03}"), &[]).await;
    }
    let id = stage.campaign("many").await;
    stage.expand_all().await;
    id
}

/// The rows of every page, by following the links.
async fn rows(visitor: &Visitor<'_>, id: &str, query: &str) -> Vec<String> {
    let path = format!("/campaigns/{id}/recipients");
    let (mut rows, mut query) = (Vec::new(), query.to_owned());
    loop {
        let page = visitor.page(&format!("{path}?{query}")).await;
        let (_, body) = page.split_once("<tbody>").unwrap();
        rows.extend(body.split("<tr>").skip(1).map(str::to_owned));
        let Some((_, after)) = page.split_once(r#"rel="next" href="?"#) else { return rows };
        query = after.split('"').next().unwrap().replace("&#38;", "&");
    }
}

#[tokio::test]
async fn an_emergencys_refused_text_says_what_is_left_of_its_person() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(1, "+15551230001"), (2, "+15551230001"), (3, "ana@example.org")]).await;
    stage.staff("ben", &[(2, "+15551230002")]).await;
    for phone in ["+15551230001", "+15551230002"] {
        stage.engine.opt_out(stage.north, phone, "test", stage.clock.now()).await.unwrap();
    }
    let mut body = campaign();
    for (kind, said, left) in [("emergency", true, json!([2, 0])), ("general", false, json!([null, null]))] {
        body["message_type"] = json!(kind);
        let id = stage.submit(kind, &body).await.id();
        stage.expand_all().await;
        let rows = rows(&visitor, &id, "channel=sms").await;
        let words = ["2 other devices of this person are in", "No other device of this person is in"];
        for (row, words) in rows.iter().zip(words) {
            assert!(row.contains("Replied STOP"), "{row}");
            assert_eq!(row.contains(words), said, "{kind}: {row}");
        }
        let listed = stage.get(&format!("/v1/campaigns/{id}/recipients")).await.body;
        let texts = listed["recipients"].as_array().unwrap().iter().filter(|row| row["channel"] == "sms");
        assert_eq!(texts.map(|row| row["other_devices"].clone()).collect::<Value>(), left, "{kind}");
    }
}

#[tokio::test]
async fn each_filter_finds_its_rows_over_all_pages() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = expanded(&stage).await;
    // Of the texts, the second was delivered and the third was busy: contacted or not, both successful.
    stage.change("update jobs set state = 4, outcome = 107, due_at = null, ended_at = now() where campaign_id = $1 and id = 3", &id).await;
    stage.change("update jobs set state = 4, outcome = 60, due_at = null, ended_at = now() where campaign_id = $1 and id = 5", &id).await;
    // Somebody pressed 0: of a call, as of any device whose outcome it is.
    stage.change("update jobs set state = 4, outcome = 106, due_at = null, ended_at = now() where campaign_id = $1 and id = 7", &id).await;
    let opted_out = WITH_DEVICES / 10;
    for (query, count) in [
        ("", 2 * WITH_DEVICES + WITHOUT),
        ("channel=&status=", 2 * WITH_DEVICES + WITHOUT),
        ("channel=sms&status=", WITH_DEVICES),
        ("channel=email", WITH_DEVICES),
        ("status=no_device", WITHOUT),
        ("status=not_sent", opted_out),
        ("status=not_sent&channel=sms", opted_out),
        ("status=successful", 3),
        ("status=reached", 2),
        ("status=confirmed", 1),
        ("status=not_reached", opted_out + 1),
        ("status=open&channel=email", WITH_DEVICES),
        ("status=open&channel=sms", WITH_DEVICES - opted_out - 3),
    ] {
        let rows = rows(&visitor, &id, query).await;
        assert_eq!(rows.len(), count, "{query}");
        let mut unlike = rows.clone();
        unlike.sort();
        unlike.dedup();
        assert_eq!(unlike.len(), count, "{query} shows a row twice");
    }
    let none = visitor.page(&format!("/campaigns/{id}/recipients?channel=voice")).await;
    assert!(none.contains("Nobody matches"), "{none}");
    assert_eq!(visitor.get(&format!("/campaigns/{id}/recipients?status=lost")).await.status, 400);
}

#[tokio::test]
async fn a_row_says_why_nothing_was_sent_or_until_when_it_waits() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(2, "+15551230001")]).await;
    stage.staff("ben", &[(2, "+15551230001")]).await;
    stage.staff("cem", &[]).await;
    stage.staff("dia", &[(2, "+15551230002")]).await;
    stage.engine.opt_out(stage.north, "+15551230002", "test", stage.clock.now()).await.unwrap();
    let id = stage.campaign("why").await;
    stage.expand_all().await;
    stage.change("update jobs set outcome = 60, tries = 1, wait_reason = 2, due_at = timestamptz '2100-01-02 03:04:05Z' where campaign_id = $1 and id = 1", &id).await;
    let rows = rows(&visitor, &id, "").await;
    for (row, said) in rows.iter().zip([
        "Waiting: redial: attempt 2 of 3 at Jan 2, 2100, 3:04:05 AM UTC.",
        "The same device is already in this message",
        "No device on file",
        "Replied STOP",
    ]) {
        assert!(row.contains(said), "{said}: {row}");
    }
    assert!(rows[1].contains("†") && rows[1].contains(">-4<"), "{}", rows[1]);
    let why = visitor.page(&format!("/campaigns/{id}/recipients/1")).await;
    let answer = "redial: attempt 2 of 3 at Jan 2, 2100, 3:04:05 AM UTC.";
    assert!(why.contains(answer) && !why.contains("03:04:05 UTC"), "as all times of pages: {why}");
}
