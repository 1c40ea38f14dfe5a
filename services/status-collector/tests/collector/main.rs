//! The collector as providers and the store see it: signed HTTP in, rows out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation fails the test"
)]

mod applying;
mod bounces;
mod calls;
mod emails;
mod gateways;
mod ingress;
mod orders;
mod outages;
mod rematches;
mod stage;
mod texts;
mod unsubscribes;
