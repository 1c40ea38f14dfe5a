//! What vendors sent, and what once broke a parser: `corpus/<target>/`, a file an input.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The folder of a target's inputs.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// In the order of their names.
pub fn seeds(target: &str) -> Result<Vec<Vec<u8>>> {
    let folder = folder(target);
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort_unstable();
    ensure!(!paths.is_empty(), "{} has no file: add a capture", folder.display());
    paths.iter().map(|path| Ok(std::fs::read(path)?)).collect()
}
