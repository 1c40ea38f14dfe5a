//! How Tocsin speaks to the vendors that call, text and mail: one trait, one folder per vendor.
//!
//! An adapter turns a [`SendRequest`] into the vendor's request and the vendor's answers and
//! callbacks into our words. It knows neither the worker nor the store, keeps no state between
//! requests and never retries: whether to ask again is decided once, in `domain`.

pub mod account;
pub mod callback;
pub mod error;
pub mod file;
pub mod gateway;
pub mod http;
pub mod inbound;
mod keys;
pub mod mailgun;
mod observed;
mod passwords;
pub mod provider;
pub mod registry;
pub mod smtp;
pub mod spoken;
pub mod token;
pub mod twilio;

pub use account::{AccountSettings, ProviderKind, Secret};
pub use callback::{CallbackReport, ParseError, RawRequest, VerifyError, VerifyFault};
pub use error::ProvidersError;
pub use file::File;
pub use http::{AccountClient, CONNECTIONS_MAX, http_client};
pub use inbound::{InboundText, Reply};
pub use observed::{Exchange, observed};
pub use provider::{
    Answer, Capabilities, LookUpAnswer, LookUpQuery, Provider, RecallAnswer, RefusalClass, SendRequest, Whose,
};
pub use registry::Registry;
pub use spoken::{AfterKey, Spoken};
pub use token::{TokenError, TokenKeys, call_url, callback_url, token_of_url, unsubscribe_url};
