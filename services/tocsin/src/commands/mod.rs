//! What an operator does from a terminal.

pub mod account;
pub mod approval;
pub mod audit;
pub mod callbacks;
pub mod campaign;
pub mod completions;
pub mod config;
pub mod dead;
pub mod district;
pub mod forecast;
pub mod forget;
pub mod import;
pub mod keys;
pub mod migrate;
pub mod operator;
mod over_api;
pub mod recover;
pub mod retain;
pub mod sample_district;
pub mod sender;
pub mod series;
pub mod status;
pub mod stop;
pub mod tick;
pub mod user;
pub mod webhook;
pub mod why;
