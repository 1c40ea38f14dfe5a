//! One real process: started, killed, and its log read while it runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tocsin_testkit::wait_until;

/// For a process to say something, on a machine that does much else.
const SAYS_WITHIN: Duration = Duration::from_secs(60);
const LAST_WORDS: usize = 12;

/// A child that is killed when the value is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Runs this program with these arguments, and nothing in its environment but `environment`. It writes to `log`.
    pub fn start(words: &[&str], environment: &BTreeMap<String, String>, log: PathBuf) -> Result<Self> {
        let name = words.join(" ");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(std::env::current_exe().context("this program's own file is not known")?)
            .args(words)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has logged `words` so many times.
    pub async fn logged(&mut self, words: &str, times: usize) -> Result<()> {
        let mut exited = None;
        let said = wait_until(&format!("{} to log {words:?}", self.name), SAYS_WITHIN, async || {
            exited = self.child.try_wait().ok().flatten();
            exited.is_some() || self.read().matches(words).count() >= times
        })
        .await;
        match exited {
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.last_words()),
            None => said.with_context(|| self.last_words()),
        }
    }

    /// Why the process has ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("{} ended ({status}):\n{}", self.name, self.last_words()))
    }

    /// Waits for the process to end well, and returns what it wrote on standard output.
    pub async fn output(mut self, within: Duration) -> Result<String> {
        let mut status = None;
        wait_until(&format!("{} to end", self.name), within, async || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        })
        .await?;
        if !status.is_some_and(|status| status.success()) {
            bail!("{} failed:\n{}", self.name, self.last_words());
        }
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut text).context("its output is no text")?;
        }
        Ok(text)
    }

    /// SIGTERM: it is asked to leave, once.
    pub fn ask_to_leave(&self) -> Result<()> {
        let id = Pid::from_raw(self.child.id().cast_signed()).context("no process id")?;
        kill_process(id, Signal::TERM).with_context(|| format!("cannot signal {}", self.name))
    }

    /// SIGKILL: no goodbye to anyone.
    pub fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .with_context(|| format!("cannot kill {}", self.name))?;
        Ok(())
    }

    fn read(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn last_words(&self) -> String {
        let log = self.read();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended before.
        let _ = self.kill();
    }
}
