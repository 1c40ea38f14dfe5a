//! How a sign-in begins and what ends it; and that nobody gets in by guessing.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use super::{Visitor, cookie_of, get, post, sign_in_form, text_of};
use crate::stage::{KEY, PASSWORD, Stage};

const ANA: &str = "ana@north.example";

async fn sessions(stage: &Stage) -> i64 {
    stage.sql.query_one("select count(*) from sessions", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_sign_in_gets_a_token_of_its_own_whatever_the_browser_brought() {
    let stage = Stage::start().await;
    stage.user(stage.north, ANA, &["viewer"]).await;
    let planted = "tocsin_session=planted-by-somebody-else";
    let answer = post(&stage, "/sign-in", planted, &sign_in_form(ANA, PASSWORD)).await;
    assert_eq!(answer.status, 303);
    let first = cookie_of(&answer);
    assert_ne!(first, planted);
    assert_eq!(get(&stage, "/campaigns", planted).await.status, 401, "the planted token opens nothing");
    assert_eq!(get(&stage, "/campaigns", &first).await.status, 200);
    // Signing in again from the same browser ends the session that it had.
    let second = cookie_of(&post(&stage, "/sign-in", &first, &sign_in_form(ANA, PASSWORD)).await);
    assert_ne!(first, second);
    assert_eq!(get(&stage, "/campaigns", &first).await.status, 401);
    assert_eq!((get(&stage, "/campaigns", &second).await.status, sessions(&stage).await), (200, 1));
    let kept = stage.sql.query_one("select token_hash from sessions", &[]).await.unwrap();
    let token = second.split_once('=').unwrap().1;
    assert_ne!(kept.get::<_, &[u8]>(0), token.as_bytes(), "only a hash is kept");
}

#[tokio::test]
async fn a_session_ends_without_anybody_there_and_at_its_end() {
    let stage = Stage::start().await;
    stage.user(stage.north, ANA, &["viewer"]).await;
    let visitor = Visitor::of(&stage, ANA).await;
    // Twelve hours of work.
    for _ in 0..14 {
        stage.clock.advance(TimeDelta::minutes(50));
        assert_eq!(visitor.get("/campaigns").await.status, 200);
    }
    stage.clock.advance(TimeDelta::minutes(21));
    let expired = visitor.get("/campaigns").await;
    assert!(expired.status == 401 && text_of(&expired).contains("has expired"), "{expired:?}");

    let visitor = Visitor::of(&stage, ANA).await;
    stage.clock.advance(TimeDelta::minutes(61));
    let idle = visitor.get("/campaigns").await;
    assert!(idle.status == 401 && text_of(&idle).contains("has expired"), "{idle:?}");
}

#[tokio::test]
async fn a_page_that_asks_by_itself_keeps_no_session_alive() {
    let stage = Stage::start().await;
    stage.user(stage.north, ANA, &["viewer"]).await;
    let visitor = Visitor::of(&stage, ANA).await;
    let by_itself = [("cookie", visitor.cookie()), ("sec-fetch-mode", "cors")];
    for (minutes, status) in [(50, 200), (11, 401)] {
        stage.clock.advance(TimeDelta::minutes(minutes));
        let answer = stage.ask(Method::GET, "/campaigns", &by_itself, "").await;
        assert_eq!(answer.status, status, "after {minutes} more minutes");
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_its_cookie() {
    let stage = Stage::start().await;
    stage.user(stage.north, ANA, &["viewer"]).await;
    let (here, there) = (Visitor::of(&stage, ANA).await, Visitor::of(&stage, ANA).await);
    let left = here.post("/sign-out", "").await;
    assert_eq!((left.status, cookie_of(&left).as_str()), (303, "tocsin_session="));
    let again = here.get("/campaigns").await;
    assert!(again.status == 401 && text_of(&again).contains("has ended"), "{again:?}");
    assert_eq!(there.get("/campaigns").await.status, 200);
}

#[tokio::test]
async fn a_new_password_ends_all_sessions_but_the_one_that_set_it() {
    let stage = Stage::start().await;
    stage.user(stage.north, ANA, &["viewer"]).await;
    let (here, there) = (Visitor::of(&stage, ANA).await, Visitor::of(&stage, ANA).await);
    let new = "some+other+words+now";
    for (form, fault) in [
        (format!("current=wrong&password={new}&again={new}"), "It is not your password"),
        (format!("current=x&password={new}&again=else"), "It is not the same"),
        ("current=x&password=short&again=short".to_owned(), "It has 5 characters"),
    ] {
        let answer = here.post("/account", &form).await;
        assert!(answer.status == 422 && text_of(&answer).contains(fault), "{fault}: {answer:?}");
    }
    let form = format!("current={}&password={new}&again={new}", PASSWORD.replace(' ', "+"));
    let changed = here.post("/account", &form).await;
    assert_eq!((changed.status, &changed.headers["location"]), (303, &"/account?saved".parse().unwrap()));
    assert_eq!(get(&stage, "/campaigns", &cookie_of(&changed)).await.status, 200);
    assert_eq!(there.get("/campaigns").await.status, 401);
    assert_eq!(here.get("/campaigns").await.status, 401, "its old token ended too");
    assert_eq!(post(&stage, "/sign-in", "", &sign_in_form(ANA, PASSWORD)).await.status, 401);
    assert_eq!(post(&stage, "/sign-in", "", &sign_in_form(ANA, "some other words now")).await.status, 303);
}

#[tokio::test]
async fn an_administrator_ends_the_sessions_of_others_and_not_their_own_account() {
    let stage = Stage::start().await;
    let ana = stage.user(stage.north, ANA, &["viewer"]).await;
    let visitor = Visitor::of(&stage, ANA).await;
    let path = format!("/v1/users/{ana}");
    let set = json!({"password": "some other words now"});
    assert_eq!(stage.send_as(KEY, Method::PUT, &format!("{path}/password"), &set).await.status, 204);
    assert_eq!(visitor.get("/campaigns").await.status, 401);
    let signed_in = post(&stage, "/sign-in", "", &sign_in_form(ANA, "some other words now")).await;
    let cookie = cookie_of(&signed_in);
    stage.send_as(KEY, Method::PATCH, &path, &json!({"active": false})).await;
    assert_eq!(get(&stage, "/campaigns", &cookie).await.status, 401);
    let refused = post(&stage, "/sign-in", "", &sign_in_form(ANA, "some other words now")).await;
    assert_eq!(refused.status, 401);
    // Active again, their old session is still none.
    stage.send_as(KEY, Method::PATCH, &path, &json!({"active": true})).await;
    assert_eq!(get(&stage, "/campaigns", &cookie).await.status, 401);

    let admin = stage.user(stage.north, "admin@north.example", &["administrator"]).await;
    let visitor = Visitor::of(&stage, "admin@north.example").await;
    let form = "email=admin@north.example&name=admin&role=administrator";
    let answer = visitor.post(&format!("/users/{admin}"), form).await;
    assert!(answer.status == 409 && text_of(&answer).contains("Not saved:"), "{answer:?}");
    assert_eq!(visitor.get("/users").await.status, 200);
}

#[tokio::test]
async fn guessing_stops_for_a_user_that_there_is_and_for_one_that_there_is_not() {
    let stage = Stage::start().await;
    stage.user(stage.north, ANA, &["viewer"]).await;
    for email in [ANA, "nobody@north.example"] {
        let mut answers = Vec::new();
        for n in 0..12 {
            let answer = post(&stage, "/sign-in", "", &sign_in_form(email, &format!("guess {n}"))).await;
            answers.push((answer.status, text_of(&answer).replace(email, "EMAIL")));
        }
        let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 429, 429], "{email}");
        let unlike = answers[..10].iter().filter(|(_, text)| *text != answers[0].1).count();
        assert_eq!(unlike, 0, "the answer tells nothing");
    }
    let right = post(&stage, "/sign-in", "", &sign_in_form(ANA, PASSWORD)).await;
    assert_eq!(right.status, 429, "not even the right one, for a while");
    assert!(right.headers.contains_key("retry-after") && text_of(&right).contains("too often"), "{right:?}");
    stage.clock.advance(TimeDelta::minutes(16));
    assert_eq!(post(&stage, "/sign-in", "", &sign_in_form(ANA, PASSWORD)).await.status, 303);
    // A right one counts from the beginning again.
    for _ in 0..10 {
        assert_eq!(post(&stage, "/sign-in", "", &sign_in_form(ANA, "no")).await.status, 401);
    }
}

#[tokio::test]
async fn guessing_stops_for_an_address_whatever_users_it_tries() {
    let stage = Stage::start().await;
    stage.user(stage.north, ANA, &["viewer"]).await;
    // As if it had tried a hundred others.
    post(&stage, "/sign-in", "", &sign_in_form("one@north.example", "no")).await;
    stage.sql.execute("update guesses set taken = 100", &[]).await.unwrap();
    let answer = post(&stage, "/sign-in", "", &sign_in_form(ANA, PASSWORD)).await;
    assert_eq!(answer.status, 429);
}

#[tokio::test]
async fn whoever_has_the_same_account_in_two_districts_says_which() {
    let stage = Stage::start().await;
    stage.user(stage.north, "ana@both.example", &["viewer"]).await;
    stage.user(stage.south, "ana@both.example", &["viewer"]).await;
    let form = sign_in_form("ana@both.example", PASSWORD);
    let asked = post(&stage, "/sign-in", "", &form).await;
    assert!(asked.status == 200 && text_of(&asked).contains("several districts"), "{asked:?}");
    assert!(!asked.headers.contains_key("set-cookie"));
    let chosen = post(&stage, "/sign-in", "", &format!("{form}&district={}", stage.south)).await;
    assert_eq!(chosen.status, 303);
    let page = get(&stage, "/campaigns", &cookie_of(&chosen)).await;
    assert!(text_of(&page).contains("South") && !text_of(&page).contains("North"), "{page:?}");
}
