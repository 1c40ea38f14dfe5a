//! `/people`: the directory, to be looked up.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;
use tocsin_domain::audience::Role;
use tocsin_domain::rights::Right;
use tocsin_store::tenant::directory::people::{PeopleQuery, PersonSummary, Place};

use super::access::Visitor;
use super::page::{Refused, Shell, answer};
use super::words;
use crate::directory::changes::encoded;
use crate::directory::people::{page, parse_cursor, read_search};
use crate::fields::{Fault, Faults, Fields, named};
use crate::page::read_cursor;
use crate::submission::audience::role_name;

const PEOPLE_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    shell: Shell,
    /// May whoever looks add somebody?
    editable: bool,
    typed: String,
    fault: Option<String>,
    roles: Vec<Choice>,
    filtered: bool,
    rows: Vec<Row>,
    further: bool,
    /// The query of the next page.
    next: Option<String>,
}

struct Choice {
    value: &'static str,
    name: &'static str,
    chosen: bool,
}

struct Row {
    path: String,
    name: String,
    source_id: String,
    role: &'static str,
    language: Option<String>,
    active: bool,
}

struct Wanted {
    typed: String,
    role: Option<Role>,
    after: Option<Place>,
}

/// `GET /people?q=&role=&cursor=`.
pub(crate) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Refused> {
    let Wanted { typed, role, after } = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let q = match typed.trim() {
        "" => Ok(None),
        text => read_search(text).map(Some),
    };
    let further = after.is_some();
    let filtered = role.is_some() || !typed.trim().is_empty();
    let shell = Shell::new("People", &visitor.who, "people");
    let roles = Role::ALL.map(|one| Choice {
        value: role_name(one),
        name: words::role(one),
        chosen: role == Some(one),
    });
    let empty = PeoplePage {
        shell,
        editable: visitor.tenant.may(Right::EditDirectory),
        typed,
        fault: None,
        roles: roles.into(),
        filtered,
        rows: Vec::new(),
        further,
        next: None,
    };
    let q = match q {
        Ok(q) => q,
        Err(reason) => {
            let fault = Some(format!("The search {reason}."));
            return Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &PeoplePage { fault, ..empty }));
        }
    };
    let query = PeopleQuery { role, after, people_max: PEOPLE_MAX, ..PeopleQuery::default() };
    let (found, cursor) = page(&visitor.tenant, q.as_deref(), query).await?;
    let next = cursor.map(|cursor| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &empty.typed);
        query.append_pair("role", role.map(role_name).unwrap_or_default());
        query.append_pair("cursor", &cursor).finish()
    });
    Ok(answer(StatusCode::OK, &PeoplePage { rows: found.into_iter().map(Row::of).collect(), next, ..empty }))
}

fn read_query(query: Option<&str>) -> Result<Wanted, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let typed = fields.take("q").and_then(|field| field.string(&mut faults)).unwrap_or_default();
    // A form sends what was not chosen as an empty text.
    let role = fields.take("role").and_then(|field| {
        field.parsed(&mut faults, |text| match text {
            "" => Ok(None),
            text => named(text, &Role::ALL, role_name).map(Some),
        })
    });
    let after = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(Some(Wanted { typed, role: role.flatten(), after }))
}

impl Row {
    fn of(person: PersonSummary) -> Self {
        Self {
            path: encoded(&person.source_id),
            name: format!("{} {}", person.given_name, person.family_name).trim().to_owned(),
            source_id: person.source_id,
            role: words::role(person.role),
            language: person.language.map(|tag| words::language(&tag).to_owned()),
            active: person.active,
        }
    }
}
