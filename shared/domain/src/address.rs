//! Where a person is reached, in the one form that is stored, compared and sent to.
//!
//! Neither type has `Display`, and `Debug` masks: an address gets into a log only on purpose.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Channel;

/// E.164 allows 15 digits; fewer than 7 are a short code, which is no person's phone.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// RFC 5321, section 4.5.3.1: a path of 256 octets with its angle brackets.
const EMAIL_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;
const HIDDEN: &str = "•••••";

/// The text is no address of its kind. The fault does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    #[error("a phone number starts with + and its country code")]
    PhoneWithoutPlus,
    #[error("a phone number has digits only after its +, and no leading zero")]
    PhoneNotDigits,
    #[error("a phone number has 7 to 15 digits")]
    PhoneLength,
    #[error("an email address has one @ between a name and a domain")]
    EmailWithoutAt,
    #[error("an email address is at most 254 bytes long, its name at most 64")]
    EmailLength,
    #[error("the name before the @ holds a character or a dot that it may not")]
    EmailName,
    #[error("the domain after the @ is none: it needs labels of letters, digits and hyphens, and a dot")]
    EmailDomain,
}

/// A phone number in E.164: `+`, country code, subscriber number. Its shape is checked, not whether a
/// country assigns it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

impl Phone {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix('+').ok_or(AddressError::PhoneWithoutPlus)?;
        if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AddressError::PhoneNotDigits);
        }
        if !PHONE_DIGITS.contains(&digits.len()) {
            return Err(AddressError::PhoneLength);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For logs: the first and the last four digits.
    pub fn masked(&self) -> String {
        masked(Channel::Voice, &self.0)
    }
}

/// An email address, trimmed and with its domain in lower case. The name before the @ is kept as it is:
/// only its own server knows whether case matters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let (name, domain) = text.rsplit_once('@').ok_or(AddressError::EmailWithoutAt)?;
        if name.is_empty() || domain.is_empty() || name.contains('@') {
            return Err(AddressError::EmailWithoutAt);
        }
        if text.len() > EMAIL_BYTES_MAX || name.len() > LOCAL_BYTES_MAX {
            return Err(AddressError::EmailLength);
        }
        if !is_name(name) {
            return Err(AddressError::EmailName);
        }
        if !is_domain(domain) {
            return Err(AddressError::EmailDomain);
        }
        Ok(Self(format!("{name}@{}", domain.to_lowercase())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For logs: the first character and the domain.
    pub fn masked(&self) -> String {
        masked(Channel::Email, &self.0)
    }
}

/// Quoted names are valid by RFC 5321 and refused here: no school system issues them, and a stray quote
/// or comma is nearly always a broken list.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\\\"".contains(c);
    name.chars().all(allowed) && name.split('.').all(|part| !part.is_empty())
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

/// A stored address as logs may show it: `+1•••••0142`, `a•••••@example.org`. Of an inbox account
/// nothing is shown.
pub fn masked(channel: Channel, address: &str) -> String {
    match channel {
        Channel::Voice | Channel::Sms => {
            let digits: Vec<char> = address.chars().filter(char::is_ascii_digit).collect();
            if digits.len() < *PHONE_DIGITS.start() {
                return HIDDEN.to_owned();
            }
            let last: String = digits[digits.len() - 4..].iter().collect();
            format!("+{}{HIDDEN}{last}", digits[0])
        }
        Channel::Email => match (address.chars().next(), address.rsplit_once('@')) {
            (Some(first), Some((_, domain))) if first != '@' => format!("{first}{HIDDEN}@{domain}"),
            _ => HIDDEN.to_owned(),
        },
        Channel::Inbox => HIDDEN.to_owned(),
    }
}

macro_rules! address {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.masked())
            }
        }

        impl std::str::FromStr for $name {
            type Err = AddressError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = AddressError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(address: $name) -> Self {
                address.0
            }
        }
    };
}

address!(Phone);
address!(Email);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_e164_or_refused() {
        for good in ["+15551230142", "+442079460000", "+1234567", "+123456789012345"] {
            assert_eq!(Phone::parse(good).unwrap().as_str(), good);
        }
        let bad = [
            ("15551230142", AddressError::PhoneWithoutPlus),
            ("", AddressError::PhoneWithoutPlus),
            (" +15551230142", AddressError::PhoneWithoutPlus),
            ("+1 555 123 0142", AddressError::PhoneNotDigits),
            ("+05551230142", AddressError::PhoneNotDigits),
            ("+1555123014٢", AddressError::PhoneNotDigits),
            ("+", AddressError::PhoneLength),
            ("+911", AddressError::PhoneLength),
            ("+1234567890123456", AddressError::PhoneLength),
        ];
        for (text, fault) in bad {
            assert_eq!(Phone::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn emails_are_normalised_or_refused() {
        let good = [
            ("ana@example.org", "ana@example.org"),
            (" Ana.Lee+school@Mail.EXAMPLE.org\t", "Ana.Lee+school@mail.example.org"),
            ("o'brien@example.co.uk", "o'brien@example.co.uk"),
            ("jörg@bücher.example", "jörg@bücher.example"),
        ];
        for (text, stored) in good {
            let email = Email::parse(text).unwrap();
            assert_eq!(email.as_str(), stored);
            assert_eq!(Email::parse(email.as_str()).unwrap(), email, "normalised twice is normalised once");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        let bad = [
            ("", AddressError::EmailWithoutAt),
            ("ana", AddressError::EmailWithoutAt),
            ("@example.org", AddressError::EmailWithoutAt),
            ("ana@", AddressError::EmailWithoutAt),
            ("ana@lee@example.org", AddressError::EmailWithoutAt),
            (&long, AddressError::EmailLength),
            ("ana lee@example.org", AddressError::EmailName),
            ("ana,lee@example.org", AddressError::EmailName),
            ("ana.@example.org", AddressError::EmailName),
            ("ana..lee@example.org", AddressError::EmailName),
            ("ana@example", AddressError::EmailDomain),
            ("ana@example..org", AddressError::EmailDomain),
            ("ana@-example.org", AddressError::EmailDomain),
            ("ana@exa mple.org", AddressError::EmailDomain),
            ("ana@example.org.", AddressError::EmailDomain),
        ];
        for (text, fault) in bad {
            assert_eq!(Email::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn addresses_are_masked_wherever_they_are_shown() {
        let phone = Phone::parse("+15551230142").unwrap();
        let email = Email::parse("ana@example.org").unwrap();
        assert_eq!(format!("{phone:?} {email:?}"), "+1•••••0142 a•••••@example.org");
        let cases = [
            (Channel::Sms, "+15551230142", "+1•••••0142"),
            (Channel::Voice, "911", "•••••"),
            (Channel::Email, "no address", "•••••"),
            (Channel::Email, "@", "•••••"),
            (Channel::Inbox, "parent-17", "•••••"),
        ];
        for (channel, address, shown) in cases {
            assert_eq!(masked(channel, address), shown);
        }
    }

    #[test]
    fn addresses_are_checked_when_read_from_json() {
        let phone: Phone = serde_json::from_str("\"+15551230142\"").unwrap();
        assert_eq!(serde_json::to_string(&phone).unwrap(), "\"+15551230142\"");
        let fault = serde_json::from_str::<Email>("\"ana\"").unwrap_err().to_string();
        assert!(fault.contains("one @"), "{fault}");
    }
}
