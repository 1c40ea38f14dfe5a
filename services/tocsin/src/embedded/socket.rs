//! Where the embedded PostgreSQL listens: in the data directory, or, where that has too long a name for a
//! socket, in a short private directory of this user.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};

use crate::exit::Failure;

/// As libpq names it: clients are given the directory and the port.
const NAME: &str = ".s.PGSQL.5432";
/// A socket's address holds 108 bytes on Linux and 104 on macOS, the zero at its end included.
const PATH_BYTES_MAX: usize = 100;

/// The same place for the same data directory, so that a process that was killed leaves at most one.
pub fn place(directory: &Path) -> Result<PathBuf> {
    let inside = directory.join("run").join(NAME);
    if fits(&inside) {
        return Ok(inside);
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
    let parents = runtime.into_iter().chain([std::env::temp_dir()]);
    let name = short_name(directory);
    for folder in parents.map(|parent| parent.join(&name)) {
        let socket = folder.join(NAME);
        if fits(&socket) {
            make_private(&folder)?;
            return Ok(socket);
        }
    }
    let what = format!(
        "{} has too long a name for a socket, and so has the directory for temporary files: set TMPDIR to a \
         shorter one, or give a shorter directory with --data",
        directory.display()
    );
    Err(Failure::usage(what).into())
}

fn fits(socket: &Path) -> bool {
    socket.as_os_str().len() < PATH_BYTES_MAX
}

fn short_name(directory: &Path) -> String {
    let digest = Sha256::digest(directory.as_os_str().as_bytes());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("tocsin-{}-{digest}", geteuid().as_raw())
}

/// In a directory that everybody may write to, somebody else could have made it first.
fn make_private(folder: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be made", folder.display())),
    }
    let found = fs::symlink_metadata(folder).with_context(|| folder.display().to_string())?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
        bail!("{} is not a private directory of this user: remove it", folder.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_directory_has_its_socket_in_a_short_private_place() {
        let short = Path::new("/srv/tocsin");
        assert_eq!(place(short).unwrap(), short.join("run").join(NAME));

        let long = PathBuf::from(format!("/srv/{}", "long/".repeat(30)));
        let socket = place(&long).unwrap();
        assert!(fits(&socket), "{}", socket.display());
        assert_eq!(place(&long).unwrap(), socket);
        let folder = socket.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
        fs::remove_dir(folder).unwrap();
    }

    #[test]
    fn a_place_that_others_may_read_is_refused() {
        let long = PathBuf::from(format!("/srv/{}", "other/".repeat(30)));
        let folder = place(&long).unwrap().parent().unwrap().to_owned();
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let refused = place(&long).unwrap_err().to_string();
        fs::remove_dir(&folder).unwrap();
        assert!(refused.contains("not a private directory"), "{refused}");
    }
}
