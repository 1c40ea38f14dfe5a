//! `tocsin series`: messages that recur, over the REST API.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chrono::NaiveDate;
use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::operator::DataPath;
use super::over_api::{Access, List, show_entry};
use crate::exit::{Exit, Failure};

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
  tocsin series list --state active --json")]
    List {
        /// active, ended or canceled; several with commas.
        #[arg(long)]
        state: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5000))]
        limit: u32,
    },
    /// Show a series, and when it comes next.
    #[command(after_long_help = "\
Examples:
  tocsin series show 01900000-0000-7000-8000-000000000001")]
    Show { id: Uuid },
    /// Cancel a series: no occurrence comes any more.
    #[command(after_long_help = "\
Examples:
  tocsin series cancel 01900000-0000-7000-8000-000000000001 --reason \"school year is over\"")]
    Cancel {
        id: Uuid,
        /// Kept with the cancel.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Skip one occurrence: nothing comes on that day.
    #[command(after_long_help = "\
Examples:
  tocsin series skip 01900000-0000-7000-8000-000000000001 2026-12-25")]
    Skip {
        id: Uuid,
        /// As 2026-12-25, in the district's time zone.
        day: NaiveDate,
    },
}

const SERIES: List<5> = List {
    member: "series",
    headings: ["Series", "State", "Next", "When", "Subject"],
    columns: ["/id", "/state", "/next_at", "/words", "/subject"],
    none: "no series",
};

pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let api = args.access.client(data)?;
    let as_json = args.access.json;
    match args.action {
        Action::List { state, limit } => {
            let state = state.map_or_else(String::new, |state| format!("&state={state}"));
            SERIES.show(&api.get(&format!("/v1/series?limit={limit}{state}")).await?, as_json)?;
        }
        Action::Show { id } => show_entry(&api.get(&format!("/v1/series/{id}")).await?, as_json)?,
        Action::Cancel { id, reason } => {
            let body = json!({ "by": "cli", "reason": reason });
            show_entry(&api.post(&format!("/v1/series/{id}/cancel"), &body).await?, as_json)?;
        }
        Action::Skip { id, day } => {
            let series = api.get(&format!("/v1/series/{id}")).await?;
            let edit = skipping(&series, day)?;
            show_entry(&api.patch(&format!("/v1/series/{id}"), &edit).await?, as_json)?;
        }
    }
    Ok(Exit::Done.into())
}

/// The edit, under the version that was seen, that leaves a day out.
fn skipping(series: &Value, day: NaiveDate) -> Result<Value> {
    let mut recurrence = series["recurrence"].clone();
    let rule = recurrence.as_object_mut().context("the API's answer has no recurrence")?;
    let except = rule.entry("except").or_insert_with(|| json!([]));
    let days = except.as_array_mut().context("the API's answer has no list of days that are left out")?;
    let day = json!(day);
    if days.contains(&day) {
        return Err(Failure::refused(format!("nothing comes on {day} as it is")).into());
    }
    days.push(day);
    Ok(json!({ "version": series["version"], "recurrence": recurrence, "by": "cli" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_skipped_beside_those_that_are_and_under_the_version_that_was_seen() {
        let day: NaiveDate = "2026-12-25".parse().unwrap();
        let series =
            json!({ "version": 3, "recurrence": { "frequency": "daily", "except": ["2026-12-24"] } });
        let edit = skipping(&series, day).unwrap();
        assert_eq!(edit["version"], 3);
        assert_eq!(edit["recurrence"]["except"], json!(["2026-12-24", "2026-12-25"]));
        assert_eq!(edit["recurrence"]["frequency"], "daily");
        let again = json!({ "version": 4, "recurrence": edit["recurrence"] });
        assert_eq!(Exit::of(&skipping(&again, day).unwrap_err()), Exit::Refused);
        let first = skipping(&json!({ "version": 1, "recurrence": {} }), day).unwrap();
        assert_eq!(first["recurrence"]["except"], json!(["2026-12-25"]));
    }
}
