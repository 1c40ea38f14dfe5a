//! Files for messages: uploaded before the message is made, and read by whoever may see a message that has them
//! (docs/adr/0049-attachments.md).

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tocsin_domain::CampaignId;
use tocsin_domain::attachment::{
    self, Attachment, AttachmentError, FILE_BYTES_MAX, MEDIA_TYPES, NAME_CHARS_MAX, check_beginning,
};
use tocsin_domain::content::attachments;
use tocsin_store::Tenant;
use tocsin_store::tenant::attachments::{CHUNK_BYTES, NewAttachment};
use uuid::Uuid;

use crate::auth::Caller;
use crate::campaigns::{campaign_id, existing};
use crate::fields::{Fault, Faults, Fields};
use crate::inbox::{PersonMessagePath, inbox_campaign};
use crate::openapi::shapes::{Text, shape};
use crate::openapi::{Operation, Placed};
use crate::problem::{Kind, Problem};
use crate::server::Api;

/// A page of a browser's own, or one of a site that frames it, gets nothing to run or to load from a file.
const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// A little more than a file, so that one that is too large is told so by us.
pub(crate) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(FILE_BYTES_MAX + 64 * 1024)
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Upload")]
pub(crate) struct UploadView {
    #[serde(flatten)]
    file: Attachment,
}

shape! {
    pub(crate) struct UploadQuery {
        /// With its ending, which says of what kind the file is. Paths and what has a meaning in headers are left out.
        name: Text<NAME_CHARS_MAX>,
    }
}

pub(crate) const UPLOAD: Operation =
    Operation::new("uploadAttachment", "Upload a file for the emails and inbox messages of a campaign")
        .telling(
            "The file as the body itself, 8 MiB at most: pdf, png, jpg, jpeg, gif, docx, xlsx, pptx, odt, ods, odp, txt, csv, \
             ics or mp3. The answer's `id` is for `attachments` of a campaign or a series. A file that no message uses is \
             removed after a day.",
        )
        .takes_file(&["application/octet-stream"])
        .asks::<UploadQuery>()
        .answers(&[(201, "It can be attached.")])
        .refuses(&[Kind::NotAttachable]);

/// `POST /v1/attachments?name=`: 201.
pub(crate) async fn upload(
    Caller(tenant): Caller,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Placed<UploadView>, Problem> {
    let name = read_name(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let file = receive(&api, &tenant, &name, request.into_body().into_data_stream()).await?;
    let location = format!("/v1/attachments/{}", file.id);
    Ok(Placed { status: StatusCode::CREATED, location, view: UploadView { file } })
}

fn read_name(query: Option<&str>) -> Result<String, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    // What is too long is cut, so that no name of a real file is refused.
    let name = fields
        .required("name", "give the file's name, as flyer.pdf", &mut faults)
        .and_then(|field| field.string(&mut faults));
    fields.finish(&mut faults);
    faults.or(name)
}

/// Stores a file part by part, and takes away what is not whole or not what its name says.
pub(crate) async fn receive<E>(
    api: &Api,
    tenant: &Tenant,
    name: &str,
    bytes: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Attachment, Problem> {
    let (name, media_type) = attachment::named(name).map_err(refused)?;
    let id = Uuid::now_v7();
    let new = NewAttachment { id, name: &name, media_type, actor: tenant.acts_as() };
    tenant.begin_attachment(new, api.clock.now()).await?;
    match store(tenant, id, &name, bytes).await {
        Ok(bytes) => {
            tracing::info!(attachment.id = %id, bytes, "attachment stored");
            Ok(Attachment { id, name, media_type: media_type.to_owned(), bytes })
        }
        Err(problem) => {
            tenant.drop_attachment(id).await?;
            Err(problem)
        }
    }
}

/// How many bytes there are.
async fn store<E>(
    tenant: &Tenant,
    id: Uuid,
    name: &str,
    bytes: impl Stream<Item = Result<Bytes, E>>,
) -> Result<u32, Problem> {
    let mut bytes = std::pin::pin!(bytes);
    let (mut waiting, mut digest) = (BytesMut::new(), Sha256::new());
    let (mut ordinal, mut total) = (0, 0_usize);
    loop {
        let part = bytes.next().await.transpose().map_err(|_| {
            Problem::new(
                Kind::NotAttachable,
                "the file broke off before its end, or is too large: send it again",
            )
        })?;
        let ended = part.is_none();
        if let Some(part) = part {
            total += part.len();
            if total > FILE_BYTES_MAX {
                return Err(refused(AttachmentError::TooLarge));
            }
            digest.update(&part);
            waiting.extend_from_slice(&part);
        }
        while waiting.len() >= CHUNK_BYTES || ended && !(waiting.is_empty() && total > 0) {
            let chunk = waiting.split_to(waiting.len().min(CHUNK_BYTES));
            if ordinal == 0 {
                check_beginning(name, &chunk).map_err(refused)?;
            }
            tenant.add_attachment_chunk(id, ordinal, &chunk).await?;
            ordinal += 1;
        }
        if ended {
            let total = u32::try_from(total).unwrap_or(u32::MAX);
            tenant.finish_attachment(id, total, &digest.finalize()).await?;
            return Ok(total);
        }
    }
}

fn refused(error: AttachmentError) -> Problem {
    let kind = match error {
        AttachmentError::TooLarge => Kind::TooLarge,
        AttachmentError::NoName
        | AttachmentError::Kind
        | AttachmentError::Content(_)
        | AttachmentError::Empty => Kind::NotAttachable,
    };
    Problem::new(kind, error.to_string())
}

/// What a download may be.
const ANY: &[&str] = &MEDIA_TYPES;

pub(crate) const OF_CAMPAIGN: Operation =
    Operation::new("getCampaignAttachment", "Get a file of a campaign's emails and inbox messages")
        .gives_file(ANY)
        .refuses(&[Kind::UnknownAttachment]);

/// `GET /v1/campaigns/{id}/attachments/{attachment}`.
pub(crate) async fn of_campaign(
    Caller(tenant): Caller,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((id, file)) = path.map_err(|_| Problem::unknown_campaign())?;
    let id = campaign_id(Ok(Path(id)))?;
    existing(&tenant, id).await?;
    download(&tenant, id, &file).await
}

pub(crate) const OF_MESSAGE: Operation =
    Operation::new("getInboxAttachment", "Get a file of a message in a person's inbox")
        .gives_file(ANY)
        .refuses(&[Kind::UnknownPerson, Kind::UnknownMessage, Kind::UnknownAttachment]);

/// `GET /v1/people/{person}/inbox/{message}/attachments/{attachment}`.
pub(crate) async fn of_message(
    Caller(tenant): Caller,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let (path, file): (PersonMessagePath, String) = match path {
        Ok(Path((person, message, file))) => (Ok(Path((person, message))), file),
        Err(rejection) => (Err(rejection), String::new()),
    };
    let campaign = inbox_campaign(&tenant, path).await?;
    download(&tenant, campaign, &file).await
}

/// A file of a campaign that the caller sees.
pub(crate) async fn download(tenant: &Tenant, campaign: CampaignId, file: &str) -> Result<Response, Problem> {
    let contents = tenant.contents(campaign).await?;
    let id: Option<Uuid> = file.parse().ok();
    let file = attachments(&contents).iter().find(|known| Some(known.id) == id);
    file.map(|file| respond(tenant, file.clone())).ok_or_else(unknown_attachment)
}

/// The file part by part, to be saved and not shown.
pub(crate) fn respond(tenant: &Tenant, file: Attachment) -> Response {
    let (tenant, id) = (tenant.clone(), file.id);
    let parts = stream::try_unfold(0, move |ordinal| {
        let tenant = tenant.clone();
        async move {
            let part = tenant.attachment_chunk(id, ordinal).await?;
            Ok::<_, tocsin_store::StoreError>(part.map(|part| (Bytes::from(part), ordinal + 1)))
        }
    });
    let value = |text: &str| HeaderValue::from_str(text);
    let headers: [(HeaderName, HeaderValue); 6] = [
        (
            header::CONTENT_TYPE,
            value(&file.media_type).unwrap_or(HeaderValue::from_static("application/octet-stream")),
        ),
        (
            header::CONTENT_DISPOSITION,
            value(&disposition(&file.name)).unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (header::CONTENT_LENGTH, HeaderValue::from(file.bytes)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, SANDBOX),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

/// The name for programs that know UTF-8 (RFC 6266), and one in ASCII for the others.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' }).collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'.' | b'-' | b'_' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

pub(crate) fn unknown_attachment() -> Problem {
    Problem::new(Kind::UnknownAttachment, "this message has no attachment of that id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_in_two_ways_and_ends_no_header() {
        let name = "Plan Żółw.pdf";
        let expected =
            "attachment; filename=\"Plan ___w.pdf\"; filename*=UTF-8''Plan%20%C5%BB%C3%B3%C5%82w.pdf";
        assert_eq!(disposition(name), expected);
        assert!(HeaderValue::from_str(&disposition(name)).is_ok());
    }
}
