//! Every error that a caller sees, as `application/problem+json` (RFC 9457).

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::rights::Right;
use tocsin_store::StoreError;

use crate::fields::Fault;
use crate::openapi::shapes;

/// Seconds after which a caller may try again when the store was away.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// The kinds of problem. Each has one type URI, title and status, which stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    NotJson,
    InvalidHeader,
    InvalidQuery,
    InvalidPath,
    Unauthorized,
    Forbidden,
    UnknownRoute,
    UnknownCampaign,
    UnknownMessageType,
    UnknownPerson,
    UnknownMessage,
    UnknownSuppression,
    UnknownPart,
    UnknownDevice,
    UnknownSchool,
    UnknownRecipient,
    UnknownAttachment,
    UnknownImport,
    UnknownSeries,
    UnknownTemplate,
    UnknownUser,
    UnknownRole,
    UnknownKey,
    UnknownWebhook,
    UnknownDelivery,
    WrongMethod,
    KeyReused,
    ConsentRefused,
    NotCanceled,
    NobodyContacted,
    NotScheduled,
    InProgress,
    PersonExists,
    OfRoster,
    NotAStudent,
    ImportNotReady,
    DirectoryMoved,
    EditedMeanwhile,
    NotActive,
    NameTaken,
    LoginTaken,
    RoleInUse,
    OwnAccount,
    UnknownApproval,
    OwnApproval,
    NotWaiting,
    SecondPersonNeeded,
    IsATest,
    WebhooksOff,
    WebhookDisabled,
    DeliveryWaiting,
    TooManyWebhooks,
    TooLarge,
    MediaType,
    NotCsvMedia,
    NotCsv,
    NotADelivery,
    NotAttachable,
    InvalidBody,
    Internal,
    Unavailable,
}

impl Kind {
    pub fn status(self) -> StatusCode {
        self.facts().0
    }

    pub fn name(self) -> &'static str {
        self.facts().1
    }

    pub fn title(self) -> &'static str {
        self.facts().2
    }

    /// The type of the problem, as its callers see it.
    pub fn uri(self) -> String {
        format!("urn:tocsin:problem:{}", self.name())
    }

    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotJson => (StatusCode::BAD_REQUEST, "not-json", "The body is no JSON"),
            Self::InvalidHeader => (StatusCode::BAD_REQUEST, "invalid-header", "A header has faults"),
            Self::InvalidQuery => (StatusCode::BAD_REQUEST, "invalid-query", "The query has faults"),
            Self::InvalidPath => (StatusCode::BAD_REQUEST, "invalid-path", "The path has a fault"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "No valid API key"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "A right is missing"),
            Self::UnknownRoute => (StatusCode::NOT_FOUND, "unknown-route", "No such path"),
            Self::UnknownCampaign => (StatusCode::NOT_FOUND, "unknown-campaign", "No such campaign"),
            Self::UnknownMessageType => {
                (StatusCode::NOT_FOUND, "unknown-message-type", "No such message type")
            }
            Self::UnknownPerson => (StatusCode::NOT_FOUND, "unknown-person", "No such person"),
            Self::UnknownMessage => (StatusCode::NOT_FOUND, "unknown-message", "No such message"),
            Self::UnknownSuppression => (StatusCode::NOT_FOUND, "unknown-suppression", "No such suppression"),
            Self::UnknownPart => (StatusCode::NOT_FOUND, "unknown-part", "No such part of a receipt"),
            Self::UnknownDevice => (StatusCode::NOT_FOUND, "unknown-device", "No such device"),
            Self::UnknownSchool => (StatusCode::NOT_FOUND, "unknown-school", "No such school"),
            Self::UnknownRecipient => (StatusCode::NOT_FOUND, "unknown-recipient", "No such recipient"),
            Self::UnknownAttachment => (StatusCode::NOT_FOUND, "unknown-attachment", "No such attachment"),
            Self::UnknownImport => (StatusCode::NOT_FOUND, "unknown-import", "No such delivery"),
            Self::UnknownSeries => (StatusCode::NOT_FOUND, "unknown-series", "No such series"),
            Self::UnknownTemplate => (StatusCode::NOT_FOUND, "unknown-template", "No such template"),
            Self::UnknownUser => (StatusCode::NOT_FOUND, "unknown-user", "No such user"),
            Self::UnknownRole => (StatusCode::NOT_FOUND, "unknown-role", "No such role"),
            Self::UnknownKey => (StatusCode::NOT_FOUND, "unknown-key", "No such API key"),
            Self::UnknownWebhook => (StatusCode::NOT_FOUND, "unknown-webhook", "No such webhook"),
            Self::UnknownDelivery => {
                (StatusCode::NOT_FOUND, "unknown-delivery", "No such delivery to a webhook")
            }
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "Method not allowed"),
            Self::KeyReused => (StatusCode::CONFLICT, "key-reused", "The key made another campaign"),
            Self::ConsentRefused => {
                (StatusCode::CONFLICT, "consent-refused", "The consent cannot be changed to that")
            }
            Self::NotCanceled => (StatusCode::CONFLICT, "not-canceled", "The campaign is not canceled"),
            Self::NobodyContacted => {
                (StatusCode::CONFLICT, "nobody-contacted", "There is nobody to send a correction to")
            }
            Self::NotScheduled => (StatusCode::CONFLICT, "not-scheduled", "The campaign's time has come"),
            Self::InProgress => (StatusCode::CONFLICT, "in-progress", "The campaign is in progress"),
            Self::PersonExists => (StatusCode::CONFLICT, "person-exists", "There is somebody of that id"),
            Self::OfRoster => (StatusCode::CONFLICT, "of-roster", "The roster says so"),
            Self::NotAStudent => (StatusCode::CONFLICT, "not-a-student", "That person is no student"),
            Self::ImportNotReady => (StatusCode::CONFLICT, "import-not-ready", "The delivery does not wait"),
            Self::DirectoryMoved => (StatusCode::CONFLICT, "directory-moved", "The directory has changed"),
            Self::EditedMeanwhile => (StatusCode::CONFLICT, "edited-meanwhile", "It was edited meanwhile"),
            Self::NotActive => (StatusCode::CONFLICT, "not-active", "The series is not active"),
            Self::NameTaken => (StatusCode::CONFLICT, "name-taken", "The name is taken"),
            Self::LoginTaken => (StatusCode::CONFLICT, "login-taken", "Another user has that email address"),
            Self::RoleInUse => (StatusCode::CONFLICT, "role-in-use", "Somebody has the role"),
            Self::OwnAccount => (StatusCode::CONFLICT, "own-account", "One cannot shut oneself out"),
            Self::UnknownApproval => (StatusCode::NOT_FOUND, "unknown-approval", "No such approval"),
            Self::OwnApproval => (StatusCode::FORBIDDEN, "own-approval", "A second person is needed"),
            Self::NotWaiting => (StatusCode::CONFLICT, "not-waiting", "It does not wait any more"),
            Self::SecondPersonNeeded => {
                (StatusCode::CONFLICT, "second-person-needed", "A second person is needed")
            }
            Self::IsATest => (StatusCode::CONFLICT, "is-a-test", "It is a test"),
            Self::WebhooksOff => (StatusCode::CONFLICT, "webhooks-off", "No webhooks are sent here"),
            Self::WebhookDisabled => (StatusCode::CONFLICT, "webhook-disabled", "The webhook is disabled"),
            Self::DeliveryWaiting => {
                (StatusCode::CONFLICT, "delivery-waiting", "The delivery is still to be made")
            }
            Self::TooManyWebhooks => {
                (StatusCode::CONFLICT, "too-many-webhooks", "No further webhook is taken")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The body must be JSON"),
            Self::NotCsvMedia => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-csv", "The body must be CSV"),
            Self::NotCsv => (StatusCode::BAD_REQUEST, "bad-csv", "The file is no list"),
            Self::NotAttachable => (StatusCode::BAD_REQUEST, "not-attachable", "The file cannot be attached"),
            Self::NotADelivery => (StatusCode::BAD_REQUEST, "not-a-delivery", "The body is no delivery"),
            Self::InvalidBody => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-body", "The request has faults"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable for now"),
        }
    }

    /// What tells a client how to go on, where there is a header for it.
    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        if self == Self::Unauthorized {
            Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
        } else if self == Self::Unavailable {
            Some((header::RETRY_AFTER, RETRY_AFTER_SECONDS))
        } else {
            None
        }
    }
}

/// What went wrong with one request, told to its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<Fault>,
    /// The right that is missing.
    right: Option<Right>,
}

/// Why a request was refused (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Body<'a> {
    /// `urn:tocsin:problem:` and the name of its kind, which stays as it is.
    r#type: String,
    title: &'a str,
    status: u16,
    /// What is wrong, and what to do about it.
    detail: &'a str,
    /// Of a faulty request, every member or parameter that is wrong.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    /// Of `forbidden`: the right that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::RightName>")]
    right: Option<&'static str>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), right: None }
    }

    /// A request refused for each of `errors`.
    pub fn faulty(kind: Kind, errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [Fault { field, reason }] => format!("{field}: {reason}"),
            many => format!("{} faults, listed in errors: mend them and send the request again", many.len()),
        };
        Self { kind, detail, errors, right: None }
    }

    /// The caller is known, and may not do this.
    pub fn missing(right: Right) -> Self {
        let title = right.title().to_lowercase();
        let detail =
            format!("this needs the right {right} ({title}): ask an administrator of the district for it");
        Self { kind: Kind::Forbidden, detail, errors: Vec::new(), right: Some(right) }
    }

    /// The same in other words.
    pub fn saying(self, detail: String) -> Self {
        Self { detail, ..self }
    }

    pub fn too_slow(deadline: Duration) -> Self {
        Self::new(
            Kind::Unavailable,
            format!(
                "no answer within {} s: try again, with the same key if there is one",
                deadline.as_secs()
            ),
        )
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    pub fn title(&self) -> &'static str {
        self.kind.title()
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub fn errors(&self) -> &[Fault] {
        &self.errors
    }

    /// Of another district's campaigns nothing is told, not even that they are there.
    pub fn unknown_campaign() -> Self {
        Self::new(Kind::UnknownCampaign, "this district has no campaign of that id")
    }
}

impl Problem {
    pub fn unknown_series() -> Self {
        Self::new(Kind::UnknownSeries, "this district has no series of that id")
    }

    /// An edit of a version that is not the latest any more.
    pub fn edited_meanwhile(version: i32, by: Option<&str>) -> Self {
        let by = by.map_or_else(String::new, |by| format!(" by {by}"));
        let remedy = "read it again, make the change there, and send it with that version";
        Self::new(
            Kind::EditedMeanwhile,
            format!("it was edited meanwhile{by} and has version {version}: {remedy}"),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let body = Body {
            r#type: self.kind.uri(),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            right: self.right.map(Right::as_str),
        };
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (status, content_type, axum::Json(&body)).into_response();
        if let Some((name, value)) = self.kind.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What the store answered with, logged here because the caller learns little of it.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::KeyReused { .. } = error {
            let remedy =
                "the Idempotency-Key made a campaign of another body: use a new key, or send that body";
            return Self::new(Kind::KeyReused, remedy);
        }
        let cause = cause(&error);
        if error.is_outage() {
            tracing::warn!(%error, cause, "request refused: the store is away");
            return Self::new(
                Kind::Unavailable,
                "the store is away: try again; what is sent twice is done once",
            );
        }
        tracing::error!(%error, cause, "request failed");
        Self::new(Kind::Internal, "the request failed by a fault of ours, which was logged")
    }
}

/// Why a statement failed. Of the database's own message only the code: the message may quote a row.
fn cause(error: &StoreError) -> String {
    match error {
        StoreError::Statement { source, .. } => match source.code() {
            Some(code) => format!("SQLSTATE {}", code.code()),
            None => source.to_string(),
        },
        other => std::error::Error::source(other).map(ToString::to_string).unwrap_or_default(),
    }
}
