//! Email addresses: what can be mailed, in the one spelling that duplicates are found by (D2).

const MAX_ADDRESS_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;
const MAX_LABEL_BYTES: usize = 63;

/// The address with its domain in lower case, or `None` where no mail server could be found for it.
/// The local part keeps its case: it is the receiving server's affair.
pub(crate) fn normalise(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let local_ok = (1..=MAX_LOCAL_BYTES).contains(&local.len())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(is_local_char);
    let domain = domain.to_lowercase();
    let labels_ok = domain.contains('.') && domain.split('.').all(is_label);
    let fits = local.len() + 1 + domain.len() <= MAX_ADDRESS_BYTES;
    (local_ok && labels_ok && fits).then(|| format!("{local}@{domain}"))
}

/// Letters of any script: internationalised mailboxes exist. Quoted local parts do too, but in rosters
/// they are mistakes.
fn is_local_char(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_with_its_domain_in_lower_case() {
        for (text, expected) in [
            ("Ana.Diaz@Mail.EXAMPLE.org", "Ana.Diaz@mail.example.org"),
            ("o'neil+school@example.com", "o'neil+school@example.com"),
            ("josé@exämple.org", "josé@exämple.org"),
        ] {
            assert_eq!(normalise(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_mailed_is_refused() {
        let too_long = format!("{}@example.org", "a".repeat(65));
        for text in [
            "",
            "ana",
            "ana@",
            "@example.org",
            "ana@localhost",
            "ana@@example.org",
            "ana diaz@example.org",
            "Ana <ana@example.org>",
            "ana@example.org, ben@example.org",
            ".ana@example.org",
            "ana@example..org",
            "ana@-example.org",
            "ana@example.org\r\nBcc: ben@example.org",
            &too_long,
        ] {
            assert_eq!(normalise(text), None, "{text}");
        }
    }
}
