//! Reports as their readers have them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

mod csv;
mod docx;
mod papers;
mod pdf;
mod same;
mod sample;
