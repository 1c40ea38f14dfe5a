//! The store against a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

mod cancels;
mod claim;
mod counters;
mod directory;
mod expand;
mod fixture;
mod held;
mod leases;
mod limits;
mod plans;
mod pool_of_one;
mod races;
mod release;
mod scene;
mod security;
