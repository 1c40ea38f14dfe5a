//! pglite-oxide: PostgreSQL compiled into this program, served on a Unix socket. Over TCP each round trip
//! would cost 44 ms.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pglite_oxide::PgliteServer;
use tokio::sync::oneshot;

/// PostgreSQL's checkpoint at the end included. After that the process ends without it, as after a kill.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// The default of 128 MB is more than half of what the whole process may take.
const SHARED_BUFFERS: &str = "32MB";

const DATABASE: &str = "postgres";

#[derive(Debug)]
pub struct Server {
    /// None once it is asked to stop.
    server: Option<PgliteServer>,
    socket: PathBuf,
}

pub fn available() -> Result<()> {
    Ok(())
}

impl Server {
    /// Starts PostgreSQL on the cluster in `root`, which is made when it is not there.
    pub async fn start(root: PathBuf, socket: PathBuf) -> Result<Self> {
        small_pages();
        let listens = socket.clone();
        let starting = tokio::task::spawn_blocking(move || {
            PgliteServer::builder()
                .path(root)
                .unix(listens)
                // The default, template1, lets nobody make temporary tables, which an import does.
                .database(DATABASE)
                .postgres_config("shared_buffers", SHARED_BUFFERS)
                .start()
        });
        let server = starting.await?.context("the embedded PostgreSQL cannot be started")?;
        Ok(Self { server: Some(server), socket })
    }

    pub fn url(&self) -> String {
        self.server.as_ref().map(PgliteServer::database_url).unwrap_or_default()
    }

    /// Waits until it has stopped, for as long as that may take.
    pub async fn stop(mut self) {
        let stopping = self.shut_down();
        match tokio::time::timeout(LEAVE_WITHIN, stopping).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the embedded PostgreSQL did not stop in order"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the embedded PostgreSQL did not stop in time"),
        }
        let _ = fs::remove_file(&self.socket);
        // Goes only when nothing else is in it.
        let _ = self.socket.parent().map(fs::remove_dir);
    }

    /// On a thread that the process need not wait for: a client that is still connected would hold it up.
    fn shut_down(&mut self) -> oneshot::Receiver<Result<()>> {
        let (stopped, stopping) = oneshot::channel();
        if let Some(server) = self.server.take() {
            std::thread::spawn(move || {
                // Nobody listens any more when it took too long.
                let _ = stopped.send(server.shutdown());
            });
        }
        stopping
    }
}

/// The allocator asks for pages of 2 MB, of which PostgreSQL's start would leave some 60 MB half used.
fn small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay allowed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shut_down());
    }
}
