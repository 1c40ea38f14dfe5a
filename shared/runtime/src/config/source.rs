//! The three layers: defaults, file, environment.

use std::collections::BTreeMap;
use std::path::Path;

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::ConfigError;
use super::file::{DEFAULTS, RawConfig};

const PREFIX: &str = "TOCSIN_";

/// Variables with our prefix that are not keys: the file's own name, what the repository's scripts and the
/// accounts' secrets use, the data directory, and what `tocsin campaign` reads.
const NOT_KEYS: [&str; 7] = [
    "TOCSIN_CONFIG",
    "TOCSIN_HOME",
    "TOCSIN_SERVICES",
    "TOCSIN_SECRET_",
    "TOCSIN_TEST_",
    "TOCSIN_URL",
    "TOCSIN_API_KEY",
];

pub(super) fn read(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<RawConfig, ConfigError> {
    let mut layers = Figment::from(Toml::string(DEFAULTS));
    if let Some(path) = file {
        layers = layers.merge(read_file(path)?);
    }
    for (name, value) in environment {
        if let Some(layer) = variable(name, value) {
            layers = layers.merge(layer);
        }
    }
    layers.extract().map_err(ConfigError::from_figment)
}

/// One source of keys, with the name that errors give it.
struct Layer {
    name: String,
    keys: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.keys.clone()))
    }
}

/// Parsed here and not by figment, whose syntax errors quote the line, which may hold a secret.
fn read_file(path: &Path) -> Result<Layer, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    let keys = Toml::from_str(&text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        ConfigError::Syntax { path: path.to_owned(), line, fault: error.message().to_owned() }
    })?;
    Ok(Layer { name: format!("file {}", path.display()), keys })
}

/// The key that a variable sets, if it is one of ours. `TOCSIN_API__LISTEN` is `api.listen`.
fn variable(name: &str, value: &str) -> Option<Layer> {
    let key = match name {
        "DATABASE_URL" | "AMQP_URL" => name.to_lowercase(),
        _ if NOT_KEYS.iter().any(|other| name.starts_with(other)) => return None,
        _ => name.strip_prefix(PREFIX)?.to_lowercase(),
    };
    let path: Vec<&str> = key.split("__").collect();
    let keys = nest(&path, typed(&path, value));
    Some(Layer { name: format!("variable {name}"), keys })
}

/// Numbers and tables are read as such where a key wants them. All else is text, or a secret of digits would be
/// taken for a number.
fn typed(path: &[&str], value: &str) -> Value {
    match path {
        [
            "database_pool" | "worker" | "scaling" | "retention" | "credentials" | "shutdown" | "metrics"
            | "trace" | "accounts" | "oidc" | "sign_in",
            ..,
        ]
        | ["api", "proxies"]
        | ["webhooks", "networks"] => {
            // The parser takes what is not a number or table for text.
            value.parse().unwrap_or_else(|never| match never {})
        }
        _ => Value::from(value),
    }
}

fn nest(path: &[&str], value: Value) -> Dict {
    let mut dict = Dict::new();
    match path {
        [] => {}
        [last] => {
            dict.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            dict.insert((*first).to_owned(), Value::from(nest(rest, value)));
        }
    }
    dict
}
