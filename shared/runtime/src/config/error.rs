//! What is wrong with a configuration, in words that lead to its repair.

use std::path::PathBuf;

use figment::error::{Actual, Kind};

/// Every text names the key or file, the fault and the remedy. No text holds a secret's value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "configuration file {path}: cannot be read; check --config, TOCSIN_CONFIG and the file's permissions"
    )]
    File { path: PathBuf, source: std::io::Error },
    #[error("configuration file {path}, line {line}: {fault}; mend the TOML there")]
    Syntax { path: PathBuf, line: usize, fault: String },
    #[error("{key} ({source_name}): {fault}")]
    Shape { key: String, source_name: String, fault: String },
    #[error("{key}: missing; {remedy}")]
    Missing { key: String, remedy: &'static str },
    #[error("{key}: {fault}; {remedy}")]
    Value { key: String, fault: String, remedy: String },
}

impl ConfigError {
    /// The key that has to be changed; None: the file as a whole.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::File { .. } | Self::Syntax { .. } => None,
            Self::Shape { key, .. } | Self::Missing { key, .. } | Self::Value { key, .. } => Some(key),
        }
    }

    pub(super) fn missing(key: impl Into<String>, remedy: &'static str) -> Self {
        Self::Missing { key: key.into(), remedy }
    }

    pub(super) fn value(key: impl Into<String>, fault: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Value { key: key.into(), fault: fault.into(), remedy: remedy.into() }
    }

    /// A key that is unknown or has a value of the wrong type.
    pub(super) fn from_figment(error: figment::Error) -> Self {
        let source_name =
            error.metadata.as_ref().map_or_else(|| "default".to_owned(), |from| from.name.to_string());
        let mut path = error.path;
        let fault = match error.kind {
            Kind::UnknownField(field, known) => {
                // The path mostly ends with the unknown key already.
                if path.last() != Some(&field) {
                    path.push(field);
                }
                format!("unknown key; known here are {}", known.join(", "))
            }
            Kind::MissingField(field) => {
                path.push(field.into_owned());
                "missing; set it".to_owned()
            }
            Kind::InvalidType(actual, expected) => {
                format!("is {}; give {}", type_name(&actual), in_words(&expected.to_string()))
            }
            Kind::InvalidValue(actual, expected) => {
                format!("{} does not fit; give {}", type_name(&actual), in_words(&expected.to_string()))
            }
            Kind::UnknownVariant(value, known) => {
                format!("unknown value {value:?}; use {}", known.join(" or "))
            }
            // Only our own types' messages come here (addresses, channels); Secret's never hold the value.
            kind => kind.to_string(),
        };
        Self::Shape { key: dotted(&path), source_name, fault }
    }
}

/// `accounts[0].name`: figment gives a list's positions as names.
fn dotted(path: &[String]) -> String {
    let mut key = String::new();
    for part in path {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            key.push_str(&format!("[{part}]"));
        } else {
            let dot = if key.is_empty() { "" } else { "." };
            key.push_str(&format!("{dot}{part}"));
        }
    }
    key
}

/// What was expected, where it is told as a type of ours.
fn in_words(expected: &str) -> &str {
    match expected {
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "f64" => "a number",
        other => other,
    }
}

/// The type without the value, which may be a secret written under the wrong key.
fn type_name(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "a boolean",
        Actual::Unsigned(_) | Actual::Signed(_) => "a whole number",
        Actual::Float(_) => "a number with a fraction",
        Actual::Char(_) | Actual::Str(_) => "text",
        Actual::Bytes(_) => "bytes",
        Actual::Unit | Actual::Option => "empty",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        Actual::NewtypeStruct
        | Actual::Enum
        | Actual::UnitVariant
        | Actual::NewtypeVariant
        | Actual::TupleVariant
        | Actual::StructVariant
        | Actual::Other(_) => "of another type",
    }
}
