//! Signing in through an issuer, and everybody who tries to get in by its way without being let in there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_api::{IssuerDoor, PageAccess, Passwords, SignIn};
use tocsin_oidc::{ClientSecret, Issuer, Settings};
use tocsin_runtime::Clock as _;
use tocsin_store::{Access, Store};
use tocsin_testkit::issuer::{CLIENT_ID, CLIENT_SECRET, Forgery, Signing, TestIssuer};

use super::sign_in_form;
use crate::stage::{Answer, PASSWORD, Stage, ask, serve_pages};

const ANA: &str = "ana@north.example";

/// A second api over the stage's store, which people come to from an issuer.
struct Office {
    stage: Stage,
    issuer: TestIssuer,
    address: String,
}

/// What is configured of the issuer.
#[derive(Clone, Default)]
struct Rules {
    claim: Option<&'static str>,
    district: Option<&'static str>,
    roles: BTreeMap<String, String>,
    new_user_role: Option<&'static str>,
    passwords: Passwords,
    /// Of the page that browsers come back to; of this machine unless it is said.
    return_url: Option<&'static str>,
}

const HERE: &str = "http://localhost:1/sign-in/office/return";

/// A browser that was sent to the issuer, said who it is, and is about to come back.
struct Back {
    /// Path and query.
    path: String,
    cookie: String,
}

impl Office {
    async fn open(rules: Rules) -> Self {
        let stage = Stage::start().await;
        stage.user(stage.north, ANA, &["viewer"]).await;
        let issuer = TestIssuer::start(stage.clock.shared()).await.unwrap();
        issuer.welcome(ANA);
        let settings = Settings {
            issuer: issuer.url.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(ClientSecret::new(CLIENT_SECRET)),
            return_url: rules.return_url.unwrap_or(HERE).to_owned(),
            scopes: ["openid", "email"].map(str::to_owned).to_vec(),
            login_claim: rules.claim.unwrap_or("email").to_owned(),
            groups_claim: Some("groups".to_owned()),
        };
        let door = IssuerDoor {
            name: "office".to_owned(),
            title: "the Office".to_owned(),
            issuer: Issuer::new(settings).unwrap(),
            district: rules.district.map(str::to_owned),
            roles: rules.roles,
            new_user_role: rules.new_user_role.map(str::to_owned),
        };
        let page = PageAccess::SignIn(SignIn {
            url: None,
            proxies: 0,
            passwords: rules.passwords,
            issuers: Arc::from([door.clone(), IssuerDoor { name: "other".to_owned(), ..door }]),
        });
        let store = Store::open(&stage.database_url, 2, Access::Tenants).unwrap();
        let address = serve_pages(store, &stage.broker, &stage.clock, &stage.tasks, page).await;
        Self { stage, issuer, address }
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        ask(&self.stage.client, &self.address, Method::GET, path, &[("cookie", cookie)], "").await
    }

    /// To the issuer, which asks who one is, and to the way back.
    async fn there(&self, path: &str) -> Back {
        let sent = self.get(path, "").await;
        assert_eq!(sent.status, 303, "{sent:?}");
        let cookies = cookies(&sent);
        let there = sent.headers["location"].to_str().unwrap();
        let asked = self.stage.client.get(there).send().await.unwrap();
        assert_eq!(asked.status(), 200, "the issuer refuses: {}", asked.text().await.unwrap());
        let back = self.stage.client.post(there).send().await.unwrap();
        let back = back.headers()["location"].to_str().unwrap().to_owned();
        let path = back[back.find("/sign-in/").unwrap()..].to_owned();
        Back { path, cookie: cookies.into_iter().next().unwrap() }
    }

    async fn come_back(&self, back: &Back) -> Answer {
        self.get(&back.path, &back.cookie).await
    }

    async fn through(&self, path: &str) -> Answer {
        let back = self.there(path).await;
        self.come_back(&back).await
    }

    async fn sessions(&self) -> i64 {
        self.stage.sql.query_one("select count(*) from sessions", &[]).await.unwrap().get(0)
    }

    #[track_caller]
    fn is_refused(answer: &Answer, says: &str, case: &str) {
        assert!(matches!(answer.status, 401 | 502), "{case}: {answer:?}");
        assert!(answer.body.as_str().unwrap().contains(says), "{case} lacks {says:?}: {answer:?}");
        assert!(cookies(answer).iter().all(|it| !it.starts_with("tocsin_session")), "{case}: {answer:?}");
    }
}

fn cookies(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all("set-cookie").into_iter();
    lines.map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
}

fn session_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = cookies(answer).into_iter().find(|it| it.starts_with("tocsin_session="));
    found.unwrap_or_else(|| panic!("no session: {answer:?}"))
}

#[tokio::test]
async fn whoever_the_issuer_names_is_signed_in_with_a_session_like_any_other() {
    let office = Office::open(Rules::default()).await;
    let first = office.get("/campaigns", "").await;
    assert_eq!(first.status, 401);
    let page = first.body.as_str().unwrap();
    assert!(page.contains("Sign in with the Office") && page.contains("name=\"password\""), "{page}");
    for signing in [Signing::Es256, Signing::Rs256] {
        office.issuer.sign_by(signing);
        let entered = office.through("/sign-in/office?next=%2Fcampaigns%3Fview%3Dended").await;
        let page = entered.body.as_str().unwrap();
        assert!(page.contains("content=\"0; url=/campaigns?view=ended\""), "{signing:?}: {page}");
        let session = session_of(&entered);
        let seen = office.get("/campaigns", &session).await;
        assert!(seen.status == 200 && seen.body.as_str().unwrap().contains("North"), "{seen:?}");
        let strict = entered.headers.get_all("set-cookie").iter().any(|line| {
            let line = line.to_str().unwrap();
            line.starts_with("tocsin_session=")
                && line.contains("SameSite=Strict")
                && line.contains("HttpOnly")
        });
        assert!(strict, "{entered:?}");
    }
    let sql = "select actor, details->>'through' from audit where action = 'sign_in'";
    let rows = office.stage.sql.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].get::<_, &str>(0), rows[0].get::<_, &str>(1)), ("ana", "office"));
    assert_eq!(office.issuer.keys_asked(), 1, "keys are kept");
}

#[tokio::test]
async fn a_token_that_is_not_what_was_asked_for_lets_nobody_in() {
    let office = Office::open(Rules::default()).await;
    let now = office.stage.clock.now().timestamp();
    let claim = |name, value: Value| Forgery::Claim(name, value);
    for forgery in [
        claim("nonce", json!("of another sign-in")),
        claim("nonce", json!(null)),
        claim("aud", json!("another client")),
        claim("aud", json!([CLIENT_ID, "another client"])),
        claim("azp", json!("another client")),
        claim("iss", json!("https://evil.example")),
        claim("iss", json!(format!("{}/", office.issuer.url))),
        claim("exp", json!(now - 61)),
        claim("exp", json!(null)),
        claim("nbf", json!(now + 120)),
        claim("iat", json!(now + 120)),
        claim("iat", json!(now - 3600)),
        claim("sub", json!("")),
        claim("email_verified", json!(false)),
        claim("email_verified", json!(null)),
        claim("email", json!(null)),
        Forgery::Unsigned,
        Forgery::PublicAsSecret,
        Forgery::ForeignKey,
        Forgery::UnknownKey,
    ] {
        office.issuer.forge(forgery.clone());
        let answer = office.through("/sign-in/office").await;
        Office::is_refused(&answer, "could not be learned from the Office", &format!("{forgery:?}"));
    }
    assert_eq!(office.sessions().await, 0);
    office.issuer.forge(Forgery::None);
    session_of(&office.through("/sign-in/office").await);
}

#[tokio::test]
async fn a_browser_comes_back_once_as_it_was_sent_and_in_time() {
    let office = Office::open(Rules::default()).await;
    let begin_again = "Begin again";
    let back = office.there("/sign-in/office").await;
    let other = office.there("/sign-in/office").await;
    let state_of = |path: &str| path.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let code_of = |path: &str| path.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    for (path, cookie, case) in [
        (back.path.replace(&state_of(&back.path), "guessed"), back.cookie.as_str(), "another state"),
        (back.path.replace(&state_of(&back.path), &state_of(&other.path)), &back.cookie, "another's state"),
        (back.path.clone(), "", "no cookie"),
        (back.path.clone(), &other.cookie, "another browser"),
        (back.path.replace("/office/", "/other/"), &back.cookie, "another issuer's return"),
        ("/sign-in/office/return".to_owned(), &back.cookie, "nothing"),
    ] {
        Office::is_refused(&office.get(&path, cookie).await, begin_again, case);
    }
    // None of that has used it up.
    session_of(&office.come_back(&back).await);
    Office::is_refused(&office.come_back(&back).await, begin_again, "the same once more");
    // A code that was used comes with a state that was not.
    let used = Back { path: other.path.replace(&code_of(&other.path), &code_of(&back.path)), ..other };
    Office::is_refused(&office.come_back(&used).await, "could not be learned", "a code that was used");
    // A code of somebody else's sign-in: its challenge is another.
    let (mine, theirs) = (office.there("/sign-in/office").await, office.there("/sign-in/office").await);
    let planted = Back { path: mine.path.replace(&code_of(&mine.path), &code_of(&theirs.path)), ..mine };
    Office::is_refused(&office.come_back(&planted).await, "could not be learned", "another's code");
    // The answer of another issuer (RFC 9207).
    let mixed = office.there("/sign-in/office").await;
    let path = mixed.path.split("&iss=").next().unwrap().to_owned();
    let without = Back { path: path.clone(), cookie: mixed.cookie };
    Office::is_refused(
        &office.come_back(&without).await,
        "could not be learned",
        "an issuer that names itself does not",
    );
    let mixed = office.there("/sign-in/office").await;
    let path = mixed.path.split("&iss=").next().unwrap();
    let other = Back { path: format!("{path}&iss=https%3A%2F%2Fevil.example"), cookie: mixed.cookie };
    Office::is_refused(&office.come_back(&other).await, "could not be learned", "another issuer's answer");
    let late = office.there("/sign-in/office").await;
    office.stage.clock.advance(TimeDelta::minutes(11));
    Office::is_refused(&office.come_back(&late).await, begin_again, "too late");
    let declined = office.there("/sign-in/office").await;
    let path = format!("/sign-in/office/return?error=access_denied&state={}", state_of(&declined.path));
    Office::is_refused(&office.get(&path, &declined.cookie).await, "could not be learned", "declined");
    assert_eq!(office.sessions().await, 1);
}

#[tokio::test]
async fn each_sign_in_has_secrets_of_its_own() {
    let office = Office::open(Rules::default()).await;
    let mut drawn = BTreeSet::new();
    for _ in 0..3 {
        let sent = office.get("/sign-in/office", "").await;
        let there = reqwest::Url::parse(sent.headers["location"].to_str().unwrap()).unwrap();
        for name in ["state", "nonce", "code_challenge"] {
            let secret = there.query_pairs().find(|(is, _)| is == name).map(|(_, value)| value.into_owned());
            drawn.insert(secret.filter(|secret| secret.len() >= 43));
        }
        drawn.insert(cookies(&sent).into_iter().next());
    }
    assert!(drawn.len() == 12 && !drawn.contains(&None), "{drawn:?}");
}

#[tokio::test]
async fn where_browsers_come_back_by_https_cookies_travel_by_https_alone() {
    for (return_url, is_secure) in [(HERE, false), ("https://tocsin.example/sign-in/office/return", true)] {
        let office = Office::open(Rules { return_url: Some(return_url), ..Rules::default() }).await;
        let sent = office.get("/sign-in/office", "").await;
        let entered = office.through("/sign-in/office").await;
        session_of(&entered);
        let lines = [&sent, &entered].into_iter().flat_map(|answer| answer.headers.get_all("set-cookie"));
        let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().all(|line| line.ends_with("; Secure") == is_secure), "{return_url}: {lines:?}");
    }
}

/// Whoever sends browsers away fills our table and asks the issuer.
#[tokio::test]
async fn browsers_of_one_address_are_sent_away_so_often_and_those_who_come_back_do_not_count() {
    let office = Office::open(Rules::default()).await;
    let go = async || office.get("/sign-in/office", "").await.status;
    let back = office.there("/sign-in/office").await;
    for _ in 1..100 {
        assert_eq!(go().await, 303);
    }
    // An office of many is no one who guesses.
    session_of(&office.come_back(&back).await);
    assert_eq!((go().await, go().await), (303, 429));
    office.stage.clock.advance(TimeDelta::minutes(15));
    assert_eq!(go().await, 303);
}

#[tokio::test]
async fn one_goes_on_with_pages_of_ours_only() {
    let office = Office::open(Rules::default()).await;
    for next in
        ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/sign-out"]
    {
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let entered = office.through(&format!("/sign-in/office?next={next}")).await;
        let page = entered.body.as_str().unwrap();
        assert!(page.contains("content=\"0; url=/campaigns\"") && !page.contains("evil"), "{next}: {page}");
    }
    for path in ["/sign-in/unknown", "/sign-in/unknown/return?code=x&state=y"] {
        assert_eq!(office.get(path, "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_not_more_than_once_a_minute() {
    let office = Office::open(Rules::default()).await;
    session_of(&office.through("/sign-in/office").await);
    office.issuer.rotate().unwrap();
    office.stage.clock.advance(TimeDelta::minutes(2));
    session_of(&office.through("/sign-in/office").await);
    assert_eq!(office.issuer.keys_asked(), 2);
    office.issuer.forge(Forgery::UnknownKey);
    for _ in 0..3 {
        Office::is_refused(&office.through("/sign-in/office").await, "could not be learned", "made up");
    }
    assert_eq!(office.issuer.keys_asked(), 2, "whoever makes keys up does not make us ask");
    office.stage.clock.advance(TimeDelta::seconds(61));
    Office::is_refused(&office.through("/sign-in/office").await, "could not be learned", "made up");
    assert_eq!(office.issuer.keys_asked(), 3);
    // A key that the issuer has taken out is none after an hour.
    office.issuer.forge(Forgery::None);
    office.stage.clock.advance(TimeDelta::minutes(61));
    session_of(&office.through("/sign-in/office").await);
    assert_eq!(office.issuer.keys_asked(), 4);
}

#[tokio::test]
async fn only_users_come_in_and_only_of_the_issuers_district() {
    let office = Office::open(Rules { district: Some("North"), ..Rules::default() }).await;
    office.stage.user(office.stage.south, "sam@south.example", &["viewer"]).await;
    let gone = office.stage.user(office.stage.north, "gone@north.example", &["viewer"]).await;
    office.stage.sql.execute("update users set active = false where id = $1", &[&gone]).await.unwrap();
    for email in ["nobody@north.example", "sam@south.example", "gone@north.example"] {
        office.issuer.welcome(email);
        let answer = office.through("/sign-in/office").await;
        Office::is_refused(&answer, "nobody of that address has an account here", email);
    }
    office.issuer.welcome(" Ana@North.Example ");
    session_of(&office.through("/sign-in/office").await);
    let users = office.stage.sql.query_one("select count(*) from users", &[]).await.unwrap();
    assert_eq!(users.get::<_, i64>(0), 3, "nobody becomes a user where that is not configured");
}

#[tokio::test]
async fn a_user_of_several_districts_chooses_one() {
    let office = Office::open(Rules::default()).await;
    office.stage.user(office.stage.south, ANA, &["viewer"]).await;
    let asked = office.through("/sign-in/office?next=/log").await;
    assert_eq!((asked.status, office.sessions().await), (200, 0));
    let page = asked.body.as_str().unwrap();
    let south = office.stage.south;
    let link = format!("/sign-in/office?next=%2Flog&amp;district={south}");
    assert!(page.contains(&link), "{page}");
    let entered = office.through(&link.replace("&amp;", "&")).await;
    let seen = office.get("/campaigns", &session_of(&entered)).await;
    assert!(seen.body.as_str().unwrap().contains("South"), "{seen:?}");
}

#[tokio::test]
async fn groups_give_roles_and_whoever_has_none_stays_out() {
    let roles = [("admins", "administrator"), ("office", "communications")];
    let roles = roles.map(|(group, role)| (group.to_owned(), role.to_owned())).into();
    let rules = Rules { district: Some("North"), roles, new_user_role: Some("viewer"), ..Rules::default() };
    let office = Office::open(rules).await;
    let come = async |email: &str, groups: Value| {
        office.issuer.welcome_with(
            json!({ "sub": email, "email": email, "email_verified": true, "name": "Ben\u{7}  Li", "groups": groups }),
        );
        office.through("/sign-in/office").await
    };
    let roles_of = async |email: &str| {
        let sql = "select roles, display_name from users where login = $1";
        let row = office.stage.sql.query_opt(sql, &[&email]).await.unwrap();
        row.map(|row| (row.get::<_, Vec<String>>(0), row.get::<_, String>(1)))
    };
    session_of(&come(ANA, json!(["office", "elsewhere"])).await);
    assert_eq!(roles_of(ANA).await.unwrap().0, ["communications"]);
    for groups in [json!([]), json!(["elsewhere"]), json!(null), json!({ "admins": true })] {
        Office::is_refused(&come(ANA, groups.clone()).await, "has a role here", &groups.to_string());
    }
    Office::is_refused(&come("new@north.example", json!([])).await, "has a role here", "a newcomer");
    assert_eq!(roles_of("new@north.example").await, None);
    session_of(&come("new@north.example", json!("admins")).await);
    let (given, name) = roles_of("new@north.example").await.unwrap();
    assert_eq!((given, name.as_str()), (vec!["administrator".to_owned()], "Ben   Li"));
    Office::is_refused(
        &come("no address", json!(["admins"])).await,
        "nobody of that address",
        "no email address",
    );
    let sql = "select action from audit where actor = 'issuer office' order by id";
    let audited = office.stage.sql.query(sql, &[]).await.unwrap();
    let audited: Vec<&str> = audited.iter().map(|row| row.get(0)).collect();
    assert_eq!(audited, ["user.change", "user.add"]);
}

#[tokio::test]
async fn where_passwords_are_off_none_is_taken_or_asked_for() {
    let office = Office::open(Rules { passwords: Passwords::Refused, ..Rules::default() }).await;
    let page = office.get("/sign-in", "").await;
    let page = page.body.as_str().unwrap();
    assert!(page.contains("Sign in with the Office") && !page.contains("name=\"password\""), "{page}");
    let headers =
        [("origin", office.address.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let form = sign_in_form(ANA, PASSWORD);
    let client = &office.stage.client;
    let answer = ask(client, &office.address, Method::POST, "/sign-in", &headers, &form).await;
    assert!(answer.status == 403 && answer.headers.get("set-cookie").is_none(), "{answer:?}");
    let session = session_of(&office.through("/sign-in/office").await);
    let account = office.get("/account", &session).await;
    assert!(!account.body.as_str().unwrap().contains("Change your password"), "{account:?}");
}

#[tokio::test]
async fn an_issuer_that_is_away_is_said_to_be_and_keeps_nobody_else_out() {
    let Office { stage, issuer, address } = Office::open(Rules::default()).await;
    drop(issuer);
    // Its listener ends with its task, soon.
    tocsin_testkit::wait_until("the issuer is away", crate::stage::SOON, async || {
        let answer = ask(&stage.client, &address, Method::GET, "/sign-in/office", &[], "").await;
        answer.status == 502 && answer.body.as_str().unwrap().contains("the Office does not answer")
    })
    .await
    .unwrap();
    let headers = [("origin", address.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let form = sign_in_form(ANA, PASSWORD);
    let answer = ask(&stage.client, &address, Method::POST, "/sign-in", &headers, &form).await;
    assert_eq!(answer.status, 303);
}
