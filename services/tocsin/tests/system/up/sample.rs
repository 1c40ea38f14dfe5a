//! `tocsin up --sample`: a district and providers that are not there, from nothing to a message that has ended.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tocsin_testkit::wait_until;

use super::stage::Place;
use crate::bad_input::run;
use crate::facts::WITHIN;
use crate::process::Process;

fn campaign(place: &Place, arguments: &[&str]) -> Result<Value> {
    let data = place.data.to_str().context("a folder whose name is no text")?;
    let url = place.url();
    let output = run(&[&["campaign", "--data", data, "--url", &url, "--json"], arguments].concat(), &[])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_is_there_with_the_first_start_and_with_the_next() -> Result<()> {
    let place = Place::new()?;
    for more in [&["--sample", "50"][..], &[]] {
        let mut up = place.up(more).await?;
        // The key is found in the data directory.
        let send =
            ["send", "--subject", "s", "--body", "b", "--all", "--channel", "sms", "--channel", "email"];
        let sent = campaign(&place, &send)?;
        let id = sent["id"].as_str().context("no id")?;
        let mut seen = Value::Null;
        wait_until("the message to end", WITHIN, async || {
            seen = campaign(&place, &["show", id]).unwrap_or_default();
            !seen["ended_at"].is_null()
        })
        .await?;
        ensure!(seen["totals"]["successful"].as_u64() > Some(50), "{seen:#}");
        up.ask_to_leave()?;
        ensure!(up.left().await?.success(), "it did not leave well");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_can_be_stopped_while_it_makes_its_sample_and_leaves_nothing() -> Result<()> {
    let place = Place::new()?;
    let listen = format!("127.0.0.1:{}", place.port);
    let data = place.data.to_str().context("a folder whose name is no text")?;
    let arguments = ["up", "--listen", &listen, "--data", data, "--sample", "20000"];
    let mut up = Process::start(&arguments, &place.environment)?;
    let marker = place.data.join("tocsin.json");
    let begun = async || fs::read_to_string(&marker).is_ok_and(|marker| marker.contains("students"));
    wait_until("the sample to be begun", WITHIN, begun).await?;
    up.ask_to_leave()?;
    ensure!(!up.left().await?.success(), "it went on to its end");
    ensure!(!place.data.exists(), "the data directory is left behind");
    Ok(())
}
