//! Files in the data directory that nobody but its owner may read, and what they keep: the secrets that
//! callback addresses are signed and webhooks' secrets are made with, and an API key for the command line.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

const CALLBACK_SECRET: &str = "callback-secret";
const WEBHOOK_SECRET: &str = "webhook-secret";
const API_KEY: &str = "api-key";
const SECRET_BYTES: usize = 32;

/// Replaces the file at once or not at all, so that a crash leaves the old one or the new one.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let written = create(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written
        .and_then(|()| fs::rename(&new, path))
        // Else a power cut may bring the old one back, though what came after is on the disk.
        .and_then(|()| path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()))
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// The secret of callback addresses, made once: what providers report after a restart is still believed.
pub fn callback_secret(directory: &Path) -> Result<String> {
    made_once(&directory.join(CALLBACK_SECRET))
}

/// What webhooks' secrets are made with, made once: what receivers were given stays right.
pub fn webhook_secret(directory: &Path) -> Result<String> {
    made_once(&directory.join(WEBHOOK_SECRET))
}

fn made_once(path: &Path) -> Result<String> {
    if let Some(secret) = read(path)? {
        return Ok(secret);
    }
    let mut bytes = [0; SECRET_BYTES];
    OsRng.try_fill_bytes(&mut bytes).context("the system gives no random bytes")?;
    let secret = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    write(path, secret.as_bytes())?;
    Ok(secret)
}

/// The API key that `tocsin campaign` finds when TOCSIN_API_KEY is not set.
#[derive(Debug)]
pub struct ApiKey {
    path: PathBuf,
}

impl ApiKey {
    pub fn of(directory: &Path) -> Self {
        Self { path: directory.join(API_KEY) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn read(&self) -> Result<Option<String>> {
        read(&self.path)
    }

    pub fn write(&self, key: &str) -> Result<()> {
        write(&self.path, key.as_bytes())
    }
}
