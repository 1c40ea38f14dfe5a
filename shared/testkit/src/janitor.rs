//! Cleaning up after this process, however it ends.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A shell that waits for this process to end, or for this value to be dropped, and then runs a command.
///
/// It holds the other end of a pipe, which the kernel closes even when the process is killed; it has a process group
/// of its own, so that an interrupt from the terminal leaves it to do its work.
#[derive(Debug)]
pub(crate) struct Janitor {
    /// Its standard input is the pipe.
    _shell: Child,
}

impl Janitor {
    /// `script` is POSIX shell, run with `arguments` as $1, $2 and so on.
    pub fn engage(script: &str, arguments: &[&OsStr]) -> io::Result<Self> {
        let shell = Command::new("sh")
            .arg("-c")
            .arg(format!("cat >/dev/null; {script}"))
            .arg("janitor")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { _shell: shell })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wait_until;

    #[tokio::test]
    async fn a_janitor_works_only_once_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let (waiting, done) = (folder.path().join("waiting"), folder.path().join("done"));
        std::fs::write(&waiting, "").unwrap();
        let janitor = Janitor::engage("mv \"$1\" \"$2\"", &[waiting.as_os_str(), done.as_os_str()]).unwrap();
        assert!(waiting.exists());
        drop(janitor);
        wait_until("the janitor's work", Duration::from_secs(30), async || done.exists()).await.unwrap();
    }
}
