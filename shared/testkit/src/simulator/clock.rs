//! The outside world's clock.

use chrono::{DateTime, Utc};

/// The vendors keep their own time: what they record must not follow a clock that a test has set.
#[allow(clippy::disallowed_methods, reason = "the simulator is the outside world")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}
