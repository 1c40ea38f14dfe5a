//! Campaigns on a terminal, as the demo and `tocsin campaign` show them.

pub mod board;
pub mod forecast;
pub mod list;
pub mod page;
pub mod receipt;
pub mod recipients;
pub mod why;
