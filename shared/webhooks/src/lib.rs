//! Outbound webhooks by Standard Webhooks 1.0.0: bodies, secrets, signatures, and a client that reaches public hosts
//! only. It knows neither store nor queue; docs/adr/0037-webhooks.md says why it is built this way.

mod body;
mod client;
mod reach;
mod secret;
mod signature;

pub use body::{approval_body, campaign_body, devices_body, test_body};
pub use client::{Client, DEADLINE, Message};
pub use reach::{Reach, UrlFault};
pub use secret::{EndpointSecret, Keys};
pub use signature::{message_id, read_message_id, sign};

/// What api and planner are told about webhooks.
#[derive(Debug, Clone)]
pub struct Settings {
    pub keys: Keys,
    pub reach: Reach,
}

#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    #[error("an event cannot be written as JSON")]
    Body(#[source] serde_json::Error),
}
