//! `attachments`: files that were uploaded before, for emails and inbox messages.

use std::collections::HashSet;

use serde_json::Value;
use tocsin_domain::Channel;
use tocsin_domain::attachment::{Attachment, FILES_MAX, MESSAGE_BYTES_MAX, size_in_words};
use tocsin_domain::content::{Content, attachments, carries_files};
use tocsin_store::tenant::campaigns::CampaignSummary;
use tocsin_store::{StoreError, Tenant};
use uuid::Uuid;

use super::Files;
use crate::fields::{Faults, Fields, all_of};

/// What has to be known of its files before a request is read.
pub(crate) async fn look_up(
    tenant: &Tenant,
    request: &Value,
    corrected: Option<&CampaignSummary>,
) -> Result<Files, StoreError> {
    let says_nothing = request.get("attachments").is_none_or(Value::is_null);
    let corrected = match corrected {
        Some(campaign) if says_nothing => attachments(&tenant.contents(campaign.id).await?).to_vec(),
        _ => Vec::new(),
    };
    let uploaded = tenant.attachments(&named(request)).await?;
    let any = !uploaded.is_empty() || !corrected.is_empty();
    let refused_by = if any { tenant.mail_without_files().await? } else { Vec::new() };
    Ok(Files { uploaded, corrected, refused_by })
}

/// Which uploads a request names, as far as it can be read: they are looked up before it is.
fn named(request: &Value) -> Vec<Uuid> {
    let listed = request.get("attachments").and_then(Value::as_array);
    let ids = listed.into_iter().flatten().filter_map(|id| id.as_str()?.parse().ok());
    ids.take(FILES_MAX + 1).collect()
}

/// The files in their order. `known` is what was looked up.
pub(super) fn read(
    fields: &mut Fields,
    known: &Files,
    channels: Option<&[Channel]>,
    faults: &mut Faults,
) -> Option<Vec<Attachment>> {
    let carried = channels.is_none_or(|channels| channels.iter().any(|channel| carries_files(*channel)));
    let Some(field) = fields.take("attachments") else {
        let corrected = if carried { known.corrected.clone() } else { Vec::new() };
        return sendable("attachments".to_owned(), corrected, known, channels, faults);
    };
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
        let found = text.parse().ok().and_then(|id: Uuid| known.uploaded.iter().find(|file| file.id == id));
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
    if !carried {
        faults.add(
            path,
            "are for emails and inbox messages: add email or inbox to channels, or leave them out",
        );
        return None;
    }
    sendable(path, files, known, channels, faults)
}

/// A mail goes out with its files or not at all: which account it will go over is not known yet, so each must carry them.
fn sendable(
    path: String,
    files: Vec<Attachment>,
    known: &Files,
    channels: Option<&[Channel]>,
    faults: &mut Faults,
) -> Option<Vec<Attachment>> {
    let mails = channels.is_some_and(|channels| channels.contains(&Channel::Email));
    if files.is_empty() || !mails || known.refused_by.is_empty() {
        return Some(files);
    }
    let accounts = known.refused_by.join(", ");
    let reason = format!(
        "cannot go along with emails: the district's email account {accounts} carries no files. Leave them out and link to \
         them, or leave email out of channels"
    );
    faults.add(path, reason);
    None
}

/// Every content that an email or inbox message may be made of gets them.
pub(super) fn attach(contents: &mut [Content], files: &[Attachment]) {
    for content in contents.iter_mut().filter(|content| content.carries_files()) {
        content.attachments = files.to_vec();
    }
}
