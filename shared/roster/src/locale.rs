//! A person's language and time zone, from the extension columns that carry them.

use chrono_tz::Tz;

/// Subtags of a BCP 47 tag are at most this long.
const MAX_SUBTAG_CHARS: usize = 8;

/// A BCP 47 tag in its usual case (`es`, `pt-BR`, `zh-Hant`), or `None`: a language written out, such
/// as Spanish, is not guessed at.
pub fn language(text: &str) -> Option<String> {
    let text = text.replace('_', "-");
    let mut subtags = text.split('-');
    let primary = subtags.next()?;
    if !(2..=3).contains(&primary.len()) || !primary.chars().all(|c| c.is_ascii_alphabetic()) {
        return None;
    }
    let mut tag = primary.to_ascii_lowercase();
    for subtag in subtags {
        let fits = (1..=MAX_SUBTAG_CHARS).contains(&subtag.len());
        if !fits || !subtag.chars().all(|c| c.is_ascii_alphanumeric()) {
            return None;
        }
        tag.push('-');
        match subtag.len() {
            // Region and script, in the case RFC 5646 recommends.
            2 => tag.push_str(&subtag.to_ascii_uppercase()),
            4 if subtag.chars().all(|c| c.is_ascii_alphabetic()) => {
                tag.push_str(&subtag[..1].to_ascii_uppercase());
                tag.push_str(&subtag[1..].to_ascii_lowercase());
            }
            _ => tag.push_str(&subtag.to_ascii_lowercase()),
        }
    }
    Some(tag)
}

/// An IANA zone under its own name, or `None`: an offset says nothing about daylight saving time.
pub fn time_zone(text: &str) -> Option<String> {
    text.parse::<Tz>().ok().map(|zone| zone.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_tags_in_their_usual_case() {
        for (text, tag) in [
            ("es", Some("es")),
            ("ES", Some("es")),
            ("pt_br", Some("pt-BR")),
            ("zh-hant", Some("zh-Hant")),
            ("es-419", Some("es-419")),
            ("hmn", Some("hmn")),
            ("Spanish", None),
            ("e", None),
            ("es-", None),
            ("es; drop", None),
        ] {
            assert_eq!(language(text).as_deref(), tag, "{text}");
        }
    }

    #[test]
    fn zones_are_iana_names() {
        for (text, zone) in [
            ("America/Chicago", Some("America/Chicago")),
            ("UTC", Some("UTC")),
            ("America/Nowhere", None),
            ("-06:00", None),
            ("", None),
        ] {
            assert_eq!(time_zone(text).as_deref(), zone, "{text}");
        }
    }
}
