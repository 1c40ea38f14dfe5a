//! How many an audience is, while its filters change, and lists of source ids from a file.

use std::collections::{BTreeMap, HashSet};

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::Channel;
use tocsin_domain::dedupe::DedupeMode;

use crate::MessageType;
use crate::auth::Caller;
use crate::counting::{Counting, Wanted};
use crate::directory::NAME_CHARS_MAX;
use crate::fields::{Fault, Faults, Field};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{MessageTypeName, shape};
use crate::problem::{Kind, Problem};
use crate::server::{Api, BODY_BYTES_MAX};
use crate::submission::audience as submitted;
use crate::submission::{mode_name, read_channels};

/// Unknown ids that an answer shows; all of them are counted.
const UNKNOWN_SHOWN_MAX: usize = 1000;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AudienceCount")]
pub(crate) struct CountView {
    /// Unique people.
    recipients: u64,
    /// Of these, those without an available and selected device.
    no_device: u64,
    /// Before duplicates and whoever may not be contacted are taken out.
    devices: BTreeMap<Channel, u64>,
    /// False: the numbers are about so many, of two figures; asked again in some seconds they are exact.
    exact: bool,
}

shape! {
    /// Whose number is asked for. A receipt is counted by its own.
    pub(crate) struct CountRequest {
        audience: submitted::AudienceRequest,
        /// All unless said.
        #[schemars(length(min = 1), extend("uniqueItems" = true))]
        channels: Option<Vec<Channel>>,
        /// `per_device` unless said.
        mode: Option<DedupeMode>,
        /// `general` unless said.
        message_type: Option<MessageTypeName>,
        /// True: the exact number, however long it takes. Else what can be said at once: of a large audience that is about
        /// so many.
        exact: Option<bool>,
    }
}

pub(crate) const COUNT: Operation = Operation::new("countAudience", "Count whom an audience addresses")
    .takes::<CountRequest>()
    .example(r#"{"audience": {"schools": ["north"], "grades": ["03", "04"]}, "channels": ["sms"]}"#);

/// `POST /v1/audience/count`.
pub(crate) async fn count(
    Caller(tenant): Caller,
    State(api): State<Api>,
    Extension(counting): Extension<Counting>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<CountView>, Problem> {
    let request = json::required(&headers, body)?;
    let (wanted, patience) = read(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let counted = match patience {
        Patience::Exact => counting.exact(&api, &tenant, &wanted).await?,
        Patience::Soon => counting.soon(&api, &tenant, &wanted).await?,
    };
    let size = counted.size;
    Ok(Json(CountView {
        recipients: size.recipients,
        no_device: size.no_device,
        devices: size.devices,
        exact: counted.exact,
    }))
}

/// What a request without more asks to count.
pub(crate) fn wanted(request: Value) -> Result<Wanted, Vec<Fault>> {
    read(request).map(|(wanted, _)| wanted)
}

/// What the caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Exact,
    Soon,
}

fn read(request: Value) -> Result<(Wanted, Patience), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let audience = submitted::read(&mut fields, &mut faults);
        if audience.as_ref().is_some_and(|audience| audience.receipt.is_some()) {
            faults.add("audience.receipt", "is counted by its receipt: ask for that, or give filters");
        }
        let channels = match fields.holds("channels") {
            true => read_channels(&mut fields, None, &mut faults),
            false => {
                fields.take("channels");
                Some(Channel::ALL.to_vec())
            }
        };
        let mode =
            fields.take("mode").and_then(|field| field.one_of(&DedupeMode::ALL, mode_name, &mut faults));
        let message_type = fields
            .take("message_type")
            .and_then(|field| field.one_of(&MessageType::ALL, MessageType::as_str, &mut faults));
        let exact = fields.take("exact").and_then(|field| field.boolean(&mut faults));
        fields.finish(&mut faults);
        let wanted = Wanted {
            audience: audience?,
            channels: channels?,
            mode: mode.unwrap_or_default(),
            message_type: message_type.unwrap_or_default(),
        };
        Some((wanted, if exact == Some(true) { Patience::Exact } else { Patience::Soon }))
    });
    faults.or(read)
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PeopleOfFile")]
pub(crate) struct PeopleView {
    /// Source ids that the district has, each once, as `audience.people` takes them.
    people: Vec<String>,
    unknown_count: usize,
    /// The first of those that it does not have.
    unknown: Vec<UnknownView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnknownSourceId")]
struct UnknownView {
    line: usize,
    source_id: String,
}

pub(crate) const PEOPLE: Operation =
    Operation::new("readPeopleFile", "Read a list of source ids from a file")
        .telling("A source id stands in the first column of each line.")
        .takes_file(&["text/csv", "text/plain"])
        .refuses(&[Kind::NotCsv, Kind::NotCsvMedia]);

/// `POST /v1/audience/people`: a file of source ids, one a line, as the first column of a CSV file with or without a
/// header.
pub(crate) async fn people(
    Caller(tenant): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<PeopleView>, Problem> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::TooLarge, format!("the file is longer than {BODY_BYTES_MAX} bytes: split it"))
        }
        _ => Problem::new(Kind::NotCsv, "the file broke off before its end: send it again"),
    })?;
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type.starts_with("text/") {
        return Err(Problem::new(
            Kind::NotCsvMedia,
            "the file is not marked as CSV: send Content-Type: text/csv",
        ));
    }
    let listed = read_csv(&bytes)?;
    let ids: Vec<String> = listed.iter().map(|(_, id)| id.clone()).collect();
    let known: HashSet<String> = tenant.known_people(&ids).await?.into_iter().collect();
    let mut view = PeopleView { people: Vec::new(), unknown_count: 0, unknown: Vec::new() };
    for (line, source_id) in listed {
        if known.contains(&source_id) {
            view.people.push(source_id);
            continue;
        }
        view.unknown_count += 1;
        if view.unknown.len() < UNKNOWN_SHOWN_MAX {
            view.unknown.push(UnknownView { line, source_id });
        }
    }
    Ok(Json(view))
}

/// The ids with their lines, each once. A header is one where the column is called sourcedId, or source_id.
fn read_csv(bytes: &[u8]) -> Result<Vec<(usize, String)>, Problem> {
    let faulty = |detail: String| Problem::new(Kind::NotCsv, detail);
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        .map_err(|_| faulty("the file is no UTF-8 text: export it as UTF-8".to_owned()))?;
    let mut seen = HashSet::new();
    let mut listed = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(id) = first_field(line) else {
            return Err(faulty(format!("line {}: a quote is not closed: close it", at + 1)));
        };
        let header = at == 0 && ["sourcedid", "source_id", "sourceid"].contains(&id.to_lowercase().as_str());
        if id.is_empty() || header {
            continue;
        }
        if id.chars().count() > NAME_CHARS_MAX || id.contains('\0') {
            return Err(faulty(format!("line {}: this is no source id: give one a line", at + 1)));
        }
        if seen.insert(id.clone()) {
            listed.push((at + 1, id));
        }
    }
    if listed.is_empty() {
        return Err(faulty("the file has no source id: give one a line".to_owned()));
    }
    Ok(listed)
}

/// Quoted or not, trimmed. None: its quote is not closed on the line.
fn first_field(line: &str) -> Option<String> {
    let Some(quoted) = line.trim_start().strip_prefix('"') else {
        return Some(line.split([',', ';', '\t']).next().unwrap_or_default().trim().to_owned());
    };
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Some(field.trim().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_is_read_with_its_lines_and_each_id_once() {
        let listed = read_csv(b"\xef\xbb\xbfsourcedId,name\r\na,Ann\n\n\"b \"\"x\"\"\",1\na\n c \n").unwrap();
        assert_eq!(listed, [(2, "a".to_owned()), (4, "b \"x\"".to_owned()), (6, "c".to_owned())]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for bytes in [&b""[..], b"\n\n", b"sourcedId\n", b"\"a\nb\"\n", b"\xff\xfe", b"a\0\n"] {
            assert!(read_csv(bytes).is_err(), "{bytes:?}");
        }
    }
}
