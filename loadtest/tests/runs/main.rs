//! The program as its users run it: small sizes of each cheap scenario, and what it refuses.

mod program;
mod refusals;
mod scenarios;
