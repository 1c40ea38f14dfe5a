//! Looking people up.

use axum::Json;
use axum::extract::RawQuery;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tocsin_domain::audience::Role;
use tocsin_roster::PhoneReader;
use tocsin_store::Tenant;
use tocsin_store::tenant::directory::people::{PeopleQuery, PersonSummary, Place, Search};

use super::view::{PersonView, SummaryView};
use super::{NAME_CHARS_MAX, PersonPath, existing, person_of};
use crate::auth::Caller;
use crate::fields::{Fault, Faults, Fields, named};
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape, shapes};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::submission::audience::role_name;

/// What is looked for has as many letters at least: one finds a fifth of a district.
pub(crate) const SEARCH_CHARS_MIN: usize = 2;
/// Digits from which a text is taken for a phone number's beginning.
const PHONE_DIGITS_MIN: usize = 3;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PeoplePage")]
pub(crate) struct ListView {
    people: Vec<SummaryView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

shapes! {
    SearchText = json!({ "type": "string", "minLength": SEARCH_CHARS_MIN, "maxLength": NAME_CHARS_MAX, "pattern": r"\S.*\S" });
}

shape! {
    pub(crate) struct PeopleQueryShape {
        #[schemars(flatten)]
        page: PageQuery,
        /// The beginning of a name, a source id, an email address or a phone.
        q: Option<SearchText>,
        role: Option<Role>,
        /// The source id of a school.
        school: Option<Text<NAME_CHARS_MAX>>,
        /// Of current students.
        grade: Option<Text<NAME_CHARS_MAX>>,
        active: Option<bool>,
    }
}

pub(crate) const LIST: Operation =
    Operation::new("listPeople", "List people by family name").asks::<PeopleQueryShape>();

/// `GET /v1/people?q=&role=&school=&grade=&active=&limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let (q, query) =
        read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let (people, next_cursor) = page(&tenant, q.as_deref(), query).await?;
    Ok(Json(ListView { people: people.into_iter().map(SummaryView::of).collect(), next_cursor }))
}

pub(crate) const SHOW: Operation =
    Operation::new("showPerson", "Show a person").refuses(&[Kind::UnknownPerson]);

/// `GET /v1/people/{person}`.
pub(crate) async fn show(Caller(tenant): Caller, person: PersonPath) -> Result<Json<PersonView>, Problem> {
    Ok(Json(PersonView::of(existing(&tenant, &person_of(person)?).await?)))
}

/// A page of people, and the cursor of the next.
pub(crate) async fn page(
    tenant: &Tenant,
    q: Option<&str>,
    query: PeopleQuery,
) -> Result<(Vec<PersonSummary>, Option<String>), Problem> {
    let search = match q {
        Some(text) => Some(searched(text, &tenant.default_region().await?)),
        None => None,
    };
    let people_max = query.people_max;
    // One more than is shown tells whether another page follows.
    let mut found = tenant.people(&PeopleQuery { search, people_max: people_max + 1, ..query }).await?;
    let more = found.len() > people_max as usize;
    found.truncate(people_max as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| write_cursor(&last.place));
    Ok((found, next_cursor))
}

/// What a text may be the beginning of.
fn searched(text: &str, region: &str) -> Search {
    let text = text.trim();
    let lower = text.to_lowercase();
    let mut addresses = vec![text.to_owned()];
    if lower != text {
        addresses.push(lower.clone());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() >= PHONE_DIGITS_MIN && !text.chars().any(char::is_alphabetic) {
        addresses.push(format!("+{digits}"));
        if let Ok(reader) = PhoneReader::new(region) {
            addresses.push(format!("+{}{digits}", reader.country_code()));
        }
    }
    Search {
        names: lower.split_whitespace().map(str::to_owned).collect(),
        source_id: text.to_owned(),
        addresses,
    }
}

fn read_query(query: Option<&str>) -> Result<(Option<String>, PeopleQuery), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let q = fields.take("q").and_then(|field| field.parsed(&mut faults, read_search));
    let role = fields.take("role").and_then(|field| field.one_of(&Role::ALL, role_name, &mut faults));
    let school = fields.take("school").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
    let grade = fields.take("grade").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
    let active = fields.take("active").and_then(|field| field.parsed(&mut faults, read_flag));
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(limit
        .map(|people_max| (q, PeopleQuery { search: None, role, active, school, grade, after, people_max })))
}

pub(crate) fn read_search(text: &str) -> Result<String, String> {
    let is = text.trim().chars().count();
    if !(SEARCH_CHARS_MIN..=NAME_CHARS_MAX).contains(&is) {
        return Err(format!(
            "has {is} characters: give the first {SEARCH_CHARS_MIN} or more of a name, source id, phone or email"
        ));
    }
    Ok(text.trim().to_owned())
}

fn read_flag(text: &str) -> Result<bool, String> {
    named(text, &[true, false], |flag| if flag { "true" } else { "false" })
}

fn write_cursor(place: &Place) -> String {
    encode(&serde_json::json!([place.family, place.given, place.id]).to_string())
}

pub(crate) fn parse_cursor(text: &str) -> Option<Place> {
    let (family, given, id): (String, String, _) = serde_json::from_str(text).ok()?;
    let takes = |name: &str| !name.contains('\0');
    (takes(&family) && takes(&given)).then_some(Place { family, given, id })
}
