//! What a campaign says: `contents`, or the shorthand `body`, and the subject.

use tocsin_domain::Channel;
use tocsin_domain::content::{
    AUDIO_URL_BYTES_MAX, Content, ContentError, EMAIL_BODY_BYTES_MAX, SUBJECT_CHARS_MAX, choose,
};

use crate::fields::{Faults, Field, Fields, all_of, below};
use crate::openapi::shapes::{HttpsAddress, Text, shape};

/// Four channels in two dozen languages.
pub(super) const CONTENTS_MAX: usize = 100;

shape! {
    /// One text, for all devices or for those of one channel or language.
    pub(super) struct ContentRequest {
        /// A tag such as `es`; left out, for every language that has no content of its own.
        #[schemars(length(min = 1))]
        language: Option<String>,
        /// Left out, for every channel that has no content of its own.
        channel: Option<Channel>,
        /// Of emails and inbox messages.
        subject: Option<Text<SUBJECT_CHARS_MAX>>,
        /// Of calls: the https address of a recording that is played in place of the body.
        #[schemars(length(max = AUDIO_URL_BYTES_MAX))]
        audio_url: Option<HttpsAddress>,
        /// With merge fields: `{{ field }}` or `{{ field | fallback }}`.
        #[schemars(length(min = 1, max = EMAIL_BODY_BYTES_MAX))]
        body: String,
    }
}

/// What the contents are for, as far as it could be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub subject: Option<&'a str>,
    pub channels: Option<&'a [Channel]>,
}

/// The campaign's own subject, which is the emails' too and so may have merge fields. Only a correction may leave
/// it out, and has `default` then.
pub(super) fn read_subject(
    fields: &mut Fields,
    default: Option<String>,
    faults: &mut Faults,
) -> Option<String> {
    if default.is_some() && !fields.holds("subject") {
        fields.take("subject");
        return default;
    }
    let field =
        fields.required("subject", "give the campaign a title, which emails have as subject", faults)?;
    let path = field.path.clone();
    let subject = field.text(SUBJECT_CHARS_MAX, faults)?;
    check_subject(path, &subject, faults);
    Some(subject)
}

/// A text for every channel and language.
fn plain(body: String) -> Content {
    Content { language: None, channel: None, subject: None, audio_url: None, attachments: Vec::new(), body }
}

/// A subject by itself, so that a faulty body does not hide its faults.
fn check_subject(path: String, subject: &str, faults: &mut Faults) {
    let alone = Content { subject: Some(subject.to_owned()), ..plain("-".to_owned()) };
    if let Err(fault) = alone.validate(&[]) {
        faults.add(path, in_words(&fault));
    }
}

pub(super) fn read(fields: &mut Fields, wanted: Wanted<'_>, faults: &mut Faults) -> Option<Vec<Content>> {
    let mut contents = match (fields.take("body"), fields.take("contents")) {
        (Some(body), None) => vec![read_shorthand(body, wanted, faults)?],
        (None, Some(contents)) => read_list(contents, wanted, faults)?,
        (Some(body), Some(_)) => {
            faults.add(body.path, "stands beside contents: give one of the two");
            return None;
        }
        (None, None) => {
            faults.add("body", "is missing: say what is to be sent, here or in contents");
            return None;
        }
    };
    for content in contents.iter_mut().filter(|content| content.subject.is_none() && has_subject(content)) {
        content.subject = wanted.subject.map(str::to_owned);
    }
    Some(contents)
}

/// One text for every channel and language.
fn read_shorthand(field: Field, wanted: Wanted<'_>, faults: &mut Faults) -> Option<Content> {
    let path = field.path.clone();
    let content = plain(field.string(faults)?);
    if let Err(fault) = content.validate(wanted.channels.unwrap_or_default()) {
        faults.add(path, in_words(&fault));
    }
    Some(content)
}

fn read_list(field: Field, wanted: Wanted<'_>, faults: &mut Faults) -> Option<Vec<Content>> {
    let path = field.path.clone();
    let entries = field.list(faults)?;
    if entries.is_empty() || entries.len() > CONTENTS_MAX {
        faults.add(path, format!("has {} entries: give 1 to {CONTENTS_MAX}", entries.len()));
        return None;
    }
    let paths: Vec<String> = entries.iter().map(|entry| entry.path.clone()).collect();
    let contents = all_of(entries, |entry| read_content(entry, wanted, faults))?;
    for (at, content) in contents.iter().enumerate() {
        if contents[..at].iter().any(|earlier| same_place(earlier, content)) {
            let reason = "is for the same channel and language as an earlier entry: remove one of them";
            faults.add(paths[at].clone(), reason);
        }
    }
    for channel in wanted.channels.unwrap_or_default() {
        if choose(&contents, *channel, None).is_none() {
            let reason = format!(
                "has nothing for {channel} in other languages: add an entry without language, for {channel} or all"
            );
            faults.add(path.clone(), reason);
        }
    }
    Some(contents)
}

fn read_content(field: Field, wanted: Wanted<'_>, faults: &mut Faults) -> Option<Content> {
    let path = field.path.clone();
    let mut fields = field.object(faults)?;
    let language = fields.take("language").map(|field| field.string(faults));
    let channel = fields.take("channel").map(|field| field.one_of(&Channel::ALL, Channel::as_str, faults));
    let subject = fields.take("subject").map(|field| field.text(SUBJECT_CHARS_MAX, faults));
    let audio_url = fields.take("audio_url").map(|field| field.text(AUDIO_URL_BYTES_MAX, faults));
    let body =
        fields.required("body", "say what is to be sent", faults).and_then(|field| field.string(faults));
    fields.finish(faults);
    let content = Content {
        language: given(language)?,
        channel: given(channel)?,
        subject: given(subject)?,
        audio_url: given(audio_url)?,
        attachments: Vec::new(),
        body: body?,
    };
    if let (Some(channel), Some(channels)) = (content.channel, wanted.channels)
        && !channels.contains(&channel)
    {
        let reason = format!(
            "is {channel}, which the campaign does not use: add it to channels, or remove this entry"
        );
        faults.add(below(&path, "channel"), reason);
    }
    if let Some(subject) = &content.subject {
        check_subject(below(&path, "subject"), subject, faults);
    }
    let rest = Content { subject: None, ..content.clone() };
    if let Err(fault) = rest.validate(wanted.channels.unwrap_or_default()) {
        faults.add(below(&path, fault.field()), in_words(&fault));
    }
    Some(content)
}

/// A member that may be left out but not be faulty.
fn given<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

/// Languages are compared as [`choose`] compares them.
fn same_place(one: &Content, other: &Content) -> bool {
    let language = |content: &Content| content.language.as_deref().map(str::to_ascii_lowercase);
    one.channel == other.channel && language(one) == language(other)
}

fn has_subject(content: &Content) -> bool {
    match content.channel {
        None | Some(Channel::Email | Channel::Inbox) => true,
        Some(Channel::Voice | Channel::Sms) => false,
    }
}

/// The fault with its cause: a template's says where.
fn in_words(fault: &ContentError) -> String {
    match std::error::Error::source(fault) {
        Some(cause) => format!("{fault}: {cause}"),
        None => fault.to_string(),
    }
}
