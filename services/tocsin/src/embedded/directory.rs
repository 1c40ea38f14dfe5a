//! The data directory: whose it is, who holds it, and that a start that fails leaves nothing behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::process::geteuid;

use super::marker::{self, Marker, Sample};
use super::room;
use crate::exit::Failure;

/// Locked by the process that has the directory; holds its process id. The kernel unlocks it however the
/// process ends.
const LOCK: &str = "lock";

/// A data directory that this process holds.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    marker: Marker,
    /// What is removed again unless [`DataDirectory::keep`] is called: nothing where there was data before.
    made: Option<Made>,
    _lock: File,
}

#[derive(Debug)]
struct Made {
    /// Directories above it, and itself, that were not there; innermost first.
    directories: Vec<PathBuf>,
}

impl DataDirectory {
    /// `$XDG_DATA_HOME/tocsin`, else `~/.local/share/tocsin`.
    pub fn default_path() -> Result<PathBuf> {
        let named = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        named("XDG_DATA_HOME")
            .or_else(|| named("HOME").map(|home| home.join(".local/share")))
            .map(|data| data.join("tocsin"))
            .ok_or_else(|| {
                let what = "no data directory: neither XDG_DATA_HOME nor HOME is set: give one with --data, or set \
                            DATABASE_URL";
                Failure::usage(what).into()
            })
    }

    /// Takes the directory, which is made when it is not there. Nothing is written to one that is not ours,
    /// is newer, or is held by another process.
    pub fn open(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).with_context(|| format!("--data: {}", path.display()))?;
        let shown = path.clone();
        Self::open_at(path).map_err(|error| room::explain(error, &shown))
    }

    fn open_at(path: PathBuf) -> Result<Self> {
        if path.exists() {
            check_ours(&path)?;
        }
        let directories = make(&path)?;
        match make_private(&path).and_then(|()| Self::take(&path)) {
            Ok((lock, Some(marker))) => Ok(Self { path, marker, made: None, _lock: lock }),
            Ok((lock, None)) => {
                let made = Some(Made { directories });
                let directory = Self { path, marker: Marker::new(), made, _lock: lock };
                // From here on a start that is killed goes on with the next one.
                directory.marker.write(&directory.path)?;
                Ok(directory)
            }
            Err(error) => {
                remove_directories(&directories);
                Err(error)
            }
        }
    }

    fn take(path: &Path) -> Result<(File, Option<Marker>)> {
        let lock = lock(path)?;
        // Another process may have made the directory meanwhile: what counts is read under the lock.
        Ok((lock, Marker::read(path)?))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the embedded PostgreSQL's files are.
    pub fn postgres(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Of the embedded store; 0 when there is none yet.
    pub fn schema(&self) -> i32 {
        self.marker.schema
    }

    /// Takes away a cluster whose schema was never finished: nobody has used it, and a removal that was killed
    /// may have left half of it.
    pub fn clear_unfinished(&self) -> Result<()> {
        let postgres = self.postgres();
        if self.schema() != 0 || !postgres.exists() {
            return Ok(());
        }
        fs::remove_dir_all(&postgres).with_context(|| {
            format!("{}, which a start that was killed left, cannot be removed", postgres.display())
        })
    }

    pub fn migrated(&mut self, schema: i32) -> Result<()> {
        self.mark(Marker { schema, ..self.marker.clone() })
    }

    /// The sample district, when this directory's store holds one.
    pub fn sample(&self) -> Option<Sample> {
        self.marker.sample
    }

    pub fn holds_sample(&mut self, sample: Sample) -> Result<()> {
        self.mark(Marker { sample: Some(sample), ..self.marker.clone() })
    }

    fn mark(&mut self, marker: Marker) -> Result<()> {
        marker.write(&self.path)?;
        self.marker = marker;
        Ok(())
    }

    /// Was it made, or empty, when this process opened it?
    pub fn is_new(&self) -> bool {
        self.made.is_some()
    }

    /// The start has succeeded: what was made stays.
    pub fn keep(&mut self) {
        self.made = None;
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            // Should it be killed half-way, the next start must not take what is left for a store that works.
            let _ = Marker::new().write(&self.path);
            remove_contents(&self.path);
            remove_directories(&made.directories);
        }
    }
}

/// Is it a directory of ours, or an empty one?
fn check_ours(path: &Path) -> Result<()> {
    let shown = path.display();
    if !path.is_dir() {
        return Err(Failure::usage(format!(
            "the data directory {shown} is a file: give a directory with --data"
        ))
        .into());
    }
    if Marker::read(path)?.is_some() {
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("the data directory {shown} cannot be read"))?;
    for entry in entries {
        let name = entry.with_context(|| format!("the data directory {shown} cannot be read"))?.file_name();
        // A process that was killed at its very first step has left no more than these.
        if name != LOCK && name != marker::UNFINISHED {
            return Err(Failure::usage(format!(
                "{shown} is not a data directory of tocsin: it holds {} and no {}; give an empty or a new \
                 directory with --data",
                name.display(),
                marker::FILE
            ))
            .into());
        }
    }
    Ok(())
}

/// Makes the directory, for this user alone. Returns what was not there, innermost first.
fn make(path: &Path) -> Result<Vec<PathBuf>> {
    let missing: Vec<PathBuf> =
        path.ancestors().take_while(|above| !above.exists()).map(Path::to_owned).collect();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    if let Err(error) = made {
        remove_directories(&missing);
        return Err(error).with_context(|| {
            format!("the data directory {} cannot be made: give another with --data", path.display())
        });
    }
    Ok(missing)
}

/// The database's own files may be read by all: nobody else gets as far as them.
fn make_private(path: &Path) -> Result<()> {
    let shown = path.display();
    let look = || fs::metadata(path).with_context(|| format!("the data directory {shown} cannot be read"));
    let open_to_others = |found: &fs::Metadata| found.mode() & 0o077 != 0;
    let mut found = look()?;
    if open_to_others(&found) && found.uid() == geteuid().as_raw() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).with_context(|| {
            format!("the data directory {shown} cannot be made private: give another with --data")
        })?;
        // Some disks take a mode and forget it.
        found = look()?;
    }
    if open_to_others(&found) {
        return Err(Failure::usage(format!(
            "the data directory {shown} is open to other users of this machine, and this one cannot close it: \
             have its owner `chmod 700` it, or give another directory with --data"
        )).into());
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let shown = path.display();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))
        .with_context(|| {
            format!("the data directory {shown} cannot be written: mend its permissions, or give another with --data")
        })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Whoever has just begun may not have written its id yet.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let holder =
                if holder.is_empty() { "another process".to_owned() } else { format!("process {holder}") };
            let what = format!(
                "the data directory {shown} is in use: tocsin ({holder}) holds it, and only one process can. Use \
                 its REST API (`tocsin campaign …`), stop it first, or give another directory with --data"
            );
            return Err(Failure::unreachable(what).into());
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| {
                format!("the data directory {shown} cannot be locked: give one on a local disk with --data")
            });
        }
    }
    if !is_at(&file, &path.join(LOCK)) {
        return Err(Failure::unreachable(format!(
            "another process has just removed the data directory {shown}, where its start failed: try again"
        ))
        .into());
    }
    let written =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = written {
        let _ = fs::remove_file(path.join(LOCK));
        return Err(error).with_context(|| format!("the data directory {shown} cannot be written"));
    }
    Ok(file)
}

/// Has nobody removed it since it was opened?
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let (opened, there) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((opened, there), (Ok(opened), Ok(there)) if opened == there)
}

/// What a start that failed made in a directory that was empty before. What cannot be removed is left: the
/// failure itself is told. The marker goes after all that it stands for, and the lock last of all, so that the
/// directory is ours and held until nothing is left of it.
fn remove_contents(path: &Path) {
    let last = [path.join(marker::FILE), path.join(LOCK)];
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries.filter(|path| !last.contains(path)) {
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
    for path in last {
        let _ = fs::remove_file(path);
    }
}

/// Only those that are empty go.
fn remove_directories(directories: &[PathBuf]) {
    for directory in directories {
        let _ = fs::remove_dir(directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_start_that_fails_takes_away_what_it_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("share").join("tocsin");
        let directory = DataDirectory::open(&path).unwrap();
        assert!(directory.is_new());
        fs::create_dir_all(directory.postgres().join("base")).unwrap();
        drop(directory);
        assert!(names(folder.path()).is_empty());
        // One that was there stays, empty as it was.
        drop(DataDirectory::open(folder.path()).unwrap());
        assert!(folder.path().is_dir() && names(folder.path()).is_empty());
    }

    #[test]
    fn data_stays_when_a_later_start_fails() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = DataDirectory::open(folder.path()).unwrap();
        first.migrated(1).unwrap();
        first.keep();
        drop(first);
        let second = DataDirectory::open(folder.path()).unwrap();
        assert!(!second.is_new() && second.schema() == 1);
        drop(second);
        assert_eq!(names(folder.path()), ["lock", "tocsin.json"]);
    }

    #[test]
    fn a_start_that_was_killed_at_any_step_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        for left in [&[LOCK][..], &[LOCK, marker::UNFINISHED]] {
            for name in left {
                fs::write(folder.path().join(name), "").unwrap();
            }
            assert!(DataDirectory::open(folder.path()).unwrap().is_new(), "{left:?}");
        }
        fs::create_dir(folder.path().join("postgres")).unwrap();
        Marker::new().write(folder.path()).unwrap();
        let next = DataDirectory::open(folder.path()).unwrap();
        assert_eq!(next.schema(), 0, "the schema is still to be made");
        next.clear_unfinished().unwrap();
        assert_eq!(names(folder.path()), [LOCK, marker::FILE]);
    }

    #[test]
    fn a_store_that_was_finished_is_not_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let mut directory = DataDirectory::open(folder.path()).unwrap();
        fs::create_dir(directory.postgres()).unwrap();
        directory.migrated(1).unwrap();
        directory.clear_unfinished().unwrap();
        assert!(directory.postgres().is_dir());
    }

    #[test]
    fn a_lock_that_was_removed_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK);
        let first = lock(folder.path()).unwrap();
        assert!(is_at(&first, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&first, &path));
        let _second = lock(folder.path()).unwrap();
        assert!(!is_at(&first, &path));
    }

    #[test]
    fn a_directory_that_was_there_before_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let _directory = DataDirectory::open(folder.path()).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataDirectory::open(folder.path()).unwrap();
        let refused = DataDirectory::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        DataDirectory::open(folder.path()).unwrap();
    }

    #[test]
    fn what_is_no_directory_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(DataDirectory::open(&file).unwrap_err().to_string().contains("is a file"));
        assert!(DataDirectory::open(folder.path()).unwrap_err().to_string().contains("not a data directory"));
        fs::rename(&file, folder.path().join(marker::FILE)).unwrap();
        assert!(DataDirectory::open(folder.path()).unwrap_err().to_string().contains("cannot be understood"));
    }
}
