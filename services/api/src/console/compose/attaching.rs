//! Files that are attached in the form: chosen, sent with all that was typed, stored, and listed from then on by their ids.

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderMap;
use axum::response::Response;
use futures::stream;
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
    let parts = parts(headers, body)?;
    let file = parts
        .iter()
        .find(|part| part.name == FILE && part.file_name.as_deref().is_some_and(|it| !it.is_empty()));
    let text = |part: &Part| String::from_utf8_lossy(&part.body).replace("\r\n", "\n");
    let action = parts.iter().find(|part| part.name == "action").map(text).unwrap_or_default();
    let pairs =
        parts.iter().filter(|part| part.file_name.is_none()).map(|part| (part.name.clone(), text(part)));
    Some((Draft::of_pairs(pairs.collect()), action, file.cloned()))
}

/// The form again, with the file among those that are attached, or with what is wrong with it.
pub(super) async fn attach(
    visitor: &Visitor,
    api: &Api,
    target: Target,
    mut draft: Draft,
    file: Option<Part>,
) -> Result<Response, Refused> {
    let attached = match file {
        None => Err("Choose a file first.".to_owned()),
        Some(_) if draft.all(ATTACHED).len() >= FILES_MAX => {
            Err(format!("A message takes {FILES_MAX} files: take one out first."))
        }
        Some(part) => {
            let name = part.file_name.unwrap_or_default();
            let bytes = stream::iter([Ok::<_, std::convert::Infallible>(part.body)]);
            match receive(api, &visitor.tenant, &name, bytes).await {
                Ok(file) => Ok(file.id),
                Err(problem) if problem.status().is_client_error() => Err(in_words(&problem)),
                Err(problem) => return Err(problem.into()),
            }
        }
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
    let ids: Vec<Uuid> = draft.all(ATTACHED).into_iter().filter_map(|id| id.parse().ok()).collect();
    let found = visitor.tenant.attachments(&ids).await?;
    Ok(ids.iter().filter_map(|id| found.iter().find(|file| file.id == *id)).map(ShownFile::of).collect())
}
