//! The real router over HTTP, against PostgreSQL and the in-memory broker.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test whose stage cannot be set has failed")]

mod access;
mod accounts;
mod administration;
mod attachments;
mod bad_input;
mod campaigns;
mod cancel;
mod conformance;
mod consents;
mod console;
mod corrections;
mod directory;
mod forecast;
mod imports;
mod inbox;
mod limits;
mod lists;
mod openapi;
mod own_messages;
mod policies;
mod receipts;
mod recipients;
mod reference;
mod refresh;
mod reports;
mod rights;
mod second_person;
mod series;
mod stage;
mod test_messages;
mod undo;
mod webhooks;
mod why;
