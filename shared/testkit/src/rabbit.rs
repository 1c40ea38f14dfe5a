//! A RabbitMQ node of a test's own, to be killed and restarted.

use std::ffi::OsStr;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::janitor::Janitor;
use crate::ports::free_ports;
use crate::wait_until;

/// A node needs some seconds on an idle machine, and tests seldom run on one.
const START_BOUND: Duration = Duration::from_secs(120);
const STOP_BOUND: Duration = Duration::from_secs(60);

/// Where packages put the server's own script. The one on the PATH of Debian's package insists on another user.
const SERVERS: [&str; 3] = [
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
    "/opt/homebrew/sbin/rabbitmq-server",
];

/// What remains of a node when its test ends in any way: the node, its folder and its name server, which refuses to
/// go before it has noticed that the node has.
const CLEAN_UP: &str = r#"
    if [ -f "$1/pid" ]; then kill -9 "$(cat "$1/pid")"; fi
    rm -rf "$1"
    for try in 1 2 3 4 5; do ERL_EPMD_PORT="$2" epmd -kill && break; sleep 1; done"#;

/// A node on free ports and in a folder of its own, run as the current user. Its processes and files go with the
/// value, or with the test's process, however that ends.
#[derive(Debug)]
pub struct PrivateRabbit {
    pub amqp_url: String,
    setup: Setup,
    /// None while the node is down.
    server: Option<Child>,
    _janitor: Janitor,
}

/// What stays the same over restarts.
#[derive(Debug)]
struct Setup {
    script: PathBuf,
    folder: PathBuf,
    port: u16,
    distribution_port: u16,
    epmd_port: u16,
}

impl PrivateRabbit {
    /// Starts a node and waits until it speaks AMQP. `TOCSIN_TEST_RABBITMQ_SERVER` names the server's script where it
    /// is in none of the usual places.
    pub async fn start() -> Result<Self> {
        let setup = Setup::prepare(server_script()?)?;
        let epmd_port = setup.epmd_port.to_string();
        let janitor = Janitor::engage(CLEAN_UP, &[setup.folder.as_os_str(), OsStr::new(&epmd_port)])?;
        let amqp_url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", setup.port);
        let mut rabbit = Self { amqp_url, setup, server: None, _janitor: janitor };
        rabbit.restart().await?;
        Ok(rabbit)
    }

    /// SIGKILL: no goodbye to anyone, and what was not on disk is lost.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill().await.context("cannot kill the RabbitMQ node")?;
        }
        Ok(())
    }

    /// SIGTERM, and the node's own orderly shutdown, which closes every connection with a reason.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        if let Some(id) = server.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        }
        tokio::time::timeout(STOP_BOUND, server.wait())
            .await
            .context("the RabbitMQ node does not stop")??;
        Ok(())
    }

    /// The node says from then on that it is short of memory, however much it has.
    pub async fn raise_memory_alarm(&self) -> Result<()> {
        self.setup.control(&["set_vm_memory_high_watermark", "0.000001"]).await
    }

    /// It has memory again.
    pub async fn clear_memory_alarm(&self) -> Result<()> {
        self.setup.control(&["set_vm_memory_high_watermark", "0.9"]).await
    }

    /// Starts the node again with the same address and data, if it is down, and waits until it speaks AMQP.
    pub async fn restart(&mut self) -> Result<()> {
        if self.server.is_some() {
            self.stop().await?;
        }
        let server = self.server.insert(self.setup.spawn()?);
        let port = self.setup.port;
        let mut exited = None;
        let started = wait_until("the RabbitMQ node to speak AMQP", START_BOUND, async || {
            exited = server.try_wait().ok().flatten();
            exited.is_some() || speaks_amqp(port).await
        })
        .await;
        if let Some(status) = exited {
            self.server = None;
            anyhow::bail!("the RabbitMQ node ended at once ({status}): {}", self.setup.last_words());
        }
        started.with_context(|| self.setup.last_words())
    }
}

impl Setup {
    fn prepare(script: PathBuf) -> Result<Self> {
        // Not deleted by us but by the janitor, who also comes when we are killed.
        let folder = TempDir::with_prefix("tocsin-rabbit-")?.keep();
        let [port, distribution_port, epmd_port] = free_ports()?;
        // `listeners.tcp` with a name of our own would be added to the default listener.
        std::fs::write(folder.join("rabbitmq.conf"), format!("listeners.tcp.default = 127.0.0.1:{port}\n"))?;
        std::fs::write(folder.join("plugins"), "[].\n")?;
        Ok(Self { script, folder, port, distribution_port, epmd_port })
    }

    fn spawn(&self) -> Result<Child> {
        let inside = |name: &str| self.folder.join(name);
        let log = File::options().create(true).append(true).open(inside("output"))?;
        Command::new(&self.script)
            .current_dir(&self.folder)
            // Then the script becomes the node itself instead of a shell around it, so that our signals reach it.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .env("HOME", &self.folder)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_PID_FILE", inside("pid"))
            .env("RABBITMQ_MNESIA_BASE", inside("data"))
            .env("RABBITMQ_LOG_BASE", inside("log"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", inside("plugins"))
            .env("RABBITMQ_CONFIG_FILE", inside("rabbitmq"))
            // The machine's own configuration must not get in: these files do not exist.
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", inside("advanced"))
            .env("RABBITMQ_CONFIG_FILES", inside("conf.d"))
            .env("RABBITMQ_CONF_ENV_FILE", inside("rabbitmq-env.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // An interrupt from the terminal is for the test, which then takes the node down.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.script.display()))
    }

    /// Runs the node's own rabbitmqctl on it, which knows the node by the cookie in its folder.
    async fn control(&self, arguments: &[&str]) -> Result<()> {
        let program = self.script.with_file_name("rabbitmqctl");
        let output = Command::new(&program)
            .current_dir(&self.folder)
            .args(["--node", &self.node()])
            .args(arguments)
            .env("HOME", &self.folder)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", self.folder.join("rabbitmq-env.conf"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot run {}", program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "rabbitmqctl {}: {said}", arguments.join(" "));
        Ok(())
    }

    fn node(&self) -> String {
        format!("tocsin-{}@localhost", self.port)
    }

    /// The end of what the node wrote, for an error.
    fn last_words(&self) -> String {
        let output = std::fs::read_to_string(self.folder.join("output")).unwrap_or_default();
        let lines: Vec<_> = output.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn server_script() -> Result<PathBuf> {
    if let Some(script) = std::env::var_os("TOCSIN_TEST_RABBITMQ_SERVER") {
        return Ok(script.into());
    }
    SERVERS.iter().map(Path::new).find(|script| script.exists()).map(Path::to_owned).with_context(
        || "no rabbitmq-server found: install the package, or name its script in TOCSIN_TEST_RABBITMQ_SERVER",
    )
}

/// A listener alone is not enough: the node listens before it has started. One that is up answers the protocol's
/// header with its own first frame, which begins with a method frame's type, 1.
async fn speaks_amqp(port: u16) -> bool {
    let greet = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.read_u8().await
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), greet).await, Ok(Ok(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_is_killed_restarted_and_stopped_and_leaves_nothing() {
        let mut rabbit = PrivateRabbit::start().await.unwrap();
        let (port, folder) = (rabbit.setup.port, rabbit.setup.folder.clone());
        assert!(speaks_amqp(port).await);
        rabbit.kill().await.unwrap();
        assert!(!speaks_amqp(port).await);
        rabbit.restart().await.unwrap();
        assert!(speaks_amqp(port).await);
        rabbit.stop().await.unwrap();
        assert!(!speaks_amqp(port).await);
        drop(rabbit);
        let gone = wait_until("the node's folder to go", STOP_BOUND, async || !folder.exists());
        gone.await.unwrap();
    }
}
