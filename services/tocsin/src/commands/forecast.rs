//! `tocsin forecast`: what a message would take, from the flags that would send it. Nothing is sent.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::campaign::{Message, client};
use super::operator::DataPath;
use crate::client::read;
use crate::exit::Exit;
use crate::terminal::{print, print_json};
use crate::view::forecast::Forecast;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the API is.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The district's key, from `tocsin api-key add`.
    #[arg(long, env = "TOCSIN_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Print the API's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    message: Message,
}

pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let api = client(&args.url, args.api_key, data)?;
    let answer = api.forecast(&args.message.body()?).await?;
    if args.json { print_json(&answer) } else { shown(answer) }?;
    Ok(Exit::Done.into())
}

pub(super) fn shown(answer: Value) -> Result<()> {
    print(read::<Forecast>(answer)?)
}
