//! The planner's ticks against a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

mod barred;
mod calling_windows;
mod emergencies;
mod gauges;
mod limits;
mod overdue;
mod recurring;
mod redials;
mod retention;
mod scaling;
mod stage;
mod stops;
mod turns;
mod unserved;
mod webhooks;
