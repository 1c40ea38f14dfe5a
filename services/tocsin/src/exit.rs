//! What a command's exit code says (documented in `tocsin help` and docs/CLI.md).

use std::fmt;
use std::process::ExitCode;

use tocsin_providers::ProvidersError;
use tocsin_runtime::ConfigError;
use tocsin_store::StoreError;

use crate::terminal::ReaderLeft;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// Something broke, or a check did not hold.
    Failed = 1,
    /// The command line, a variable or the configuration has a fault. clap's own faults exit with it too.
    Usage = 2,
    /// Understood, and not done: refused, or what was named is not there.
    Refused = 3,
    /// The API or the database does not answer, or the data directory is in use: try again.
    Unreachable = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// By the first cause that says what kind of failure it is.
    pub fn of(error: &anyhow::Error) -> Self {
        // Also where it stands as a context, before a cause of another kind.
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.exit;
        }
        for cause in error.chain() {
            if let Some(failure) = cause.downcast_ref::<Failure>() {
                return failure.exit;
            }
            // `tocsin … | head` has what it wanted.
            if cause.is::<ReaderLeft>() {
                return Self::Done;
            }
            if cause.is::<ConfigError>() || cause.is::<ProvidersError>() {
                return Self::Usage;
            }
            if cause.downcast_ref::<StoreError>().is_some_and(StoreError::is_outage) {
                return Self::Unreachable;
            }
        }
        Self::Failed
    }
}

/// A failure whose exit code is known where it arises. Its text says what to do.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    what: String,
}

impl Failure {
    pub fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, what: what.into() }
    }

    pub fn refused(what: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, what: what.into() }
    }

    pub fn unreachable(what: impl Into<String>) -> Self {
        Self { exit: Exit::Unreachable, what: what.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_exit_code_survives_what_is_said_around_the_cause() {
        let failures = [
            (Failure::usage("u"), Exit::Usage),
            (Failure::refused("r"), Exit::Refused),
            (Failure::unreachable("g"), Exit::Unreachable),
        ];
        for (failure, exit) in failures {
            let error = Err::<(), _>(failure).context("while sending").context("demo").unwrap_err();
            assert_eq!(Exit::of(&error), exit);
        }
        let around =
            Err::<(), _>(std::io::Error::other("refused")).context(Failure::unreachable("no answer"));
        assert_eq!(Exit::of(&around.unwrap_err()), Exit::Unreachable);
        assert_eq!(Exit::of(&anyhow::anyhow!("anything else")), Exit::Failed);
        assert_eq!(Exit::of(&ReaderLeft.into()), Exit::Done);
    }
}
