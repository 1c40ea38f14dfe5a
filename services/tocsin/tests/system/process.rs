//! One real process of the program: started, signalled, and its log read while it runs.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tocsin_testkit::wait_until;

/// For a process to say something, on a machine that does much else.
const SAYS_WITHIN: Duration = Duration::from_secs(60);
/// Beyond what a role is given to leave.
const LEAVES_WITHIN: Duration = Duration::from_secs(40);
const LAST_WORDS: usize = 20;
const HEALTH: &str = "TOCSIN_HEALTH__LISTEN";

/// A child that is killed when the value is dropped.
pub struct Process {
    name: String,
    child: Child,
    /// Where it serves health and metrics.
    health: String,
    /// What it wrote on standard error: a JSON object a line.
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Runs `tocsin` with these arguments, and nothing in its environment but `environment`.
    pub fn start(arguments: &[&str], environment: &BTreeMap<String, String>) -> Result<Self> {
        let name = arguments.join(" ");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tocsin"))
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stderr = child.stderr.take().context("no standard error")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        // Ends with the child, which closes the pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let health = environment.get(HEALTH).map(|address| format!("http://{address}")).unwrap_or_default();
        Ok(Self { name, child, health, log })
    }

    /// What `/readyz` says: whether it is ready, and what it lacks. An error: it does not answer.
    pub async fn readiness(&self) -> Result<Value> {
        Ok(self.look("/readyz", "*/*").await?.json().await?)
    }

    /// Is it there at all?
    pub async fn is_live(&self) -> bool {
        self.look("/livez", "*/*").await.is_ok_and(|answer| answer.status().is_success())
    }

    pub async fn is_ready(&self) -> bool {
        self.readiness().await.is_ok_and(|said| said["ready"] == true)
    }

    /// Its metrics, as Prometheus asks for them.
    pub async fn scrape(&self) -> Result<String> {
        let answer = self.look("/metrics", "application/openmetrics-text;version=1.0.0,*/*;q=0.1").await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Which lines it writes from now on.
    pub async fn filter_log(&self, filter: &'static str) -> Result<()> {
        let request = tocsin_providers::http_client()?.put(format!("{}/log-filter", self.health));
        request.body(filter).send().await?.error_for_status()?;
        Ok(())
    }

    async fn look(&self, path: &str, accept: &str) -> Result<reqwest::Response> {
        let request = tocsin_providers::http_client()?.get(format!("{}{path}", self.health));
        Ok(request.header("accept", accept).send().await?)
    }

    /// Has it said so on standard error, in whatever form?
    pub fn has_said(&self, words: &str) -> bool {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|line| line.contains(words))
    }

    /// All that it has written so far, line by line.
    pub fn said(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the process has logged `message`, and returns the first such line.
    pub async fn logged(&mut self, message: &str) -> Result<Value> {
        let mut exited = None;
        let mut found = None;
        let said = wait_until(&format!("{} to log {message:?}", self.name), SAYS_WITHIN, async || {
            exited = self.child.try_wait().ok().flatten();
            found = self.lines(message).into_iter().next();
            found.is_some() || exited.is_some()
        })
        .await;
        if let Some(found) = found {
            return Ok(found);
        }
        match (said, exited) {
            (_, Some(status)) => bail!("{} ended ({status}): {}", self.name, self.last_words()),
            (Err(error), None) => Err(error).context(self.last_words()),
            (Ok(()), None) => bail!("{} logged no {message:?}", self.name),
        }
    }

    /// Every line with this message so far.
    pub fn lines(&self, message: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// SIGKILL: no goodbye to anyone.
    pub fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .with_context(|| format!("cannot kill {}", self.name))?;
        Ok(())
    }

    /// SIGSTOP: the process is there, and does nothing.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGTERM: the process is asked to leave, once. A second one would have it drop what it does.
    pub fn ask_to_leave(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits until the process has left.
    pub async fn left(&mut self) -> Result<ExitStatus> {
        let mut left = None;
        let leaving = wait_until(&format!("{} to leave", self.name), LEAVES_WITHIN, async || {
            left = self.child.try_wait().ok().flatten();
            left.is_some()
        })
        .await;
        leaving.with_context(|| self.last_words())?;
        left.context("no exit status")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.child.id().cast_signed()).context("no process id")?;
        kill_process(id, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    fn last_words(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log[log.len().saturating_sub(LAST_WORDS)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended before.
        let _ = self.kill();
    }
}
