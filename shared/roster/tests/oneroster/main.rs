//! OneRoster deliveries in, directory rows and problems out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

mod bad_input;
mod classes;
mod delivery;
mod good_input;
mod refused;
mod samples;
