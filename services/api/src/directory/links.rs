//! Contacts and enrolments that the district makes and ends.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::Value;
use tocsin_domain::audience::Role;
use tocsin_store::Tenant;
use tocsin_store::tenant::directory::Change;

use super::changes::read_by;
use super::view::PersonView;
use super::{NAME_CHARS_MAX, existing, person_of, settled};
use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, named};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape, shapes, words};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

/// As the roster's own words.
pub(crate) const RELATIONSHIPS: [&str; 4] = ["parent", "guardian", "relative", "other"];

type TwoPaths = Result<Path<(String, String)>, PathRejection>;

shapes! {
    Relationship = words(RELATIONSHIPS);
}

shape! {
    pub(crate) struct ContactRequest {
        /// `other` unless said.
        relationship: Option<Relationship>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

shape! {
    pub(crate) struct EnrolmentRequest {
        grade: Option<Text<NAME_CHARS_MAX>>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const ADD_CONTACT: Operation =
    Operation::new("addContact", "Make a person a contact of a student")
        .telling("It lifts what ended it.")
        .may_take::<ContactRequest>()
        .refuses(&[Kind::UnknownPerson, Kind::NotAStudent, Kind::InvalidPath]);

/// `PUT /v1/people/{person}/students/{student}`: the person is contacted on behalf of the student.
pub(crate) async fn add_contact(
    Caller(tenant): Caller,
    State(api): State<Api>,
    path: TwoPaths,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PersonView>, Problem> {
    let (person, student) = two(path)?;
    let body = json::optional(&headers, body)?.unwrap_or_else(|| Value::Object(Default::default()));
    link(&api, &tenant, (&person, &student), body).await?;
    Ok(Json(PersonView::of(existing(&tenant, &person).await?)))
}

/// The one command behind every place where somebody is made a student's contact.
pub(crate) async fn link(
    api: &Api,
    tenant: &Tenant,
    (person, student): (&str, &str),
    request: Value,
) -> Result<(), Problem> {
    let (relationship, by) = read_contact(request, tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    existing(tenant, person).await?;
    is_student(tenant, student).await?;
    if person == student {
        return Err(Problem::new(Kind::InvalidPath, "nobody is their own contact: name another student"));
    }
    let change = tenant.add_contact(person, student, &relationship, &by, api.clock.now()).await?;
    settled(change, unknown_contact, "")
}

pub(crate) const END_CONTACT: Operation = Operation::new("endContact", "End a contact")
    .telling("At once, whoever named it; no delivery names it again.")
    .refuses(&[Kind::UnknownPerson]);

/// `DELETE /v1/people/{person}/students/{student}`: at once, and whatever is imported.
pub(crate) async fn end_contact(
    Caller(tenant): Caller,
    State(api): State<Api>,
    path: TwoPaths,
) -> Result<Json<PersonView>, Problem> {
    let (person, student) = two(path)?;
    existing(&tenant, &person).await?;
    let change = tenant.end_contact(&person, &student, tenant.acts_as(), api.clock.now()).await?;
    settled(change, unknown_contact, "")?;
    tracing::info!("contact ended by hand");
    Ok(Json(PersonView::of(existing(&tenant, &person).await?)))
}

pub(crate) const ENROL: Operation = Operation::new("enrol", "Enrol a student")
    .may_take::<EnrolmentRequest>()
    .refuses(&[Kind::UnknownPerson, Kind::NotAStudent, Kind::UnknownSchool]);

/// `PUT /v1/people/{person}/schools/{school}`: the student is enrolled there.
pub(crate) async fn enrol(
    Caller(tenant): Caller,
    State(api): State<Api>,
    path: TwoPaths,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PersonView>, Problem> {
    let (student, school) = two(path)?;
    let body = json::optional(&headers, body)?.unwrap_or_else(|| Value::Object(Default::default()));
    let (grade, by) = read_enrolment(body, tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    is_student(&tenant, &student).await?;
    let change = tenant.enrol(&student, &school, grade.as_deref(), &by, api.clock.now()).await?;
    if change == Change::Unknown {
        return Err(Problem::new(Kind::UnknownSchool, "this district has no school of that source id"));
    }
    Ok(Json(PersonView::of(existing(&tenant, &student).await?)))
}

pub(crate) const END_ENROLMENT: Operation =
    Operation::new("endEnrolment", "End an enrolment that was made here").refuses(&[
        Kind::UnknownPerson,
        Kind::UnknownSchool,
        Kind::OfRoster,
    ]);

/// `DELETE /v1/people/{person}/schools/{school}`: of an enrolment that was made here.
pub(crate) async fn end_enrolment(
    Caller(tenant): Caller,
    State(api): State<Api>,
    path: TwoPaths,
) -> Result<Json<PersonView>, Problem> {
    const OF_ROSTER: &str = "the roster enrols this student there: end it in the student information system, or make the \
         student inactive";
    let (student, school) = two(path)?;
    existing(&tenant, &student).await?;
    let change = tenant.end_enrolment(&student, &school, tenant.acts_as(), api.clock.now()).await?;
    let unknown =
        || Problem::new(Kind::UnknownSchool, "this person is not enrolled at a school of that source id");
    settled(change, unknown, OF_ROSTER)?;
    Ok(Json(PersonView::of(existing(&tenant, &student).await?)))
}

fn two(path: TwoPaths) -> Result<(String, String), Problem> {
    let Path((person, other)) = path.map_err(|_| super::unknown_person())?;
    Ok((person_of(Ok(Path(person)))?, person_of(Ok(Path(other)))?))
}

pub(crate) async fn is_student(tenant: &Tenant, source_id: &str) -> Result<(), Problem> {
    if existing(tenant, source_id).await?.role == Role::Student {
        return Ok(());
    }
    let detail = "that person is no student: contacts and enrolments are students', so name one";
    Err(Problem::new(Kind::NotAStudent, detail))
}

fn unknown_contact() -> Problem {
    Problem::new(Kind::UnknownPerson, "the person is no contact of a student of that source id")
}

fn read_contact(body: Value, actor: &str) -> Result<(String, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).map(|mut fields| {
        let relationship = fields
            .take("relationship")
            .and_then(|field| field.parsed(&mut faults, |text| named(text, &RELATIONSHIPS, |word| word)));
        let by = read_by(&mut fields, actor, &mut faults);
        fields.finish(&mut faults);
        (relationship.unwrap_or("other").to_owned(), by)
    });
    faults.or(read)
}

fn read_enrolment(body: Value, actor: &str) -> Result<(Option<String>, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).map(|mut fields| {
        let grade = fields.take("grade").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let by = read_by(&mut fields, actor, &mut faults);
        fields.finish(&mut faults);
        (grade, by)
    });
    faults.or(read)
}
