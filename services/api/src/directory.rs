//! The directory over REST: schools, classes and people, and what a district changes of them by hand
//! (docs/adr/0034-directory.md). A person is named by the source id, as everywhere.

pub(crate) mod changes;
pub(crate) mod links;
pub(crate) mod people;
pub(crate) mod preferences;
pub(crate) mod view;

use axum::Json;
use axum::extract::RawQuery;
use axum::extract::rejection::PathRejection;
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::Channel;
use tocsin_domain::address::Email;
use tocsin_roster::PhoneReader;
use tocsin_store::Tenant;
use tocsin_store::tenant::directory::person::Person;
use tocsin_store::tenant::directory::{Change, Class, School};

use crate::auth::Caller;
use crate::fields::{Faults, Fields};
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};

/// Long enough for any source id or name of a roster.
pub(crate) const NAME_CHARS_MAX: usize = 255;

pub(crate) type PersonPath = Result<axum::extract::Path<String>, PathRejection>;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SchoolPage")]
pub(crate) struct SchoolsView {
    schools: Vec<SchoolView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "School")]
struct SchoolView {
    source_id: String,
    name: String,
    kind: String,
    identifier: Option<String>,
    parent: Option<String>,
    active: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ClassPage")]
pub(crate) struct ClassesView {
    classes: Vec<ClassView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Class")]
struct ClassView {
    source_id: String,
    title: String,
    code: Option<String>,
    school: String,
    /// The year in which it ends.
    school_year: Option<i16>,
    active: bool,
}

pub(crate) const SCHOOLS: Operation =
    Operation::new("listSchools", "List schools by source id").asks::<PageQuery>();

/// `GET /v1/schools?limit=&cursor=`.
pub(crate) async fn schools(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<SchoolsView>, Problem> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query.as_deref(), &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, |text| Some(text.to_owned())).unwrap_or_default();
    fields.finish(&mut faults);
    let limit = faults.or(limit).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    // One more than is shown tells whether another page follows.
    let mut found = tenant.schools(&after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.source_id));
    let schools = found.into_iter().map(|school| {
        let School { source_id, name, kind, identifier, parent, active } = school;
        SchoolView { source_id, name, kind, identifier, parent, active }
    });
    Ok(Json(SchoolsView { schools: schools.collect(), next_cursor }))
}

shape! {
    pub(crate) struct ClassQuery {
        #[schemars(flatten)]
        page: PageQuery,
        /// The source id of a school.
        school: Option<Text<NAME_CHARS_MAX>>,
    }
}

pub(crate) const CLASSES: Operation =
    Operation::new("listClasses", "List classes by source id").asks::<ClassQuery>();

/// `GET /v1/classes?school=&limit=&cursor=`.
pub(crate) async fn classes(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ClassesView>, Problem> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query.as_deref(), &mut faults);
    let school = fields.take("school").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, |text| Some(text.to_owned())).unwrap_or_default();
    fields.finish(&mut faults);
    let limit = faults.or(limit).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let mut found = tenant.classes(school.as_deref(), &after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.source_id));
    let classes = found.into_iter().map(|class| {
        let Class { source_id, title, code, school, school_year, active } = class;
        ClassView { source_id, title, code, school, school_year, active }
    });
    Ok(Json(ClassesView { classes: classes.collect(), next_cursor }))
}

/// What is no text of a person's is nobody's.
pub(crate) fn person_of(path: PersonPath) -> Result<String, Problem> {
    let named = path.ok().map(|axum::extract::Path(person)| person);
    named.filter(|person| !person.contains('\0')).ok_or_else(unknown_person)
}

pub(crate) fn unknown_person() -> Problem {
    Problem::new(Kind::UnknownPerson, "this district has no person of that source id")
}

/// The district's person of that source id, or 404.
pub(crate) async fn existing(tenant: &Tenant, source_id: &str) -> Result<Person, Problem> {
    tenant.person(source_id).await?.ok_or_else(unknown_person)
}

/// What a change came to, as an answer: `unknown` and `of_roster` are what it is refused with.
pub(crate) fn settled(
    change: Change,
    unknown: impl FnOnce() -> Problem,
    of_roster: &'static str,
) -> Result<(), Problem> {
    match change {
        Change::Done | Change::Unchanged => Ok(()),
        Change::Unknown => Err(unknown()),
        Change::OfRoster => Err(Problem::new(Kind::OfRoster, of_roster)),
    }
}

/// An address as it is stored, with its extension; or what is wrong with it. Phones are read as an import reads them.
pub(crate) async fn normalised(
    tenant: &Tenant,
    channel: Channel,
    text: &str,
) -> Result<Result<(String, Option<String>), String>, Problem> {
    match channel {
        Channel::Voice | Channel::Sms => {
            let region = tenant.default_region().await?;
            let Ok(reader) = PhoneReader::new(&region) else {
                let detail = "the district's region is none that numbers are known of: set another";
                return Ok(Err(detail.to_owned()));
            };
            Ok(match reader.read(text) {
                Some(read) if channel == Channel::Sms && read.extension.is_some() => {
                    Err("has an extension, which no text reaches: leave it out, or use voice".to_owned())
                }
                Some(read) => Ok((read.phone.as_str().to_owned(), read.extension)),
                None => Err(format!(
                    "is no number that can be called: write it as in {region}, or with + and country code"
                )),
            })
        }
        Channel::Email => Ok(Email::parse(text)
            .map(|email| (email.as_str().to_owned(), None))
            .map_err(|fault| format!("{fault}: write it as ana@example.org"))),
        Channel::Inbox => Ok(match text.trim() {
            "" => Err("is empty: give the portal account".to_owned()),
            account => Ok((account.to_owned(), None)),
        }),
    }
}
