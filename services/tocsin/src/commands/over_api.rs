//! What the commands share that speak to the REST API and show its lists.

use anyhow::Result;
use serde_json::Value;

use super::campaign::client;
use super::operator::DataPath;
use crate::client::Client;
use crate::terminal::{print, print_json, say, table};

/// Where the API is, whose caller one is, and how it is shown.
#[derive(Debug, clap::Args)]
pub struct Access {
    /// Where the API is.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8080", global = true)]
    url: String,
    /// The district's key, from `tocsin api-key add`.
    #[arg(long, env = "TOCSIN_API_KEY", hide_env_values = true, global = true)]
    api_key: Option<String>,
    /// Print the API's answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Access {
    pub fn client(&self, data: impl DataPath) -> Result<Client> {
        client(&self.url, self.api_key.clone(), data)
    }
}

/// A list of the API's: the member that it stands in, and of each entry what each column shows.
pub struct List<const N: usize> {
    pub member: &'static str,
    pub headings: [&'static str; N],
    /// JSON pointers.
    pub columns: [&'static str; N],
    /// What is said of an empty one.
    pub none: &'static str,
}

impl<const N: usize> List<N> {
    pub fn show(&self, answer: &Value, as_json: bool) -> Result<()> {
        if as_json {
            return print_json(answer);
        }
        let entries = answer[self.member].as_array().map_or(&[][..], Vec::as_slice);
        if entries.is_empty() {
            say(self.none);
            return Ok(());
        }
        let rows: Vec<[String; N]> =
            entries.iter().map(|entry| self.columns.map(|column| cell(entry.pointer(column)))).collect();
        print(table(self.headings, &rows))?;
        if answer["next_cursor"].is_string() {
            say("there are more: ask for them with --limit");
        }
        Ok(())
    }
}

/// `key: value`, a line each; what holds more than one is shown as JSON.
pub fn show_entry(answer: &Value, as_json: bool) -> Result<()> {
    if as_json {
        return print_json(answer);
    }
    let members = answer.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(_, value)| !value.is_null()) {
        print(format_args!("{name}: {}\n", cell(Some(value))))?;
    }
    Ok(())
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
