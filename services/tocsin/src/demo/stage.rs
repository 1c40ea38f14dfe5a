//! What the demo plays on: servers' corners of its own, every role, and the simulated providers.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono_tz::Tz;
use tempfile::TempDir;
use tocsin_queue::{Broker as _, RabbitBroker};
use tocsin_store::districts::District;
use tocsin_testkit::{TestDatabase, TestVhost};

use super::{roster, scenario};
use crate::client::Client;
use crate::commands::{district, keys};
use crate::system::{System, SystemOptions};
use crate::terminal::print;

const DATABASE_POOL: usize = 16;
const WORKERS: usize = 2;
const IN_FLIGHT_MAX: usize = 256;
const DISTRICT: &str = "Sample District";
const TIME_ZONE: Tz = Tz::America__Chicago;

#[derive(Debug)]
pub struct Stage {
    pub system: System,
    pub api: Client,
    // Dropped last, in this order: whoever is still connected is thrown out.
    _database: TestDatabase,
    _vhost: TestVhost,
}

impl Stage {
    /// Starts everything and imports a sample roster of so many students.
    pub async fn set(students: u32) -> Result<Self> {
        let (database, vhost) = tokio::try_join!(TestDatabase::create(), TestVhost::create())?;
        let broker = Arc::new(RabbitBroker::new(&vhost.amqp_url)?);
        // Declares the topology. On an empty vhost the roles would all declare it at once, and one that is
        // told of a queue just before it has started meets an error of the broker.
        broker.connect("demo").await.context("RabbitMQ cannot be used")?.close().await;
        let system = System::start(SystemOptions {
            database_url: database.url.clone(),
            database_pool: DATABASE_POOL,
            broker,
            scenario: scenario::scenario(),
            limits: scenario::limits(),
            workers: WORKERS,
            in_flight_max: IN_FLIGHT_MAX,
        })
        .await
        .context("the roles cannot be started")?;
        print(format_args!(
            "Started api, planner, status collector and {WORKERS} workers in this process, on a PostgreSQL
\
             database and a RabbitMQ vhost of their own; the providers are simulated.

"
        ))?;
        let district =
            district::add(&system.store, DISTRICT.to_owned(), Some(TIME_ZONE), "US".to_owned()).await?;
        import(&system, &district, students).await?;
        let key = keys::add_key(&system.store, &district, "demo").await?;
        let api = Client::new(system.api_url.clone(), key)?;
        Ok(Self { system, api, _database: database, _vhost: vhost })
    }

    /// Stops every role in order. What they stood on goes with the value.
    pub async fn strike(self) -> Result<()> {
        self.system.stop().await
    }
}

async fn import(system: &System, district: &District, students: u32) -> Result<()> {
    let folder = TempDir::new().context("no folder for the sample roster")?;
    let imported = roster::import(&system.store, district, folder.path(), students).await?;
    print(format_args!("{imported}\n"))
}
