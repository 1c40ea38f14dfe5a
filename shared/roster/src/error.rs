//! Why a delivery could not be read at all.

use std::io;
use std::path::PathBuf;

/// A delivery that cannot be understood as a whole; nothing of it should be stored.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    #[error("cannot open the roster {path}: name a folder or a zip of OneRoster CSV files")]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read the roster {path} as a zip: name a folder or a zip of OneRoster CSV files")]
    NotAZip { path: PathBuf, source: zip::result::ZipError },
    #[error("the archive has {entries} entries, the limit is {max}: pack only the OneRoster files")]
    TooManyEntries { entries: usize, max: usize },
    #[error("{file} is larger than {max_bytes} bytes: split the delivery")]
    TooLarge { file: String, max_bytes: u64 },
    #[error(
        "{file} unpacks to more than {max_ratio} times its size, as no roster does: pack the OneRoster files again"
    )]
    Bomb { file: &'static str, max_ratio: u64 },
    #[error("{file} cannot be unpacked: pack it with deflate and without a password")]
    Unpack { file: &'static str, source: zip::result::ZipError },
    #[error("{file} cannot be read")]
    Read { file: &'static str, source: io::Error },
    #[error("{file} is missing: it must be in the folder itself, or the root of the zip")]
    MissingFile { file: &'static str },
    #[error("{file} has no readable header row: write the column names in the first line, in UTF-8")]
    NoHeader { file: &'static str },
    #[error("{file} has no column {column}: the name must be exactly this")]
    MissingColumn { file: &'static str, column: &'static str },
    #[error("{file} has the column {column} more than once: remove one")]
    RepeatedColumn { file: &'static str, column: &'static str },
    #[error("manifest.csv: {property} must be {allowed}")]
    Manifest { property: &'static str, allowed: &'static str },
    #[error("manifest.csv says that no file Tocsin reads is in this delivery")]
    NothingToRead,
    #[error("unknown default region {0:?}: use a two-letter country code such as US")]
    UnknownRegion(String),
}
