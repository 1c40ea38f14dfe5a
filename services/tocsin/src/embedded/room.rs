//! A full disk is told before it is met half-way, and named when it was met all the same.

use std::io;
use std::path::Path;

use anyhow::{Context as _, Error, Result, bail};
use rustix::fs::statvfs;
use tocsin_store::StoreError;

use super::DataDirectory;

const MIB: u64 = 1024 * 1024;
/// A cluster takes 40 MiB, its first log segments as much again.
const FIRST_START_BYTES: u64 = 128 * MIB;
/// A log segment and a checkpoint.
const LATER_START_BYTES: u64 = 32 * MIB;

pub fn require(directory: &DataDirectory) -> Result<()> {
    let needed = if directory.schema() == 0 { FIRST_START_BYTES } else { LATER_START_BYTES };
    check(directory.path(), needed)
}

fn check(path: &Path, needed_bytes: u64) -> Result<()> {
    let disk = statvfs(path).with_context(|| format!("the disk of {}", path.display()))?;
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free_bytes < needed_bytes {
        bail!(
            "the disk of the data directory {} is full: {} MiB are free and {} MiB needed; make room, or give a \
             directory on another disk with --data",
            path.display(),
            free_bytes / MIB,
            needed_bytes / MIB
        );
    }
    Ok(())
}

/// Says so when it was a full disk that `error` comes from.
pub fn explain(error: Error, path: &Path) -> Error {
    let full = error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::StorageFull);
        let store = cause.downcast_ref::<StoreError>().is_some_and(StoreError::is_disk_full);
        io || store
    });
    if !full {
        return error;
    }
    error.context(format!(
        "a disk is full: make room where {} and this user's cache directory are, or give another directory with \
         --data",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_full_disk_says_how_much_is_needed_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), 1).unwrap();
        let full = check(folder.path(), u64::MAX).unwrap_err().to_string();
        assert!(full.contains("is full") && full.contains("--data"), "{full}");
    }

    #[test]
    fn a_disk_that_fills_up_on_the_way_is_named() {
        let full = Error::new(io::Error::from(io::ErrorKind::StorageFull)).context("unpacking");
        assert!(explain(full, Path::new("/data")).to_string().contains("a disk is full"));
        assert_eq!(explain(anyhow!("another fault"), Path::new("/data")).to_string(), "another fault");
    }
}
