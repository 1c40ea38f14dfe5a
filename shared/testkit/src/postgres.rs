//! A PostgreSQL cluster of a test's own, to be killed and restarted.

use std::fs::File;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_postgres::NoTls;

use crate::janitor::Janitor;
use crate::ports::free_ports;
use crate::users::unprivileged;
use crate::wait_until;

/// A cluster needs a second or two on an idle machine, and tests seldom run on one.
const START_BOUND: Duration = Duration::from_secs(120);
const STOP_BOUND: Duration = Duration::from_secs(60);
const ANSWER_BOUND: Duration = Duration::from_secs(2);
const VERSION_MIN: u32 = 15;
/// Where packages put each version's programs: the folder that holds one folder per version, and what follows.
const FOLDERS: [(&str, &str); 2] = [("/usr/lib/postgresql", "bin"), ("/opt/homebrew/opt", "bin")];
/// PostgreSQL refuses to be root. Whom it runs as then: its package's user, else nobody.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// What remains of a cluster when its test ends in any way. The other processes go when the first of them has.
const CLEAN_UP: &str = r#"
    if [ -f "$1/data/postmaster.pid" ]; then kill -9 "$(head -n 1 "$1/data/postmaster.pid")"; fi
    for try in 1 2 3 4 5; do rm -rf "$1" && break; sleep 1; done"#;

/// A cluster on a free port and in a folder of its own. Its processes and files go with the value, or with the test's
/// process, however that ends.
#[derive(Debug)]
pub struct PrivatePostgres {
    /// Of the database `postgres`, for a user who may do everything.
    pub url: String,
    setup: Setup,
    /// None while the cluster is down.
    server: Option<Child>,
    _janitor: Janitor,
}

/// What stays the same over restarts.
#[derive(Debug)]
struct Setup {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    /// User and group, where they are not ours.
    owner: Option<(u32, u32)>,
}

impl PrivatePostgres {
    /// Makes a cluster, starts it and waits until it answers. `TOCSIN_TEST_POSTGRES` names the folder of its programs
    /// where that is in none of the usual places.
    pub async fn start() -> Result<Self> {
        let setup = Setup::prepare()?;
        let janitor = Janitor::engage(CLEAN_UP, &[setup.folder.as_os_str()])?;
        setup.make_cluster().await?;
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", setup.port);
        let mut postgres = Self { url, setup, server: None, _janitor: janitor };
        postgres.restart().await?;
        Ok(postgres)
    }

    /// Where one of PostgreSQL's own programs is, as `pg_dump`.
    pub fn program(name: &str) -> Result<PathBuf> {
        Ok(programs()?.join(name))
    }

    /// SIGKILL to the server: its sessions end without a word, and what was not committed is lost.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill().await.context("cannot kill PostgreSQL")?;
        }
        Ok(())
    }

    /// A fast shutdown: every session is told, and ends at once.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        if let Some(id) = server.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            rustix::process::kill_process(id, rustix::process::Signal::INT)?;
        }
        tokio::time::timeout(STOP_BOUND, server.wait()).await.context("PostgreSQL does not stop")??;
        Ok(())
    }

    /// Starts the cluster again with the same address and data, and waits until it answers. After a kill the sessions of
    /// the dead server may hold its memory for a moment: then it is tried again.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        let (setup, server, url) = (&self.setup, &mut self.server, self.url.as_str());
        let started = wait_until("PostgreSQL to answer", START_BOUND, async || {
            if server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None))) {
                *server = setup.spawn().ok();
            }
            answers(url).await
        })
        .await;
        started.with_context(|| self.setup.last_words())
    }
}

impl Setup {
    fn prepare() -> Result<Self> {
        let programs = programs()?;
        let owner = if rustix::process::geteuid().is_root() { Some(unprivileged(&USERS)?) } else { None };
        // Not deleted by us but by the janitor, who also comes when we are killed.
        let folder = TempDir::with_prefix("tocsin-postgres-")?.keep();
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).context("cannot give a folder to PostgreSQL's user")?;
        }
        let [port] = free_ports()?;
        Ok(Self { programs, folder, port, owner })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Result<Command> {
        let log = File::options().create(true).append(true).open(self.folder.join("output"))?;
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("LC_ALL", "C")
            .arg("-D")
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // An interrupt from the terminal is for the test, which then takes the cluster down.
            .process_group(0)
            .kill_on_drop(true);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        Ok(command)
    }

    async fn make_cluster(&self) -> Result<()> {
        let making = self
            .command("initdb")?
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
            .status();
        let status = tokio::time::timeout(START_BOUND, making).await.context("initdb does not end")??;
        if !status.success() {
            bail!("initdb failed ({status}): {}", self.last_words());
        }
        Ok(())
    }

    fn spawn(&self) -> Result<Child> {
        let port = self.port.to_string();
        // Processes are killed here, not the machine, so nothing has to wait for the disk to be safe.
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "fsync=off",
            "full_page_writes=off",
            "max_wal_size=2GB",
        ];
        let mut command = self.command("postgres")?;
        command.args(["-p", &port]);
        settings.iter().for_each(|setting| {
            command.args(["-c", setting]);
        });
        command.spawn().context("cannot start PostgreSQL")
    }

    /// The end of what the programs wrote, for an error.
    fn last_words(&self) -> String {
        let output = std::fs::read_to_string(self.folder.join("output")).unwrap_or_default();
        let lines: Vec<_> = output.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// The folder of the newest version's programs.
fn programs() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TOCSIN_TEST_POSTGRES") {
        return Ok(folder.into());
    }
    let versions = FOLDERS.iter().flat_map(|(parent, below)| {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        entries.filter_map(move |entry| {
            let version = version(entry.file_name().to_str()?)?;
            Some((version, entry.path().join(below)))
        })
    });
    let usable = |(version, folder): &(u32, PathBuf)| {
        *version >= VERSION_MIN && ["initdb", "postgres"].iter().all(|program| folder.join(program).exists())
    };
    versions.filter(usable).max().map(|(_, folder)| folder).with_context(|| {
        format!(
            "no PostgreSQL {VERSION_MIN} or newer found: install the package, or name the folder of its programs in \
             TOCSIN_TEST_POSTGRES"
        )
    })
}

/// `15`, or `postgresql@15`.
fn version(folder: &str) -> Option<u32> {
    folder.strip_prefix("postgresql@").unwrap_or(folder).parse().ok()
}

async fn answers(url: &str) -> bool {
    let asking = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let asking = async {
            let answer = client.batch_execute("select 1").await;
            drop(client);
            answer
        };
        let (answer, _) = tokio::join!(asking, connection);
        answer
    };
    matches!(tokio::time::timeout(ANSWER_BOUND, asking).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn count(url: &str) -> i64 {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let asking = async {
            let row = client.query_one("select count(*) from kept", &[]).await.unwrap();
            drop(client);
            row.get(0)
        };
        tokio::join!(asking, connection).0
    }

    #[tokio::test]
    async fn a_cluster_keeps_what_was_committed_over_a_stop_and_a_kill_and_leaves_nothing() {
        let mut postgres = PrivatePostgres::start().await.unwrap();
        let (url, folder) = (postgres.url.clone(), postgres.setup.folder.clone());
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let writing = client.batch_execute("create table kept as select generate_series(1, 3)");
        let (written, ended) = tokio::join!(
            async {
                let written = writing.await;
                postgres.kill().await.unwrap();
                written
            },
            connection
        );
        written.unwrap();
        assert!(ended.is_err());
        assert!(!answers(&url).await);
        postgres.restart().await.unwrap();
        assert_eq!(count(&url).await, 3);
        postgres.stop().await.unwrap();
        assert!(!answers(&url).await);
        postgres.restart().await.unwrap();
        assert_eq!(count(&url).await, 3);
        drop(postgres);
        let gone = wait_until("the cluster's folder to go", STOP_BOUND, async || !folder.exists());
        gone.await.unwrap();
    }

    #[test]
    fn versions_are_read_from_the_names_of_folders() {
        for (folder, number) in
            [("15", Some(15)), ("postgresql@17", Some(17)), ("postgresql", None), ("9.6", None)]
        {
            assert_eq!(version(folder), number, "{folder}");
        }
    }
}
