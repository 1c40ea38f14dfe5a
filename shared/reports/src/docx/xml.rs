//! Text as XML takes it.

use std::borrow::Cow;

/// What XML cannot hold is shown as the sign for that.
const REPLACEMENT: char = '\u{fffd}';

/// As the text of an element or an attribute's value.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|letter| matches!(letter, '&' | '<' | '>' | '"') || !is_allowed(letter)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            letter if is_allowed(letter) => safe.push(letter),
            _ => safe.push(REPLACEMENT),
        }
    }
    Cow::Owned(safe)
}

fn is_allowed(letter: char) -> bool {
    !matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text_and_what_xml_forbids_is_shown() {
        assert_eq!(escaped("a < b & \"c\" > d"), "a &lt; b &amp; &quot;c&quot; &gt; d");
        assert_eq!(escaped("bell\u{7}\u{ffff}"), "bell\u{fffd}\u{fffd}");
        assert!(matches!(escaped("Nguyễn Жанна\t\n"), Cow::Borrowed(_)));
    }
}
