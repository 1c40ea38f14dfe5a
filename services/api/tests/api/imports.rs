//! Deliveries of a roster over REST: compared, looked at, applied as they were compared or not at all.

use std::io::{Cursor, Write as _};

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_testkit::wait_until;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::stage::{Answer, KEY, OTHER_KEY, SOON, Stage};

const ORGS: &str = "sourcedId,name,type\nd,Springfield,district\nn,North,school\n";
const HEADER: &str = "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,email,sms,phone,agentSourcedIds,grades\n";
pub const STUDENT: &str = "s1,true,n,student,s1,Bo,Lee,,,,g1,03\n";
pub const PARENT: &str = "g1,false,n,parent,,Ana,Lee,ana@example.org,,603-555-0142,,\n";
pub const BROKEN: &str = "t1,true,n,teacher,,Cy,Orr,cy@nowhere@,,,,\n";

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

pub fn delivery(users: &[&str]) -> Vec<u8> {
    zip(&[("orgs.csv", ORGS), ("users.csv", &format!("{HEADER}{}", users.concat()))])
}

impl Stage {
    async fn upload(&self, query: &str, zip: Vec<u8>) -> Answer {
        let url = format!("{}/v1/imports{query}", self.address);
        let request = self.client.post(url).bearer_auth(KEY).timeout(SOON).body(zip);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: serde_json::from_str(&response.text().await.unwrap()).unwrap() }
    }

    /// The delivery once nothing is under way with it.
    async fn settled(&self, id: &str) -> Value {
        let path = format!("/v1/imports/{id}");
        let under_way = |view: &Value| view["state"] == "reading" || view["state"] == "applying";
        wait_until("the delivery is worked on", SOON, async || !under_way(&self.get(&path).await.body))
            .await
            .unwrap();
        self.get(&path).await.body
    }

    async fn compared(&self, query: &str, zip: Vec<u8>) -> (String, Value) {
        let answer = self.upload(query, zip).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let id = answer.id();
        let view = self.settled(&id).await;
        (id, view)
    }

    async fn apply(&self, id: &str) -> Answer {
        self.send(Method::POST, &format!("/v1/imports/{id}/apply?applied_by=ana"), &Value::Null).await
    }

    /// A whole delivery, applied.
    pub async fn import(&self, users: &[&str]) {
        let (id, _) = self.compared("", delivery(users)).await;
        self.apply(&id).await;
        assert_eq!(self.settled(&id).await["state"], "applied");
    }

    async fn people_count(&self) -> usize {
        self.get("/v1/people").await.body["people"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_delivery_is_compared_shown_and_applied_as_it_was_shown() {
    let stage = Stage::start().await;
    let (id, view) = stage.compared("?name=monday.zip", delivery(&[STUDENT, PARENT, BROKEN])).await;
    assert_eq!((&view["state"], &view["name"]), (&json!("compared"), &json!("monday.zip")), "{view}");
    let preview = &view["preview"];
    assert_eq!(
        (&preview["tables"]["people"]["added"], &preview["errors"]),
        (&json!(3), &json!(1)),
        "{preview}"
    );
    assert_eq!(preview["samples"]["contacts"]["added"], json!(["Ana Lee for Bo Lee"]));
    assert_eq!(stage.people_count().await, 0, "nothing is applied yet");
    let url = format!("{}/v1/imports/{id}/problems", stage.address);
    let problems = stage.client.get(url).bearer_auth(KEY).send().await.unwrap();
    assert!(problems.headers()["content-disposition"].to_str().unwrap().contains("problems.csv"));
    let csv = problems.text().await.unwrap();
    assert!(csv.starts_with("file,line,column,kind,problem\nusers.csv,4,email,error,"), "{csv}");

    assert_eq!(stage.apply(&id).await.status, 202);
    let applied = stage.settled(&id).await;
    assert_eq!((&applied["state"], &applied["applied_by"]), (&json!("applied"), &json!("ana")), "{applied}");
    assert_eq!(stage.people_count().await, 3);
    stage.apply(&id).await.assert_problem(409, "import-not-ready");
    let kept = stage.sql.query_one("select delivery is null from imports", &[]).await.unwrap();
    assert!(kept.get::<_, bool>(0), "no copy is kept");
    stage.get_as(OTHER_KEY, &format!("/v1/imports/{id}")).await.assert_problem(404, "unknown-import");
    assert_eq!(stage.get("/v1/imports").await.body["imports"].as_array().unwrap().len(), 1);
}

/// Custody: a student's row whose list of contacts was emptied ends the contact, as changes alone.
#[tokio::test]
async fn a_delta_that_empties_a_students_list_removes_the_guardian() {
    let stage = Stage::start().await;
    let (id, _) = stage.compared("", delivery(&[STUDENT, PARENT])).await;
    stage.apply(&id).await;
    stage.settled(&id).await;
    let header = HEADER.replace("enabledUser", "status,dateLastModified,enabledUser");
    let row = "s1,active,2026-09-01T00:00:00Z,true,n,student,s1,Bo,Lee,,,,,03\n";
    let manifest = "propertyName,value\nmanifest.version,1.0\noneroster.version,1.1\nfile.orgs,absent\nfile.users,delta\n";
    let delta = zip(&[("manifest.csv", manifest), ("users.csv", &format!("{header}{row}"))]);
    let (id, view) = stage.compared("", delta).await;
    assert_eq!(view["preview"]["samples"]["contacts"]["gone"], json!(["Ana Lee for Bo Lee"]), "{view}");
    stage.apply(&id).await;
    stage.settled(&id).await;
    assert_eq!(stage.get("/v1/people/bo").await.status, 404);
    assert_eq!(stage.get("/v1/people/s1").await.body["contacts"], json!([]));
    assert_eq!(stage.people_count().await, 2);
}

#[tokio::test]
async fn a_delivery_is_applied_to_no_other_directory_than_it_was_compared_with() {
    let stage = Stage::start().await;
    let (id, _) = stage.compared("", delivery(&[STUDENT, PARENT])).await;
    let new = json!({"given_name": "Uli", "family_name": "Orr", "role": "staff"});
    assert_eq!(stage.send(Method::POST, "/v1/people", &new).await.status, 201);
    stage.apply(&id).await.assert_problem(409, "directory-moved");
    assert_eq!(stage.people_count().await, 1);
    // A later delivery takes the place of one that waits.
    let (later, view) = stage.compared("", delivery(&[STUDENT, PARENT])).await;
    assert_eq!(view["state"], "compared");
    assert_eq!(stage.settled(&id).await["state"], "given_up");
    stage.apply(&id).await.assert_problem(409, "import-not-ready");
    stage.apply(&later).await;
    assert_eq!(stage.settled(&later).await["state"], "applied");
    assert_eq!(stage.people_count().await, 3);
}

#[tokio::test]
async fn what_is_no_delivery_is_refused_and_changes_nothing() {
    let stage = Stage::start().await;
    for body in [b"".to_vec(), b"sourcedId\n".to_vec(), b"PK\x05\x06".to_vec()] {
        stage.upload("", body).await.assert_problem(400, "not-a-delivery");
    }
    stage.upload("?strict=perhaps", delivery(&[])).await.assert_problem(400, "invalid-query");
    let bomb = "0".repeat(64 << 20);
    let cut = delivery(&[STUDENT]);
    for (query, zip, says) in [
        ("", zip(&[("orgs.csv", ORGS), ("users.csv", &bomb)]), "200 times"),
        ("", zip(&[("orgs.csv", ORGS)]), "users.csv is missing"),
        ("", cut[..cut.len() / 2].to_vec(), "as a zip"),
        ("", delivery(&[]), "holds nobody"),
        ("?strict=true", delivery(&[STUDENT, PARENT, BROKEN]), "strict"),
    ] {
        let (id, view) = stage.compared(query, zip).await;
        assert_eq!(view["state"], "refused", "{says}: {view}");
        assert!(view["reason"].as_str().unwrap().contains(says), "{says}: {view}");
        stage.apply(&id).await.assert_problem(409, "import-not-ready");
    }
    assert_eq!(stage.people_count().await, 0);
    stage.get("/v1/imports/none").await.assert_problem(404, "unknown-import");
}
