//! The worker against a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

mod approval_mails;
mod doubles;
mod leases;
mod stage;
mod traces;
