//! The real router over HTTP, against PostgreSQL and the in-memory broker.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test whose stage cannot be set has failed")]

mod access;
mod accounts;
mod administration;
mod bad_input;
mod campaigns;
mod cancel;
mod consents;
mod console;
mod corrections;
mod forecast;
mod inbox;
mod limits;
mod policies;
mod receipts;
mod recipients;
mod reference;
mod rights;
mod stage;
mod undo;
