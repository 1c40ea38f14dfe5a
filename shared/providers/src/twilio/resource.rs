//! Twilio's JSON: the fields of calls, messages and errors that matter to us. Almost every field may
//! be null, and new ones appear (wire A.1).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

/// A call or a message.
#[derive(Debug, Deserialize)]
pub(super) struct Resource {
    pub sid: Option<String>,
    pub status: Option<String>,
    #[serde(default)]
    pub answered_by: Option<String>,
    /// Messages only.
    #[serde(default)]
    pub error_code: Option<u32>,
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<DateTime<Utc>>,
}

/// One page of calls or messages, newest first.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub calls: Vec<Resource>,
    #[serde(default)]
    pub messages: Vec<Resource>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    /// May be missing on errors of the edge.
    #[serde(default)]
    pub code: Option<u32>,
}

fn rfc2822<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.as_deref().and_then(parse_rfc2822))
}

/// `Thu, 24 Aug 2023 05:01:45 +0000`
pub(super) fn parse_rfc2822(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc())
}
