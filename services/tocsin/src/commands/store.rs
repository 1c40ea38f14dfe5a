//! The store that an operator's command works on: the server of DATABASE_URL, else the embedded one.

use std::path::PathBuf;

use anyhow::Result;
use tocsin_runtime::Config;
use tocsin_store::{Access, Store};

use crate::embedded::{DataDirectory, Embedded};

/// Where the data directory is. Asked for only when one is needed.
pub trait DataPath: FnOnce() -> Result<PathBuf> {}
impl<F: FnOnce() -> Result<PathBuf>> DataPath for F {}

/// Does `work` on the store. An embedded one is open for that long alone, and refuses while `tocsin up` runs
/// on it.
pub async fn with_store<T>(
    config: &Config,
    data: impl DataPath,
    work: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
    if config.database_url.is_some() {
        let store = Store::open(config.require_database_url()?, 1, Access::Engine)?;
        store.check().await?;
        return work(&store).await;
    }
    let mut directory = DataDirectory::open(&data()?)?;
    eprintln!("on the embedded store in {} (DATABASE_URL is not set)", directory.path().display());
    let embedded = Embedded::start(&mut directory).await?;
    let done = work(&embedded.store).await;
    embedded.stop().await;
    if done.is_ok() {
        directory.keep();
    }
    done
}
