//! Hosts without an embedded PostgreSQL, and programs built without it.

use std::path::PathBuf;

use anyhow::Result;

use crate::exit::Failure;

#[derive(Debug)]
pub struct Server;

pub fn available() -> Result<()> {
    let what = "this program has no embedded PostgreSQL (there is one for Linux with glibc on x86-64 and arm64, \
                and for macOS on Apple silicon, in builds with the feature `embedded`): install PostgreSQL (`apt \
                install postgresql`, `brew install postgresql@17`) and set DATABASE_URL to \
                postgres://user@host/database";
    Err(Failure::usage(what).into())
}

impl Server {
    pub async fn start(_root: PathBuf, _socket: PathBuf) -> Result<Self> {
        available()?;
        Ok(Self)
    }

    pub fn url(&self) -> String {
        String::new()
    }

    pub async fn stop(self) {}
}
