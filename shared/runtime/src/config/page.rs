//! docs/CONFIG.md, written from the fields that the configuration is read into: their types, comments and defaults.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::file::{DEFAULTS, RawConfig};

const HEAD: &str = "\
# Configuration

Written from the code (`shared/runtime/src/config/`); a test holds them together and says how to write it anew. Read in this
order, later ones winning: defaults, the file (`--config FILE`, or the variable `TOCSIN_CONFIG`), the environment. A key that is
not named here is refused, and so is a value that makes no sense: `tocsin config check` tells every fault.
[tocsin.sample.toml](tocsin.sample.toml) is a file to begin with.

A *secret* is never shown, in no log and no error. It may stand in one of three places: the key holds it, `…_env` names the
variable and `…_file` the file that does. Variables of that kind are best named `TOCSIN_SECRET_…`: these are never read as keys.
";

/// Who reads what begins so; the first that fits.
const READ_BY: [(&str, &str); 18] = [
    ("api.", "api, up"),
    ("collector.", "status-collector"),
    ("public_url", "worker, status-collector, up"),
    ("callback.", "worker, status-collector, up"),
    ("webhooks.", "api, planner, up"),
    ("worker.", "worker, up"),
    ("scaling.", "planner"),
    ("retention.", "planner, up"),
    ("sign_in.", "api, up"),
    ("oidc", "api, up"),
    ("credentials.", "worker, status-collector, up"),
    ("metrics.database_size_max_bytes", "planner, up"),
    ("shutdown.delay_seconds", "api, status-collector, up"),
    ("accounts", "every role"),
    ("database_", "every role"),
    ("amqp_", "every role"),
    ("health.", "every role"),
    ("", "every role"),
];

/// Keys of which there may be several tables.
const TABLES: [&str; 2] = ["accounts", "oidc"];

/// Of what a key counts; the first that it ends with.
const UNITS: [(&str, &str); 15] = [
    ("per_second", "per second"),
    ("_seconds", "seconds"),
    ("_hours", "hours"),
    ("_bytes", "bytes"),
    ("prefetch_emergency", "jobs"),
    ("prefetch_priority", "jobs"),
    ("prefetch_general", "jobs"),
    ("in_flight_max", "requests"),
    ("connections_max", "requests"),
    ("database_pool", "connections"),
    ("concurrency", "requests or calls"),
    ("reserve", "requests or calls"),
    ("replicas_max", "workers"),
    ("depth", "messages"),
    ("months", "months"),
];

struct Key {
    /// With its section.
    path: String,
    kind: String,
    default: Option<String>,
    is_secret: bool,
    about: String,
}

#[test]
fn the_page_is_what_the_code_reads() {
    crate::pages::hold(Path::new("docs/CONFIG.md"), &page());
}

#[test]
fn the_sample_names_every_key() {
    let sample = include_str!("../../../../docs/tocsin.sample.toml");
    let words: BTreeSet<&str> =
        sample.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_').collect();
    for Key { path, .. } in sections().into_iter().flat_map(|(_, keys)| keys) {
        let key = path.rsplit('.').next().unwrap();
        // One place of a secret shows how the others are written.
        let is_place = key.ends_with("_env") || key.ends_with("_file");
        assert!(is_place || words.contains(key), "docs/tocsin.sample.toml does not tell of {path}");
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for ((section, about), keys) in sections() {
        let title = if section.is_empty() { "At the top" } else { &section };
        let _ = writeln!(page, "\n## {title}\n\n{about}\n");
        page.push_str("| key | variable | type | default | unit | read by | meaning |\n");
        page.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for key in keys {
            let secret = if key.is_secret { "Secret. " } else { "" };
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} | {} | {secret}{} |",
                key.path,
                variable(&key.path),
                key.kind,
                key.default.as_deref().unwrap_or_default(),
                first(&UNITS, |end| key.path.ends_with(end)),
                first(&READ_BY, |begin| key.path.starts_with(begin)),
                key.about,
            );
        }
    }
    page
}

fn first(table: &[(&str, &'static str)], fits: impl Fn(&str) -> bool) -> &'static str {
    table.iter().find(|(word, _)| fits(word)).map_or("", |(_, says)| says)
}

fn variable(path: &str) -> String {
    match path {
        "database_url" => "`DATABASE_URL`".to_owned(),
        "amqp_url" => "`AMQP_URL`".to_owned(),
        // The tables as a whole.
        _ if path.contains("[]") => {
            format!("in `TOCSIN_{}`", path.split('[').next().unwrap_or(path).to_uppercase())
        }
        _ => format!("`TOCSIN_{}`", path.to_uppercase().replace('.', "__")),
    }
}

/// Every section with what it is, the top first.
fn sections() -> Vec<((String, String), Vec<Key>)> {
    let schema = schemars::schema_for!(RawConfig).to_value();
    let defaults: toml::Value = toml::from_str(DEFAULTS).unwrap();
    let mut top = Vec::new();
    let mut sections = Vec::new();
    for (name, field) in schema["properties"].as_object().unwrap() {
        let about = about(field, name);
        let (of, several) = match resolved(&schema, field) {
            of if of["type"] == "array" && TABLES.contains(&name.as_str()) => {
                (resolved(&schema, &of["items"]), true)
            }
            of => (of, false),
        };
        if of["properties"].is_object() {
            let prefix = if several { format!("{name}[].") } else { format!("{name}.") };
            let title = if several { format!("[[{name}]]") } else { format!("[{name}]") };
            let keys = of["properties"].as_object().unwrap().iter();
            let keys = keys.map(|(key, field)| read(&schema, &format!("{prefix}{key}"), field, &defaults));
            sections.push(((title, about), keys.collect()));
        } else {
            top.push(read(&schema, name, field, &defaults));
        }
    }
    let mut all = vec![((String::new(), "What most roles need.".to_owned()), top)];
    all.extend(sections);
    all
}

fn read(schema: &Value, path: &str, field: &Value, defaults: &toml::Value) -> Key {
    let of = resolved(schema, field);
    let default = path.split('.').try_fold(defaults, |value, part| value.get(part));
    Key {
        path: path.to_owned(),
        kind: kind(of),
        default: default.map(|value| format!("`{}`", written(value))),
        is_secret: of["writeOnly"] == true,
        about: about(field, path),
    }
}

fn written(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("\"{text}\""),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => format!("{number:?}"),
        toml::Value::Boolean(is) => is.to_string(),
        toml::Value::Table(_) => value.to_string(),
        toml::Value::Array(all) if all.is_empty() => "[]".to_owned(),
        other => panic!("a default of a kind that the page cannot show: {other:?}"),
    }
}

/// The comment on a field, on one line.
fn about(field: &Value, path: &str) -> String {
    let about =
        field["description"].as_str().unwrap_or_else(|| panic!("{path} has no comment that says what it is"));
    about.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a field is, behind a name and beside null.
fn resolved<'a>(schema: &'a Value, field: &'a Value) -> &'a Value {
    if let Some(name) = field["$ref"].as_str() {
        return resolved(schema, schema.pointer(name.trim_start_matches('#')).unwrap());
    }
    let one_of = field["anyOf"].as_array().into_iter().flatten();
    match one_of.clone().find(|one| one["type"] != "null") {
        Some(one) => resolved(schema, one),
        None => field,
    }
}

fn kind(of: &Value) -> String {
    let words: Vec<&str> = match (of["enum"].as_array(), of["oneOf"].as_array()) {
        (Some(words), _) => words.iter().filter_map(Value::as_str).collect(),
        (None, Some(all)) => all
            .iter()
            .flat_map(|one| {
                one["const"]
                    .as_str()
                    .into_iter()
                    .chain(one["enum"].as_array().into_iter().flatten().filter_map(Value::as_str))
            })
            .collect(),
        (None, None) => Vec::new(),
    };
    if !words.is_empty() {
        return words.join(", ");
    }
    let name = match &of["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        name => name.as_str(),
    };
    match name {
        Some("integer") => "whole number".to_owned(),
        Some("array") => "list of texts".to_owned(),
        Some("string") => "text".to_owned(),
        Some(other) => other.to_owned(),
        None => "address".to_owned(),
    }
}
