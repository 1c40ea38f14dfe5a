//! How a raw callback shows itself in logs.

use std::fmt;

use crate::v1::RawCallback;

/// Leaves out url, headers and body: they hold phone numbers, addresses, signatures and our own token.
impl fmt::Debug for RawCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCallback")
            .field("account", &self.account)
            .field("received_at_ms", &self.received_at_ms)
            .field("method", &self.method)
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .field("job_id", &self.job_id)
            .field("attempt", &self.attempt)
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}
