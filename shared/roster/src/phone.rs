//! Phone numbers: free text without a country code in, E.164 out (wire.md F).

use phonenumber::{Mode, country, metadata};
use tocsin_domain::address::Phone;

use crate::error::RosterError;

const MAX_EXTENSION_DIGITS: usize = 8;

/// A number as it was written, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneText {
    pub phone: Phone,
    /// Digits to dial once the call is answered.
    pub extension: Option<String>,
}

/// Reads numbers as they are written in one region.
#[derive(Debug)]
pub struct PhoneReader {
    region: country::Id,
    country_code: u16,
    /// What is dialled before a country code there.
    international_prefix: &'static str,
}

impl PhoneReader {
    /// `region` is an ISO 3166 country code such as `US`.
    pub fn new(region: &str) -> Result<Self, RosterError> {
        let unknown = || RosterError::UnknownRegion(region.to_owned());
        let id: country::Id = region.parse().map_err(|_| unknown())?;
        let metadata = metadata::DATABASE.by_id(id.as_ref()).ok_or_else(unknown)?;
        let country_code = metadata.country_code();
        let international_prefix = if country_code == 1 { "011" } else { "00" };
        Ok(Self { region: id, country_code, international_prefix })
    }

    /// Of the region: 1 of the United States.
    pub fn country_code(&self) -> u16 {
        self.country_code
    }

    /// One number, or `None` where it is not one that can be called.
    pub fn read(&self, text: &str) -> Option<PhoneText> {
        let (number, extension) = split_extension(text);
        // The library would read letters as a vanity number, and a note behind it as more digits.
        if number.chars().any(char::is_alphabetic) {
            return None;
        }
        let parsed = match self.international(number) {
            // The library takes the default region's trunk prefix off foreign numbers too, which
            // makes +44 12… into +44 2…; without a region it takes the number's own.
            Some(number) => phonenumber::parse(None, number),
            None => phonenumber::parse(Some(self.region), number),
        };
        let parsed = parsed.ok().filter(phonenumber::is_valid)?;
        let phone = Phone::parse(&parsed.format().mode(Mode::E164).to_string()).ok()?;
        Some(PhoneText { phone, extension })
    }

    /// The number with a plus, if it is written with its country code.
    fn international(&self, number: &str) -> Option<String> {
        if number.starts_with('+') {
            return Some(number.to_owned());
        }
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        digits.strip_prefix(self.international_prefix).map(|rest| format!("+{rest}"))
    }
}

/// The numbers of one field, which may hold several: `603-777-8888; 603-777-9999`.
pub(crate) fn split_field(text: &str) -> Vec<String> {
    // RFC 3966 writes an extension with the very character that separates numbers.
    text.replace(";ext=", " x")
        .split([';', '/'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Takes `x123`, `ext. 123`, `extension 123` or `#123` off the end.
fn split_extension(text: &str) -> (&str, Option<String>) {
    let before_digits = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &text[before_digits.len()..];
    if digits.is_empty() || digits.len() > MAX_EXTENSION_DIGITS {
        return (text, None);
    }
    let marked = before_digits.trim_end_matches([' ', '.', ':']);
    for mark in ["extension", "ext", "x", "#"] {
        let Some(start) = marked.len().checked_sub(mark.len()) else { continue };
        if marked.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(mark)) {
            let number = marked[..start].trim_end_matches([' ', ',', '.', ';']);
            return (number, Some(digits.to_owned()));
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(region: &str, text: &str) -> Option<(String, Option<String>)> {
        PhoneReader::new(region).unwrap().read(text).map(|number| (number.phone.into(), number.extension))
    }

    #[test]
    fn numbers_become_e164_by_the_default_region() {
        for (region, text, number) in [
            ("US", "6035550142", "+16035550142"),
            ("US", "(603) 555-0142", "+16035550142"),
            ("US", "1-603-555-0142", "+16035550142"),
            ("US", "603.555.0142", "+16035550142"),
            ("US", "+1 603 555 0142", "+16035550142"),
            ("US", "+44 121 234 5678", "+441212345678"),
            ("US", "011 44 121 234 5678", "+441212345678"),
            ("US", "+84 24 3825 5555", "+842438255555"),
            ("US", "+39 06 6982 1234", "+390669821234"),
            ("GB", "0121 234 5678", "+441212345678"),
            ("GB", "00 1 603 555 0142", "+16035550142"),
        ] {
            assert_eq!(read(region, text), Some((number.to_owned(), None)), "{region} {text}");
        }
    }

    #[test]
    fn an_extension_is_taken_off_the_end() {
        for text in [
            "603-555-0142 x123",
            "603-555-0142x123",
            "603-555-0142 X 123",
            "603-555-0142 ext. 123",
            "603-555-0142, Ext 123",
            "603-555-0142 extension: 123",
            "603-555-0142 #123",
        ] {
            assert_eq!(read("US", text), Some(("+16035550142".to_owned(), Some("123".to_owned()))), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for text in [
            "",
            "-",
            "n/a",
            "555-0142",
            "603-555-014",
            "603-555-01423",
            "111-111-1111",
            "+999 123 4567",
            "1-800-FLOWERS",
            "603-555-0142 cell",
            "x123",
            "6035550142é",
        ] {
            assert_eq!(read("US", text), None, "{text}");
        }
    }

    #[test]
    fn a_field_may_hold_several_numbers() {
        for (text, parts) in [
            ("603-555-0142", vec!["603-555-0142"]),
            ("603-555-0142; 603-555-0143", vec!["603-555-0142", "603-555-0143"]),
            ("603-555-0142/603-555-0143 /", vec!["603-555-0142", "603-555-0143"]),
            ("+1-603-555-0142;ext=12", vec!["+1-603-555-0142 x12"]),
            (" ; ", vec![]),
        ] {
            assert_eq!(split_field(text), parts, "{text}");
        }
    }

    #[test]
    fn an_unknown_region_is_refused() {
        for region in ["", "XX", "USA"] {
            assert!(PhoneReader::new(region).is_err(), "{region}");
        }
    }
}
