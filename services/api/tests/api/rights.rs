//! Every endpoint × every role × own and foreign district, by the table that the router is built of; and whose messages
//! are whose.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tocsin_api::Needs;
use tocsin_api::routes::{Door, table};
use tocsin_domain::DistrictId;
use tocsin_domain::rights::{BuiltIn, Grant, Right};
use tocsin_runtime::Clock as _;
use uuid::Uuid;

use crate::console::Visitor;
use crate::series::{send, with_zone};
use crate::stage::{KEY, OTHER_KEY, SOON, Stage, campaign};

/// Somebody with one role, through both doors.
struct Somebody {
    role: BuiltIn,
    grant: Grant,
    key: String,
    cookie: String,
}

impl Somebody {
    async fn of(stage: &Stage, role: BuiltIn) -> Self {
        let name = role.as_str();
        let (key, _) = stage.key(stage.north, name, &[name]).await;
        let email = format!("{name}@north.example");
        stage.user(stage.north, &email, &[name]).await;
        let cookie = Visitor::of(stage, &email).await.cookie().to_owned();
        Self { role, grant: Grant::of([&role.role()]), key, cookie }
    }

    /// The right that stops them whatever they ask for.
    fn lacks(&self, needs: Needs) -> Option<&'static [Right]> {
        needs.rights().into_iter().find(|rights| !rights.iter().any(|right| self.grant.may(*right)))
    }
}

/// What the placeholders of paths stand for: all of it is there, in one district, and not in the other.
struct Things {
    /// What those of a district are called by.
    name: &'static str,
    approval: Uuid,
    import: Uuid,
    attachment: String,
    delivery: String,
    campaign: String,
    series: String,
    template: String,
    user: Uuid,
    key: Uuid,
    webhook: String,
}

impl Things {
    async fn of(stage: &Stage, district: DistrictId, admin: &str, name: &'static str) -> Self {
        let attachment = stage.attach_as(admin, "menu.txt", b"menu".to_vec()).await.id();
        let mut with_file = campaign();
        with_file["attachments"] = json!([attachment]);
        let made = stage.submit_as(admin, "of the matrix", &with_file).await;
        let (approval, import) = (Uuid::now_v7(), Uuid::now_v7());
        stage.sql.batch_execute(&rows_of(district, name, approval, import)).await.unwrap();
        let send = async |path: &str, body: &Value| send(stage, Method::POST, admin, path, body).await.id();
        let mut series = campaign();
        series["recurrence"] = json!({"frequency": "daily", "starts_on": "2099-01-01", "at": "08:00"});
        let starts_on = (stage.clock.now() + chrono::TimeDelta::days(2)).format("%Y-%m-%d").to_string();
        series["recurrence"]["starts_on"] = json!(starts_on);
        let mut template = campaign();
        template["name"] = json!("of the matrix");
        let hook = json!({"url": "https://hooks.example.org/", "events": ["campaign.closed"]});
        let webhook = send("/v1/webhooks", &hook).await;
        let path = format!("/v1/webhooks/{webhook}");
        stage.send_as(admin, Method::POST, &format!("{path}/test"), &Value::Null).await;
        let sent = stage.get_as(admin, &format!("{path}/deliveries")).await.body;
        Self {
            name,
            approval,
            import,
            attachment,
            delivery: sent["deliveries"][0]["id"].as_str().unwrap_or_else(|| panic!("{sent}")).to_owned(),
            webhook,
            series: send("/v1/series", &series).await,
            template: send("/v1/templates", &template).await,
            campaign: made.id(),
            user: stage.user(district, "thing@example.org", &[]).await,
            key: stage.key(district, "thing", &[]).await.1,
        }
    }

    fn path(&self, pattern: &str) -> String {
        let (approval, import, name) = (self.approval.to_string(), self.import.to_string(), self.name);
        let id: &str = match pattern {
            it if it.contains("/approvals/") => &approval,
            it if it.contains("/series/") => &self.series,
            it if it.contains("/templates/") => &self.template,
            it if it.contains("/webhooks/") => &self.webhook,
            it if it.contains("/imports/") => &import,
            _ => &self.campaign,
        };
        [
            ("{id}", id),
            ("{campaign}", &self.campaign),
            ("{recipient}", "1"),
            ("{student}", &format!("student-{name}")),
            ("{school}", &format!("school-{name}")),
            ("{user}", &self.user.to_string()),
            ("{key}", &self.key.to_string()),
            ("{delivery}", &self.delivery),
            ("{role}", &format!("role-{name}")),
            ("{message_type}", "general"),
            ("{phone}", &format!("{name}@example.org")),
            ("{channel}", "email"),
            ("{address}", &format!("{name}@example.org")),
            ("{person}", &format!("person-{name}")),
            ("{message}", &format!("{}.1", self.campaign)),
            ("{part}", "contacted"),
            ("{attachment}", &self.attachment),
            ("{name}", "console.css"),
            ("{issuer}", "office"),
        ]
        .iter()
        .fold(pattern.to_owned(), |path, (placeholder, value)| path.replace(placeholder, value))
    }
}

/// What no request of a test makes: a person with a student, addresses that are not to be tried, a role of its own, an approval
/// and a delivery that wait.
fn rows_of(district: DistrictId, name: &str, approval: Uuid, import: Uuid) -> String {
    format!(
        "insert into schools (district_id, source_id, name, kind) values ('{district}', 'school-{name}', 'School', 'school');
         insert into people (district_id, source_id, given_name, family_name, role, active)
           values ('{district}', 'person-{name}', 'Ana', 'Lee', 1, true), ('{district}', 'student-{name}', 'Ben', 'Lee', 2, true);
         insert into students (district_id, person_id, school_source_id, active)
           select district_id, id, 'school-{name}', true from people where source_id = 'student-{name}';
         insert into contacts (district_id, person_id, student_id, relationship)
           select p.district_id, p.id, s.id, 'parent' from people p, people s
           where p.source_id = 'person-{name}' and s.source_id = 'student-{name}';
         insert into devices (district_id, person_id, channel, address, position)
           select district_id, id, 3, '{name}@example.org', 0 from people where source_id = 'person-{name}';
         insert into suppressions (district_id, channel, address, outcome, reason, created_at)
           values ('{district}', 3, '{name}@example.org', 32, 'complaint', now());
         insert into unsubscribes (district_id, address, message_type, created_at)
           values ('{district}', '{name}@example.org', 'general', now());
         insert into roles (district_id, name, rights, changed_at, changed_by)
           values ('{district}', 'role-{name}', '{{reports}}', now(), 'a');
         insert into approvals (district_id, id, client_key, request_hash, request, subject, asked_by, asked_at, expires_at)
           values ('{district}', '{approval}', 'asked', '', '{{}}', 'Lockdown', 'a', now(), now() + interval '1 day');
         insert into imports (district_id, id, state, created_at, created_by, file_name, strict, reason)
           values ('{district}', '{import}', 5, now(), 'a', 'roster.zip', false, 'no roster')"
    )
}

/// All rows of a district, by table.
async fn rows(stage: &Stage, district: DistrictId) -> Vec<(String, String)> {
    let tables = "select table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
                  where c.table_schema = 'public' and c.column_name = 'district_id' and t.table_type = 'BASE TABLE' order by 1";
    let mut all = Vec::new();
    for found in stage.sql.query(tables, &[]).await.unwrap() {
        let table: String = found.get(0);
        let sql = format!(
            "select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from {table} t where district_id = '{district}'"
        );
        all.push((table, stage.sql.query_one(&sql, &[]).await.unwrap().get(0)));
    }
    all
}

/// Does it name a thing of one district? One that the caller's has not is as unknown as none. Whatever puts one there makes
/// the own one; of consents and policies there is one for whatever is asked.
fn names_a_thing(method: &str, pattern: &str) -> bool {
    let makes = method == "PUT" && pattern == "/v1/roles/{role}";
    let things = ["{id}", "{user}", "{key}", "{person}", "{attachment}", "{delivery}", "{role}", "{address}"];
    !makes && things.iter().any(|thing| pattern.contains(thing))
}

/// The status, and of a problem its body. Streams are not waited for.
async fn status(
    stage: &Stage,
    door: Door,
    who: Option<&Somebody>,
    method: &str,
    path: &str,
) -> (StatusCode, Value) {
    let method: Method = method.parse().unwrap();
    let mut request = stage.client.request(method, format!("{}{path}", stage.address)).timeout(SOON);
    request = match (door, who) {
        (Door::Key, Some(who)) => request.bearer_auth(&who.key),
        (Door::Page, Some(who)) => request.header("cookie", &who.cookie),
        (_, None) => request,
    };
    let answer = request.header("origin", &stage.address).send().await.unwrap();
    let status = answer.status();
    let body = if status == StatusCode::FORBIDDEN { answer.text().await.unwrap() } else { String::new() };
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

#[tokio::test]
async fn every_route_asks_for_its_right_of_every_role_in_the_own_and_a_foreign_district() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let own = Things::of(&stage, stage.north, KEY, "north").await;
    let foreign = Things::of(&stage, stage.south, OTHER_KEY, "south").await;
    let before = rows(&stage, stage.south).await;
    assert!(before.iter().filter(|(_, rows)| !rows.is_empty()).count() > 15, "{before:?}");
    let mut everybody = Vec::new();
    for role in BuiltIn::ALL {
        everybody.push(Somebody::of(&stage, role).await);
    }
    let mut asked = 0;
    for (method, pattern, needs, door) in table() {
        if needs == Needs::Nothing {
            continue;
        }
        let (nobody, _) = status(&stage, door, None, method, &own.path(pattern)).await;
        assert_eq!(nobody, 401, "{method} {pattern} without a key or a session");
        for who in &everybody {
            for (things, is_own) in [(&own, true), (&foreign, false)] {
                let path = things.path(pattern);
                let (got, body) = status(&stage, door, Some(who), method, &path).await;
                let says = format!("{method} {path} as {}: {got} {body}", who.role.as_str());
                assert!(got != 401 && !got.is_server_error(), "{says}");
                asked += 1;
                if let Some(rights) = who.lacks(needs) {
                    assert_eq!(got, 403, "{says}");
                    if door == Door::Key {
                        assert_eq!(body["type"], "urn:tocsin:problem:forbidden", "{says}");
                        assert_eq!(body["right"], rights[0].as_str(), "{says}");
                    }
                    continue;
                }
                if names_a_thing(method, pattern) && !is_own {
                    assert_eq!(got, 404, "{says}");
                } else if pattern.contains("{id}") && !matches!(needs, Needs::Right(_) | Needs::OneOf(_)) {
                    // It is the administrator's: others see it by right, and edit and cancel it by others.
                    let sees = who.grant.may(Right::AllMessages);
                    let acts = match needs {
                        Needs::Cancel | Needs::CancelSeries => who.grant.may(Right::CancelAll),
                        Needs::Edit | Needs::EditSeries => who.grant.may(Right::EditAllScheduled),
                        _ => true,
                    };
                    let refused = if sees { 403 } else { 404 };
                    assert_eq!(got.as_u16() == refused, !(sees && acts), "{says}");
                } else {
                    assert_ne!(got, 403, "{says}");
                }
            }
        }
    }
    assert!(asked > 500, "{asked} requests");
    for (before, after) in before.iter().zip(rows(&stage, stage.south).await) {
        assert_eq!(*before, after, "something of the other district changed");
    }
}

/// The table is held to what is written here by hand.
#[test]
fn what_each_built_in_role_may_use() {
    let may = |role: BuiltIn, route: &str| {
        let (method, path) = route.split_once(' ').unwrap();
        let found = table().into_iter().find(|(is, at, ..)| (*is, *at) == (method, path));
        let (.., needs, _) = found.unwrap_or_else(|| panic!("{route} is no route"));
        let grant = Grant::of([&role.role()]);
        needs != Needs::Nothing
            && needs.rights().iter().all(|rights| rights.iter().any(|right| grant.may(*right)))
    };
    use BuiltIn::{Administrator, Communications, Portal, Secretary, Viewer};
    for (route, roles) in [
        ("POST /v1/campaigns", &[Administrator, Communications, Secretary][..]),
        ("GET /v1/campaigns", &[Administrator, Communications, Secretary, Viewer]),
        ("POST /v1/campaigns/{id}/correction", &[Administrator, Communications, Secretary]),
        ("GET /v1/people/{person}/inbox", &[Administrator, Portal]),
        ("GET /v1/people/{person}/inbox/{message}/attachments/{attachment}", &[Administrator, Portal]),
        ("POST /v1/attachments", &[Administrator, Communications, Secretary]),
        ("GET /attachments/{attachment}", &[Administrator, Communications, Secretary]),
        ("POST /compose/count", &[Administrator, Communications, Secretary]),
        ("PATCH /v1/campaigns/{id}", &[Administrator, Communications, Secretary, Viewer]),
        ("GET /v1/campaigns/{id}/report", &[Administrator, Communications, Secretary, Viewer]),
        ("POST /v1/series", &[Administrator, Communications, Secretary]),
        ("GET /v1/series/{id}", &[Administrator, Communications, Secretary, Viewer]),
        ("PUT /v1/templates/{id}", &[Administrator, Communications, Secretary]),
        ("GET /v1/people", &[Administrator, Communications, Secretary]),
        ("GET /v1/people/{person}/communications", &[Administrator, Communications, Secretary]),
        ("POST /v1/people", &[Administrator]),
        ("POST /v1/imports", &[Administrator]),
        ("GET /v1/consents.csv", &[Administrator, Communications]),
        ("GET /v1/message-types", &BuiltIn::ALL),
        ("GET /help/statuses", &BuiltIn::ALL),
        ("POST /compose", &[Administrator, Communications, Secretary]),
        ("POST /v1/suppressions", &[Administrator, Communications]),
        ("PUT /v1/limits", &[Administrator]),
        ("POST /v1/users", &[Administrator]),
        ("PUT /v1/roles/{role}", &[Administrator]),
        ("POST /v1/api-keys", &[Administrator]),
        ("POST /v1/webhooks", &[Administrator]),
        ("GET /webhooks", &[Administrator]),
        ("GET /v1/audit", &[Administrator]),
        ("GET /v1/me", &BuiltIn::ALL),
        ("POST /v1/approvals/{id}/approve", &[Administrator, Communications]),
        ("POST /approvals/{id}/decline", &[Administrator, Communications]),
        ("POST /users/new", &[Administrator]),
        ("POST /v1/campaigns/{id}/refresh", &[Administrator, Communications, Secretary, Viewer]),
        ("POST /campaigns/{id}/cancel", &[Administrator, Communications, Secretary, Viewer]),
    ] {
        for role in BuiltIn::ALL {
            assert_eq!(may(role, route), roles.contains(&role), "{route} as {}", role.as_str());
        }
    }
}

/// A route outside the table would be reached without a right. There is one place where routes are made.
#[test]
fn routes_are_made_in_the_table_only() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut open = vec![std::path::PathBuf::from(root)];
    let mut makers = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains(".route(") {
                makers.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    assert_eq!(makers, ["routes.rs"]);
}

#[tokio::test]
async fn own_messages_are_seen_and_canceled_and_others_are_not_there() {
    let stage = Stage::start().await;
    let (ana, ana_id) = stage.key(stage.north, "ana", &["secretary"]).await;
    let (ben, _) = stage.key(stage.north, "ben", &["secretary"]).await;
    let (viewer, _) = stage.key(stage.north, "vic", &["viewer"]).await;
    let made = stage.submit_as(&ana, "mine", &campaign()).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!((&made.body["created_by"], &made.body["creator_id"]), (&json!("ana"), &json!(ana_id)));
    let id = made.id();
    let listed = async |key: &str| {
        let answer = stage.get_as(key, "/v1/campaigns").await;
        answer.body["campaigns"].as_array().unwrap().len()
    };
    assert_eq!((listed(&ana).await, listed(&ben).await, listed(&viewer).await), (1, 0, 1));
    for rest in ["", "/recipients", "/forecast", "/receipt", "/receipt/contacted"] {
        stage
            .get_as(&ben, &format!("/v1/campaigns/{id}{rest}"))
            .await
            .assert_problem(404, "unknown-campaign");
    }
    let cancel = format!("/v1/campaigns/{id}/cancel");
    let post = async |key: &str| stage.send_as(key, Method::POST, &cancel, &Value::Null).await;
    post(&ben).await.assert_problem(404, "unknown-campaign");
    let refused = post(&viewer).await;
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.body["right"], "messages.cancel_all");
    assert!(stage.get_as(&ana, &format!("/v1/campaigns/{id}")).await.body["cancel"].is_null());
    // Another's key and body make nobody see what it made.
    stage.submit_as(&ben, "mine", &campaign()).await.assert_problem(409, "key-reused");
    let correct = json!({"audience": {"receipt": {"campaign": id}}, "body": "x"});
    stage.submit_as(&ben, "correct", &correct).await.assert_problem(404, "unknown-campaign");
    assert_eq!(post(&ana).await.status, 202);
}

#[tokio::test]
async fn all_scheduled_messages_are_seen_with_their_right_and_canceled_with_another() {
    let stage = Stage::start().await;
    let put = async |name: &str, rights: &[&str]| {
        let body = json!({"rights": rights});
        let answer = stage.send_as(KEY, Method::PUT, &format!("/v1/roles/{name}"), &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    put("planner", &["messages.own", "scheduled.view_all"]).await;
    put("editor", &["messages.own", "scheduled.edit_all"]).await;
    let (planner, _) = stage.key(stage.north, "p", &["planner"]).await;
    let (editor, _) = stage.key(stage.north, "e", &["editor"]).await;
    let mut scheduled = campaign();
    scheduled["scheduled_at"] = json!(stage.clock.now() + chrono::TimeDelta::hours(2));
    let later = stage.submit("later", &scheduled).await.id();
    let now = stage.campaign("now").await;
    for key in [&planner, &editor] {
        let list = stage.get_as(key, "/v1/campaigns").await.body;
        let ids: Vec<&str> =
            list["campaigns"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [later.as_str()]);
        stage.get_as(key, &format!("/v1/campaigns/{now}")).await.assert_problem(404, "unknown-campaign");
        assert_eq!(stage.get_as(key, &format!("/v1/campaigns/{later}")).await.status, 200);
    }
    let cancel = format!("/v1/campaigns/{later}/cancel");
    stage.send_as(&planner, Method::POST, &cancel, &Value::Null).await.assert_problem(403, "forbidden");
    assert!(stage.send_as(&editor, Method::POST, &cancel, &Value::Null).await.status < 300);
}

#[tokio::test]
async fn a_message_needs_the_right_of_its_type_and_an_emergency_its_own() {
    let stage = Stage::start().await;
    let (secretary, _) = stage.key(stage.north, "s", &["secretary"]).await;
    for (kind, right) in [
        ("general", None),
        ("attendance", None),
        ("priority", Some("send")),
        ("special_ed", Some("send")),
        ("emergency", Some("send.emergency")),
    ] {
        let mut body = campaign();
        body["message_type"] = json!(kind);
        let made = stage.submit_as(&secretary, kind, &body).await;
        let forecast = stage.send_as(&secretary, Method::POST, "/v1/campaigns/forecast", &body).await;
        match right {
            None => assert_eq!((made.status, forecast.status), (201, 200), "{kind}: {made:?} {forecast:?}"),
            Some(right) => {
                for answer in [made, forecast] {
                    answer.assert_problem(403, "forbidden");
                    assert_eq!(answer.body["right"], right, "{kind}: {answer:?}");
                }
            }
        }
    }
    let me = stage.get_as(&secretary, "/v1/me").await.body;
    assert_eq!(me["kind"], "api_key");
    assert_eq!(me["sends"], json!(["general", "attendance", "behavior", "missing_assignment"]));
    assert_eq!(me["district"]["name"], "North");
}
