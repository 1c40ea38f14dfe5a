//! The reminder of the question whether to opt in: an email to the people of a phone that is pending (requirement 165).

use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};

use crate::Channel;
use crate::content::Content;

/// Emails at most to the people of one phone.
pub const TIMES: RangeInclusive<u32> = 0..=5;
/// Days between the question and the first, and between two.
pub const DAYS: RangeInclusive<u32> = 1..=60;
pub const FLYER_URL_CHARS_MAX: usize = 500;

/// What a district decided about reminders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReminderPolicy {
    /// 0: nobody is reminded.
    pub times_max: u8,
    pub every_days: u8,
    /// Where the flyer is that the email tells of.
    pub flyer_url: Option<String>,
}

impl Default for ReminderPolicy {
    fn default() -> Self {
        Self { times_max: 2, every_days: 7, flyer_url: None }
    }
}

impl ReminderPolicy {
    /// A phone that was asked, or whose people were reminded, no later than this may be due for the next reminder.
    pub fn due_before(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - TimeDelta::days(self.every_days.into())
    }

    /// The email. It tells nobody's number, for an address may be shared.
    pub fn content(&self, district: &str) -> Content {
        // A name that would be read as a merge field is left out.
        let district = if district.contains(['{', '}']) { "your school district" } else { district };
        let flyer =
            self.flyer_url.as_ref().map_or_else(String::new, |url| format!("\n\nMore about it: {url}"));
        Content {
            language: None,
            channel: Some(Channel::Email),
            subject: Some(format!("Would you like text messages from {district}?")),
            audio_url: None,
            attachments: Vec::new(),
            body: format!(
                "Hello {{{{ recipient_name | there }}}},\n\n{district} has asked one of your phones by text message \
                 whether you would like to get its messages there, and has had no answer yet.\n\n\
                 To get them, reply YES to that text message. To get none, reply STOP.{flyer}"
            ),
        }
    }
}

/// May the flyer be there? Else why not.
pub fn check_flyer_url(url: &str) -> Result<String, String> {
    let rest =
        url.strip_prefix("https://").ok_or("is no https address: give one that begins with https://")?;
    if rest.is_empty() || rest.starts_with('/') {
        return Err("names no host: give one as https://www.example.org/flyer.pdf".to_owned());
    }
    if url.chars().count() > FLYER_URL_CHARS_MAX {
        return Err(format!("is longer than {FLYER_URL_CHARS_MAX} characters: give a shorter one"));
    }
    if url.chars().any(|one| one.is_whitespace() || one.is_control() || matches!(one, '{' | '}' | '<' | '>'))
    {
        return Err("holds a blank, a brace or an angle bracket: write it percent-encoded".to_owned());
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_email_is_a_valid_content_whatever_the_district_is_called() {
        for name in ["Springfield 186", "{{ school", "a }} b"] {
            for flyer_url in [None, Some("https://www.example.org/flyer.pdf".to_owned())] {
                let content =
                    ReminderPolicy { flyer_url: flyer_url.clone(), ..Default::default() }.content(name);
                content.validate(&[Channel::Email]).unwrap();
                assert_eq!(content.body.contains("flyer.pdf"), flyer_url.is_some());
            }
        }
    }

    #[test]
    fn a_flyer_is_a_public_page() {
        assert!(check_flyer_url("https://www.example.org/flyer.pdf?id=7").is_ok());
        for bad in
            ["http://example.org/", "https://", "https:///x", "flyer.pdf", "https://a/ b", "https://a/{{x}}"]
        {
            assert!(check_flyer_url(bad).is_err(), "{bad}");
        }
    }
}
