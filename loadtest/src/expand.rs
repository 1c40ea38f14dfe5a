//! `expand`: how fast an audience becomes recipients and jobs.

use anyhow::{Context as _, Result};
use tocsin_runtime::{Clock as _, Stopwatch, SystemClock};
use tocsin_store::expand::Chunk;
use tocsin_store::{Access, Store};
use tocsin_testkit::TestDatabase;

use crate::{campaign, district, measure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 100_000)]
    devices: usize,
    /// People in one statement, and so in one transaction. The planner's own default.
    #[arg(long, default_value_t = 1_000)]
    chunk: i64,
}

/// Expands one campaign, chunk by chunk, as the planner does.
pub async fn run(args: Args) -> Result<()> {
    let database = TestDatabase::create().await?;
    let store = Store::open(&database.url, 2, Access::Engine)?;
    let district = district::make(&store, args.devices).await?;
    campaign::send(&store.tenant(district)).await?;
    let started = Stopwatch::start();
    let mut chunks = 0;
    loop {
        let due = store.expansions_due(SystemClock.now(), 1).await?;
        let expansion = due.first().context("the campaign is not due")?;
        chunks += 1;
        if let Chunk::Complete { .. } = store.expand(expansion, args.chunk, SystemClock.now()).await? {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let figures = serde_json::json!({
        "scenario": "expand",
        "devices": args.devices,
        "chunks": chunks,
        "seconds": seconds,
        "devices_per_second": args.devices as f64 / seconds,
        "peak_rss_mb": measure::peak_rss_mb()?,
    });
    println!("{figures:#}");
    Ok(())
}
