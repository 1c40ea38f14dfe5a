//! The REST API and the console: districts make campaigns, watch them, cancel them and read what became of each device.
//!
//! It reads and writes through [`tocsin_store::Tenant`] only, so that no request can see another district,
//! and it decides nothing about sending: it stores what it was given and tells the planners to look.
//! Every error of the REST API is problem details (RFC 9457); every error of the console is a page.

mod accounts;
mod announce;
mod api_keys;
mod approvals;
mod attachments;
mod audience;
mod audit_log;
mod auth;
mod campaigns;
mod cancel;
mod communications;
mod consent_policy;
mod consents;
mod console;
mod correction;
mod counting;
mod credentials;
mod delivery_summary;
mod directory;
mod editing;
mod fields;
mod forecast;
mod imports;
mod inbox;
mod json;
mod limits;
mod list_query;
mod me;
mod message_types;
mod messages;
mod needs;
mod openapi;
mod page;
mod password;
mod policies;
mod problem;
mod receipt;
mod recipients;
mod refresh;
mod report;
mod roles;
pub mod routes;
mod second_person;
mod secret;
mod sending_policy;
mod series;
mod server;
mod submission;
mod suppressions;
mod templates;
mod traced;
mod unsubscribes;
mod users;
mod view;
mod webhooks;
mod why;

pub use console::{IssuerDoor, PageAccess, Passwords, SignIn};
pub use imports::directory_of;
pub use needs::Needs;
pub use openapi::document;
pub use password::{HashError, hash as hash_password};
pub use secret::{NoRandomness, draw_key};
pub use server::{Api, ApiError, BODY_BYTES_MAX, REQUEST_DEADLINE, health, router, serve};
pub use tocsin_domain::MessageType;
