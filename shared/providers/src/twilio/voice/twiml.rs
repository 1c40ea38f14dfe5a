//! The document a call speaks, sent inline with the call (wire A.2, A.8).

/// Twilio takes no longer inline document.
const TWIML_CHARS_MAX: usize = 4000;

/// None when the text makes the document too long.
pub(super) fn say(body: &str, language: Option<&str>) -> Option<String> {
    let mut twiml = String::with_capacity(body.len() + 96);
    twiml.push_str("<Response><Say");
    if let Some(language) = language.and_then(voice_language) {
        twiml.push_str(" language=\"");
        twiml.push_str(language);
        twiml.push('"');
    }
    twiml.push('>');
    body.chars().for_each(|c| escape(c, &mut twiml));
    twiml.push_str("</Say></Response>");
    (twiml.chars().count() <= TWIML_CHARS_MAX).then_some(twiml)
}

/// Characters that XML 1.0 cannot hold are left out: one of them would make the whole call silent.
fn escape(c: char, twiml: &mut String) {
    match c {
        '&' => twiml.push_str("&amp;"),
        '<' => twiml.push_str("&lt;"),
        '>' => twiml.push_str("&gt;"),
        '\t' | '\n' | '\r' => twiml.push(c),
        '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
        _ => twiml.push(c),
    }
}

/// Voices have a region; families often state only their language. An unknown one leaves the choice
/// to Twilio: an attribute it does not know would make the call silent.
fn voice_language(tag: &str) -> Option<&str> {
    let regional = tag.len() == 5
        && tag.as_bytes()[2] == b'-'
        && tag[..2].bytes().all(|b| b.is_ascii_lowercase())
        && tag[3..].bytes().all(|b| b.is_ascii_uppercase());
    if regional {
        return Some(tag);
    }
    Some(match tag {
        "de" => "de-DE",
        "en" => "en-US",
        "es" => "es-MX",
        "fr" => "fr-FR",
        "it" => "it-IT",
        "ja" => "ja-JP",
        "ko" => "ko-KR",
        "pl" => "pl-PL",
        "pt" => "pt-BR",
        "ru" => "ru-RU",
        "zh" => "zh-CN",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_escaped_and_its_language_named() {
        assert_eq!(
            say("Tom & <Ann>\u{0}\u{7}\n\"Hi\"", Some("es")).unwrap(),
            "<Response><Say language=\"es-MX\">Tom &amp; &lt;Ann&gt;\n\"Hi\"</Say></Response>"
        );
    }

    #[test]
    fn a_language_that_is_not_known_is_not_named() {
        for language in [None, Some("xx"), Some("\" loop=\"0"), Some("españ"), Some("EN-us"), Some("")] {
            assert_eq!(say("Hi", language).unwrap(), "<Response><Say>Hi</Say></Response>", "{language:?}");
        }
        assert!(say("Hi", Some("en-GB")).unwrap().contains("\"en-GB\""));
    }

    #[test]
    fn a_document_over_the_limit_is_refused_counted_after_escaping() {
        let frame = say("", None).unwrap().len();
        let fits = "é".repeat(TWIML_CHARS_MAX - frame);
        assert!(say(&fits, None).is_some());
        assert!(say(&format!("{fits}a"), None).is_none());
        assert!(say(&"&".repeat(1000), None).is_none());
    }
}
