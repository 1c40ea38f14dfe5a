//! What a data directory says of itself, in `tocsin.json`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::private;
use crate::exit::Failure;

pub const FILE: &str = "tocsin.json";
/// Its name while it is written.
pub const UNFINISHED: &str = "tocsin.new";
/// Of the directory's layout. One higher when an older program would misread it.
const FORMAT: u32 = 1;
/// The major version that the cluster's files belong to.
const POSTGRES: u32 = 17;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub format: u32,
    pub postgres: u32,
    /// Of the embedded store; 0 while it is being made, or when there is none.
    pub schema: i32,
    /// Set when the store holds the sample district: its providers are simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub students: u32,
    /// False while it is brought in.
    pub made: bool,
}

impl Marker {
    pub fn new() -> Self {
        Self { format: FORMAT, postgres: POSTGRES, schema: 0, sample: None }
    }

    /// None: there is no marker.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        let path = file(directory);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let marker: Self = serde_json::from_str(&text).with_context(|| {
            format!(
                "{} cannot be understood: put the one of a backup back, or give another directory with --data",
                path.display()
            )
        })?;
        marker.is_known(directory)?;
        Ok(Some(marker))
    }

    fn is_known(&self, directory: &Path) -> Result<()> {
        let known = tocsin_store::schema_version();
        if self.format > FORMAT || self.postgres > POSTGRES || self.schema > known {
            return Err(Failure::usage(format!(
                "the data directory {} is of a newer tocsin (format {}, PostgreSQL {}, schema {}; this program \
                 knows {FORMAT}, {POSTGRES}, {known}): use that program, or give another directory with --data",
                directory.display(),
                self.format,
                self.postgres,
                self.schema
            )).into());
        }
        Ok(())
    }

    pub fn write(&self, directory: &Path) -> Result<()> {
        private::write(&file(directory), &serde_json::to_vec_pretty(self)?)
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}
