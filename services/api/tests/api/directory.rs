//! The directory over REST.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Answer, KEY, OTHER_KEY, Stage};

impl Stage {
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {KEY}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(method, path, &headers, &body).await
    }

    /// Ana Lee, a contact with a text and an email, and her daughter Bo at Lincoln in grade 3, who has no device.
    pub async fn family(&self) {
        self.sql
            .batch_execute(&format!(
                "insert into schools (district_id, source_id, name, kind) values ('{0}', 'lin', 'Lincoln', 'school');
                 insert into people (district_id, source_id, given_name, family_name, role, language, roster_language,
                     active)
                   values ('{0}', 'ana', 'Ana', 'Lee', 1, 'es', 'es', true), ('{0}', 'bo', 'Bo', 'Lee', 2, null, null, true);
                 insert into students (district_id, person_id, school_source_id, grade, active)
                   select '{0}', id, 'lin', '03', true from people where source_id = 'bo';
                 insert into contacts (district_id, person_id, student_id, relationship, by_person)
                   select '{0}', a.id, b.id, 'parent', false from people a, people b
                   where a.source_id = 'ana' and b.source_id = 'bo';
                 insert into devices (district_id, person_id, channel, address, position)
                   select '{0}', id, channel, address, 1 from people
                   cross join (values (2, '+16035550142'), (3, 'ana@example.org')) d(channel, address)
                   where source_id = 'ana'",
                self.north
            ))
            .await
            .unwrap();
    }
}

fn to_family() -> Value {
    json!({
        "subject": "Early dismissal at {{ school_name }}",
        "channels": ["sms", "email"],
        "audience": {"all": true},
        "contents": [
            {"body": "{{ student_given_name | Your child }} may be picked up, {{ given_name }}."},
            {"language": "es", "channel": "email", "body": "Salida temprana, {{ given_name }}."},
        ],
    })
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.body["people"].as_array().unwrap().iter().map(|one| one["source_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_name_id_phone_or_email() {
    let stage = Stage::start().await;
    stage.family().await;
    for (query, found) in [
        ("", &["ana", "bo"][..]),
        ("?q=le", &["ana", "bo"]),
        ("?q=AN", &["ana"]),
        ("?q=ana%20l", &["ana"]),
        ("?q=lee%20bo", &["bo"]),
        ("?q=bo", &["bo"]),
        ("?q=603555", &["ana"]),
        ("?q=(603)%20555-01", &["ana"]),
        ("?q=%2B1603", &["ana"]),
        ("?q=ana@", &["ana"]),
        ("?q=nobody", &[]),
        ("?q=%25e", &[]),
        ("?role=student", &["bo"]),
        ("?school=lin&grade=03", &["bo"]),
        ("?grade=04", &[]),
        ("?active=false", &[]),
    ] {
        let answer = stage.get(&format!("/v1/people{query}")).await;
        assert_eq!(ids(&answer), found, "{query}");
    }
    let first = stage.get("/v1/people?limit=1").await;
    assert_eq!(ids(&first), ["ana"]);
    let next = first.body["next_cursor"].as_str().unwrap();
    let second = stage.get(&format!("/v1/people?limit=1&cursor={next}")).await;
    assert_eq!((ids(&second), &second.body["next_cursor"]), (vec!["bo"], &Value::Null));
    for faulty in ["?q=a", "?role=parent", "?active=yes", "?colour=red", "?cursor=x"] {
        stage.get(&format!("/v1/people{faulty}")).await.assert_problem(400, "invalid-query");
    }
    assert_eq!(ids(&stage.get_as(OTHER_KEY, "/v1/people").await), [""; 0]);
}

#[tokio::test]
async fn a_person_shows_both_sides_of_a_contact() {
    let stage = Stage::start().await;
    stage.family().await;
    let ana = stage.get("/v1/people/ana").await.body;
    assert_eq!(
        (&ana["students"][0]["source_id"], &ana["students"][0]["by_roster"]),
        (&json!("bo"), &json!(true))
    );
    let bo = stage.get("/v1/people/bo").await.body;
    assert_eq!(bo["contacts"][0]["name"], "Ana Lee");
    assert_eq!(
        (&bo["enrolments"][0]["school_name"], &bo["enrolments"][0]["grade"]),
        (&json!("Lincoln"), &json!("03"))
    );
    stage.get("/v1/people/nobody").await.assert_problem(404, "unknown-person");
    stage.get_as(OTHER_KEY, "/v1/people/ana").await.assert_problem(404, "unknown-person");
    assert_eq!(stage.get("/v1/schools").await.body["schools"][0]["name"], "Lincoln");
    assert_eq!(stage.get("/v1/classes?school=lin").await.body["classes"], json!([]));
}

#[tokio::test]
async fn a_person_is_added_changed_stopped_and_taken_back() {
    let stage = Stage::start().await;
    let new = json!({"source_id": "a/b", "given_name": "Uli", "family_name": "Orr", "role": "guardian", "language": "ES"});
    let made = stage.send(Method::POST, "/v1/people", &new).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        (made.headers["location"].to_str().unwrap(), &made.body["language"]),
        ("/v1/people/a%2Fb", &json!("es"))
    );
    stage.send(Method::POST, "/v1/people", &new).await.assert_problem(409, "person-exists");
    let path = "/v1/people/a%2Fb";
    let changed = stage.send(Method::PUT, path, &json!({"given_name": "Ulla", "active": false})).await;
    assert_eq!((&changed.body["given_name"], &changed.body["active"]), (&json!("Ulla"), &json!(false)));
    assert_eq!(stage.send(Method::PUT, path, &json!({"active": true})).await.body["active"], true);
    assert_eq!(stage.send(Method::DELETE, path, &Value::Null).await.body["active"], false);
    let faulty =
        stage.send(Method::POST, "/v1/people", &json!({"role": "parent", "time_zone": "Mars"})).await;
    faulty.assert_problem(422, "invalid-body");
    let fields: Vec<_> =
        faulty.body["errors"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["given_name", "family_name", "role", "time_zone"]);
    stage.family().await;
    let renamed = stage.send(Method::PUT, "/v1/people/ana", &json!({"given_name": "Anna"})).await;
    renamed.assert_problem(409, "of-roster");
    assert!(renamed.body["detail"].as_str().unwrap().contains("student information system"));
}

#[tokio::test]
async fn devices_are_read_as_an_import_reads_them_and_refused_with_field_fault_and_remedy() {
    let stage = Stage::start().await;
    stage.family().await;
    let add = async |channel: &str, address: &str| {
        let device = json!({"channel": channel, "address": address});
        stage.send(Method::POST, "/v1/people/ana/devices", &device).await
    };
    for (channel, address, stored) in [
        ("voice", "(603) 555-0143 x12", "+16035550143"),
        ("sms", "+44 121 234 5678", "+441212345678"),
        ("email", " ana.lee@EXAMPLE.org ", "ana.lee@example.org"),
        ("inbox", "ana.portal", "ana.portal"),
    ] {
        let answer = add(channel, address).await;
        assert_eq!(answer.status, 200, "{address}: {answer:?}");
        let devices = answer.body["devices"].as_array().unwrap().clone();
        assert!(
            devices.iter().any(|it| it["address"] == stored && it["by_hand"] == true),
            "{stored}: {devices:?}"
        );
    }
    for (channel, address, says) in [
        ("voice", "555-0143", "country code"),
        ("sms", "603-555-0143 x12", "extension"),
        ("email", "ana at home", "ana@example.org"),
        ("fax", "603-555-0143", "voice, sms, email, inbox"),
        ("voice", " ", "fill it in"),
    ] {
        let answer = add(channel, address).await;
        answer.assert_problem(422, "invalid-body");
        assert!(answer.body["errors"][0]["reason"].as_str().unwrap().contains(says), "{answer:?}");
    }
    let path = "/v1/people/ana/devices";
    let gone = stage.send(Method::DELETE, &format!("{path}/voice/%2B16035550143"), &Value::Null).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    let of_roster = stage.send(Method::DELETE, &format!("{path}/sms/%2B16035550142"), &Value::Null).await;
    of_roster.assert_problem(409, "of-roster");
    for unknown in ["sms/%2B15550000000", "fax/1"] {
        let answer = stage.send(Method::DELETE, &format!("{path}/{unknown}"), &Value::Null).await;
        answer.assert_problem(404, "unknown-device");
    }
}

#[tokio::test]
async fn preferences_are_set_whole_or_refused_with_every_fault() {
    let stage = Stage::start().await;
    stage.family().await;
    let put = async |body: Value| stage.send(Method::PUT, "/v1/people/ana/preferences", &body).await;
    let sms = json!({"channel": "sms", "address": "+16035550142", "declined": ["general", "attendance"]});
    let mail = json!({"channel": "email", "address": "ana@example.org", "accepted": ["general"]});
    let answer = put(json!({"language": "vi", "time_zone": "America/Denver", "devices": [sms, mail]})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        (&answer.body["language"], &answer.body["preferences"]["language"]),
        (&json!("vi"), &json!("vi"))
    );
    assert_eq!(answer.body["devices"][0]["declined"], json!(["general", "attendance"]));
    assert_eq!(answer.body["devices"][1]["declined"].as_array().unwrap().len(), 8);
    let roster_again = put(json!({"language": null})).await;
    assert_eq!(
        (&roster_again.body["language"], &roster_again.body["time_zone"]),
        (&json!("es"), &json!("America/Denver"))
    );
    let faulty = put(json!({"language": "Spanish", "devices": [
        {"channel": "sms", "address": "+16035550142", "declined": ["emergency"]},
        {"channel": "sms", "address": "+15550000000", "declined": []},
        {"channel": "email", "address": "ana@example.org"},
    ]}))
    .await;
    faulty.assert_problem(422, "invalid-body");
    let fields: Vec<_> =
        faulty.body["errors"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["language", "devices[0].declined", "devices[1].address", "devices[2].declined"]);
    let counted = stage.send(Method::POST, "/v1/audience/count", &json!({"audience": {"all": true}})).await;
    assert_eq!(
        counted.body,
        json!({"recipients": 1, "no_device": 0,
        "devices": {"voice": 0, "sms": 0, "email": 1, "inbox": 0}, "exact": true})
    );
}

#[tokio::test]
async fn contacts_and_enrolments_are_made_and_ended() {
    let stage = Stage::start().await;
    stage.family().await;
    stage.staff("ted", &[]).await;
    let path = "/v1/people/ted/students/bo";
    let made = stage.send(Method::PUT, path, &json!({"relationship": "relative"})).await;
    assert_eq!(made.body["students"][0]["relationship"], "relative", "{made:?}");
    let ended = stage.send(Method::DELETE, path, &Value::Null).await;
    assert!(ended.body["students"][0]["ended_at"].is_string(), "{ended:?}");
    stage
        .send(Method::PUT, "/v1/people/bo/students/ana", &Value::Null)
        .await
        .assert_problem(409, "not-a-student");
    stage
        .send(Method::DELETE, "/v1/people/ted/students/ana", &Value::Null)
        .await
        .assert_problem(404, "unknown-person");
    stage
        .send(Method::PUT, "/v1/people/bo/schools/nowhere", &Value::Null)
        .await
        .assert_problem(404, "unknown-school");
    stage
        .send(Method::PUT, "/v1/people/ana/schools/lin", &Value::Null)
        .await
        .assert_problem(409, "not-a-student");
    stage
        .send(Method::DELETE, "/v1/people/bo/schools/lin", &Value::Null)
        .await
        .assert_problem(409, "of-roster");
}

/// Requirement 172: before it is sent, and as it was sent, the same text.
#[tokio::test]
async fn a_preview_is_what_is_sent_and_stays_so_whatever_changes() {
    let stage = Stage::start().await;
    stage.family().await;
    let mut draft = to_family();
    draft["person"] = "ana".into();
    let preview = stage.send(Method::POST, "/v1/campaigns/preview", &draft).await;
    assert_eq!(preview.status, 200, "{preview:?}");
    let previews = preview.body["previews"].as_array().unwrap();
    assert_eq!(previews.len(), 1);
    let messages = &previews[0]["messages"];
    assert_eq!(messages[0]["body"], "Bo may be picked up, Ana.");
    assert_eq!(
        (&messages[1]["body"], &messages[1]["subject"]),
        (&json!("Salida temprana, Ana."), &json!("Early dismissal at Lincoln"))
    );
    draft["person"] = "bo".into();
    assert_eq!(stage.send(Method::POST, "/v1/campaigns/preview", &draft).await.body["previews"], json!([]));
    draft["person"] = "nobody".into();
    stage.send(Method::POST, "/v1/campaigns/preview", &draft).await.assert_problem(404, "unknown-person");
    draft.as_object_mut().unwrap().remove("person");
    stage.send(Method::POST, "/v1/campaigns/preview", &draft).await.assert_problem(422, "invalid-body");

    let campaign = stage.submit("k", &to_family()).await.id();
    stage.expand_all().await;
    stage.sql.batch_execute("update people set given_name = 'Changed', language = 'vi'").await.unwrap();
    let rows = stage.get(&format!("/v1/campaigns/{campaign}/recipients")).await.body;
    let recipient = &rows["recipients"][0]["recipient_id"];
    let path = format!("/v1/campaigns/{campaign}/recipients/{recipient}/message");
    let sent = stage.get(&path).await.body;
    assert_eq!(&sent, &previews[0]);
    let email = stage.get(&format!("{path}?channel=email")).await.body;
    assert_eq!(email["messages"].as_array().unwrap().len(), 1);
    stage
        .get(&format!("/v1/campaigns/{campaign}/recipients/99/message"))
        .await
        .assert_problem(404, "unknown-recipient");
    stage.get_as(OTHER_KEY, &path).await.assert_problem(404, "unknown-campaign");

    for (person, own) in [("ana", true), ("bo", false)] {
        let found = stage.get(&format!("/v1/people/{person}/communications?sort=mode")).await.body;
        let listed = found["communications"].as_array().unwrap();
        assert_eq!(listed.len(), 2, "{person}: {found}");
        assert_eq!((&listed[0]["channel"], &listed[1]["channel"]), (&json!("sms"), &json!("email")));
        assert!(listed.iter().all(|it| it["own"] == own && it["campaign"] == *campaign), "{person}: {found}");
    }
    stage.get_as(OTHER_KEY, "/v1/people/ana/communications").await.assert_problem(404, "unknown-person");
    for faulty in [
        "from=yesterday",
        "status=odd",
        "mode=fax",
        "sort=colour",
        "from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z",
        "from=2020-01-01T00:00:00Z",
    ] {
        let answer = stage.get(&format!("/v1/people/ana/communications?{faulty}")).await;
        answer.assert_problem(400, "invalid-query");
    }
}

#[tokio::test]
async fn a_file_of_source_ids_becomes_an_audience_and_unknown_ones_are_told_by_line() {
    let stage = Stage::start().await;
    stage.family().await;
    let bearer = format!("Bearer {KEY}");
    let post = async |kind: &str, body: &str| {
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        stage.ask(Method::POST, "/v1/audience/people", &headers, body).await
    };
    let answer = post("text/csv", "sourcedId\nana\nghost\nbo\nana\n").await;
    assert_eq!(
        answer.body,
        json!({"people": ["ana", "bo"], "unknown_count": 1,
        "unknown": [{"line": 3, "source_id": "ghost"}]})
    );
    post("application/json", "[]").await.assert_problem(415, "not-csv");
    post("text/csv", "\n").await.assert_problem(400, "bad-csv");
    let counted = stage
        .send(
            Method::POST,
            "/v1/audience/count",
            &json!({"audience": {"any_of": [
            {"people": answer.body["people"]}, {"schools": ["lin"], "roles": ["student", "guardian"]}]}}),
        )
        .await;
    assert_eq!(
        (&counted.body["recipients"], &counted.body["no_device"]),
        (&json!(2), &json!(1)),
        "{counted:?}"
    );
    let of_student = json!({"audience": {"students": ["bo"]}, "exact": true});
    let counted = stage.send(Method::POST, "/v1/audience/count", &of_student).await;
    assert_eq!(counted.body["recipients"], 1, "the guardian, not the student: {counted:?}");
    for (audience, field) in [
        (json!({"any_of": [{"schools": [" "]}]}), "audience.any_of[0].schools"),
        (json!({"any_of": [{"all": true}], "grades": ["03"]}), "audience.grades"),
        (json!({"any_of": []}), "audience.any_of"),
        (json!({"any_of": [{"all": true, "any_of": [{"all": true}]}]}), "audience.any_of[0].any_of"),
        (json!({"school_years": [27]}), "audience.school_years[0]"),
        (json!({"students": ["bo", ""]}), "audience.students"),
        (json!({"students": ["bo"], "roles": ["staff"]}), "audience.roles"),
    ] {
        let refused = stage.send(Method::POST, "/v1/audience/count", &json!({"audience": audience})).await;
        refused.assert_problem(422, "invalid-body");
        assert_eq!(refused.body["errors"][0]["field"], field, "{refused:?}");
    }
}
