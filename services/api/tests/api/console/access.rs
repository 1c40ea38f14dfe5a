//! Who sees pages, and from where.

use reqwest::Method;
use tocsin_api::PageAccess;
use tocsin_store::{Access, Store};

use super::{Visitor, cookie_of, get, post, post_from, sign_in_form, text_of};
use crate::stage::{OTHER_KEY, PASSWORD, Stage, ask, serve_pages};

#[tokio::test]
async fn a_page_asks_who_it_is_and_a_password_opens_it() {
    let stage = Stage::start().await;
    stage.user(stage.north, "ana@north.example", &["viewer"]).await;
    let asked = get(&stage, "/campaigns?view=ended", "").await;
    assert_eq!(asked.status, 401);
    assert!(text_of(&asked).contains(r#"<input type="hidden" name="next" value="/campaigns?view=ended">"#));
    let wrong = post(&stage, "/sign-in", "", &sign_in_form("ana@north.example", "another password")).await;
    assert!(wrong.status == 401 && text_of(&wrong).contains("do not belong together"), "{wrong:?}");
    assert!(text_of(&wrong).contains(r#"value="ana@north.example""#), "what was typed is not lost");
    assert!(!text_of(&wrong).contains("another password"), "a password is not sent back");
    assert!(!wrong.headers.contains_key("set-cookie"));

    let form =
        sign_in_form("Ana@North.example", PASSWORD).replace("/campaigns", "%2Fcampaigns%3Fview%3Dended");
    let opened = post(&stage, "/sign-in", "", &form).await;
    assert_eq!(
        (opened.status, &opened.headers["location"]),
        (303, &"/campaigns?view=ended".parse().unwrap())
    );
    let set = opened.headers["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Secure"), "{set}");
    let page = get(&stage, "/campaigns", &cookie_of(&opened)).await;
    assert!(page.status == 200 && text_of(&page).contains("North"), "{page:?}");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
}

#[tokio::test]
async fn the_sign_in_leads_nowhere_else() {
    let stage = Stage::start().await;
    stage.user(stage.north, "ana@north.example", &["viewer"]).await;
    for next in
        ["https://evil.example", "//evil.example", "/campaigns/..\\\\evil", "/campaignsevil", "", "/v1"]
    {
        let answer = post(
            &stage,
            "/sign-in",
            "",
            &sign_in_form("ana@north.example", PASSWORD).replace("/campaigns", next),
        )
        .await;
        assert_eq!(
            (answer.status, &answer.headers["location"]),
            (303, &"/campaigns".parse().unwrap()),
            "{next}"
        );
    }
}

#[tokio::test]
async fn a_password_travels_by_https_or_on_this_machine_only() {
    let stage = Stage::start().await;
    stage.user(stage.north, "ana@north.example", &["viewer"]).await;
    let form = sign_in_form("ana@north.example", PASSWORD);
    let https = [("host", "tocsin.example.org"), ("origin", "https://tocsin.example.org")];
    let answer = post_from(&stage, "/sign-in", &https, &form).await;
    assert!(answer.headers["set-cookie"].to_str().unwrap().ends_with("; Secure"), "{answer:?}");
    let plain = [("host", "10.0.0.5:8080"), ("origin", "http://10.0.0.5:8080")];
    let answer = post_from(&stage, "/sign-in", &plain, &form).await;
    assert!(answer.status == 403 && text_of(&answer).contains("needs https"), "{answer:?}");
    assert!(!answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn posts_from_elsewhere_change_nothing() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = stage.campaign("forged").await;
    let path = format!("/campaigns/{id}/cancel");
    let cookie = ("cookie", visitor.cookie.as_str());
    let elsewhere: [&[(&str, &str)]; 4] = [
        &[cookie],
        &[cookie, ("origin", "https://evil.example")],
        &[cookie, ("origin", "null")],
        &[cookie, ("origin", &stage.address), ("sec-fetch-site", "cross-site")],
    ];
    for headers in elsewhere {
        let answer = post_from(&stage, &path, headers, "reason=forged").await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    let shown = stage.get(&format!("/v1/campaigns/{id}")).await.body;
    assert!(shown["cancel"].is_null(), "{shown}");
}

#[tokio::test]
async fn another_districts_campaign_is_no_page() {
    let stage = Stage::start().await;
    let visitor = Visitor::sign_in(&stage).await;
    let id = stage.submit_as(OTHER_KEY, "theirs", &crate::stage::campaign()).await.id();
    for path in ["", "/recipients", "/cancel", "/events"] {
        let answer = visitor.get(&format!("/campaigns/{id}{path}")).await;
        assert!(answer.status == 404 && text_of(&answer).contains("No such campaign"), "{path}: {answer:?}");
    }
    assert_eq!(visitor.post(&format!("/campaigns/{id}/cancel"), "").await.status, 404);
    assert!(!visitor.page("/campaigns").await.contains(&id));
}

#[tokio::test]
async fn the_open_page_answers_on_this_machine_only_and_shows_one_district_at_a_time() {
    let stage = Stage::start().await;
    let database = Store::open(&stage.database_url, 1, Access::Engine).unwrap();
    let page = PageAccess::Open(database.clone());
    let address = serve_pages(database, &stage.broker, &stage.clock, &stage.tasks, page).await;
    let look = async |path: &str, headers: &[(&str, &str)]| {
        ask(&stage.client, &address, Method::GET, path, headers, "").await
    };
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
        let answer = look("/campaigns", &[("host", host)]).await;
        assert_eq!(answer.status, 421, "{host}: {answer:?}");
    }
    for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"] {
        let answer = look("/campaigns", &[(name, "192.0.2.1")]).await;
        assert!(answer.status == 403 && text_of(&answer).contains("--sign-in"), "{name}: {answer:?}");
    }
    let chooser = look("/campaigns", &[]).await;
    assert!(chooser.status == 200 && text_of(&chooser).contains("Which district?"), "{chooser:?}");
    let form = format!("district={}&next=/campaigns", stage.north);
    let posted = [("origin", address.as_str())];
    let chosen = ask(&stage.client, &address, Method::POST, "/districts", &posted, &form).await;
    let cookie = cookie_of(&chosen);
    let id = stage.campaign("open").await;
    let list = look("/campaigns", &[("cookie", &cookie)]).await;
    assert!(text_of(&list).contains(&id) && text_of(&list).contains("North"), "{list:?}");
    let foreign = [("origin", "https://evil.example"), ("cookie", cookie.as_str())];
    let path = format!("/campaigns/{id}/cancel");
    assert_eq!(ask(&stage.client, &address, Method::POST, &path, &foreign, "").await.status, 403);

    stage.sql.execute("delete from api_keys where district_id <> $1", &[&stage.north.0]).await.unwrap();
    stage.sql.execute("delete from districts where id <> $1", &[&stage.north.0]).await.unwrap();
    let only = look("/campaigns", &[]).await;
    assert!(text_of(&only).contains(&id), "the only district needs no choice: {only:?}");
}
