//! `tocsin stop` and `tocsin go`: nothing more is sent, by the whole installation or for one district, until it goes on.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tocsin_domain::DistrictId;
use tocsin_domain::policy::SEND_BY;
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Control, Stop};
use tocsin_queue::{Destination, Message, Published, Publisher};
use tocsin_runtime::Config;
use tocsin_store::Store;
use tokio::time::timeout;

use super::operator::{DataPath, district_named, operator_name, with_store};
use crate::exit::Exit;
use crate::roles::broker;
use crate::terminal::{print, print_json, say};

/// What workers do not hear by then is over soon after.
const TELL_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Only this district's messages. Without it: every district's.
    #[arg(long, value_name = "NAME")]
    district: Option<String>,
    /// Why: shown by `tocsin status`, on the district's pages, and for each device that waits.
    #[arg(long)]
    reason: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct GoArgs {
    /// Only this district's messages. Without it: what was stopped for every district.
    #[arg(long, value_name = "NAME")]
    district: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn stop(args: StopArgs, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| stop_on(args, config, store).await).await
}

pub async fn go(args: GoArgs, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| go_on(args, store).await).await
}

async fn stop_on(args: StopArgs, config: &Config, store: &Store) -> Result<ExitCode> {
    let name = args.district.as_deref();
    let district = named(store, name).await?;
    let changed = store.stop_sending(district, &operator_name(), &args.reason).await?;
    // Said again where it is stopped already: perhaps nobody heard it.
    let told = tell_workers(config, district).await;
    if args.json {
        print_json(
            &json!({ "district": name, "state": "stopped", "changed": changed, "workers_told": told.is_ok() }),
        )?;
    } else {
        tell(name, "stopped", changed)?;
    }
    if let Err(why) = told {
        let seconds = SEND_BY.as_secs();
        say(format_args!(
            "workers could not be told ({why:#}): nothing more is claimed, but what was claimed before may still be \
             sent, for {seconds} s from its claim"
        ));
    }
    Ok(Exit::Done.into())
}

/// Workers withhold what they claimed before the stop.
async fn tell_workers(config: &Config, district: Option<DistrictId>) -> Result<()> {
    let publisher = Publisher::new(broker(config)?, "tocsin stop");
    let district_id = district.map(|district| district.0.as_bytes().to_vec().into()).unwrap_or_default();
    let body = Envelope::new(Control { command: Some(Command::Stop(Stop { district_id })) }).into_bytes();
    let message = Message { to: Destination::Control, body, headers: Vec::new(), persistent: false };
    let published = timeout(TELL_WITHIN, publisher.publish(vec![message])).await;
    let answers = published.context("the broker does not answer")??;
    ensure!(!answers.contains(&Published::Refused), "the broker refused it");
    // Nobody listening is well: whoever comes later reads the store.
    let _ = timeout(TELL_WITHIN, publisher.close()).await;
    Ok(())
}

async fn go_on(args: GoArgs, store: &Store) -> Result<ExitCode> {
    let district = named(store, args.district.as_deref()).await?;
    let changed = store.resume_sending(district, &operator_name()).await?;
    let name = args.district.as_deref();
    if args.json {
        print_json(&json!({ "district": name, "state": "sending", "changed": changed }))?;
        return Ok(Exit::Done.into());
    }
    tell(name, "sending", changed)?;
    let still = store.stops().await?;
    if !still.is_empty() {
        let whom = if still.iter().any(|stop| stop.district.is_none()) {
            "every district"
        } else {
            "some districts"
        };
        print(format_args!("{whom} still stopped by another stop: see `tocsin status`\n"))?;
    }
    Ok(Exit::Done.into())
}

async fn named(store: &Store, name: Option<&str>) -> Result<Option<DistrictId>> {
    match name {
        None => Ok(None),
        Some(name) => Ok(Some(district_named(store, name).await?.id)),
    }
}

fn tell(district: Option<&str>, state: &str, changed: bool) -> Result<()> {
    let whom = district.map_or_else(|| "every district".to_owned(), |name| format!("district {name:?}"));
    let already = if changed { "" } else { ", as it was before" };
    print(format_args!("{whom} is {state}{already}\n"))
}
