//! The one binary: every role a subcommand, the operator's commands, and the whole system in one process.
//!
//! This is the only place where the services meet.

pub mod cli;
pub mod client;
pub mod commands;
mod credentials;
pub mod demo;
pub mod embedded;
pub mod exit;
mod issuers;
mod presence;
pub mod roles;
pub mod system;
pub mod terminal;
pub mod up;
pub(crate) mod view;
