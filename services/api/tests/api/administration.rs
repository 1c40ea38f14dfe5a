//! Users, roles, keys and the audit over REST.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::stage::{Answer, KEY, OTHER_KEY, PASSWORD, Stage};

async fn send(stage: &Stage, method: Method, path: &str, body: Value) -> Answer {
    stage.send_as(KEY, method, path, &body).await
}

fn fields(answer: &Answer) -> Vec<&str> {
    answer.body["errors"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_user_is_made_changed_and_found_by_their_district_only() {
    let stage = Stage::start().await;
    let body =
        json!({"email": " Ana@North.example ", "name": "Ana", "password": PASSWORD, "roles": ["viewer"]});
    let made = send(&stage, Method::POST, "/v1/users", body.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (id, path) = (made.id(), format!("/v1/users/{}", made.id()));
    assert_eq!(made.headers["location"], path.as_str());
    assert_eq!(made.body["email"], "ana@north.example");
    assert!(!made.body.to_string().contains("argon2"), "{made:?}");
    send(&stage, Method::POST, "/v1/users", body.clone()).await.assert_problem(409, "login-taken");
    // The same address in another district is another user.
    let theirs = stage.send_as(OTHER_KEY, Method::POST, "/v1/users", &body).await;
    assert_eq!(theirs.status, 201, "{theirs:?}");

    let changed = send(&stage, Method::PATCH, &path, json!({"name": "Ana G.", "active": false})).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let is = |name: &str| changed.body[name].clone();
    assert_eq!((is("name"), is("active"), is("roles")), (json!("Ana G."), json!(false), json!(["viewer"])));
    let password = json!({"password": "another four words"});
    assert_eq!(send(&stage, Method::PUT, &format!("{path}/password"), password).await.status, 204);

    for (method, rest, body) in [
        (Method::GET, "", Value::Null),
        (Method::PATCH, "", json!({"name": "x"})),
        (Method::PUT, "/password", json!({"password": PASSWORD})),
    ] {
        let answer = stage.send_as(OTHER_KEY, method, &format!("{path}{rest}"), &body).await;
        answer.assert_problem(404, "unknown-user");
    }
    assert_eq!(stage.get(&path).await.body["name"], "Ana G.");
    let second = json!({"email": "ben@north.example", "name": "Ben", "password": PASSWORD});
    let second = send(&stage, Method::POST, "/v1/users", second).await.id();
    let first = stage.get("/v1/users?limit=1").await.body;
    assert_eq!(first["users"][0]["id"], json!(id));
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = stage.get(&format!("/v1/users?limit=1&cursor={cursor}")).await.body;
    assert_eq!((&rest["users"][0]["id"], &rest["next_cursor"]), (&json!(second), &Value::Null));
}

#[tokio::test]
async fn every_fault_of_a_user_is_told_at_once() {
    let stage = Stage::start().await;
    let body = json!({"email": "nobody", "name": "", "password": "short", "extra": 1});
    let answer = send(&stage, Method::POST, "/v1/users", body).await;
    answer.assert_problem(422, "invalid-body");
    assert_eq!(fields(&answer), ["email", "name", "password", "extra"]);
    let roles =
        json!({"email": "a@b.example", "name": "A", "password": PASSWORD, "roles": ["viewer", "nurse"]});
    let answer = send(&stage, Method::POST, "/v1/users", roles).await;
    answer.assert_problem(422, "invalid-body");
    assert_eq!(fields(&answer), ["roles[1]"]);
    send(&stage, Method::GET, "/v1/users/x", Value::Null).await.assert_problem(404, "unknown-user");
}

#[tokio::test]
async fn a_role_of_ones_own_gives_its_rights_to_whoever_has_it() {
    let stage = Stage::start().await;
    let nurse = json!({"rights": ["messages.own", "send"], "message_types": ["attendance"]});
    let answer = send(&stage, Method::PUT, "/v1/roles/nurse", nurse).await;
    assert_eq!((answer.status, &answer.body["built_in"]), (200, &json!(false)), "{answer:?}");
    let made = send(&stage, Method::POST, "/v1/api-keys", json!({"name": "n", "roles": ["nurse"]})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let key = made.body["key"].as_str().unwrap();
    let me = stage.get_as(key, "/v1/me").await.body;
    assert_eq!((&me["rights"], &me["sends"]), (&json!(["messages.own", "send"]), &json!(["attendance"])));
    send(&stage, Method::DELETE, "/v1/roles/nurse", Value::Null).await.assert_problem(409, "role-in-use");
    // Changed for all who have it, from then on.
    send(&stage, Method::PUT, "/v1/roles/nurse", json!({"rights": ["audit"]})).await;
    assert_eq!(stage.get_as(key, "/v1/me").await.body["rights"], json!(["audit"]));
    // Another district's role of the same name is another role.
    let none = stage.send_as(OTHER_KEY, Method::DELETE, "/v1/roles/nurse", &Value::Null).await;
    none.assert_problem(404, "unknown-role");

    send(&stage, Method::DELETE, &format!("/v1/api-keys/{}", made.id()), Value::Null).await;
    assert_eq!(send(&stage, Method::DELETE, "/v1/roles/nurse", Value::Null).await.status, 204);
    let names: Vec<Value> = stage.get("/v1/roles").await.body["roles"].as_array().unwrap().to_vec();
    assert!(names.len() == 5 && names.iter().all(|role| role["built_in"] == true), "{names:?}");
    for (name, body) in [
        ("administrator", json!({"rights": []})),
        ("Bad", json!({"rights": []})),
        ("odd", json!({"rights": ["everything"]})),
        ("odd", json!({"rights": ["send"], "message_types": ["emergency"]})),
        ("odd", json!({})),
    ] {
        let answer = send(&stage, Method::PUT, &format!("/v1/roles/{name}"), body).await;
        answer.assert_problem(422, "invalid-body");
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_opens_nothing_once_it_is_revoked() {
    let stage = Stage::start().await;
    let made = send(&stage, Method::POST, "/v1/api-keys", json!({"name": "sis", "roles": ["viewer"]})).await;
    let (key, path) = (made.body["key"].as_str().unwrap().to_owned(), format!("/v1/api-keys/{}", made.id()));
    let listed = stage.get("/v1/api-keys").await.body;
    assert!(!listed.to_string().contains(&key) && listed["api_keys"][0].get("key").is_none(), "{listed}");
    assert_eq!(stage.get_as(&key, "/v1/campaigns").await.status, 200);
    send(&stage, Method::PATCH, &path, json!({"roles": []})).await;
    stage.get_as(&key, "/v1/campaigns").await.assert_problem(403, "forbidden");
    stage.send_as(OTHER_KEY, Method::DELETE, &path, &Value::Null).await.assert_problem(404, "unknown-key");
    assert_eq!(stage.get_as(&key, "/v1/me").await.status, 200, "not revoked by another district");
    for _ in 0..2 {
        assert_eq!(send(&stage, Method::DELETE, &path, Value::Null).await.status, 204);
    }
    stage.get_as(&key, "/v1/me").await.assert_problem(401, "unauthorized");
    send(&stage, Method::PATCH, &path, json!({"name": "x"})).await.assert_problem(404, "unknown-key");
    let own = stage.get("/v1/me").await.body["id"].as_str().unwrap().to_owned();
    let answer = send(&stage, Method::DELETE, &format!("/v1/api-keys/{own}"), Value::Null).await;
    answer.assert_problem(409, "own-account");
}

#[tokio::test]
async fn the_audit_tells_who_did_what_and_pages_by_filter() {
    let stage = Stage::start().await;
    let (admin, admin_id) = stage.key(stage.north, "office", &["administrator"]).await;
    let begin = stage.clock.now();
    for n in 0..3 {
        stage.clock.advance(chrono::TimeDelta::minutes(1));
        let body = json!({"name": format!("key {n}"), "roles": []});
        stage.send_as(&admin, Method::POST, "/v1/api-keys", &body).await;
    }
    // Made by whoever it says, and done by the key that says so.
    let body = json!({"channels": {}, "updated_by": "Ms. Lee"});
    stage.send_as(&admin, Method::PUT, "/v1/limits", &body).await;
    let entries = stage.get("/v1/audit?actor=Ms.+Lee").await.body["entries"].clone();
    assert_eq!((&entries[0]["action"], &entries[0]["actor_id"]), (&json!("limits.put"), &json!(admin_id)));

    let mut seen = Vec::new();
    let mut path = "/v1/audit?actor=office&action=key.add&limit=2".to_owned();
    loop {
        let page = stage.get(&path).await.body;
        seen.extend(page["entries"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/audit?actor=office&action=key.add&limit=2&cursor={cursor}");
    }
    let names: Vec<_> = seen.iter().map(|entry| entry["details"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["key 2", "key 1", "key 0"], "newest first");
    let minute =
        |n: i64| (begin + chrono::TimeDelta::minutes(n)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let between = format!("/v1/audit?action=key.add&from={}&to={}", minute(2), minute(3));
    let found = stage.get(&between).await.body;
    assert_eq!(found["entries"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["entries"][0]["details"]["name"], "key 1");
    let theirs = stage.get_as(OTHER_KEY, "/v1/audit").await.body;
    assert_eq!(theirs["entries"], json!([]));
    stage.get("/v1/audit?from=yesterday").await.assert_problem(400, "invalid-query");
}
