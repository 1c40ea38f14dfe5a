//! What every scenario can be told, and which sizes make sense.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use tocsin::exit::Failure;

/// Phone numbers that are nobody's: exchange 555 of 789 area codes.
const JOBS_MAX: usize = 7_800_000;
/// Each holds connections to the database, and PostgreSQL allows 100 unless told otherwise.
const WORKERS_MAX: usize = 64;

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Whatever is drawn by lot is drawn by this.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Write the figures there too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with figures and plots, which needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

/// Where what is measured runs, when it is not started here.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "A deployment")]
pub struct Target {
    /// Measure the deployment whose API is here; DATABASE_URL is then its database.
    #[arg(long, env = "LOADTEST_API", value_name = "URL")]
    pub api: Option<String>,
    /// The deployment's callback secret, with which the simulator's record is read.
    #[arg(long, env = "LOADTEST_CALLBACK_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub callback_secret: Option<String>,
    /// Where the deployment's provider accounts find the simulator.
    #[arg(long, env = "LOADTEST_SIMULATOR", default_value = "127.0.0.1:9100", value_name = "ADDR")]
    pub simulator: SocketAddr,
    /// Run although the database of this name holds campaigns that no load test made.
    #[arg(long, value_name = "NAME")]
    pub force_database: Option<String>,
}

impl Target {
    /// For a scenario that starts, stops or counts the processes themselves.
    pub fn own_only(&self, scenario: &str) -> Result<()> {
        match self.api {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format!(
                "{scenario} needs processes of its own: leave --api and LOADTEST_API out"
            ))
            .into()),
        }
    }
}

/// How much of what a scenario was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub jobs: usize,
    pub workers: usize,
    /// Requests open at once, over all workers.
    pub in_flight: usize,
}

impl Sizes {
    /// Names the first size that makes no sense, before anything is started.
    pub fn check(self) -> Result<()> {
        let Self { jobs, workers, in_flight } = self;
        let fault = if jobs == 0 {
            "--jobs 0 is nothing to send: take 1 or more".to_owned()
        } else if jobs > JOBS_MAX {
            format!("--jobs {jobs} is more than there are numbers of nobody: take {JOBS_MAX} at most")
        } else if workers == 0 {
            "--workers 0 sends nothing: take 1 or more".to_owned()
        } else if workers > WORKERS_MAX {
            format!(
                "--workers {workers} is more than a database has connections for: take {WORKERS_MAX} at most"
            )
        } else if in_flight < workers {
            format!("--in-flight {in_flight} is less than one request for each of {workers} workers")
        } else {
            return Ok(());
        };
        Err(Failure::usage(fault).into())
    }
}

/// Each of them has a number of its own.
pub fn numbers_of_nobody(flag: &str, count: usize) -> Result<()> {
    if (1..=JOBS_MAX).contains(&count) {
        return Ok(());
    }
    let fault = format!("{flag} {count}: there are 1 to {JOBS_MAX} numbers of nobody");
    Err(Failure::usage(fault).into())
}

/// A number that has to be above zero.
pub fn positive(flag: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Failure::usage(format!("{flag} {value} makes no sense: take more than 0")).into())
}

#[cfg(test)]
mod tests {
    use tocsin::exit::Exit;

    use super::*;

    #[test]
    fn impossible_sizes_are_refused_with_what_to_do() {
        let good = Sizes { jobs: 1, workers: 1, in_flight: 1 };
        good.check().unwrap();
        let cases = [
            (Sizes { jobs: 0, ..good }, "--jobs 0"),
            (Sizes { jobs: JOBS_MAX + 1, ..good }, "numbers of nobody"),
            (Sizes { workers: 0, ..good }, "--workers 0"),
            (Sizes { workers: 65, in_flight: 65, ..good }, "64 at most"),
            (Sizes { workers: 2, ..good }, "less than one request for each of 2 workers"),
        ];
        for (sizes, words) in cases {
            let error = sizes.check().unwrap_err();
            assert!(error.to_string().contains(words), "{sizes:?}: {error}");
            assert_eq!(Exit::of(&error), Exit::Usage);
        }
        assert!(positive("--rate", 0.5).is_ok());
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(positive("--rate", value).is_err(), "{value}");
        }
    }
}
