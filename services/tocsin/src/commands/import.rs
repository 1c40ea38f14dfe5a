//! `tocsin import oneroster`: a district's directory from a roster's files.

mod output;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::Subcommand;
use tocsin_roster::{ReadOptions, Roster, write_problems};
use tocsin_runtime::{Clock, Config, SystemClock};
use tocsin_store::Store;
use tocsin_store::districts::District;

use super::district::named;
use super::operator::{DataPath, with_store};
use crate::exit::Exit;
use crate::terminal::print;
pub use output::{Refusal, Verdict};
pub use tocsin_api::directory_of;

/// In the audit's rows.
const ACTOR: &str = "tocsin import";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// OneRoster 1.1 or 1.2 CSV files. Rows with faults are left out and reported.
    #[command(after_long_help = "\
Exits with 3 when the delivery was refused, with 1 when it could not be read or stored.

Examples:
  tocsin import oneroster roster.zip --district Springfield --dry-run
  tocsin import oneroster roster.zip --district Springfield --problems problems.csv")]
    Oneroster(OneRosterArgs),
}

#[derive(Debug, clap::Args)]
pub struct OneRosterArgs {
    /// A folder with the files in it, or a zip with them in its root.
    path: PathBuf,
    /// Whose directory it is. `tocsin district list` shows all.
    #[arg(long, value_name = "NAME")]
    district: String,
    /// Refuse the whole delivery when a row of it would be left out.
    #[arg(long)]
    strict: bool,
    /// Show what an import would do, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Write all problems there, as CSV: file, line, column, kind, problem.
    #[arg(long, value_name = "FILE")]
    problems: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    let Source::Oneroster(args) = args.source;
    let mut printed = Vec::new();
    let import = async |store: &Store| import_oneroster(&args, store, &SystemClock, &mut printed).await;
    let verdict = with_store(config, data, import).await?;
    print(String::from_utf8_lossy(&printed))?;
    Ok(match verdict {
        Verdict::Imported(_) | Verdict::Previewed(_) => Exit::Done,
        Verdict::Refused(_) => Exit::Refused,
    }
    .into())
}

/// Reads, judges, stores and prints.
async fn import_oneroster(
    args: &OneRosterArgs,
    store: &Store,
    clock: &dyn Clock,
    out: &mut (dyn Write + Send),
) -> Result<Verdict> {
    let district = named(store, &args.district).await?;
    let roster = read(&args.path, &district, clock).await?;
    // Before anything is stored: a file that cannot be written is no reason to import without it.
    if let Some(path) = &args.problems {
        write_problems_file(path, &roster)?;
    }
    let verdict = match refusal(args, &roster) {
        Some(refusal) => Verdict::Refused(refusal),
        None if args.dry_run => {
            Verdict::Previewed(store.preview_directory(district.id, &directory_of(&roster)).await?)
        }
        None => Verdict::Imported(
            store.import_directory(district.id, &directory_of(&roster), ACTOR, clock.now()).await?,
        ),
    };
    let write = if args.json { output::write_json } else { output::write_text };
    write(out, &district.name, &roster, &verdict)?;
    Ok(verdict)
}

fn refusal(args: &OneRosterArgs, roster: &Roster) -> Option<Refusal> {
    if args.strict && roster.counts.errors > 0 {
        return Some(Refusal::Strict);
    }
    roster.empties_the_district().then_some(Refusal::Nobody)
}

/// Reads the delivery on a thread of its own, as the work is blocking.
async fn read(path: &Path, district: &District, clock: &dyn Clock) -> Result<Roster> {
    let options =
        ReadOptions { default_region: district.default_region.clone(), today: Some(today(district, clock)?) };
    let path = path.to_owned();
    let roster = tokio::task::spawn_blocking(move || tocsin_roster::read(&path, &options)).await??;
    Ok(roster)
}

/// The district's local date; UTC's where the district has no zone.
fn today(district: &District, clock: &dyn Clock) -> Result<NaiveDate> {
    let zone: Tz = match &district.time_zone {
        Some(name) => name.parse().with_context(|| format!("the time zone of {:?}", district.name))?,
        None => Tz::UTC,
    };
    Ok(clock.now().with_timezone(&zone).date_naive())
}

fn write_problems_file(path: &Path, roster: &Roster) -> Result<()> {
    let written = File::create(path).and_then(|file| write_problems(&roster.problems, file));
    written.with_context(|| format!("cannot write the problems to {}", path.display()))
}
