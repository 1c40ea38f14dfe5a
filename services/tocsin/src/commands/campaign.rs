//! `tocsin campaign`: over the REST API, as any other client.

mod correct;
mod receipt;
mod send;
mod text;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::Value;
use tocsin_domain::CampaignId;
use uuid::Uuid;

use super::operator::DataPath;
use crate::client::{Client, Detail, Receipt, is_this_machine, read};
use crate::embedded::ApiKey;
use crate::exit::{Exit, Failure};
use crate::terminal::{print, print_json, say};
use crate::view::list::{Campaigns, campaigns};
use crate::view::page::{Page, Reached};
use crate::view::recipients::{Recipients, recipients};

pub(super) use self::send::Message;

/// Who sends and cancels, in the campaign's records.
const ACTOR: &str = "cli";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the API is.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8080", global = true)]
    url: String,
    /// The district's key, from `tocsin api-key add`.
    #[arg(long, env = "TOCSIN_API_KEY", hide_env_values = true, global = true)]
    api_key: Option<String>,
    /// Print the API's answer as JSON; `watch` prints one line of it for each look.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a message.
    #[command(after_long_help = send::EXAMPLES)]
    Send(Box<send::Args>),
    /// List campaigns, newest first.
    #[command(after_long_help = "\
Examples:
  tocsin campaign list
  tocsin campaign list --json | jq -r '.campaigns[].id'")]
    List {
        /// How many at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=5000))]
        limit: u32,
    },
    /// Show a campaign and its delivery information.
    #[command(after_long_help = "\
Examples:
  tocsin campaign show 01900000-0000-7000-8000-000000000001")]
    Show {
        /// From `tocsin campaign list`.
        id: Uuid,
    },
    /// Tell how long a scheduled campaign will take.
    #[command(after_long_help = "\
Of one that is not there yet, `tocsin forecast` tells the same.

Examples:
  tocsin campaign forecast 01900000-0000-7000-8000-000000000001")]
    Forecast {
        /// From `tocsin campaign list`.
        id: Uuid,
    },
    /// Show what became of each device, or what it waits for and until when.
    #[command(after_long_help = "\
Examples:
  tocsin campaign recipients 01900000-0000-7000-8000-000000000001
  tocsin campaign recipients 01900000-0000-7000-8000-000000000001 --json | jq '.recipients[].wait.words'")]
    Recipients {
        /// From `tocsin campaign list`.
        id: Uuid,
        /// How many devices at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5000))]
        limit: u32,
        /// Go on after an earlier page: its `next_cursor`.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Cancel a campaign and show what the cancel reached.
    #[command(after_long_help = "\
Examples:
  tocsin campaign cancel 01900000-0000-7000-8000-000000000001 --reason \"wrong day\"")]
    Cancel {
        /// From `tocsin campaign list`.
        id: Uuid,
        /// Kept with the cancel.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Ask the providers what became of a campaign's messages.
    #[command(after_long_help = "\
Of what they have accepted and not reported on. What they say shows in the campaign as it comes.

Examples:
  tocsin campaign refresh 01900000-0000-7000-8000-000000000001")]
    Refresh {
        /// From `tocsin campaign list`.
        id: Uuid,
    },
    /// Show what a cancel reached, or list one part of it.
    #[command(after_long_help = receipt::EXAMPLES)]
    Receipt(receipt::Args),
    /// Send a message to those whom a canceled one reached, or may have.
    #[command(after_long_help = correct::EXAMPLES)]
    Correct(Box<correct::Args>),
    /// Follow a campaign until it has ended.
    #[command(after_long_help = "\
Bars on a terminal, else a line now and then, else (with --json) one JSON object a line.

Examples:
  tocsin campaign watch 01900000-0000-7000-8000-000000000001
  tocsin campaign watch 01900000-0000-7000-8000-000000000001 --json | jq -c .totals")]
    Watch {
        /// From `tocsin campaign list`.
        id: Uuid,
    },
}

/// Runs one action against the API.
pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let api = client(&args.url, args.api_key, data)?;
    match args.action {
        Action::Send(message) => {
            let answer = api.send_raw(&message.body()?, &message.key()).await?;
            show(&answer, args.json, sent)
        }
        Action::List { limit } => {
            let answer = api.get(&format!("/v1/campaigns?limit={limit}")).await?;
            show(&answer, args.json, list)
        }
        Action::Show { id } => {
            let answer = api.get(&format!("/v1/campaigns/{id}")).await?;
            if args.json { print_json(&answer) } else { page(&api, &read(answer)?).await }
        }
        Action::Forecast { id } => {
            let answer = api.forecast_of(CampaignId(id)).await?;
            show(&answer, args.json, super::forecast::shown)
        }
        Action::Recipients { id, limit, cursor } => {
            let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            let answer = api.get(&format!("/v1/campaigns/{id}/recipients?limit={limit}{cursor}")).await?;
            show(&answer, args.json, rows)
        }
        Action::Cancel { id, reason } => {
            let answer = api.cancel_raw(CampaignId(id), ACTOR, reason.as_deref()).await?;
            show(&answer, args.json, canceled)
        }
        Action::Refresh { id } => {
            let answer = api.post(&format!("/v1/campaigns/{id}/refresh"), &Value::Null).await?;
            show(&answer, args.json, refreshed)
        }
        Action::Receipt(receipt) => {
            let (answer, in_words) = receipt::ask(&api, &receipt).await?;
            show(&answer, args.json, in_words)
        }
        Action::Correct(message) => {
            let answer = api.correct_raw(CampaignId(message.id), &message.body()?, &message.key()).await?;
            show(&answer, args.json, sent)
        }
        Action::Watch { id } => watch::run(&api, CampaignId(id), args.json).await,
    }?;
    Ok(Exit::Done.into())
}

/// The API at `url`, with the key that was given, or else the one that `tocsin up` keeps.
pub(super) fn client(url: &str, key: Option<String>, data: impl DataPath) -> Result<Client> {
    let key = match key {
        Some(key) => key,
        None => kept_key(url, data)?,
    };
    Client::new(url.trim_end_matches('/').to_owned(), key)
}

/// The one that `tocsin up` keeps in its data directory. It is for that process: no other machine is told it.
fn kept_key(url: &str, data: impl DataPath) -> Result<String> {
    if !is_this_machine(url) {
        let what = format!(
            "no API key for {url}: set TOCSIN_API_KEY (the one that `tocsin up` keeps in its data directory is for \
             this machine alone), or make a key there with `tocsin api-key add --district NAME --name LABEL`"
        );
        return Err(Failure::usage(what).into());
    }
    let kept = data().ok().and_then(|path| ApiKey::of(&path).read().transpose()).transpose()?;
    kept.ok_or_else(|| {
        let what = "no API key: set TOCSIN_API_KEY, name the data directory of `tocsin up` with --data, or make \
                    a key with `tocsin api-key add --district NAME --name LABEL`";
        Failure::usage(what).into()
    })
}

fn show(answer: &Value, as_json: bool, in_words: impl FnOnce(Value) -> Result<()>) -> Result<()> {
    if as_json { print_json(answer) } else { in_words(answer.clone()) }
}

fn refreshed(answer: Value) -> Result<()> {
    match answer["refresh_asked_at"].as_str() {
        Some(at) => say(format_args!("its providers were last asked at {at}")),
        None => say(format_args!("it is over: there is nothing to ask")),
    }
    Ok(())
}

fn sent(answer: Value) -> Result<()> {
    // No campaign yet: the district asks a second person for an emergency to all of it.
    if let (Some(id), Some(until)) = (answer["id"].as_str(), answer["expires_at"].as_str())
        && answer.get("asked_at").is_some()
    {
        print(format_args!("{id}\n"))?;
        say(format_args!(
            "nothing is sent yet: a second person must approve it by {until}, at /approvals/{id} of the console"
        ));
        return Ok(());
    }
    let detail: Detail = read(answer)?;
    print(format_args!("{}\n", detail.id))?;
    say(format_args!(
        "message {} is {}: follow it with `tocsin campaign watch {}`",
        detail.number, detail.state, detail.id
    ));
    Ok(())
}

fn list(answer: Value) -> Result<()> {
    let list: Campaigns = read(answer)?;
    if list.campaigns.is_empty() {
        say("no campaigns yet: `tocsin help campaign send` shows how to send one");
        return Ok(());
    }
    print(campaigns(&list.campaigns))?;
    if list.next_cursor.is_some() {
        say("there are more: ask for them with --limit");
    }
    Ok(())
}

fn rows(answer: Value) -> Result<()> {
    let page: Recipients = read(answer)?;
    if page.recipients.is_empty() {
        say("no recipients yet, or none after that page");
        return Ok(());
    }
    print(recipients(&page.recipients))?;
    if let Some(cursor) = page.next_cursor {
        say(format_args!("there are more: ask for them with --cursor {cursor}"));
    }
    Ok(())
}

fn canceled(answer: Value) -> Result<()> {
    let state = answer["state"].as_str().unwrap_or("-").to_owned();
    let receipt: Receipt = read(answer)?;
    print(format_args!("the campaign is {state}\n{}", Reached(&receipt)))
}

/// The campaign's page, with what its cancel reached if there was one.
async fn page(api: &Client, detail: &Detail) -> Result<()> {
    let receipt = if detail.cancel.is_null() { None } else { Some(api.receipt(detail.id).await?) };
    print(Page { detail, receipt: receipt.as_ref() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::DataDirectory;

    #[test]
    fn the_kept_key_is_for_this_machine_alone() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(folder.path()).unwrap();
        ApiKey::of(directory.path()).write("tocsin_kept").unwrap();
        let kept = |url| kept_key(url, || Ok(folder.path().to_owned()));
        for url in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080/", "https://127.9.9.9"] {
            assert_eq!(kept(url).unwrap(), "tocsin_kept", "{url}");
        }
        for url in ["http://tocsin.example", "http://localhost.example", "http://127.0.0.1@10.0.0.1/", "here"]
        {
            let error = kept(url).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{url}");
            assert!(error.to_string().contains("no API key"), "{error}");
        }
    }
}
