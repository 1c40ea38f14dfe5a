//! A returned mail for logs and support: what it reports, and nothing of what it holds.

use super::mail;

/// The words of the reports come from closed sets; everything else in the mail tells of a person.
pub(super) fn redact(body: &[u8]) -> String {
    let reported = match mail::parse(body) {
        Ok(reports) if reports.is_empty() => "no report".to_owned(),
        Ok(reports) => {
            let words: Vec<_> = reports.into_iter().filter_map(|report| report.provider_code).collect();
            words.join(", ")
        }
        Err(_) => "no mail".to_owned(),
    };
    format!("[redacted: {} bytes, {reported}]", body.len())
}
