//! The sample roster, imported by the same code as `tocsin import`.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::HumanCount;
use tocsin_domain::Channel;
use tocsin_roster::sample::{SampleOptions, generate};
use tocsin_roster::{OneRosterVersion, ReadOptions, Role, Roster};
use tocsin_runtime::{Clock as _, Stopwatch, SystemClock};
use tocsin_store::Store;
use tocsin_store::districts::District;

use crate::commands::import::directory_of;

/// The same district every time.
const SEED: u64 = 2_026;
const PROBLEMS_SHOWN: usize = 4;

/// What came in.
#[derive(Debug)]
pub struct Imported {
    roster: Roster,
    schools: u64,
    seconds: f64,
}

/// Makes a roster of so many students in `folder`, reads it and brings the district's directory in line.
pub async fn import(store: &Store, district: &District, folder: &Path, students: u32) -> Result<Imported> {
    let options = ReadOptions { default_region: district.default_region.clone(), today: None };
    let folder = folder.to_owned();
    let made = tokio::task::spawn_blocking(move || {
        let version = OneRosterVersion::V1_2;
        generate(&SampleOptions { students: students as usize, seed: SEED, version, out: &folder })
            .context("the sample roster cannot be written")?;
        let since = Stopwatch::start();
        Ok::<_, anyhow::Error>((tocsin_roster::read(&folder, &options)?, since))
    });
    let (roster, since) = made.await??;
    let report =
        store.import_directory(district.id, &directory_of(&roster), "tocsin demo", SystemClock.now()).await?;
    let seconds = since.elapsed().as_secs_f64();
    Ok(Imported { roster, schools: report.schools.delivered, seconds })
}

impl Imported {
    fn people(&self, role: Role) -> u64 {
        self.roster.people.iter().filter(|person| person.role == Some(role)).count() as u64
    }

    fn devices(&self, channel: Channel) -> u64 {
        self.roster.devices.iter().filter(|device| device.channel == channel).count() as u64
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { roster, schools, seconds } = self;
        writeln!(f, "Imported a OneRoster 1.2 delivery in {seconds:.1} s:")?;
        writeln!(
            f,
            "  people     {} students, {} guardians, {} staff; {schools} schools and offices",
            HumanCount(self.people(Role::Student)),
            HumanCount(self.people(Role::Guardian)),
            HumanCount(self.people(Role::Staff)),
        )?;
        let [voice, sms, email, inbox] = Channel::ALL.map(|channel| HumanCount(self.devices(channel)));
        writeln!(f, "  devices    {voice} voice, {sms} text, {email} email, {inbox} inbox")?;
        writeln!(
            f,
            "  bad rows   {} errors (a row or a device left out), {} warnings; the first of them:",
            roster.counts.errors, roster.counts.warnings
        )?;
        for problem in roster.problems.iter().take(PROBLEMS_SHOWN) {
            writeln!(f, "             {problem}")?;
        }
        Ok(())
    }
}
