//! Nothing that was typed is lost: each form that is refused comes back with all that it held. The forms are those of the
//! table of routes, so that none is forgotten.

use std::collections::BTreeSet;

use tocsin_api::routes::{Door, table};
use tocsin_runtime::Clock as _;
use uuid::Uuid;

use super::{Visitor, sign_in_form, text_of};
use crate::receipts::canceled;
use crate::series::{send, with_zone};
use crate::stage::{KEY, Stage, campaign};

/// Takes nothing that is typed: a button, a choice, a file, or passwords, which no page repeats.
const UNTYPED: &[&str] = &[
    "/account",
    "/approvals/{id}/approve",
    "/campaigns/{id}/refresh",
    "/compose/count",
    "/compose/segments",
    "/districts",
    "/imports",
    "/imports/{id}/apply",
    "/keys/{key}/revoke",
    "/people/{person}/active",
    "/people/{person}/remove-device",
    "/roles/{role}/remove",
    "/series/{id}/restore",
    "/series/{id}/skip",
    "/settings/second-person",
    "/sign-out",
    "/templates/{id}/remove",
    "/users/{user}/password",
    "/webhooks/{id}/deliveries/{delivery}/redeliver",
    "/webhooks/{id}/remove",
    "/webhooks/{id}/secret",
    "/webhooks/{id}/test",
];

/// What was typed, which no page has of itself.
const TYPED: &str = "Typed+by+hand+%3Cb%3E";
const SHOWN: &str = "Typed by hand &#60;b&#62;";

#[tokio::test]
async fn every_form_that_is_refused_comes_back_with_what_was_typed() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = canceled(&stage).await;
    let mut later = campaign();
    later["scheduled_at"] = serde_json::json!(stage.clock.now() + chrono::TimeDelta::hours(2));
    let later = stage.submit("later", &later).await.id();
    let mut series = campaign();
    let starts_on = (stage.clock.now() + chrono::TimeDelta::days(2)).format("%Y-%m-%d").to_string();
    series["recurrence"] = serde_json::json!({"frequency": "daily", "starts_on": starts_on, "at": "08:00"});
    let series = send(&stage, reqwest::Method::POST, KEY, "/v1/series", &series).await.id();
    let mut template = campaign();
    template["name"] = serde_json::json!("Snow day");
    let template = send(&stage, reqwest::Method::POST, KEY, "/v1/templates", &template).await.id();
    let hook = serde_json::json!({"url": "https://hooks.example.org/", "events": ["campaign.closed"]});
    let webhook = send(&stage, reqwest::Method::POST, KEY, "/v1/webhooks", &hook).await.id();
    let user = stage.user(stage.north, "thing@north.example", &["viewer"]).await;
    let (_, key) = stage.key(stage.north, "thing", &["viewer"]).await;
    visitor.post("/roles/new", "name=clerk&right=send&types=some&type=attendance").await;
    let approval = Uuid::now_v7();
    let asked = format!(
        "insert into approvals (district_id, id, client_key, request_hash, request, subject, asked_by, asked_at, expires_at)
         values ('{}', '{approval}', 'k', '', '{{}}', 'Lockdown', 'a', now(), now() + interval '1 day')",
        stage.north
    );
    stage.sql.batch_execute(&asked).await.unwrap();

    let long = "x".repeat(1001);
    let (reason, reason_shown) = (format!("reason={TYPED}{long}"), format!("{SHOWN}{long}"));
    // No text at all, under a subject.
    let message =
        format!("who=all&role=staff&channel=sms&message_type=general&languages=0&subject={TYPED}&body=");
    let forms = [
        ("/campaigns/{id}/cancel", format!("/campaigns/{id}/cancel"), reason.clone(), reason_shown.as_str()),
        (
            "/campaigns/{id}/correction",
            format!("/campaigns/{id}/correction"),
            format!("subject={TYPED}&body="),
            SHOWN,
        ),
        (
            "/approvals/{id}/decline",
            format!("/approvals/{approval}/decline"),
            reason.clone(),
            reason_shown.as_str(),
        ),
        (
            "/campaigns/{id}/edit",
            format!("/campaigns/{later}/edit"),
            format!("{message}&version=1&when=now&action=send"),
            SHOWN,
        ),
        (
            "/series/{id}/edit",
            format!("/series/{series}/edit"),
            format!("{message}&version=1&action=send"),
            SHOWN,
        ),
        ("/series/{id}/cancel", format!("/series/{series}/cancel"), reason, reason_shown.as_str()),
        ("/compose", "/compose".to_owned(), format!("{message}&when=now&action=send"), SHOWN),
        ("/compose", "/compose".to_owned(), format!("{message}&when=now&action=review"), SHOWN),
        ("/templates/new", "/templates/new".to_owned(), format!("{message}&name=T&action=send"), SHOWN),
        (
            "/templates/{id}",
            format!("/templates/{template}"),
            format!("{message}&name=T&version=1&action=send"),
            SHOWN,
        ),
        (
            "/people/{person}/preferences",
            "/people/ana/preferences".to_owned(),
            format!("language={TYPED}"),
            SHOWN,
        ),
        (
            "/people/{person}/device",
            "/people/ana/device".to_owned(),
            format!("channel=sms&address={TYPED}"),
            SHOWN,
        ),
        (
            "/new-person",
            "/new-person".to_owned(),
            format!("given_name={TYPED}&family_name=&role=guardian"),
            SHOWN,
        ),
        ("/settings/undo", "/settings/undo".to_owned(), format!("undo_seconds={TYPED}"), SHOWN),
        (
            "/settings/tests",
            "/settings/tests".to_owned(),
            format!("test_people={TYPED}{}", "%0D%0Ax".repeat(60)),
            SHOWN,
        ),
        (
            "/settings/consent",
            "/settings/consent".to_owned(),
            format!("times_max=2&every_days=3&flyer_url={TYPED}"),
            SHOWN,
        ),
        ("/settings/limits", "/settings/limits".to_owned(), format!("rate_sms={TYPED}"), SHOWN),
        (
            "/settings/policies/{message_type}",
            "/settings/policies/general".to_owned(),
            format!("attempts_max=2&wait_seconds=60&window=hours&holidays={TYPED}"),
            SHOWN,
        ),
        ("/users/new", "/users/new".to_owned(), format!("email=none&name={TYPED}&password=x"), SHOWN),
        ("/users/{user}", format!("/users/{user}"), format!("email=none&name={TYPED}&active=yes"), SHOWN),
        ("/roles/new", "/roles/new".to_owned(), format!("name={TYPED}&right=reports"), SHOWN),
        ("/keys", "/keys".to_owned(), format!("name={TYPED}{}", "x".repeat(400)), SHOWN),
        ("/keys/{key}", format!("/keys/{key}"), format!("name={TYPED}{}", "x".repeat(400)), SHOWN),
        (
            "/webhooks",
            "/webhooks".to_owned(),
            format!("url=ftp://x&description={TYPED}&event=campaign.closed"),
            SHOWN,
        ),
        (
            "/webhooks/{id}",
            format!("/webhooks/{webhook}"),
            format!("url=ftp://x&description={TYPED}&event=campaign.closed"),
            SHOWN,
        ),
        ("/sign-in", "/sign-in".to_owned(), sign_in_form("typed@by.hand", "wrong"), "typed@by.hand"),
        // Its names are given; what is chosen of rights and types is what may be lost.
        (
            "/roles/{role}",
            "/roles/clerk".to_owned(),
            "right=send&right=reports&right=none-of-these&types=some".to_owned(),
            "value=\"reports\" checked",
        ),
    ];
    for (_, path, form, shown) in &forms {
        let answer = visitor.post(path, form).await;
        let page = text_of(&answer);
        assert!((400..500).contains(&answer.status), "{path}: {} {page}", answer.status);
        assert!(page.contains(shown), "{path} lost what was typed: {page}");
    }
    let known: BTreeSet<&str> =
        forms.iter().map(|(pattern, ..)| *pattern).chain(UNTYPED.iter().copied()).collect();
    let posts: BTreeSet<&str> = table()
        .into_iter()
        .filter(|(method, .., door)| *method == "POST" && *door == Door::Page)
        .map(|(_, path, ..)| path)
        .collect();
    assert_eq!(posts, known, "a form without a test");
}
