//! `tocsin up` as a real process, and its data directory while it does not run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tocsin::embedded::{DataDirectory, Embedded};
use tokio_postgres::NoTls;

use crate::fleet::free_ports;
use crate::process::Process;

/// A data directory, a port, and the environment that the process is started with.
pub struct Place {
    pub data: PathBuf,
    pub port: u16,
    pub environment: BTreeMap<String, String>,
    folder: TempDir,
}

impl Place {
    pub fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        let [port] = free_ports()?;
        let environment = [("TOCSIN_LOG__FORMAT", "json"), ("TOCSIN_LOG__FILTER", "info")];
        let mut environment: BTreeMap<String, String> =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // Where the embedded PostgreSQL was unpacked before.
        for name in ["HOME", "XDG_CACHE_HOME"] {
            if let Ok(value) = std::env::var(name) {
                environment.insert(name.to_owned(), value);
            }
        }
        Ok(Self { data: folder.path().join("data"), port, environment, folder })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it and waits until it serves.
    pub async fn up(&self, more: &[&str]) -> Result<Process> {
        let listen = format!("127.0.0.1:{}", self.port);
        let data = self.data.to_str().context("a folder whose name is no text")?;
        let arguments = [&["up", "--listen", &listen, "--data", data], more].concat();
        let mut process = Process::start(&arguments, &self.environment)?;
        process.logged("up").await?;
        Ok(process)
    }

    /// Does `work` on the embedded store, which nobody else may hold.
    pub async fn with_store<T>(&self, work: impl AsyncFnOnce(&Embedded) -> Result<T>) -> Result<T> {
        let mut directory = DataDirectory::open(&self.data)?;
        let embedded = Embedded::start(&mut directory).await?;
        let done = work(&embedded).await;
        embedded.stop().await;
        directory.keep();
        done
    }

    /// Runs one statement as the owner of the embedded database.
    pub async fn run_sql(&self, sql: &str) -> Result<()> {
        self.with_store(async |embedded| {
            // The one session is free when the store has closed its own.
            embedded.store.close();
            let (client, connection) = tokio_postgres::connect(&embedded.url, NoTls).await?;
            let run = async {
                let done = client.batch_execute(sql).await;
                // The connection ends when its client is gone.
                drop(client);
                done
            };
            let (done, _) = tokio::join!(run, connection);
            Ok(done?)
        })
        .await
    }
}
