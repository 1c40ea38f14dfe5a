//! What a run came to: figures, broken promises, and what limits their meaning.

use anyhow::{Context as _, Result};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tocsin::terminal::say;

use crate::options::Options;
use crate::report::{self, Page, Plot};
use crate::table;

/// The result of one scenario. Figures come out in the order in which they were added.
#[derive(Debug)]
pub struct Findings {
    scenario: &'static str,
    violations: Vec<String>,
    notes: Vec<String>,
    figures: Vec<(String, Value)>,
    plots: Vec<Plot>,
}

impl Findings {
    pub fn new(scenario: &'static str) -> Self {
        Self { scenario, violations: Vec::new(), notes: Vec::new(), figures: Vec::new(), plots: Vec::new() }
    }

    /// Adds a figure. One that cannot be had is null, with a note that says why.
    pub fn figure(&mut self, name: &str, value: impl Serialize) -> &mut Self {
        self.figures.push((name.to_owned(), rounded(json!(value))));
        self
    }

    pub fn violations(&mut self, broken: impl IntoIterator<Item = String>) -> &mut Self {
        self.violations.extend(broken);
        self
    }

    pub fn note(&mut self, note: impl Into<String>) -> &mut Self {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        self
    }

    /// A picture for `--report`.
    pub fn plot(&mut self, plot: Plot) -> &mut Self {
        self.plots.push(plot);
        self
    }

    pub fn ok(&self) -> bool {
        self.violations.is_empty()
    }

    /// The table for people goes to standard error, the JSON to standard output and to `--json`.
    pub fn publish(&self, options: &Options) -> Result<()> {
        let (word, end) = if self.ok() { ("held", "") } else { ("BROKEN", ":") };
        say(format_args!("\n{}: every promise {word}{end}", self.scenario));
        for violation in &self.violations {
            say(format_args!("  {violation}"));
        }
        let table = table::of(&self.figures);
        say(format_args!("\n{table}"));
        for note in &self.notes {
            say(format_args!("  note: {note}"));
        }
        let json = serde_json::to_string_pretty(self)? + "\n";
        tocsin::terminal::print(format_args!("{json}"))?;
        if let Some(file) = &options.report {
            let page = Page {
                scenario: self.scenario,
                violations: &self.violations,
                notes: &self.notes,
                table: &table,
                json: &json,
                plots: &self.plots,
            };
            std::fs::write(file, report::html(&page))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        if let Some(file) = &options.json {
            std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("scenario", self.scenario)?;
        map.serialize_entry("ok", &self.ok())?;
        map.serialize_entry("violations", &self.violations)?;
        for (name, value) in &self.figures {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("notes", &self.notes)?;
        map.end()
    }
}

/// Three decimals are more than any of these figures carries.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            json!(number.as_f64().map(|number| (number * 1_000.0).round() / 1_000.0))
        }
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, rounded(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_says_at_least_which_scenario_whether_all_held_and_what_did_not() {
        let mut findings = Findings::new("throughput");
        findings.figure("jobs_per_second", 2.0 / 3.0).figure("spread_ms", json!({"p50": 0.123_456}));
        findings.note("once").note("once");
        let good = json!({
            "scenario": "throughput", "ok": true, "violations": [], "jobs_per_second": 0.667,
            "spread_ms": {"p50": 0.123}, "notes": ["once"],
        });
        assert_eq!(json!(findings), good);
        findings.violations(["job 1: sent twice".to_owned()]);
        assert!(!findings.ok());
        assert_eq!(json!(findings)["violations"], json!(["job 1: sent twice"]));
    }
}
