//! What commands over the REST API have in common: where it is, with which key, and how an answer is shown.

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::campaign::client;
use super::operator::DataPath;
use crate::client::Client;
use crate::terminal::{print, print_json, say, table};
use crate::view::page::on_one_line;

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
    json: bool,
}

/// The API, and in which form its answers are printed.
pub(super) struct Rest {
    pub api: Client,
    as_json: bool,
}

impl Access {
    pub(super) fn open(self, data: impl DataPath) -> Result<Rest> {
        Ok(Rest { api: client(&self.url, self.api_key, data)?, as_json: self.json })
    }
}

impl Rest {
    /// As the API gave it, or in words.
    pub fn show(&self, answer: &Value, in_words: impl FnOnce(&Value) -> String) -> Result<()> {
        if self.as_json { print_json(answer) } else { print(in_words(answer)) }
    }
}

/// A text of an answer; a dash where it has none. What users wrote may hold anything; here it is one line.
pub(super) fn text(answer: &Value, name: &str) -> String {
    on_one_line(answer[name].as_str().unwrap_or("-"))
}

/// A time of an answer, to the minute.
pub(super) fn time(answer: &Value, name: &str) -> String {
    let at = answer[name].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    at.map_or_else(|| "-".to_owned(), |at| at.format("%F %R").to_string())
}

/// A list of an answer.
pub(super) fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Its heading, and what it shows of one of the list.
type Column = (&'static str, fn(&Value) -> String);

/// A page of what an answer lists under `name`: as a table, or in place of one that would be empty, `nothing`.
pub(super) fn listed<const COLUMNS: usize>(
    answer: &Value,
    name: &str,
    nothing: &str,
    columns: [Column; COLUMNS],
) -> String {
    let row = |it: &Value| columns.map(|(_, cell)| cell(it));
    let rows: Vec<_> = list(answer, name).iter().map(row).collect();
    if rows.is_empty() {
        say(nothing);
        return String::new();
    }
    if answer["next_cursor"].is_string() {
        say("there are more: ask for them with --limit");
    }
    table(columns.map(|(heading, _)| heading), &rows)
}

/// Names and values below one another.
pub(super) fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    rows.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_answer_lacks_is_a_dash_and_what_it_has_is_one_line() {
        let answer = json!({ "subject": "Snow\nday\u{1b}[2J", "at": "2026-01-05T12:00:59Z", "none": null, "list": [1] });
        assert_eq!(text(&answer, "subject"), "Snow day [2J");
        assert_eq!((text(&answer, "none"), time(&answer, "none")), ("-".to_owned(), "-".to_owned()));
        assert_eq!(
            (time(&answer, "at"), time(&answer, "subject")),
            ("2026-01-05 12:00".to_owned(), "-".to_owned())
        );
        assert_eq!((list(&answer, "list").len(), list(&answer, "other").len()), (1, 0));
        assert_eq!(pairs(&[("Id", "1".to_owned()), ("Subject", "x".to_owned())]), "Id       1\nSubject  x\n");
    }
}
