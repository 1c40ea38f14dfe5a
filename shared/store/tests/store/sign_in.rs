//! Sessions that end, guesses that are counted by all processes together, and roles that cross no district.

use std::time::Duration;

use chrono::TimeDelta;
use tocsin_domain::DistrictId;
use tocsin_domain::rights::{MessageTypes, Right, Role};
use tocsin_store::callers::Use;
use tocsin_store::issuers::SentAway;
use tocsin_store::tenant::keys::NewKey;
use tocsin_store::tenant::sessions::NewSession;
use tocsin_store::tenant::users::{NewUser, UserChange};
use tocsin_testkit::fixture::Fixture;
use uuid::Uuid;

use crate::fixture::Setting;

const IDLE: Duration = Duration::from_secs(3600);
const SPAN: Duration = Duration::from_secs(900);

async fn user(setting: &Setting) -> Uuid {
    let user = NewUser {
        id: Uuid::now_v7(),
        login: "ana@example.org".to_owned(),
        display_name: "Ana".to_owned(),
        password_hash: "first".to_owned(),
        roles: vec!["nurse".to_owned()],
    };
    setting.tenant().add_user(&user, setting.now().await).await.unwrap();
    user.id
}

async fn begin(setting: &Setting, user: Uuid, token: u8, password_hash: &str) -> bool {
    let now = setting.now().await;
    let token_hash = [token; 32];
    let session = NewSession {
        token_hash: &token_hash,
        user,
        password_hash,
        ends_at: now + TimeDelta::hours(12),
        replaces: None,
        through: None,
    };
    setting.tenant().begin_session(&session, now).await.unwrap()
}

async fn is_there(setting: &Setting, token: u8) -> bool {
    let now = setting.now().await;
    setting.store.visitor_of_session(&[token; 32], now, IDLE, Use::Counts).await.unwrap().is_some()
}

#[tokio::test]
async fn a_session_begins_with_the_password_that_was_compared_and_ends_with_it() {
    let setting = Setting::with_connections(1).await;
    let ana = user(&setting).await;
    assert!(begin(&setting, ana, 1, "first").await);
    setting.tenant().set_password(ana, "second", setting.now().await).await.unwrap();
    assert!(!is_there(&setting, 1).await);
    assert!(!begin(&setting, ana, 2, "first").await, "compared before it was changed");
    assert!(begin(&setting, ana, 3, "second").await);
    // A session that the change could not see, because it was not committed yet, is none either.
    setting.run("update users set epoch = epoch + 1").await;
    assert!(!is_there(&setting, 3).await);
    let change = UserChange { active: Some(false), ..UserChange::default() };
    setting.tenant().change_user(ana, &change, setting.now().await).await.unwrap();
    assert!(!begin(&setting, ana, 4, "second").await);
}

#[tokio::test]
async fn tries_are_counted_over_all_processes_and_at_once() {
    let setting = Setting::with_connections(4).await;
    let now = setting.now().await;
    let (own, shared) = (vec![1; 32], vec![2; 32]);
    let subjects = [(own.clone(), 3), (shared.clone(), 5)];
    let other = setting.actor("another process");
    let tries = (0..6).map(|n| {
        let store = if n % 2 == 0 { &setting.store } else { &other };
        store.take_guess(&subjects, now, SPAN)
    });
    let answers = futures::future::join_all(tries).await;
    let allowed = answers.iter().filter(|answer| answer.as_ref().unwrap().is_none()).count();
    assert_eq!(allowed, 3);
    // Another login from there: the address has had six.
    let next = [(vec![9; 32], 3), (shared.clone(), 5)];
    let until = setting.store.take_guess(&next, now, SPAN).await.unwrap();
    assert_eq!(until.map(|until| (until - now).num_seconds()), Some(900));
    setting.store.forget_guess(&own, &shared).await.unwrap();
    let later = now + TimeDelta::seconds(901);
    assert_eq!(setting.store.take_guess(&subjects, later, SPAN).await.unwrap(), None);
    assert_eq!(setting.number("select count(*) from guesses").await, 2, "what is over is cleared away");
}

#[tokio::test]
async fn a_browser_comes_back_from_its_issuer_once_and_in_time() {
    let setting = Setting::with_connections(4).await;
    let now = setting.now().await;
    let minutes = |minutes| now + TimeDelta::minutes(minutes);
    let (state, browser) = ([1; 32], [2; 32]);
    let sent = SentAway {
        state_hash: &state,
        browser_hash: &browser,
        issuer: "office",
        nonce: "nonce",
        verifier: "verifier",
        next: "/log",
        district: Some(setting.district),
        ends_at: minutes(10),
    };
    setting.store.keep_sign_in(&sent, now).await.unwrap();
    let store = &setting.store;
    for (state, browser, issuer, at) in [
        ([9; 32], browser, "office", now),
        (state, [9; 32], "office", now),
        (state, browser, "other", now),
        (state, browser, "office", minutes(10)),
    ] {
        assert_eq!(store.take_sign_in(&state, &browser, issuer, at).await.unwrap(), None, "{issuer} {at}");
    }
    let takes = (0..6).map(|_| store.take_sign_in(&state, &browser, "office", now));
    let taken = futures::future::join_all(takes).await;
    let taken: Vec<_> = taken.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!((taken[0].nonce.as_str(), taken[0].next.as_str()), ("nonce", "/log"));
    assert_eq!((taken[0].verifier.as_str(), taken[0].district), ("verifier", Some(setting.district)));
    // What nobody came back for goes with the next that is sent.
    setting.store.keep_sign_in(&sent, now).await.unwrap();
    let next = SentAway { state_hash: &[3; 32], ends_at: minutes(30), ..sent };
    setting.store.keep_sign_in(&next, minutes(11)).await.unwrap();
    assert_eq!(setting.number("select count(*) from sign_ins_begun").await, 1);
    let other = SentAway { state_hash: &[4; 32], district: Some(DistrictId(Uuid::nil())), ..next };
    setting.store.keep_sign_in(&other, minutes(11)).await.unwrap();
    let back = store.take_sign_in(&[4; 32], &browser, "office", minutes(11)).await.unwrap().unwrap();
    assert_eq!(back.district, None, "a district that there is not is none");
}

#[tokio::test]
async fn a_role_gives_its_rights_in_its_own_district_only() {
    let setting = Setting::with_connections(1).await;
    let other: DistrictId = Fixture::new(&setting.database).await.unwrap().district();
    let now = setting.now().await;
    let role = Role { name: "nurse".to_owned(), rights: [Right::Audit].into(), types: MessageTypes::All };
    assert!(setting.tenant().put_role(&role, now).await.unwrap());
    let roles = ["nurse".to_owned()];
    for (district, hash, may) in [(setting.district, [1; 32], true), (other, [2; 32], false)] {
        let key = NewKey { id: Uuid::now_v7(), name: "key", key_hash: &hash, roles: &roles };
        setting.store.tenant(district).add_own_key(&key, now).await.unwrap();
        let known = setting.store.caller_of_key(&hash).await.unwrap().unwrap();
        assert_eq!((known.district, known.actor.may(Right::Audit)), (district, may));
    }
    let ana = user(&setting).await;
    assert!(begin(&setting, ana, 1, "first").await);
    let now = setting.now().await;
    let session = setting.store.visitor_of_session(&[1; 32], now, IDLE, Use::Counts).await.unwrap().unwrap();
    assert!(session.known.actor.may(Right::Audit) && !session.known.actor.may(Right::Send));
    setting.run("update api_keys set revoked_at = now()").await;
    assert!(setting.store.caller_of_key(&[1; 32]).await.unwrap().is_none());
}
