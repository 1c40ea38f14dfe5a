//! `forecast`: what the forecast said of campaigns, against what they took. It is asked for before each is sent, and
//! knows nothing of the simulator but what earlier campaigns showed.

mod case;

use anyhow::Result;
use serde_json::json;
use tocsin_domain::Channel;
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::accounts::AccountLimits;

use self::case::{Case, Mixes, Shown};
use crate::checker;
use crate::findings::Findings;
use crate::options::{Options, Sizes};
use crate::probe::Probe;
use crate::stage::{Setup, Stage, Workers};

const IN_FLIGHT: usize = 400;
/// Calls at once.
const PLACES: u32 = 20;
/// A campaign of calls has so many times fewer devices than one of texts, and one without a limit so many more.
const TEXTS_PER_CALL: usize = 10;
const UNLIMITED_PER_TEXT: usize = 4;
/// Texts a second, of the campaign that is limited by them, so that it takes about ten seconds.
const SECONDS: f64 = 10.0;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Texts of the campaign that a rate limits; a tenth as many calls, four times as many texts without a limit.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    jobs: usize,
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    #[command(flatten)]
    pub options: Options,
}

pub async fn run(args: &Args) -> Result<Findings> {
    let unlimited = args.jobs * UNLIMITED_PER_TEXT;
    Sizes { jobs: unlimited, workers: args.workers, in_flight: IN_FLIGHT }.check()?;
    args.options.target.own_only("forecast")?;
    let mixes = Mixes::new(args.options.seed);
    let setup = Setup {
        scenario: mixes.scenario(),
        workers: Workers::of(args.workers),
        in_flight: IN_FLIGHT,
        call_places: Some(PLACES),
        ..Setup::default()
    };
    let stage = Stage::start(&args.options, setup).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    let case = |name, channel, devices: usize| Case {
        name,
        channel,
        devices: devices.max(1),
        stage: &stage,
        probe: &probe,
        mixes: &mixes,
    };
    let calls = case("calls that places limit", Channel::Voice, args.jobs / TEXTS_PER_CALL);
    let rated = case("texts that a rate limits", Channel::Sms, args.jobs);
    let free = case("texts without a limit", Channel::Sms, unlimited);
    let texts = async {
        limit_texts(&stage, Some(args.jobs as f64 / SECONDS)).await?;
        let rated = rated.run().await?;
        limit_texts(&stage, None).await?;
        anyhow::Ok([rated, free.run().await?])
    };
    // Both channels at once: each has its own limits.
    let (calls, texts) = tokio::try_join!(calls.run(), texts)?;
    let shown: Vec<Shown> = std::iter::once(calls).chain(texts).collect();

    let mut findings = Findings::new("forecast");
    let campaigns: Vec<_> = shown.iter().flat_map(|shown| shown.campaigns.clone()).collect();
    findings.violations(checker::check(&stage, &campaigns).await?);
    let worst = |of: fn(&Shown) -> f64| shown.iter().map(|shown| of(shown).abs()).fold(0.0, f64::max);
    findings
        .figure("error_ratio", worst(|shown| shown.completion.error_ratio()))
        .figure("first_attempt_error_ratio", worst(|shown| shown.first_attempt.error_ratio()))
        .figure("cases", shown.iter().map(|shown| json!(shown)).collect::<Vec<_>>());
    stage.stop().await;
    Ok(findings)
}

/// Changes the rate of the text account, as a new configuration would.
async fn limit_texts(stage: &Stage, rate_per_second: Option<f64>) -> Result<()> {
    let limits = AccountLimits {
        name: Channel::Sms.as_str().to_owned(),
        district: None,
        channel: Channel::Sms,
        rate_per_second,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    };
    stage.store.configure_accounts(&[limits], SystemClock.now()).await?;
    Ok(())
}
