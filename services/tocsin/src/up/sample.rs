//! The sample district, and the simulated providers that go with it and with nothing else.

use anyhow::{Context as _, Result};
use chrono_tz::Tz;
use tempfile::TempDir;
use tocsin_store::Store;
use tocsin_testkit::simulator::{Simulator, SimulatorConfig};

use crate::commands::district;
pub use crate::demo::scenario::limits;
use crate::demo::{roster, scenario};
use crate::embedded::{DataDirectory, Sample};
use crate::exit::Failure;

use super::tell;

pub const DISTRICT: &str = "Sample District";
const TIME_ZONE: Tz = Tz::America__Chicago;

/// Makes the sample district where it is not made yet. A start that was killed on the way is gone on with.
pub async fn prepare(store: &Store, directory: &mut DataDirectory, students: u32) -> Result<()> {
    let districts = store.districts().await?;
    if let Some(other) = districts.iter().find(|district| district.name != DISTRICT) {
        // A directory that was begun with a sample goes on with it, whatever is asked for.
        let remedy = if directory.sample().is_some() { "" } else { "leave out --sample, or " };
        let what = format!(
            "the store holds the district {:?}, and simulated providers are for the sample district alone: \
             {remedy}give another directory with --data",
            other.name
        );
        return Err(Failure::usage(what).into());
    }
    match directory.sample() {
        Some(sample) if sample.made => return Ok(()),
        Some(_) => {}
        None if districts.is_empty() => directory.holds_sample(Sample { students, made: false })?,
        None => {
            let what = format!(
                "the store holds a district {DISTRICT:?} that was not made here: leave out --sample, or give another \
                 directory with --data"
            );
            return Err(Failure::usage(what).into());
        }
    }
    let district = match districts.into_iter().next() {
        Some(district) => district,
        None => district::add(store, DISTRICT.to_owned(), Some(TIME_ZONE), "US".to_owned()).await?,
    };
    let folder = TempDir::new().context("no folder for the sample roster")?;
    let imported = roster::import(store, &district, folder.path(), students).await?;
    tell(format_args!("{imported}\n"));
    directory.holds_sample(Sample { students, made: true })
}

/// Providers that call nobody, and report as those of the demo do.
pub async fn simulator(public_url: &str) -> Result<Simulator> {
    let mut scenario = scenario::scenario();
    scenario.mailgun_webhook = Some(format!("{public_url}/callbacks/email/{{token}}"));
    Simulator::start(SimulatorConfig { listen: None, scenario }).await
}
