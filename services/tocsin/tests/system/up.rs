//! `tocsin up`: one process on an embedded store, killed, refused, started again.

mod health;
mod kill;
mod refusals;
mod sample;
mod session;
mod stage;
