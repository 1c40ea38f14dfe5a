//! What the data directory keeps for this process and for the command line beside it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest as _, Sha256};
use tocsin_providers::{Secret, TokenKeys};
use tocsin_runtime::Config;
use tocsin_store::Store;
use tocsin_webhooks::{Keys, Reach, Settings};

use crate::commands::keys::add_key;
use crate::embedded::{self, ApiKey};
use crate::roles;

/// The configured secret, else the one that the directory keeps.
pub fn token_keys(config: &Config, directory: &Path) -> Result<TokenKeys> {
    if config.callback.is_some() {
        return roles::token_keys(config);
    }
    Ok(TokenKeys::new(&Secret::new(embedded::callback_secret(directory)?), None))
}

/// With the configured secret, else with the one that the directory keeps.
pub fn webhooks(config: &Config, directory: &Path) -> Result<Settings> {
    if let Some(settings) = roles::webhooks(config) {
        return Ok(settings);
    }
    let keys = Keys::new(&embedded::webhook_secret(directory)?, None);
    Ok(Settings { keys, reach: Reach::beside(config.webhooks.networks.clone()) })
}

/// Is there a key that `tocsin campaign` finds by itself?
#[derive(Debug)]
pub enum KeptKey {
    Kept(PathBuf),
    /// A key is a district's, and there is none yet.
    NoDistrict,
    /// Whose would it be?
    SeveralDistricts,
}

/// Makes the key where there is one district, and none that the store still takes.
pub async fn api_key(store: &Store, directory: &Path) -> Result<KeptKey> {
    let kept = ApiKey::of(directory);
    if let Some(key) = kept.read()?
        && store.district_of_key(&Sha256::digest(&key)).await?.is_some()
    {
        return Ok(KeptKey::Kept(kept.path().to_owned()));
    }
    match store.districts().await?.as_slice() {
        [] => Ok(KeptKey::NoDistrict),
        [district] => {
            kept.write(&add_key(store, district, "tocsin up").await?)?;
            Ok(KeptKey::Kept(kept.path().to_owned()))
        }
        _ => Ok(KeptKey::SeveralDistricts),
    }
}
