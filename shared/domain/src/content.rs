//! What a campaign says: which content a device gets, and how merge fields are filled in.

mod template;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Channel;
use crate::attachment::Attachment;

pub use template::{MissingField, RenderError, Template, TemplateError, fields, render};

/// The merge fields that expansion knows a value of. A value may be missing for one recipient: a
/// template gives a fallback for that.
pub const KNOWN_FIELDS: [&str; 7] = [
    "recipient_name",
    "given_name",
    "family_name",
    "student_name",
    "student_given_name",
    "school_name",
    "grade",
];

/// Characters of a text (wire facts A.4).
pub const SMS_BODY_CHARS_MAX: usize = 1600;
/// Characters of a voice message: about five minutes of speech.
pub const VOICE_BODY_CHARS_MAX: usize = 4000;
/// Bytes of an email or inbox message.
pub const EMAIL_BODY_BYTES_MAX: usize = 1024 * 1024;
pub const SUBJECT_CHARS_MAX: usize = 255;
/// Bytes of a recording's address: it travels in the document that a call plays.
pub const AUDIO_URL_BYTES_MAX: usize = 1000;

/// One text of a campaign, for all devices or for those of one channel or language.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// A BCP 47 tag such as `es`. None: for every language that has no content of its own.
    #[serde(default)]
    pub language: Option<String>,
    /// None: for every channel that has no content of its own.
    #[serde(default)]
    pub channel: Option<Channel>,
    /// Of emails and inbox messages; other channels leave it out.
    #[serde(default)]
    pub subject: Option<String>,
    /// Of calls: a recording that is played in place of the body. The other channels leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_url: Option<String>,
    /// Of emails and inbox messages: files that go along. The other channels leave them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// With merge fields: `{{ field }}` or `{{ field | fallback }}`.
    pub body: String,
}

/// Why a content cannot be sent. [`ContentError::field`] names the faulty one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    #[error("the body is empty: write what is to be sent")]
    EmptyBody,
    #[error("the body has {is} {unit}, and {channel} takes {max}: shorten it, or give {channel} its own")]
    BodyTooLong { channel: Channel, is: usize, max: usize, unit: &'static str },
    #[error("the subject has {is} characters: at most {SUBJECT_CHARS_MAX} are taken")]
    SubjectTooLong { is: usize },
    #[error("the {part} is no template")]
    Template { part: Part, source: TemplateError },
    #[error("the {part} has the unknown merge field {name:?}: use one of {}", KNOWN_FIELDS.join(", "))]
    UnknownField { part: Part, name: String },
    #[error("the language is empty: leave it out, or give a tag such as \"es\"")]
    EmptyLanguage,
    #[error(
        "the address of the recording is none that can be played: give an https address of at most {AUDIO_URL_BYTES_MAX} bytes, without spaces"
    )]
    AudioUrl,
    #[error("a recording is for calls: leave it out, or give voice a content of its own")]
    AudioNotForCalls,
}

/// Where in a content a fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Subject,
    Body,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Subject => "subject",
            Self::Body => "body",
        })
    }
}

impl ContentError {
    /// The name of the faulty field of [`Content`].
    pub fn field(&self) -> &'static str {
        match self {
            Self::EmptyBody | Self::BodyTooLong { .. } => "body",
            Self::SubjectTooLong { .. } => "subject",
            Self::EmptyLanguage => "language",
            Self::AudioUrl | Self::AudioNotForCalls => "audio_url",
            Self::Template { part, .. } | Self::UnknownField { part, .. } => match part {
                Part::Subject => "subject",
                Part::Body => "body",
            },
        }
    }
}

impl Content {
    /// Can this be sent over each of `channels` that it is meant for? Sizes are those of the template;
    /// what a recipient's values make of it is checked by [`check_size`] once it is rendered.
    pub fn validate(&self, channels: &[Channel]) -> Result<(), ContentError> {
        if self.body.trim().is_empty() {
            return Err(ContentError::EmptyBody);
        }
        if self.language.as_deref().is_some_and(|language| language.trim().is_empty()) {
            return Err(ContentError::EmptyLanguage);
        }
        let meant_for = |channel: &&Channel| self.channel.is_none_or(|own| own == **channel);
        for channel in channels.iter().filter(meant_for) {
            check_size(*channel, &self.body)?;
        }
        check_template(Part::Body, &self.body)?;
        self.check_audio()?;
        let Some(subject) = &self.subject else { return Ok(()) };
        let is = subject.chars().count();
        if is > SUBJECT_CHARS_MAX {
            return Err(ContentError::SubjectTooLong { is });
        }
        check_template(Part::Subject, subject)
    }
}

impl Content {
    fn check_audio(&self) -> Result<(), ContentError> {
        let Some(url) = &self.audio_url else { return Ok(()) };
        match self.channel {
            None | Some(Channel::Voice) if is_playable(url) => Ok(()),
            None | Some(Channel::Voice) => Err(ContentError::AudioUrl),
            Some(Channel::Sms | Channel::Email | Channel::Inbox) => Err(ContentError::AudioNotForCalls),
        }
    }
}

/// Whether it can be fetched the provider finds out.
fn is_playable(url: &str) -> bool {
    let host =
        url.strip_prefix("https://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| !host.is_empty())
        && url.len() <= AUDIO_URL_BYTES_MAX
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Does `channel` take a body of this size?
pub fn check_size(channel: Channel, body: &str) -> Result<(), ContentError> {
    let (is, max, unit) = match channel {
        Channel::Sms => (body.chars().count(), SMS_BODY_CHARS_MAX, "characters"),
        Channel::Voice => (body.chars().count(), VOICE_BODY_CHARS_MAX, "characters"),
        Channel::Email | Channel::Inbox => (body.len(), EMAIL_BODY_BYTES_MAX, "bytes"),
    };
    if is > max {
        return Err(ContentError::BodyTooLong { channel, is, max, unit });
    }
    Ok(())
}

fn check_template(part: Part, text: &str) -> Result<(), ContentError> {
    let found = fields(text).map_err(|source| ContentError::Template { part, source })?;
    match found.into_iter().find(|name| !KNOWN_FIELDS.contains(&name.as_str())) {
        Some(name) => Err(ContentError::UnknownField { part, name }),
        None => Ok(()),
    }
}

/// The content for a device: the first that is for its channel and language, else for its channel, else
/// for its language, else for all. Of languages, the tag itself comes before the one it belongs to
/// (`es` for `es-MX`); case does not matter.
pub fn choose<'a>(contents: &'a [Content], channel: Channel, language: Option<&str>) -> Option<&'a Content> {
    let spoken = |content: &&Content| speaks(content, language);
    let own = || contents.iter().filter(|content| content.channel == Some(channel));
    let general = || contents.iter().filter(|content| content.channel.is_none());
    // Reversed, because of equal ones the last is taken.
    own()
        .filter(spoken)
        .rev()
        .max_by_key(tag_length)
        .or_else(|| own().find(|content| content.language.is_none()))
        .or_else(|| general().filter(spoken).rev().max_by_key(tag_length))
        .or_else(|| general().find(|content| content.language.is_none()))
}

/// What one recipient gets over one channel: chosen and filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Of the text where it says so, else the recipient's.
    pub language: Option<String>,
    /// Of emails and inbox messages.
    pub subject: Option<String>,
    pub body: String,
    /// Of calls: what is played in place of the body.
    pub audio_url: Option<String>,
    /// Of emails and inbox messages.
    pub attachments: Vec<Attachment>,
}

impl Content {
    /// May an email or inbox message be made of it?
    pub fn carries_files(&self) -> bool {
        self.channel.is_none_or(carries_files)
    }
}

/// May messages of this channel have files with them?
pub fn carries_files(channel: Channel) -> bool {
    match channel {
        Channel::Email | Channel::Inbox => true,
        Channel::Voice | Channel::Sms => false,
    }
}

/// The files of a message: each of its contents that may carry some has the same.
pub fn attachments(contents: &[Content]) -> &[Attachment] {
    contents
        .iter()
        .map(|content| content.attachments.as_slice())
        .find(|files| !files.is_empty())
        .unwrap_or_default()
}

/// Why there is no message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMessage {
    #[error("no content for this channel")]
    NoContent,
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// The message that is sent, and so the one that a preview shows.
pub fn message(
    contents: &[Content],
    channel: Channel,
    language: Option<&str>,
    values: &BTreeMap<String, String>,
) -> Result<Message, NoMessage> {
    let content = choose(contents, channel, language).ok_or(NoMessage::NoContent)?;
    let body = render(&content.body, values)?;
    // Calls and texts have none: a value that only the subject needs must not fail them.
    let subject = match channel {
        Channel::Email | Channel::Inbox => {
            content.subject.as_deref().map(|subject| render(subject, values)).transpose()?
        }
        Channel::Voice | Channel::Sms => None,
    };
    Ok(Message {
        language: content.language.clone().or_else(|| language.map(str::to_owned)),
        subject,
        body,
        audio_url: content.audio_url.clone().filter(|_| channel == Channel::Voice),
        attachments: if carries_files(channel) { content.attachments.clone() } else { Vec::new() },
    })
}

fn speaks(content: &Content, language: Option<&str>) -> bool {
    let (Some(tag), Some(language)) = (&content.language, language) else { return false };
    let Some(start) = language.get(..tag.len()) else { return false };
    start.eq_ignore_ascii_case(tag) && matches!(language.as_bytes().get(tag.len()), None | Some(b'-' | b'_'))
}

/// The longest tag that fits is the closest one.
fn tag_length(content: &&Content) -> usize {
    content.language.as_deref().map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(channel: Option<Channel>, language: Option<&str>, body: &str) -> Content {
        Content {
            language: language.map(str::to_owned),
            channel,
            subject: None,
            audio_url: None,
            attachments: Vec::new(),
            body: body.to_owned(),
        }
    }

    #[test]
    fn the_closest_content_is_chosen() {
        let contents = [
            content(None, None, "all"),
            content(None, Some("es"), "es"),
            content(Some(Channel::Sms), None, "sms"),
            content(Some(Channel::Sms), Some("es"), "sms es"),
            content(Some(Channel::Email), Some("es"), "email es"),
            content(Some(Channel::Email), Some("es-MX"), "email es-MX"),
        ];
        let cases = [
            (Channel::Sms, Some("es"), "sms es"),
            (Channel::Sms, Some("ES-mx"), "sms es"),
            (Channel::Sms, Some("vi"), "sms"),
            (Channel::Sms, None, "sms"),
            (Channel::Voice, Some("es"), "es"),
            (Channel::Voice, Some("est"), "all"),
            (Channel::Voice, Some("e"), "all"),
            (Channel::Voice, None, "all"),
            (Channel::Email, Some("es-mx"), "email es-MX"),
            (Channel::Email, Some("es_AR"), "email es"),
            (Channel::Email, Some("vi"), "all"),
        ];
        for (channel, language, body) in cases {
            let chosen = choose(&contents, channel, language).unwrap();
            assert_eq!(chosen.body, body, "{channel} {language:?}");
        }
        let equal = [content(None, Some("es"), "first"), content(None, Some("es"), "second")];
        assert_eq!(choose(&equal, Channel::Voice, Some("es")), Some(&equal[0]));
        assert_eq!(choose(&contents[1..2], Channel::Voice, Some("vi")), None);
    }

    #[test]
    fn contents_that_cannot_be_sent_are_refused_with_their_field() {
        let channels = [Channel::Sms, Channel::Email];
        let long_body = content(None, None, &"a".repeat(SMS_BODY_CHARS_MAX + 1));
        let long_subject =
            Content { subject: Some("a".repeat(SUBJECT_CHARS_MAX + 1)), ..content(None, None, "b") };
        let cases = [
            (content(None, None, " \n"), "body", "empty"),
            (long_body, "body", "sms takes 1600"),
            (content(Some(Channel::Email), None, &"é".repeat(524_289)), "body", "email takes 1048576"),
            (long_subject, "subject", "at most 255"),
            (content(None, None, "{{ given_name"), "body", "no template"),
            (content(None, None, "{{ shoe_size }}"), "body", "unknown merge field \"shoe_size\""),
            (
                Content { subject: Some("{{ x }}".into()), ..content(None, None, "b") },
                "subject",
                "unknown merge field",
            ),
            (content(None, Some(""), "b"), "language", "empty"),
            (recorded(None, "http://a.example/1.mp3"), "audio_url", "https address"),
            (recorded(None, "https:///1.mp3"), "audio_url", "https address"),
            (recorded(Some(Channel::Voice), "https://a.example/a b"), "audio_url", "without spaces"),
            (
                recorded(Some(Channel::Voice), &format!("https://a.example/{}", "a".repeat(1000))),
                "audio_url",
                "1000",
            ),
            (recorded(Some(Channel::Email), "https://a.example/1.mp3"), "audio_url", "for calls"),
        ];
        for (content, field, says) in cases {
            let fault = content.validate(&channels).unwrap_err();
            assert_eq!(fault.field(), field, "{fault}");
            assert!(fault.to_string().contains(says), "{fault}");
        }
    }

    fn recorded(channel: Option<Channel>, url: &str) -> Content {
        Content { audio_url: Some(url.to_owned()), ..content(channel, None, "b") }
    }

    #[test]
    fn a_recording_is_for_calls() {
        for channel in [None, Some(Channel::Voice)] {
            assert_eq!(recorded(channel, "https://a.example/1.mp3?x=1").validate(&Channel::ALL), Ok(()));
        }
    }

    #[test]
    fn a_body_is_held_to_the_limits_of_its_own_channels_only() {
        let long = "a".repeat(SMS_BODY_CHARS_MAX + 1);
        assert_eq!(content(Some(Channel::Email), None, &long).validate(&Channel::ALL), Ok(()));
        assert_eq!(content(None, None, &long).validate(&[Channel::Voice]), Ok(()));
        assert_eq!(content(None, None, &"é".repeat(SMS_BODY_CHARS_MAX)).validate(&[Channel::Sms]), Ok(()));
    }

    #[test]
    fn content_is_read_with_defaults_and_without_strangers() {
        let read: Content = serde_json::from_str(r#"{"body":"b","channel":"sms"}"#).unwrap();
        assert_eq!(read, content(Some(Channel::Sms), None, "b"));
        assert!(serde_json::from_str::<Content>(r#"{"body":"b","titel":"t"}"#).is_err());
        assert!(serde_json::from_str::<Content>(r#"{"subject":"s"}"#).is_err());
    }
}
