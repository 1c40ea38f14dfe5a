//! What the demo stands on, all of it its own and gone afterwards: an embedded store and a broker in memory,
//! or a database and a vhost on the servers that DATABASE_URL and AMQP_URL name.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tocsin_queue::{Broker, MemoryBroker, RabbitBroker};
use tocsin_testkit::{TestDatabase, TestVhost};

use crate::embedded::{DataDirectory, Embedded};
use crate::system::Stores;

const DATABASE_POOL: usize = 16;

#[derive(Debug)]
pub struct Ground {
    pub stores: Stores,
    pub broker: Arc<dyn Broker>,
    database: Database,
    // Dropped last: whoever is still connected is thrown out.
    vhost: Option<TestVhost>,
}

#[derive(Debug)]
enum Database {
    Embedded(Box<OnDisk>),
    Server { _database: TestDatabase },
}

/// The directory goes before the folder that it is in.
#[derive(Debug)]
struct OnDisk {
    embedded: Embedded,
    _directory: DataDirectory,
    _folder: TempDir,
}

impl Ground {
    pub async fn prepare() -> Result<Self> {
        // What cannot be reached is told before an embedded store is made.
        let vhost = if is_set("AMQP_URL") { Some(TestVhost::create().await?) } else { None };
        let broker = broker(vhost.as_ref()).await?;
        let (database, stores) = if is_set("DATABASE_URL") { server().await? } else { embedded().await? };
        Ok(Self { stores, broker, database, vhost })
    }

    /// After the roles have left.
    pub async fn clear(self) {
        self.stores.close();
        match self.database {
            Database::Embedded(on_disk) => {
                let OnDisk { embedded, _directory, _folder } = *on_disk;
                embedded.stop().await;
            }
            Database::Server { .. } => {}
        }
    }

    /// `PostgreSQL inside this process and a broker in memory`
    pub fn describe(&self) -> String {
        let store = match self.database {
            Database::Embedded(_) => "PostgreSQL inside this process",
            Database::Server { .. } => "a PostgreSQL database of its own",
        };
        let broker = if self.vhost.is_some() { "a RabbitMQ vhost of its own" } else { "a broker in memory" };
        format!("{store} and {broker}")
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

async fn broker(vhost: Option<&TestVhost>) -> Result<Arc<dyn Broker>> {
    let Some(vhost) = vhost else { return Ok(Arc::new(MemoryBroker::new())) };
    let broker = RabbitBroker::new(&vhost.amqp_url)?;
    // Declares the topology. On an empty vhost the roles would all declare it at once, and one that is told of
    // a queue just before it has started meets an error of the broker.
    broker.connect("demo").await.context("RabbitMQ cannot be used")?.close().await;
    Ok(Arc::new(broker))
}

async fn server() -> Result<(Database, Stores)> {
    let database = TestDatabase::create().await?;
    let stores = Stores::open(&database.url, DATABASE_POOL)?;
    Ok((Database::Server { _database: database }, stores))
}

async fn embedded() -> Result<(Database, Stores)> {
    let folder = tempfile::Builder::new().prefix("tocsin-demo-").tempdir();
    let folder = folder.context("no folder for the embedded store")?;
    let mut directory = DataDirectory::open(folder.path())?;
    let embedded = Embedded::start(&mut directory).await?;
    let stores = Stores::one(embedded.store.clone());
    let on_disk = OnDisk { embedded, _directory: directory, _folder: folder };
    Ok((Database::Embedded(Box::new(on_disk)), stores))
}
