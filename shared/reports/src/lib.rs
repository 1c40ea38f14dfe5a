//! The Sent Message Report as PDF, CSV and DOCX, and the list of consents as CSV (requirements 56 to 76 and 164).
//!
//! What a report says is decided once, in [`write`](fn@write); a format is a `Sheet` that sets it. Pages of rows go in, bytes
//! come out, and nothing but a page of rows and what a file's end must repeat (where its objects lie) is held
//! (docs/adr/0033-reports.md). No clock: the same campaign and rows make the same bytes.

mod cells;
mod choice;
mod consents;
mod csv;
mod docx;
mod pdf;
mod people;
mod report;
mod sheet;
mod words;
mod write;

pub use choice::{Choice, Detail, Format, Group, Statuses};
pub use consents::{ConsentRow, consents};
pub use report::{Canceled, Device, Person, Report, Row, Text};
pub use words::message_type;
pub use write::{ReportError, write};
