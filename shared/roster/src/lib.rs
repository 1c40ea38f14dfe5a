//! Reads a OneRoster 1.1 or 1.2 CSV delivery into plain directory rows, and makes sample rosters.
//!
//! `read` takes a folder or a zip and answers with the schools, people, students, contacts, devices and
//! classes it found, and with one `Problem` per fault. Only a delivery that cannot be understood as
//! a whole (a missing file or column) is an error. Nothing is written: storing is the caller's.
//!
//! The rows keep the district's own source ids. Passwords and demographics are never taken up.

mod classes;
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
mod sessions;
mod source;
mod table;
mod user_roles;
mod users;
mod vocabulary;

pub use error::RosterError;
pub use locale::{language, time_zone};
pub use phone::{PhoneReader, PhoneText};
pub use problem::{Problem, ProblemKind, write_problems};
pub use read::{ReadOptions, read, read_zip};
pub use roster::{
    Class, ClassMember, ContactOf, Counts, Device, FileRead, Mention, Person, Roster, School, Session,
    Student,
};
pub use vocabulary::{FileMode, OneRosterVersion, OrgKind, Relationship, Role};
