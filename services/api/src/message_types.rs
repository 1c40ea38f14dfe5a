//! `GET /v1/message-types`: what campaigns may be about, and what follows from it (decisions D11 and D12).

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::{Lane, MessageType};

use crate::auth::Caller;
use crate::openapi::Operation;
use crate::openapi::shapes::MessageTypeName;
use crate::problem::Problem;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MessageTypes")]
pub(crate) struct MessageTypesView {
    message_types: Vec<MessageTypeView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MessageType")]
struct MessageTypeView {
    #[schemars(with = "MessageTypeName")]
    name: &'static str,
    label: String,
    lane: Lane,
    /// The consent that its texts need, as the district decided.
    #[schemars(with = "tocsin_domain::consent::ConsentClass")]
    consent: &'static str,
}

pub(crate) const LIST: Operation =
    Operation::new("listMessageTypes", "List the message types, and what follows from each");

pub(crate) async fn list(Caller(tenant): Caller) -> Result<Json<MessageTypesView>, Problem> {
    let opt_in_needed = tenant.consent_policy().await?.opt_in_needed;
    let view = |kind: MessageType| MessageTypeView {
        name: kind.as_str(),
        label: label(kind.as_str()),
        lane: kind.lane(),
        consent: kind.consent_class_where(&opt_in_needed).as_str(),
    };
    Ok(Json(MessageTypesView { message_types: MessageType::ALL.map(view).into() }))
}

/// `special_ed` as Special Ed: types are stored by name, and new ones read well without an entry here.
pub(crate) fn label(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    name.split('_').map(capital).collect::<Vec<String>>().join(" ")
}
