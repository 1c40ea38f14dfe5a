//! The document of a call (wire A.8): sent inline with it, or fetched by it.

use super::keys;
use super::phrases::{self, Phrases};
use crate::{Reply, Spoken};

/// Twilio takes no longer document with a call (wire A.2).
const INLINE_CHARS_MAX: usize = 4000;
/// Twilio reads no longer document.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// What the call says, and what it asks.
pub(super) fn document(spoken: &Spoken<'_>) -> String {
    let voice = spoken.language.and_then(voice_language);
    let mut twiml = String::with_capacity(spoken.body.len() + 160);
    twiml.push_str("<Response>");
    match spoken.keys_below {
        None => message(spoken, voice, &mut twiml),
        Some(keys_below) => {
            let phrases = phrases::of(voice);
            let address = keys::address(keys_below, voice.unwrap_or(phrases.voice));
            gather(&address, phrases, &mut twiml, |twiml| message(spoken, voice, twiml));
        }
    }
    twiml.push_str("</Response>");
    twiml
}

/// Asks for a key and nothing else.
pub(super) fn ask(address: &str, voice: Option<&str>) -> String {
    let mut twiml = "<Response>".to_owned();
    gather(address, phrases::of(voice), &mut twiml, |_| {});
    twiml.push_str("</Response>");
    twiml
}

pub(super) fn thanks(voice: Option<&str>) -> String {
    let phrases = phrases::of(voice);
    let mut twiml = "<Response>".to_owned();
    say(phrases.thanks, Some(phrases.voice), &mut twiml);
    twiml.push_str("<Hangup/></Response>");
    twiml
}

pub(super) fn goes_along(document: &str) -> bool {
    document.chars().count() <= INLINE_CHARS_MAX
}

pub(super) fn can_be_served(document: &str) -> bool {
    document.len() <= DOCUMENT_BYTES_MAX
}

pub(super) fn reply(document: String) -> Reply {
    Reply { content_type: "text/xml", body: document }
}

fn message(spoken: &Spoken<'_>, voice: Option<&str>, twiml: &mut String) {
    match spoken.audio_url {
        Some(url) => {
            twiml.push_str("<Play>");
            url.chars().for_each(|c| escape(c, twiml));
            twiml.push_str("</Play>");
        }
        None => say(spoken.body, voice, twiml),
    }
}

/// Whoever listens may press a key at any word. Without one the call says goodbye. No key ends the input by itself:
/// one is all that is awaited, be it a # or a *.
fn gather(address: &str, phrases: &Phrases, twiml: &mut String, message: impl FnOnce(&mut String)) {
    twiml.push_str(
        "<Gather input=\"dtmf\" numDigits=\"1\" finishOnKey=\"\" timeout=\"5\" method=\"POST\" action=\"",
    );
    address.chars().for_each(|c| escape(c, twiml));
    twiml.push_str("\">");
    message(twiml);
    say(phrases.ask, Some(phrases.voice), twiml);
    twiml.push_str("</Gather>");
    say(phrases.goodbye, Some(phrases.voice), twiml);
}

fn say(text: &str, voice: Option<&str>, twiml: &mut String) {
    twiml.push_str("<Say");
    if let Some(voice) = voice {
        twiml.push_str(" language=\"");
        twiml.push_str(voice);
        twiml.push('"');
    }
    twiml.push('>');
    text.chars().for_each(|c| escape(c, twiml));
    twiml.push_str("</Say>");
}

/// Characters that XML 1.0 cannot hold are left out: one of them would make the whole call silent.
fn escape(c: char, twiml: &mut String) {
    match c {
        '&' => twiml.push_str("&amp;"),
        '<' => twiml.push_str("&lt;"),
        '>' => twiml.push_str("&gt;"),
        '"' => twiml.push_str("&quot;"),
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

    const CALL: &str = "https://bell.example/calls/voice/tok";

    fn spoken<'a>(body: &'a str, language: Option<&'a str>) -> Spoken<'a> {
        Spoken { body, language, audio_url: None, keys_below: None }
    }

    fn say(body: &str, language: Option<&str>) -> String {
        document(&spoken(body, language))
    }

    #[test]
    fn the_text_is_escaped_and_its_language_named() {
        assert_eq!(
            say("Tom & <Ann>\u{0}\u{7}\n\"Hi\"", Some("es")),
            "<Response><Say language=\"es-MX\">Tom &amp; &lt;Ann&gt;\n&quot;Hi&quot;</Say></Response>"
        );
    }

    #[test]
    fn a_language_that_is_not_known_is_not_named() {
        for language in [None, Some("xx"), Some("\" loop=\"0"), Some("españ"), Some("EN-us"), Some("")] {
            assert_eq!(say("Hi", language), "<Response><Say>Hi</Say></Response>", "{language:?}");
        }
        assert!(say("Hi", Some("en-GB")).contains("\"en-GB\""));
    }

    #[test]
    fn a_recording_is_played_in_place_of_the_text() {
        let recorded =
            Spoken { audio_url: Some("https://a.example/1.mp3?a=1&b=2"), ..spoken("Hi", Some("es")) };
        let played = "<Response><Play>https://a.example/1.mp3?a=1&amp;b=2</Play></Response>";
        assert_eq!(document(&recorded), played);
    }

    #[test]
    fn a_call_that_is_to_be_confirmed_asks_in_the_language_of_its_message() {
        let table = [
            (
                Some("es"),
                "<Say language=\"es-MX\">Hola</Say>",
                "es-MX",
                "<Say language=\"es-MX\">Para confirmar",
            ),
            (
                Some("fr-CA"),
                "<Say language=\"fr-CA\">Hola</Say>",
                "fr-CA",
                "<Say language=\"fr-FR\">Pour confirmer",
            ),
            (None, "<Say>Hola</Say>", "en-US", "<Say language=\"en-US\">To confirm"),
            (Some("so"), "<Say>Hola</Say>", "en-US", "<Say language=\"en-US\">To confirm"),
        ];
        for (language, message, voice, ask) in table {
            let asking = document(&Spoken { keys_below: Some(CALL), ..spoken("Hola", language) });
            let frame = format!(
                "<Response><Gather input=\"dtmf\" numDigits=\"1\" finishOnKey=\"\" timeout=\"5\" method=\"POST\" \
                 action=\"{CALL}/keys?language={voice}\">{message}{ask}"
            );
            assert!(asking.starts_with(&frame), "{asking}");
            assert!(
                asking.ends_with("</Say></Response>") && asking.contains("</Say></Gather><Say"),
                "{asking}"
            );
        }
    }

    #[test]
    fn a_document_over_the_limit_does_not_go_along_counted_after_escaping() {
        let frame = say("", None).len();
        let fits = "é".repeat(INLINE_CHARS_MAX - frame);
        assert!(goes_along(&say(&fits, None)));
        assert!(!goes_along(&say(&format!("{fits}a"), None)));
        assert!(!goes_along(&say(&"&".repeat(1000), None)));
        assert!(can_be_served(&say(&"&".repeat(4000), None)));
        assert!(!can_be_served(&say(&"é".repeat(33_000), None)));
    }
}
