//! What pages show, and what they forbid.

use reqwest::Method;
use serde_json::json;
use tocsin_domain::Channel;
use tocsin_proto::v1::control::Command;
use tocsin_queue::MemoryBroker;
use tocsin_runtime::{Clock as _, SystemClock, Tasks};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::{Access, Store};
use tocsin_testkit::ManualClock;

use super::{Visitor, get, text_of};
use crate::stage::{Stage, ask, campaign, serve};

const HOSTILE: &str = r#"<script>alert(1)</script>"'><img src=x onerror=alert(2)>"#;

#[tokio::test]
async fn hostile_text_is_shown_as_text() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff(HOSTILE, &[(4, HOSTILE)]).await;
    let mut body = campaign();
    for field in ["subject", "created_by", "body"] {
        body[field] = json!(HOSTILE);
    }
    let id = stage.submit("hostile", &body).await.id();
    stage.expand_all().await;
    visitor.post(&format!("/campaigns/{id}/cancel"), &format!("reason={HOSTILE}")).await;
    for path in ["/campaigns", &format!("/campaigns/{id}"), &format!("/campaigns/{id}/recipients")] {
        let page = visitor.page(path).await;
        assert!(!page.contains("<script>") && !page.contains("<img"), "{path}: {page}");
        assert!(page.contains("&#60;script&#62;alert(1)"), "{path}: {page}");
    }
}

#[tokio::test]
async fn every_answer_forbids_what_is_not_ours_and_no_page_needs_it() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = stage.campaign("strict").await;
    let cancel = format!("/campaigns/{id}/cancel");
    for path in ["/campaigns", &format!("/campaigns/{id}"), &cancel, "/sign-in", "/campaigns/none", "/none"] {
        let answer = visitor.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        let page = text_of(&answer);
        assert!(!page.contains(" style=") && !page.contains("<style"), "{path}: {page}");
        assert!(!page.split(" on").skip(1).any(names_an_attribute), "{path}: {page}");
        assert_eq!(page.matches("<script").count(), 1, "{path}: {page}");
        assert!(!page.contains("http://") && !page.contains("https://"), "{path}: {page}");
    }
}

/// Is this the rest of `onclick="…"`?
fn names_an_attribute(rest: &str) -> bool {
    rest.split_once('=').is_some_and(|(name, _)| name.chars().all(|letter| letter.is_ascii_lowercase()))
}

#[tokio::test]
async fn assets_are_kept_for_good_under_the_name_of_what_they_hold() {
    let stage = Stage::start().await;
    let page = get(&stage, "/sign-in", "").await;
    let (_, after) = text_of(&page).split_once(r#"rel="stylesheet" href=""#).unwrap();
    let style = after.split('"').next().unwrap();
    let answer = get(&stage, style, "").await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (200, &"text/css; charset=utf-8".parse().unwrap())
    );
    assert_eq!(answer.headers["cache-control"], "public, max-age=31536000, immutable");
    let tag = answer.headers["etag"].to_str().unwrap();
    let again = stage.ask(Method::GET, style, &[("if-none-match", tag)], "").await;
    assert_eq!(again.status, 304);
    assert_eq!(get(&stage, "/assets/console.0000000000000000.css", "").await.status, 404);
}

#[tokio::test]
async fn the_form_cancels_and_the_page_shows_one_receipt_however_often_it_is_pressed() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(2, "+15551230001"), (4, "ana")]).await;
    let id = stage.campaign("stop").await;
    stage.expand_all().await;
    stage.change("update campaigns set state = 3, started_at = now() where id = $1", &id).await;
    let mut control = stage.control().await;
    let path = format!("/campaigns/{id}/cancel");
    assert!(visitor.page(&format!("/campaigns/{id}")).await.contains("Cancel message…"));

    let long = "x".repeat(1001);
    let refused = visitor.post(&path, &format!("reason={long}")).await;
    assert!(refused.status == 422 && text_of(&refused).contains(&long), "{refused:?}");
    assert!(text_of(&refused).contains("at most 1000 are taken"), "{refused:?}");

    for reason in ["the+wrong+day", "again"] {
        let pressed = visitor.post(&path, &format!("reason={reason}")).await;
        assert_eq!(pressed.status, 303, "{pressed:?}");
        assert_eq!(pressed.headers["location"], format!("/campaigns/{id}#receipt"));
        let Command::Cancel(_) = control.next().await else { panic!("no cancel") };
    }
    let page = visitor.page(&format!("/campaigns/{id}")).await;
    assert!(page.contains("By <strong>test</strong>") && page.contains("the wrong day"), "{page}");
    assert!(page.contains("/receipt/never_tried\">Never tried</a></dt><dd>2</dd>"), "{page}");
    assert!(!page.contains("again") && !page.contains("Cancel message…"), "{page}");
}

#[tokio::test]
async fn a_campaigns_page_shows_its_delivery_summary() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(1, "+15551230001"), (2, "+15551230001"), (3, "ana@example.org")]).await;
    stage.staff("ben", &[(2, "+15551230002")]).await;
    let id = stage.campaign("summed").await;
    stage.expand_all().await;
    stage
        .change("update tallies set contacted_by_phone = 1 where channel = 0 and campaign_id = $1", &id)
        .await;
    let page = visitor.page(&format!("/campaigns/{id}")).await;
    for (name, number) in [
        ("Voice", "1"),
        ("Text", "2"),
        ("Text, attempted", "0"),
        ("Emails", "1"),
        ("Email progress", "0 %"),
        ("Contacted by phone", "1"),
        ("Not contacted by phone", "1"),
    ] {
        assert!(page.contains(&format!("<dt>{name}</dt><dd>{number}</dd>")), "{name}: {page}");
    }
    // It can be read anew by hand until it is over (requirements 22 and 193).
    assert!(page.contains("id=\"refresh-button\"") && !page.contains("providers asked"), "{page}");
    let pressed = visitor.post(&format!("/campaigns/{id}/refresh"), "").await;
    let back = format!("/campaigns/{id}");
    assert_eq!((pressed.status, pressed.headers["location"].to_str().unwrap()), (303, back.as_str()));
    assert!(visitor.page(&format!("/campaigns/{id}")).await.contains("providers asked"));
    stage
        .change("update campaigns set state = 5, ended_at = now(), closed_at = now() where id = $1", &id)
        .await;
    assert!(!visitor.page(&format!("/campaigns/{id}")).await.contains("id=\"refresh-button\""));
}

#[tokio::test]
async fn a_message_that_asks_to_be_confirmed_shows_how_many_did() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(1, "+15551230001"), (2, "+15551230001")]).await;
    for (confirm, shown) in [(true, true), (false, false)] {
        let mut body = campaign();
        body["redial"] = json!({ "confirm": confirm });
        let id = stage.submit(&format!("confirm {confirm}"), &body).await.id();
        stage.expand_all().await;
        let confirmed = "update tallies set confirmed = 1 where channel = 1 and campaign_id = $1";
        stage.change(confirmed, &id).await;
        let page = visitor.page(&format!("/campaigns/{id}")).await;
        assert_eq!(page.contains("<dt>Confirmed</dt><dd>1</dd>"), shown, "{confirm}: {page}");
    }
}

#[tokio::test]
async fn the_list_says_which_accounts_do_not_send_as_they_should() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let now = stage.clock.now();
    let account = |name: &str| AccountLimits {
        name: name.to_owned(),
        district: None,
        channel: Channel::Sms,
        rate_per_second: None,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    };
    let all = ["sound", "failing", "trying", "refused"].map(account);
    stage.engine.configure_accounts(&all, now).await.unwrap();
    assert!(!visitor.page("/campaigns").await.contains("class=\"notice"), "all of them send");
    let known = stage.engine.accounts().await.unwrap();
    let refused = known.iter().find(|account| account.limits.name == "refused").unwrap();
    stage.engine.stop_account(refused.id, "it is refused: <20003>", now).await.unwrap();
    for (name, health) in [("failing", 1), ("trying", 2)] {
        let falls = "update provider_accounts set health = $2, health_since = tocsin_now() where name = $1";
        stage.sql.execute(falls, &[&name, &(health as i16)]).await.unwrap();
    }
    let page = visitor.page("/campaigns").await;
    for said in [
        "Text account failing</strong> fails, and other accounts do its work since <time",
        "Text account trying</strong> failed, is on trial, and comes back by steps since <time",
        "Text account refused</strong> is stopped: nothing is sent by it since <time",
        "</time>: it is refused: &#60;20003&#62;</p>",
    ] {
        assert!(page.contains(said), "no {said:?} in {page}");
    }
    assert!(!page.contains("account sound"), "{page}");
}

#[tokio::test]
async fn a_message_canceled_while_processing_leaves_the_lists() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = stage.campaign("discarded").await;
    visitor.post(&format!("/campaigns/{id}/cancel"), "reason=").await;
    stage
        .change("update campaigns set state = 10, ended_at = now(), closed_at = now() where id = $1", &id)
        .await;
    assert!(!visitor.page("/campaigns").await.contains(&id));
    assert!(visitor.page(&format!("/campaigns/{id}")).await.contains("nobody was contacted"));
}

#[tokio::test]
async fn the_list_says_what_to_do_when_it_is_empty_and_pages_when_it_is_long() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    assert!(visitor.page("/campaigns").await.contains("tocsin campaign send"));
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(stage.campaign(&format!("number {number}")).await);
    }
    let first = visitor.page("/campaigns").await;
    let (_, after) = first.split_once(r#"rel="next" href=""#).unwrap();
    let next = after.split('"').next().unwrap().replace("&#38;", "&");
    let second = visitor.page(&next).await;
    for id in &ids {
        assert!(first.contains(id) != second.contains(id), "{id} is on both pages or on none");
    }
    assert!(!second.contains("rel=\"next\""));
    let faulty = visitor.get("/campaigns?view=everything").await;
    assert!(faulty.status == 400 && text_of(&faulty).contains("in-progress"), "{faulty:?}");
}

#[tokio::test]
async fn a_campaigns_page_draws_whom_it_contacted_and_says_what_waits() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    stage.staff("ana", &[(2, "+15551230001"), (4, "ana")]).await;
    stage.staff("ben", &[(2, "+15551230002")]).await;
    let id = stage.campaign("drawn").await;
    stage.expand_all().await;
    assert!(
        !visitor.page(&format!("/campaigns/{id}")).await.contains("Contacted over time"),
        "before it began"
    );
    let began = stage.clock.now();
    stage.sql.execute("update campaigns set state = 3, started_at = $1", &[&began]).await.unwrap();
    stage.engine.sample_progress(began).await.unwrap();
    let contacted = "insert into tallies (campaign_id, district_id, channel, addresses_contacted)
                     select id, district_id, 2, 1 from campaigns where id = $1";
    stage.change(contacted, &id).await;
    stage.clock.advance(chrono::TimeDelta::seconds(10));
    let page = visitor.page(&format!("/campaigns/{id}")).await;
    // Half of the texts' addresses: half of the drawing's height, at its right end.
    assert!(page.contains(r#"<path class="line sms" d="M0 200H0V200H1000V100"/>"#), "{page}");
    assert!(page.contains("Text <strong>1</strong> of 2") && page.contains("As a table"), "{page}");
    assert!(page.contains("Text: <strong>2</strong> wait for their turn"), "{page}");
    let held = "update jobs set wait_reason = 8, due_at = now() + interval '3 hours' where campaign_id = $1";
    stage.change(held, &id).await;
    let page = visitor.page(&format!("/campaigns/{id}")).await;
    assert!(
        page.contains("Inbox: <strong>1</strong> wait for their calling hours, the next due <time"),
        "{page}"
    );
    stage
        .change("update campaigns set state = 5, ended_at = now(), closed_at = now() where id = $1", &id)
        .await;
    let page = visitor.page(&format!("/campaigns/{id}")).await;
    assert!(page.contains("Contacted over time") && !page.contains("What waits"), "{page}");
}

/// Who looks need do nothing; what was posted is not posted again without them.
#[tokio::test]
async fn a_page_is_asked_for_again_by_the_browser_while_the_store_is_away() {
    let tasks = Tasks::new();
    let clock = ManualClock::at(SystemClock.now());
    // Nothing listens on port 1.
    let store = Store::open("postgres://tocsin@127.0.0.1:1/tocsin", 2, Access::Tenants).unwrap();
    let address = serve(store, &MemoryBroker::new(), &clock, &tasks).await;
    let client = tocsin_providers::http_client().unwrap();
    let headers =
        [("cookie", "tocsin_session=somebody"), ("accept", "text/html"), ("origin", address.as_str())];
    for (method, again) in [(Method::GET, Some("5")), (Method::POST, None)] {
        let answer = ask(&client, &address, method.clone(), "/compose", &headers, "").await;
        assert_eq!(answer.status, 503, "{method}: {answer:?}");
        let refresh = answer.headers.get("refresh").map(|seconds| seconds.to_str().unwrap());
        assert_eq!(refresh, again, "{method}");
        assert!(text_of(&answer).contains("Load this page again"), "{method}: {answer:?}");
    }
}
