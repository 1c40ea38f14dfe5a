//! Values that are never shown, and the three places they may be kept in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;

/// A text that neither logs nor errors show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "writeOnly": true })
    }
}

/// Where a secret may be written: itself, a variable's name, or a file's. At most one of them.
#[derive(Debug, Clone, Default)]
pub(super) struct SecretPlace {
    pub value: Option<Secret>,
    pub variable: Option<String>,
    pub file: Option<PathBuf>,
}

impl SecretPlace {
    /// The secret, or None when no place is named. `key` is the first of the three names: `callback.secret`.
    pub fn resolve(
        self,
        key: &str,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<Secret>, ConfigError> {
        let (key, secret) = match (self.value, self.variable, self.file) {
            (None, None, None) => return Ok(None),
            (Some(value), None, None) => (key.to_owned(), value),
            (None, Some(variable), None) => {
                let key = format!("{key}_env");
                let value = environment.get(&variable).ok_or_else(|| {
                    ConfigError::value(&key, format!("the variable {variable} is not set"), "set it")
                })?;
                (key, Secret::new(value))
            }
            (None, None, Some(path)) => {
                let key = format!("{key}_file");
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    let fault = format!("cannot read {}: {error}", path.display());
                    ConfigError::value(&key, fault, "name a file that this user may read")
                })?;
                // Editors and `echo` end a file with a line break that is not part of the secret.
                (key, Secret::new(text.trim_end_matches(['\n', '\r'])))
            }
            _ => {
                let remedy = format!("keep only one of {key}, {key}_env and {key}_file");
                return Err(ConfigError::value(key, "written in more than one place", remedy));
            }
        };
        if secret.expose().trim().is_empty() {
            return Err(ConfigError::value(key, "is empty", "give the secret, or remove the key"));
        }
        Ok(Some(secret))
    }
}
