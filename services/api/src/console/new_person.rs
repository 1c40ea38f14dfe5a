//! `/new-person`: somebody whom the roster does not have, by hand; a contact of a student at once, where one is named.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Map, Value, json};
use tocsin_domain::audience::Role;

use super::access::Visitor;
use super::form::{Complaints, Form, capitalised};
use super::page::{Refused, Shell, answer};
use super::sign_in::field;
use super::words;
use crate::directory::changes::{encoded, make};
use crate::directory::links::{RELATIONSHIPS, is_student, link};
use crate::server::Api;
use crate::submission::audience::role_name;

#[derive(Template)]
#[template(path = "new_person.html")]
struct NewPersonPage {
    shell: Shell,
    typed: Typed,
    roles: Vec<Choice>,
    relationships: Vec<Choice>,
    faults: Complaints,
}

struct Choice {
    value: &'static str,
    name: String,
    chosen: bool,
}

/// What the form holds.
#[derive(Default)]
struct Typed {
    given_name: String,
    family_name: String,
    role: String,
    language: String,
    time_zone: String,
    /// The source id of whom they are a contact of; empty: of nobody.
    student: String,
    relationship: String,
}

impl Typed {
    fn of(form: &Form) -> Self {
        let text = |name: &str| form.text(name).trim().to_owned();
        Self {
            given_name: text("given_name"),
            family_name: text("family_name"),
            role: text("role"),
            language: text("language"),
            time_zone: text("time_zone"),
            student: text("student"),
            relationship: text("relationship"),
        }
    }

    /// As `POST /v1/people` takes it. What is left empty is left out.
    fn request(&self) -> Value {
        let members = [
            ("given_name", &self.given_name),
            ("family_name", &self.family_name),
            ("role", &self.role),
            ("language", &self.language),
            ("time_zone", &self.time_zone),
        ];
        let given = members.into_iter().filter(|(_, text)| !text.is_empty());
        Value::Object(given.map(|(name, text)| (name.to_owned(), json!(text))).collect::<Map<_, _>>())
    }
}

impl NewPersonPage {
    fn new(visitor: &Visitor, typed: Typed, faults: Complaints) -> Self {
        let roles = Role::ALL.map(|role| Choice {
            value: role_name(role),
            name: words::role(role).to_owned(),
            chosen: role_name(role) == typed.role,
        });
        let relationships = RELATIONSHIPS.map(|value| Choice {
            value,
            name: capitalised(value),
            chosen: value == typed.relationship,
        });
        Self {
            shell: Shell::new("Add a person", &visitor.who, "people"),
            roles: roles.into(),
            relationships: relationships.into(),
            typed,
            faults,
        }
    }
}

/// `GET /new-person?student=`.
pub(crate) async fn ask(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let student = field(query.unwrap_or_default().as_bytes(), "student").unwrap_or_default();
    let typed = Typed { student, role: role_name(Role::Guardian).to_owned(), ..Typed::default() };
    answer(StatusCode::OK, &NewPersonPage::new(&visitor, typed, Complaints::default()))
}

/// `POST /new-person`.
pub(crate) async fn add(visitor: Visitor, State(api): State<Api>, body: Bytes) -> Result<Response, Refused> {
    let typed = Typed::of(&Form::of(&body));
    let tenant = &visitor.tenant;
    let refused = |typed, faults| {
        Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &NewPersonPage::new(&visitor, typed, faults)))
    };
    // Looked at first: a person who is added and then no contact would be half of what was asked for.
    if !typed.student.is_empty() && is_student(tenant, &typed.student).await.is_err() {
        let reason = "is no student of the directory: write the source id as the student's page shows it";
        return refused(typed, Complaints::one("student", reason));
    }
    let person = match make(&api, tenant, typed.request()).await {
        Ok(person) => person,
        Err(problem) => return refused(typed, Complaints::of(problem)?),
    };
    if !typed.student.is_empty() {
        let request = json!({ "relationship": typed.relationship });
        link(&api, tenant, (&person, &typed.student), request).await?;
    }
    Ok(Redirect::to(&format!("/people/{}?saved", encoded(&person))).into_response())
}
