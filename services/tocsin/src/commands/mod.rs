//! What an operator does from a terminal.

pub mod audit;
pub mod campaign;
pub mod district;
pub mod import;
pub mod migrate;
