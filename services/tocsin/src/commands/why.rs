//! `tocsin why`: why a device is not tried yet, or what happened to it, over the REST API.

use std::process::ExitCode;

use anyhow::Result;
use form_urlencoded::Serializer;
use uuid::Uuid;

use super::operator::DataPath;
use super::rest::Access;
use crate::client::read;
use crate::exit::Exit;
use crate::view::why::Why;

pub const EXAMPLES: &str = "\
Recipients' and devices' numbers are shown by `tocsin campaign recipients CAMPAIGN --json`.

Examples:
  tocsin why 01900000-0000-7000-8000-000000000001 12
  tocsin why 01900000-0000-7000-8000-000000000001 +13125550142
  tocsin why 01900000-0000-7000-8000-000000000001 ann@example.org --json | jq -r '.devices[].trace_id'
  tocsin why 01900000-0000-7000-8000-000000000001 40 --device";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// From `tocsin campaign list`.
    campaign: Uuid,
    /// A recipient's number in the campaign, a phone number, an email address or an inbox account.
    who: String,
    /// The number is a device's.
    #[arg(long)]
    device: bool,
}

pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let rest = args.access.open(data)?;
    let named = match (args.device, is_number(&args.who)) {
        (true, _) => "device",
        (false, true) => "recipient",
        (false, false) => "address",
    };
    let query = Serializer::new(String::new()).append_pair(named, args.who.trim()).finish();
    let answer = rest.api.get(&format!("/v1/campaigns/{}/why?{query}", args.campaign)).await?;
    let why: Why = read(answer.clone())?;
    rest.show(&answer, |_| why.to_string())?;
    Ok(Exit::Done.into())
}

/// Phone numbers begin with a plus sign, so that digits alone are a recipient's number; an account of digits alone is
/// found by its recipient.
fn is_number(who: &str) -> bool {
    let who = who.trim();
    !who.is_empty() && who.chars().all(|c| c.is_ascii_digit())
}
