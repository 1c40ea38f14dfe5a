//! The adapters against the simulated vendors, over real HTTP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test whose stage cannot be set has failed")]

mod answers;
mod batches;
mod connections;
mod gateway;
mod openapi;
mod recalls;
mod reports;
mod stage;
