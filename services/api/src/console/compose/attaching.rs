//! Files that are attached in the form: chosen, sent with all that was typed, stored, and listed from then on by their ids.

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderMap;
use axum::response::Response;
use futures::stream;
use tocsin_domain::Channel;
use tocsin_domain::attachment::{FILE_BYTES_MAX, FILES_MAX};
use uuid::Uuid;

use super::complaints::Complaint;
use super::draft::{ATTACHED, Draft, FILE};
use super::{ComposePage, Target};
use crate::attachments::receive;
use crate::console::access::Visitor;
use crate::console::detail::ShownFile;
use crate::console::multipart::{Part, parts};
use crate::console::page::{Refused, answer};
use crate::problem::Problem;
use crate::server::{Api, BODY_BYTES_MAX};

/// A file, and all that was typed.
pub(crate) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(FILE_BYTES_MAX + BODY_BYTES_MAX)
}

/// A form that came with a file: what was typed, which button was pressed, and the file if one was chosen. None: it came
/// without.
pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Option<(Draft, String, Option<Part>)> {
    let (pairs, file) = pairs_and_file(headers, body)?;
    let action = pairs.iter().find(|(name, _)| name == "action").map(|(_, value)| value.clone());
    Some((Draft::of_pairs(pairs), action.unwrap_or_default(), file))
}

/// Names and values.
type Pairs = Vec<(String, String)>;

/// What was typed, and the file if one was chosen. None: the form came without a place for one.
pub(in crate::console) fn pairs_and_file(headers: &HeaderMap, body: &Bytes) -> Option<(Pairs, Option<Part>)> {
    let parts = parts(headers, body)?;
    let file = parts
        .iter()
        .find(|part| part.name == FILE && part.file_name.as_deref().is_some_and(|it| !it.is_empty()));
    let text = |part: &Part| String::from_utf8_lossy(&part.body).replace("\r\n", "\n");
    let pairs =
        parts.iter().filter(|part| part.file_name.is_none()).map(|part| (part.name.clone(), text(part)));
    Some((pairs.collect(), file.cloned()))
}

/// Stores the file for a message that has `attached` others. What is wrong with it is told in words.
pub(in crate::console) async fn stored(
    visitor: &Visitor,
    api: &Api,
    attached: usize,
    file: Option<Part>,
) -> Result<Result<Uuid, String>, Problem> {
    let Some(part) = file else { return Ok(Err("Choose a file first.".to_owned())) };
    if attached >= FILES_MAX {
        return Ok(Err(format!("A message takes {FILES_MAX} files: take one out first.")));
    }
    let name = part.file_name.unwrap_or_default();
    let bytes = stream::iter([Ok::<_, std::convert::Infallible>(part.body)]);
    match receive(api, &visitor.tenant, &name, bytes).await {
        Ok(file) => Ok(Ok(file.id)),
        Err(problem) if problem.status().is_client_error() => Ok(Err(in_words(&problem))),
        Err(problem) => Err(problem),
    }
}

/// The form again, with the file among those that are attached, or with what is wrong with it.
pub(super) async fn attach(
    visitor: &Visitor,
    api: &Api,
    target: Target,
    mut draft: Draft,
    file: Option<Part>,
) -> Result<Response, Refused> {
    let refused_by = match draft.has("channel", Channel::Email.as_str()) {
        true => visitor.tenant.mail_without_files().await?,
        false => Vec::new(),
    };
    let attached = match refused_by.first() {
        Some(account) => Err(format!(
            "The district's email account {account} carries no files: link to the file in the message, or leave email out."
        )),
        None => stored(visitor, api, draft.all(ATTACHED).len(), file).await?,
    };
    let (status, faults) = match attached {
        Ok(id) => {
            draft.add(ATTACHED, &id.to_string());
            (axum::http::StatusCode::OK, Vec::new())
        }
        Err(text) => {
            (axum::http::StatusCode::UNPROCESSABLE_ENTITY, vec![Complaint { field: FILE.to_owned(), text }])
        }
    };
    let page = ComposePage { faults, ..ComposePage::new(visitor, target, draft).await? };
    Ok(answer(status, &page))
}

fn in_words(problem: &Problem) -> String {
    let mut detail = problem.detail().to_owned();
    if let Some(first) = detail.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{detail}.")
}

/// Those that the form has, in their order. One that is no more is left out: whoever sends is told.
pub(super) async fn shown(visitor: &Visitor, draft: &Draft) -> Result<Vec<ShownFile>, Problem> {
    shown_of(visitor, &draft.all(ATTACHED)).await
}

/// The same of ids as they were posted.
pub(in crate::console) async fn shown_of(visitor: &Visitor, ids: &[&str]) -> Result<Vec<ShownFile>, Problem> {
    let ids: Vec<Uuid> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let found = visitor.tenant.attachments(&ids).await?;
    Ok(ids.iter().filter_map(|id| found.iter().find(|file| file.id == *id)).map(ShownFile::of).collect())
}
