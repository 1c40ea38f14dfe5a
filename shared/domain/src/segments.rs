//! How many segments a text takes. Providers bill and limit by segments, so rate limits charge them
//! (wire facts E.1 and E.2).

/// What each of the 128 codes of the GSM 7-bit default alphabet (3GPP TS 23.038) stands for. Code 0x1B,
/// the escape, is no character; a placeholder keeps its place.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Characters that cost two septets: the escape and a code.
const EXTENSION: &str = "^{}\\[~]|€\u{c}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Counted in septets.
    Gsm7,
    /// Counted in UTF-16 code units. One character outside of the GSM alphabet turns the whole text to it.
    Ucs2,
}

impl Encoding {
    /// Units of a text that is alone.
    fn single(self) -> u32 {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// Units of each part of a longer text, less the header that joins the parts.
    fn part(self) -> u32 {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// Units of one character; never split between parts.
    fn cost(self, character: char) -> u32 {
        match self {
            Self::Gsm7 => septets(character).unwrap_or(2),
            Self::Ucs2 => character.len_utf16() as u32,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    pub encoding: Encoding,
    /// At least 1: an empty text is sent, too.
    pub count: u32,
}

/// Counts the segments of `text` as a provider does.
pub fn segments(text: &str) -> Segments {
    let encoding = encoding_of(text);
    let mut count = 0;
    each_part(text, encoding, |_| count += 1);
    Segments { encoding, count }
}

fn encoding_of(text: &str) -> Encoding {
    match text.chars().all(|character| septets(character).is_some()) {
        true => Encoding::Gsm7,
        false => Encoding::Ucs2,
    }
}

/// Calls `part` with the units of each part of `text`.
fn each_part(text: &str, encoding: Encoding, mut part: impl FnMut(u32)) {
    let total: u32 = text.chars().map(|character| encoding.cost(character)).sum();
    if total <= encoding.single() {
        part(total);
        return;
    }
    let mut filled = 0;
    for character in text.chars() {
        let cost = encoding.cost(character);
        if filled + cost > encoding.part() {
            part(filled);
            filled = 0;
        }
        filled += cost;
    }
    part(filled);
}

/// Septets of `character`, or None where GSM 7-bit lacks it.
fn septets(character: char) -> Option<u32> {
    match character as usize {
        code if code < ASCII.len() => match ASCII[code] {
            0 => None,
            cost => Some(u32::from(cost)),
        },
        _ if BASIC.contains(character) => Some(1),
        _ if EXTENSION.contains(character) => Some(2),
        _ => None,
    }
}

/// Septets of each ASCII character, 0 where GSM 7-bit lacks it: nearly all text is looked up here.
const ASCII: [u8; 128] = {
    let mut costs = mark([0; 128], BASIC, 1);
    costs[0x1b] = 0;
    mark(costs, EXTENSION, 2)
};

const fn mark(mut costs: [u8; 128], characters: &str, cost: u8) -> [u8; 128] {
    let bytes = characters.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii() {
            costs[bytes[at] as usize] = cost;
        }
        at += 1;
    }
    costs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> (Encoding, Vec<u32>) {
        let mut parts = Vec::new();
        each_part(text, encoding_of(text), |units| parts.push(units));
        (encoding_of(text), parts)
    }

    #[test]
    fn the_check_values_of_the_wire_facts_hold() {
        use Encoding::{Gsm7, Ucs2};
        let cases: [(String, Encoding, &[u32]); 10] = [
            (String::new(), Gsm7, &[0]),
            ("1".repeat(160), Gsm7, &[160]),
            ("1".repeat(161), Gsm7, &[153, 8]),
            ("€".repeat(80), Gsm7, &[160]),
            ("€".repeat(81), Gsm7, &[152, 10]),
            (format!("{}€{}", "a".repeat(152), "b".repeat(10)), Gsm7, &[152, 12]),
            ("Á".repeat(70), Ucs2, &[70]),
            ("Á".repeat(71), Ucs2, &[67, 4]),
            (format!("{}😀{}", "Á".repeat(66), "Á".repeat(10)), Ucs2, &[66, 12]),
            ("Mañana no hay clases. ¿Preguntas? Llame a la escuela. ¡Gracias!".into(), Gsm7, &[63]),
        ];
        for (text, encoding, expected) in cases {
            assert_eq!(parts(&text), (encoding, expected.to_vec()), "{text}");
            assert_eq!(segments(&text), Segments { encoding, count: expected.len() as u32 }, "{text}");
        }
    }

    #[test]
    fn the_alphabet_is_that_of_the_wire_facts() {
        assert_eq!(BASIC.chars().count(), 128);
        assert_eq!(BASIC.chars().nth(0x1b), Some('\u{1b}'));
        assert_eq!(BASIC.chars().nth(0x7f), Some('à'));
        assert_eq!(BASIC.chars().nth(0x09), Some('Ç'));
        assert_eq!(BASIC.chars().nth(0x41), Some('A'));
        for basic in BASIC.chars().filter(|character| *character != '\u{1b}') {
            assert_eq!(septets(basic), Some(1), "{basic}");
        }
        for extended in EXTENSION.chars() {
            assert_eq!(septets(extended), Some(2), "{extended}");
        }
        for absent in "áíóúÁÍÓÚçãõâê`\t\u{a0}’“”—…\u{1b}😀漢".chars() {
            assert_eq!(septets(absent), None, "{absent}");
        }
    }

    proptest! {
        #[test]
        fn parts_hold_all_units_and_none_is_overfull(text in "[a-z€^áñ😀\n]{0,400}") {
            let (encoding, parts) = parts(&text);
            let total: u32 = text.chars().map(|character| encoding.cost(character)).sum();
            prop_assert_eq!(parts.iter().sum::<u32>(), total);
            let most = if parts.len() == 1 { encoding.single() } else { encoding.part() };
            prop_assert!(parts.iter().all(|units| *units <= most));
            // Only a character of two units leaves a place empty, and only one.
            prop_assert!(parts[..parts.len() - 1].iter().all(|units| *units + 1 >= encoding.part()));
        }

        #[test]
        fn a_longer_text_takes_no_fewer_segments(text in "[a-z€]{0,400}", more in "[a-z€á]{0,40}") {
            let longer = format!("{text}{more}");
            prop_assert!(segments(&longer).count >= segments(&text).count);
        }
    }
}
