//! `tocsin series`: messages that recur, over the REST API.

use std::process::ExitCode;

use anyhow::Result;
use chrono::NaiveDate;
use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::operator::DataPath;
use super::rest::{self, Access, Rest, list, pairs, text, time};
use crate::exit::{Exit, Failure};
use crate::terminal::table;
use crate::view::page::in_words;

/// Who cancels and edits, in the series' records.
const ACTOR: &str = "cli";
/// Occurrences that are looked through for a day.
const LOOKED_AT: u32 = 366;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List series, newest first.
    #[command(after_long_help = "\
Examples:
  tocsin series list
  tocsin series list --state active --json | jq -r '.series[].id'")]
    List {
        /// Only those that are active, ended or canceled.
        #[arg(long, value_parser = ["active", "ended", "canceled"])]
        state: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show a series, what comes of it next and what came of it.
    #[command(after_long_help = "\
Examples:
  tocsin series show 01900000-0000-7000-8000-000000000001")]
    Show {
        /// From `tocsin series list`.
        id: Uuid,
    },
    /// Cancel a series: no message of it comes any more. One that is under way is canceled by itself.
    #[command(after_long_help = "\
Examples:
  tocsin series cancel 01900000-0000-7000-8000-000000000001 --reason \"the term is over\"")]
    Cancel {
        /// From `tocsin series list`.
        id: Uuid,
        /// Kept with the cancel.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Leave one day of a series out.
    #[command(after_long_help = "\
The day is one of those that `tocsin series show` names as coming.

Examples:
  tocsin series skip 01900000-0000-7000-8000-000000000001 --on 2026-12-24")]
    Skip {
        /// From `tocsin series list`.
        id: Uuid,
        /// The day, as 2026-12-24.
        #[arg(long, value_name = "DAY")]
        on: NaiveDate,
    },
}

pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let rest = args.access.open(data)?;
    match args.action {
        Action::List { state, limit } => {
            let state = state.map_or_else(String::new, |state| format!("&state={state}"));
            let answer = rest.api.get(&format!("/v1/series?limit={limit}{state}")).await?;
            rest.show(&answer, listed)
        }
        Action::Show { id } => {
            let mut answer = rest.api.get(&format!("/v1/series/{id}")).await?;
            answer["occurrences"] = rest.api.get(&format!("/v1/series/{id}/occurrences?limit=5")).await?;
            rest.show(&answer, shown)
        }
        Action::Cancel { id, reason } => {
            let order = json!({ "by": ACTOR, "reason": reason });
            let answer = rest.api.post(&format!("/v1/series/{id}/cancel"), &order).await?;
            rest.show(&answer, |it| format!("the series is {}\n", text(it, "state")))
        }
        Action::Skip { id, on } => skip(&rest, id, on).await,
    }?;
    Ok(Exit::Done.into())
}

/// An edit that names the version which the day was looked for in: whoever edits it meanwhile is not overwritten.
async fn skip(rest: &Rest, id: Uuid, on: NaiveDate) -> Result<()> {
    let series = rest.api.get(&format!("/v1/series/{id}")).await?;
    let occurrences = rest.api.get(&format!("/v1/series/{id}/occurrences?limit={LOOKED_AT}")).await?;
    let day = on.to_string();
    let coming = list(&occurrences, "coming");
    if !coming.iter().any(|occurrence| occurrence["on"] == day.as_str()) {
        let what = format!(
            "nothing of this series comes on {day}: `tocsin series show {id}` names the days that come; of a day far \
             ahead, edit the series"
        );
        return Err(Failure::refused(what).into());
    }
    let mut recurrence = series["recurrence"].clone();
    let mut except = list(&recurrence, "except").to_vec();
    except.push(day.as_str().into());
    recurrence["except"] = except.into();
    let changes = json!({ "version": series["version"], "by": ACTOR, "recurrence": recurrence });
    let answer = rest.api.patch(&format!("/v1/series/{id}"), &changes).await?;
    rest.show(&answer, |it| {
        let next = time(it, "next_at");
        format!("{day} is left out; the next comes {next} UTC\n")
    })
}

fn listed(answer: &Value) -> String {
    let nothing = "no series: one is made in the console, or by POST /v1/series";
    rest::listed(
        answer,
        "series",
        nothing,
        [
            ("No.", |it| format!("#{}", it["number"])),
            ("State", |it| in_words(&text(it, "state"))),
            ("Next", |it| text(it, "next_on")),
            ("Id", |it| text(it, "id")),
            ("Subject", |it| text(it, "subject")),
            ("Recurs", |it| text(it, "words")),
        ],
    )
}

fn shown(answer: &Value) -> String {
    let channels: Vec<_> = list(answer, "channels").iter().filter_map(Value::as_str).collect();
    let mut page = pairs(&[
        ("Id", text(answer, "id")),
        ("State", in_words(&text(answer, "state"))),
        ("Subject", text(answer, "subject")),
        ("Type", in_words(&text(answer, "message_type"))),
        ("Channels", channels.join(", ")),
        ("Recurs", format!("{}, {}", text(answer, "words"), text(answer, "time_zone"))),
        ("Next", format!("{} UTC", time(answer, "next_at"))),
        ("Made", format!("{}, {} UTC", text(answer, "created_by"), time(answer, "created_at"))),
    ]);
    let row = |it: &Value| [text(it, "on"), time(it, "at"), text(it, "state"), text(it, "campaign")];
    let occurrences = &answer["occurrences"];
    let rows = list(occurrences, "past").iter().rev().chain(list(occurrences, "coming")).map(row);
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        page.push('\n');
        page.push_str(&table(["Day", "Comes (UTC)", "State", "Campaign"], &rows));
    }
    page
}
