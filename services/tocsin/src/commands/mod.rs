//! What an operator does from a terminal.

pub mod account;
pub mod approval;
pub mod audit;
pub mod callbacks;
pub mod campaign;
pub mod completions;
pub mod config;
pub mod district;
pub mod forecast;
pub mod import;
pub mod keys;
pub mod migrate;
pub mod operator;
pub mod rest;
pub mod sample_district;
pub mod sender;
pub mod series;
pub mod user;
pub mod webhook;
