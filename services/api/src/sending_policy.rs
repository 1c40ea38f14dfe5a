//! What a district decides of sending: for how long a message can be taken back before anybody gets it, whether a second
//! person is asked for an emergency to the whole district, and whom tests go to.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tocsin_store::Tenant;
use tocsin_store::tenant::sending::SendingChange;

use crate::auth::Caller;
use crate::directory::NAME_CHARS_MAX;
use crate::fields::{Fault, Faults, Field, all_of, quoted};
use crate::json;
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

const UNDO_SECONDS: RangeInclusive<u32> = 0..=3600;
/// A test of an emergency goes before everything else: so few hold up nobody. The schema knows the number, too.
const TEST_PEOPLE_MAX: usize = 50;

#[derive(Debug, Serialize)]
pub(crate) struct PolicyView {
    undo_seconds: u64,
    second_person: bool,
    test_people: Vec<String>,
    /// Null: nobody has decided yet.
    updated_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
}

/// `GET /v1/sending-policy`.
pub(crate) async fn show(Caller(tenant): Caller) -> Result<Json<PolicyView>, Problem> {
    let policy = tenant.sending_policy().await?;
    Ok(Json(PolicyView {
        undo_seconds: policy.undo.as_secs(),
        second_person: policy.second_person,
        test_people: policy.test_people,
        updated_at: policy.changed_at,
        updated_by: policy.changed_by,
    }))
}

/// `PUT /v1/sending-policy`: for campaigns that are made from now on.
pub(crate) async fn put(
    caller: Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PolicyView>, Problem> {
    let faulty = |faults| Problem::faulty(Kind::InvalidBody, faults);
    let request = json::required(&headers, body)?;
    let (change, by) = read(request, caller.0.acts_as()).map_err(faulty)?;
    let unknown = unknown_people(&caller.0, &change).await?;
    if !unknown.is_empty() {
        return Err(faulty(unknown));
    }
    caller.0.put_sending_policy(&change, &by, api.clock.now()).await?;
    tracing::info!(change.undo_seconds, change.second_person, "sending policy replaced");
    show(caller).await
}

fn read(request: Value, actor: &str) -> Result<(SendingChange, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let remedy = "give the seconds for which a message can be taken back, or 0";
        let undo = fields
            .required("undo_seconds", remedy, &mut faults)
            .and_then(|field| field.integer(UNDO_SECONDS, &mut faults));
        let second_person = fields.take("second_person").and_then(|field| field.boolean(&mut faults));
        let test_people = fields.take("test_people").and_then(|field| read_people(field, &mut faults));
        let by = fields.take("updated_by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        let change = SendingChange { undo_seconds: undo?, second_person, test_people };
        Some((change, by.unwrap_or_else(|| actor.to_owned())))
    });
    faults.or(read)
}

fn read_people(field: Field, faults: &mut Faults) -> Option<Vec<String>> {
    let path = field.path.clone();
    let entries = field.list(faults)?;
    if entries.len() > TEST_PEOPLE_MAX {
        let reason = format!("has {} people: at most {TEST_PEOPLE_MAX} are taken", entries.len());
        faults.add(path, reason);
        return None;
    }
    let mut seen = HashSet::new();
    all_of(entries, |entry| {
        let path = entry.path.clone();
        let id = entry.text(NAME_CHARS_MAX, faults)?;
        if !seen.insert(id.clone()) {
            faults.add(path, format!("repeats {}: name each person once", quoted(&id)));
        }
        Some(id)
    })
}

/// Nobody is named whom the directory does not have: a slip would show only when a test reaches nobody.
async fn unknown_people(tenant: &Tenant, change: &SendingChange) -> Result<Vec<Fault>, Problem> {
    let Some(people) = change.test_people.as_ref().filter(|people| !people.is_empty()) else {
        return Ok(Vec::new());
    };
    let known: HashSet<String> = tenant.known_people(people).await?.into_iter().collect();
    let unknown = people.iter().enumerate().filter(|(_, id)| !known.contains(*id));
    let fault = |(at, id): (usize, &String)| Fault {
        field: format!("test_people[{at}]"),
        reason: format!("{} is nobody's source id: give it as the directory has it", quoted(id)),
    };
    Ok(unknown.map(fault).collect())
}
