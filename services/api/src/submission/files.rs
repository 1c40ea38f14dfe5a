//! `attachments`: files that were uploaded before, for emails and inbox messages.

use std::collections::HashSet;

use serde_json::Value;
use tocsin_domain::Channel;
use tocsin_domain::attachment::{Attachment, FILES_MAX, MESSAGE_BYTES_MAX, size_in_words};
use tocsin_domain::content::{Content, carries_files};
use uuid::Uuid;

use crate::fields::{Faults, Fields, all_of};

/// Which uploads a request names, as far as it can be read: they are looked up before it is.
pub(crate) fn named(request: &Value) -> Vec<Uuid> {
    let listed = request.get("attachments").and_then(Value::as_array);
    let ids = listed.into_iter().flatten().filter_map(|id| id.as_str()?.parse().ok());
    ids.take(FILES_MAX + 1).collect()
}

/// The files in their order. `known` are those that were looked up.
pub(super) fn read(
    fields: &mut Fields,
    known: &[Attachment],
    channels: Option<&[Channel]>,
    faults: &mut Faults,
) -> Option<Vec<Attachment>> {
    let Some(field) = fields.take("attachments") else { return Some(Vec::new()) };
    let path = field.path.clone();
    let entries = field.list(faults)?;
    if entries.is_empty() {
        return Some(Vec::new());
    }
    if entries.len() > FILES_MAX {
        faults.add(path, format!("has {} files: attach {FILES_MAX} at most", entries.len()));
        return None;
    }
    let mut seen = HashSet::new();
    let files = all_of(entries, |entry| {
        let path = entry.path.clone();
        let text = entry.string(faults)?;
        let found = text.parse().ok().and_then(|id: Uuid| known.iter().find(|file| file.id == id));
        let Some(file) = found else {
            faults.add(path, "is no file that was uploaded: send it by POST /v1/attachments, and give the id of the answer");
            return None;
        };
        if !seen.insert(file.id) {
            faults.add(path, "is there twice: list each file once");
            return None;
        }
        Some(file.clone())
    })?;
    let bytes: usize = files.iter().map(|file| file.bytes as usize).sum();
    if bytes > MESSAGE_BYTES_MAX {
        let words = |bytes: usize| size_in_words(u32::try_from(bytes).unwrap_or(u32::MAX));
        let reason = format!(
            "are {} together: at most {} fit a mail, so attach smaller files, or link to them",
            words(bytes),
            words(MESSAGE_BYTES_MAX)
        );
        faults.add(path, reason);
        return None;
    }
    if channels.is_some_and(|channels| !channels.iter().any(|channel| carries_files(*channel))) {
        faults.add(
            path,
            "are for emails and inbox messages: add email or inbox to channels, or leave them out",
        );
        return None;
    }
    Some(files)
}

/// Every content that an email or inbox message may be made of gets them.
pub(super) fn attach(contents: &mut [Content], files: &[Attachment]) {
    for content in contents.iter_mut().filter(|content| content.carries_files()) {
        content.attachments = files.to_vec();
    }
}
