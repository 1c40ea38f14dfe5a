//! `tocsin demo`, ended before its end.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tocsin_testkit::wait_until;

use crate::facts::WITHIN;
use crate::process::Process;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_demo_leaves_nothing_behind() -> Result<()> {
    let folder = TempDir::new()?;
    let mut environment = BTreeMap::from([("TMPDIR".to_owned(), folder.path().display().to_string())]);
    // Where the embedded PostgreSQL was unpacked before.
    for name in ["HOME", "XDG_CACHE_HOME"] {
        if let Ok(value) = std::env::var(name) {
            environment.insert(name.to_owned(), value);
        }
    }
    let mut demo = Process::start(&["demo", "--students", "50"], &environment)?;
    let there = async || fs::read_dir(folder.path()).is_ok_and(|mut entries| entries.next().is_some());
    wait_until("the demo to begin", WITHIN, there).await?;
    demo.ask_to_leave()?;
    ensure!(demo.left().await?.code() == Some(1), "it did not end for the signal");
    let left: Vec<_> = fs::read_dir(folder.path())?.collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}
