//! What the demo plays on: servers' corners of its own, every role, and the simulated providers.

use anyhow::{Context as _, Result};
use chrono_tz::Tz;
use tempfile::TempDir;
use tocsin_runtime::telemetry::Spans;
use tocsin_store::districts::District;

use super::ground::Ground;
use super::{roster, scenario};
use crate::client::Client;
use crate::commands::{district, keys};
use crate::system::{System, SystemOptions};
use crate::terminal::print;

const WORKERS: usize = 2;
const IN_FLIGHT_MAX: usize = 256;
const DISTRICT: &str = "Sample District";
const TIME_ZONE: Tz = Tz::America__Chicago;

#[derive(Debug)]
pub struct Stage {
    pub system: System,
    pub api: Client,
    district: District,
    ground: Ground,
}

impl Stage {
    /// Starts everything.
    pub async fn set() -> Result<Self> {
        let ground = Ground::prepare().await?;
        let system = System::start(SystemOptions {
            stores: ground.stores.clone(),
            broker: ground.broker.clone(),
            scenario: scenario::scenario(),
            limits: scenario::limits(),
            workers: WORKERS,
            in_flight_max: IN_FLIGHT_MAX,
            others: Vec::new(),
            spans: Spans::none(),
        })
        .await
        .context("the roles cannot be started")?;
        print(format_args!(
            "Started api, planner, status collector and {WORKERS} workers in this process, on\n{}; the \
             providers are simulated. Watch it at {}/ while it runs (--serve: also afterwards).\n\n",
            ground.describe(),
            system.api_url
        ))?;
        let district =
            district::add(&system.store, DISTRICT.to_owned(), Some(TIME_ZONE), "US".to_owned()).await?;
        let key = keys::add_key(&system.store, &district, "demo").await?;
        let api = Client::new(system.api_url.clone(), key)?;
        Ok(Self { system, api, district, ground })
    }

    /// Imports a sample roster of so many students.
    pub async fn import(&self, students: u32) -> Result<()> {
        let folder = TempDir::new().context("no folder for the sample roster")?;
        let imported = roster::import(&self.system.store, &self.district, folder.path(), students).await?;
        print(format_args!("{imported}\n"))
    }

    /// Stops every role in order, then takes away what they stood on.
    pub async fn strike(self) -> Result<()> {
        let stopped = self.system.stop().await;
        self.ground.clear().await;
        stopped
    }
}
