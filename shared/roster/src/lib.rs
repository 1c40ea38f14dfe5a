//! Reads a OneRoster 1.1 or 1.2 CSV delivery into plain directory rows, and makes sample rosters.
//!
//! `read` takes a folder or a zip and answers with the schools, people, students, contacts and
//! devices it found, and with one `Problem` per fault. Only a delivery that cannot be understood as
//! a whole (a missing file or column) is an error. Nothing is written: storing is the caller's.
//!
//! The rows keep the district's own source ids. Passwords and demographics are never taken up.

mod contacts;
mod devices;
mod error;
mod locale;
mod manifest;
mod orgs;
mod phone;
mod problem;
mod read;
mod records;
mod roles;
mod roster;
pub mod sample;
mod source;
mod table;
mod user_roles;
mod users;
mod vocabulary;

pub use error::RosterError;
pub use problem::{Problem, ProblemKind, write_problems};
pub use read::{ReadOptions, read};
pub use roster::{ContactOf, Counts, Device, FileRead, Mention, Person, Roster, School, Student};
pub use vocabulary::{FileMode, OneRosterVersion, OrgKind, Relationship, Role};
