//! `tocsin up --sample`: a district and providers that are not there, from nothing to a message that has ended.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tocsin_testkit::wait_until;

use super::stage::Place;
use crate::bad_input::run;
use crate::facts::WITHIN;

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
