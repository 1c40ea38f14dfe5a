//! What the operator's commands stand on: the store, and names that may be mistyped.

use std::path::PathBuf;

use anyhow::Result;
use tocsin_runtime::Config;
use tocsin_store::districts::District;
use tocsin_store::{Access, Store};

use crate::embedded::{DataDirectory, Embedded};
use crate::exit::Failure;
use crate::terminal::say;

/// How alike a known name must be to be offered, from 0 to 1.
const ALIKE: f64 = 0.75;

/// Where the data directory is. Asked for only when one is needed.
pub trait DataPath: FnOnce() -> Result<PathBuf> {}
impl<F: FnOnce() -> Result<PathBuf>> DataPath for F {}

/// Does `work` on the store: the server of DATABASE_URL, else the embedded one, which is open for that long
/// alone, and refuses while `tocsin up` runs on it.
pub async fn with_store<T>(
    config: &Config,
    data: impl DataPath,
    work: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
    with_fit_store(config, data, |_| Ok(()), work).await
}

/// As [`with_store`], where the data directory, if one is used, must be `fit` for it.
pub async fn with_fit_store<T>(
    config: &Config,
    data: impl DataPath,
    fit: impl FnOnce(&DataDirectory) -> Result<()>,
    work: impl AsyncFnOnce(&Store) -> Result<T>,
) -> Result<T> {
    if config.database_url.is_some() {
        let store = Store::open(config.require_database_url()?, 1, Access::Engine)?;
        store.check().await?;
        return work(&store).await;
    }
    let mut directory = DataDirectory::open(&data()?)?;
    fit(&directory)?;
    say(format_args!("on the embedded store in {} (DATABASE_URL is not set)", directory.path().display()));
    let embedded = Embedded::start(&mut directory).await?;
    // Whatever `work` says in the end, it may have stored something before.
    directory.keep();
    let done = work(&embedded.store).await;
    embedded.stop().await;
    done
}

/// The district of that name.
pub async fn district_named(store: &Store, name: &str) -> Result<District> {
    if let Some(district) = store.district_by_name(name).await? {
        return Ok(district);
    }
    let districts = store.districts().await?;
    let known: Vec<&str> = districts.iter().map(|district| district.name.as_str()).collect();
    Err(Failure::refused(format!("no district {name:?}: {}", which_there_are(name, &known))).into())
}

/// Under which name the audit keeps what is done from a terminal.
pub fn operator_name() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    user.filter(|user| !user.is_empty())
        .map_or_else(|| "operator".to_owned(), |user| format!("operator {user}"))
}

/// What destroys something asks for `--yes`.
pub fn confirmed(yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    Err(Failure::usage(format!("{what}: say --yes to do it")).into())
}

/// What is said of a name that is not there: the one that was perhaps meant, and which there are.
pub fn which_there_are(name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return "there is none yet".to_owned();
    }
    let alike = |candidate: &&&str| strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
    let nearest = known.iter().max_by(|one, other| alike(one).total_cmp(&alike(other)));
    let all: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
    match nearest.filter(|nearest| alike(nearest) >= ALIKE) {
        Some(nearest) => format!("did you mean {nearest:?}? known: {}", all.join(", ")),
        None => format!("known: {}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest_one() {
        let known = ["Springfield", "Ogdenville"];
        let said = which_there_are("springfeild", &known);
        assert_eq!(said, "did you mean \"Springfield\"? known: \"Springfield\", \"Ogdenville\"");
        assert_eq!(which_there_are("Xyz", &known), "known: \"Springfield\", \"Ogdenville\"");
        assert_eq!(which_there_are("Xyz", &[]), "there is none yet");
    }
}
