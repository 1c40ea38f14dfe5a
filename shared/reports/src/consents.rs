//! The SMS status report as CSV: every phone, its consent and how it came to it (requirement 164).

use std::io::Write;

use chrono::{DateTime, Utc};
use tocsin_domain::consent::ConsentState;
use tocsin_domain::window::Zone;

use crate::csv::Csv;
use crate::sheet::Sheet as _;
use crate::words::time;
use crate::write::ReportError;

/// Where one phone stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRow {
    pub phone: String,
    pub state: ConsentState,
    pub changed_at: DateTime<Utc>,
    pub source: String,
}

/// Writes the phones of `pages`, with times in `zone`, to `sink`.
pub fn consents<E>(
    zone: Zone,
    pages: impl Iterator<Item = Result<Vec<ConsentRow>, E>>,
    sink: impl Write,
) -> Result<(), ReportError<E>> {
    let mut sheet = Csv::new(sink)?;
    let changed = format!("Changed ({})", zone.name());
    sheet.record(["Phone", "Status", changed.as_str(), "Source"])?;
    for page in pages {
        for row in page.map_err(ReportError::Rows)? {
            let at = time(row.changed_at, zone);
            sheet.record([row.phone.as_str(), label(row.state), at.as_str(), row.source.as_str()])?;
        }
    }
    Ok(sheet.finish()?)
}

/// Requirement 162.
fn label(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Pending => "Pending Opt-In",
        ConsentState::OptedIn => "Opted In",
        ConsentState::OptedOut => "Opted Out",
    }
}
