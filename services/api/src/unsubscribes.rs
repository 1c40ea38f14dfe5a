//! Readers who unsubscribed from mails of one message type by the link in a mail: the list, and what the office lifts.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::address::Email;
use tocsin_store::tenant::unsubscribes::Unsubscribe;

use crate::auth::Caller;
use crate::openapi::Operation;
use crate::page::{Asked, PageQuery, cut, read_page};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::suppressions::{ByQuery, read_by};

/// A page in the order of addresses and message types.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnsubscribePage")]
pub(crate) struct ListView {
    unsubscribes: Vec<UnsubscribeView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Unsubscribe")]
struct UnsubscribeView {
    address: String,
    message_type: String,
    created_at: DateTime<Utc>,
}

pub(crate) const LIST: Operation =
    Operation::new("listUnsubscribes", "List who unsubscribed by the link in a mail").asks::<PageQuery>();

/// `GET /v1/unsubscribes?limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let Asked { after, limit } = read_page(query.as_deref(), |text| {
        let (message_type, address) = text.split_once('/')?;
        (!text.contains('\0')).then(|| (address.to_owned(), message_type.to_owned()))
    })?;
    let after: Option<(&str, &str)> =
        after.as_ref().map(|(address, message_type)| (address.as_str(), message_type.as_str()));
    let mut found = tenant.unsubscribes(after, limit + 1).await?;
    let next_cursor = cut(&mut found, limit, |last| format!("{}/{}", last.message_type, last.address));
    let view = |Unsubscribe { address, message_type, created_at }| UnsubscribeView {
        address,
        message_type,
        created_at,
    };
    Ok(Json(ListView { unsubscribes: found.into_iter().map(view).collect(), next_cursor }))
}

pub(crate) const LIFT: Operation =
    Operation::new("liftUnsubscribe", "Lift an unsubscribe, at the reader's own wish")
        .asks::<ByQuery>()
        .answers(&[(204, "It is lifted.")])
        .refuses(&[Kind::UnknownSuppression]);

/// `DELETE /v1/unsubscribes/{message_type}/{address}?by=`.
pub(crate) async fn lift(
    Caller(tenant): Caller,
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    let by = read_by(query.as_deref(), tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let unknown =
        || Problem::new(Kind::UnknownSuppression, "nobody of that address unsubscribed from those mails");
    // What is no address is none that unsubscribed.
    let Path((message_type, address)) = path.map_err(|_| unknown())?;
    let address = Email::parse(&address).map_err(|_| unknown())?;
    if message_type.contains('\0') {
        return Err(unknown());
    }
    let lifted = tenant.lift_unsubscribe(address.as_str(), &message_type, &by, api.clock.now()).await?;
    if lifted { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}
