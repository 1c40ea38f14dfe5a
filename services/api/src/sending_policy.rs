//! What a district decides of sending: for how long a message can be taken back before anybody gets it, whether a second
//! person is asked for an emergency to the whole district, and whom tests go to.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_store::Tenant;
use tocsin_store::tenant::sending::SendingChange;

use crate::auth::Caller;
use crate::directory::NAME_CHARS_MAX;
use crate::fields::{Fault, Faults, Field, all_of, quoted};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

const UNDO_SECONDS: RangeInclusive<u32> = 0..=3600;
/// A test of an emergency goes before everything else: so few hold up nobody. The schema knows the number, too.
pub(crate) const TEST_PEOPLE_MAX: usize = 50;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SendingPolicy")]
pub(crate) struct PolicyView {
    undo_seconds: u64,
    second_person: bool,
    /// Source ids.
    test_people: Vec<String>,
    /// Null: nobody has decided yet.
    updated_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
}

pub(crate) const SHOW: Operation =
    Operation::new("showSendingPolicy", "Show what the district decides of sending");

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

shape! {
    pub(crate) struct SendingPolicyRequest {
        /// So long a campaign that is no emergency waits, from when it is made.
        #[schemars(range(min = *UNDO_SECONDS.start(), max = *UNDO_SECONDS.end()))]
        undo_seconds: u32,
        /// True: an emergency to the whole district waits for another person's yes. As it was unless said.
        second_person: Option<bool>,
        /// Source ids of those to whom tests go. As it was unless said.
        #[schemars(length(max = TEST_PEOPLE_MAX), extend("uniqueItems" = true))]
        test_people: Option<Vec<Text<NAME_CHARS_MAX>>>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const PUT: Operation = Operation::new(
    "putSendingPolicy",
    "Decide for how long messages can be taken back, who must say yes, and whom tests go to",
)
.telling("For campaigns that are made from now on.")
.takes::<SendingPolicyRequest>();

/// `PUT /v1/sending-policy`: for campaigns that are made from now on.
pub(crate) async fn put(
    caller: Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PolicyView>, Problem> {
    replace(&api, &caller.0, json::required(&headers, body)?, Extent::Whole).await?;
    show(caller).await
}

/// What a request must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The undo period at least.
    Whole,
    /// Whatever it wants.
    Part,
}

/// The one command behind every place where it is replaced.
pub(crate) async fn replace(
    api: &Api,
    tenant: &Tenant,
    request: Value,
    extent: Extent,
) -> Result<(), Problem> {
    let faulty = |faults| Problem::faulty(Kind::InvalidBody, faults);
    let (change, by) = read(request, tenant.acts_as(), extent).map_err(faulty)?;
    let unknown = unknown_people(tenant, &change).await?;
    if !unknown.is_empty() {
        return Err(faulty(unknown));
    }
    tenant.put_sending_policy(&change, &by, api.clock.now()).await?;
    tracing::info!(change.undo_seconds, change.second_person, "sending policy replaced");
    Ok(())
}

fn read(request: Value, actor: &str, extent: Extent) -> Result<(SendingChange, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).map(|mut fields| {
        let remedy = "give the seconds for which a message can be taken back, or 0";
        let undo = match extent {
            Extent::Whole => fields.required("undo_seconds", remedy, &mut faults),
            Extent::Part => fields.take("undo_seconds"),
        };
        let undo = undo.and_then(|field| field.integer(UNDO_SECONDS, &mut faults));
        let second_person = fields.take("second_person").and_then(|field| field.boolean(&mut faults));
        let test_people = fields.take("test_people").and_then(|field| read_people(field, &mut faults));
        let by = fields.take("updated_by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        let change = SendingChange { undo_seconds: undo, second_person, test_people };
        (change, by.unwrap_or_else(|| actor.to_owned()))
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
        reason: format!("names nobody: write {} as the source id stands in the directory", quoted(id)),
    };
    Ok(unknown.map(fault).collect())
}
