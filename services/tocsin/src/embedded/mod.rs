//! The embedded store: PostgreSQL inside this process, on a data directory of its own
//! (docs/adr/0009-embedded-store.md).
//!
//! It has one session, which serves every role: a pool of one. Whatever opens it holds the directory's lock,
//! so no other process can reach it but over the REST API.

mod directory;
mod marker;
mod private;
mod room;
mod socket;

#[cfg(all(
    feature = "embedded",
    any(
        all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")),
        all(target_os = "macos", target_arch = "aarch64")
    )
))]
mod server;
#[cfg(not(all(
    feature = "embedded",
    any(
        all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")),
        all(target_os = "macos", target_arch = "aarch64")
    )
)))]
#[path = "no_server.rs"]
mod server;

use anyhow::{Context as _, Result};
use tocsin_store::{Access, Store};

pub use directory::DataDirectory;
pub use marker::Sample;
pub use private::{ApiKey, callback_secret, webhook_secret};

use server::Server;

/// One session serves all.
const CONNECTIONS: usize = 1;
/// People of one transaction of an expansion, a quarter of what a server is given: all else waits for it, some
/// 20 ms.
pub const PEOPLE_PER_CHUNK: i64 = 250;

/// An embedded PostgreSQL that is running.
#[derive(Debug)]
pub struct Embedded {
    pub url: String,
    pub store: Store,
    server: Server,
}

impl Embedded {
    /// Starts it on `directory` and brings its schema to this program's. Fails before anything is made where
    /// there is no embedded PostgreSQL.
    pub async fn start(directory: &mut DataDirectory) -> Result<Self> {
        let started = Self::start_server(directory).await;
        started.map_err(|error| room::explain(error, directory.path()))
    }

    async fn start_server(directory: &mut DataDirectory) -> Result<Self> {
        server::available()?;
        room::require(directory)?;
        directory.clear_unfinished()?;
        let socket = socket::place(directory.path())?;
        let server = Server::start(directory.postgres(), socket).await?;
        let url = server.url();
        match open(&url, directory).await {
            Ok(store) => Ok(Self { url, store, server }),
            Err(error) => {
                server.stop().await;
                Err(error)
            }
        }
    }

    /// Stops it. Whatever still uses the store gets an error.
    pub async fn stop(self) {
        self.store.close();
        drop(self.store);
        self.server.stop().await;
    }
}

async fn open(url: &str, directory: &mut DataDirectory) -> Result<Store> {
    const WHAT: &str = "the embedded store cannot be used";
    if directory.schema() != tocsin_store::schema_version() {
        let reached = tocsin_store::migrate_embedded(url).await.context(WHAT)?;
        directory.migrated(reached)?;
    }
    let store = Store::open(url, CONNECTIONS, Access::Engine)?;
    store.check().await.context(WHAT)?;
    store.begin_alone().await.context(WHAT)?;
    Ok(store)
}
