//! A vendor's callback: as it came, as it is understood, and why it may be turned away.

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptKey, Outcome};

/// A callback as it came. Signatures cover the exact bytes, so nothing is decoded or normalised.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRequest {
    pub method: String,
    /// The public URL as the vendor asked for it, query included: behind a proxy that is the
    /// configured public address, not the `Host` header (wire A.5).
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl RawRequest {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The URL holds our token and the body tells of a person: neither is shown.
impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("method", &self.method)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// One thing a vendor says about one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackReport {
    /// None: the attempt is the one of the callback's token.
    pub attempt: Option<AttemptKey>,
    pub provider_id: Option<String>,
    pub outcome: Outcome,
    /// The vendor's own word, verbatim (decision D8).
    pub provider_code: Option<String>,
    /// When it happened, by the vendor's clock.
    pub at: Option<DateTime<Utc>>,
    /// The vendor's own order of one attempt's reports, where it numbers them.
    pub sequence: Option<i64>,
    /// The same for every delivery of the same event.
    pub event_id: Option<String>,
}

/// The callback is not accepted. `http_status` is what this vendor expects to hear, so that it does
/// not post the same again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct VerifyError {
    pub fault: VerifyFault,
    pub http_status: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyFault {
    #[error("the callback carries no signature")]
    Missing,
    #[error("the signature cannot be read")]
    Malformed,
    #[error("the signature does not match")]
    Mismatch,
    #[error("the callback is too old, or from the future")]
    Stale,
}

/// A verified callback that cannot be understood. Kept as it came; these words hold none of it.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    #[error("the callback is not the JSON it should be")]
    Json(#[source] serde_json::Error),
    #[error("the callback has no {0}")]
    Missing(&'static str),
    #[error("the callback's {0} is none")]
    Malformed(&'static str),
    #[error("the account takes no texts")]
    NotForTexts,
}
