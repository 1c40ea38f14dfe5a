//! The mail itself and its envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;
use lettre::Address;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Attachment, Body, Mailbox, Message, MultiPart, SinglePart};
use reqwest::Url;
use tocsin_domain::{JobKey, Outcome};

use super::account::SmtpAccount;
use super::verp;
use crate::{Answer, File, RefusalClass, SendRequest, token_of_url};

/// Programs that answer mails leave those alone that say so (RFC 3834).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// Mail programs show a button for these two, which together mean one click (RFC 8058).
const LIST_UNSUBSCRIBE: HeaderName = HeaderName::new_from_ascii_str("List-Unsubscribe");
const LIST_UNSUBSCRIBE_POST: HeaderName = HeaderName::new_from_ascii_str("List-Unsubscribe-Post");

const TAG_BYTES: usize = 10;
const ANY_BYTES: &str = "application/octet-stream";

/// A mail for one recipient, ready to be transmitted.
pub(super) struct Letter {
    pub return_path: Address,
    pub to: Address,
    /// Without its angle brackets.
    pub message_id: String,
    pub bytes: Vec<u8>,
}

impl Letter {
    /// Everything but a local part is written in ASCII whatever it holds.
    pub fn needs_utf8(&self) -> bool {
        !is_ascii(&self.to)
    }
}

/// The same for every attempt of a job: a mailbox that gets two mails of it can tell (wire C.1).
///
/// Reports without a return path find their attempt by it, and jobs are numbered: without the tag whoever got one
/// mail could write a bounce of every other.
fn message_id(account: &SmtpAccount, job: JobKey) -> String {
    let tagged = account
        .message_ids
        .clone()
        .chain_update(job.campaign.0.as_bytes())
        .chain_update(job.job.to_be_bytes());
    let tag = hex::encode(&tagged.finalize().into_bytes()[..TAG_BYTES]);
    format!("{}.{}.{tag}@{}", job.campaign, job.job, account.domain)
}

/// An error is what the attempt ends with.
pub(super) fn compose(account: &SmtpAccount, request: &SendRequest) -> Result<Letter, Answer> {
    let refused =
        |class, outcome, code: &str| Answer::Refused { outcome, provider_code: Some(code.to_owned()), class };
    let from: Mailbox = match &request.from {
        None => account.sender.clone(),
        Some(from) => from.parse().ok().filter(|from: &Mailbox| is_ascii(&from.email)).ok_or_else(|| {
            refused(RefusalClass::Sender, Outcome::ProviderRejected, "no such From address")
        })?,
    };
    let to = recipient(&request.to)
        .ok_or_else(|| refused(RefusalClass::Permanent, Outcome::InvalidAddress, "no email address"))?;
    let failed = |code| refused(RefusalClass::Permanent, Outcome::FailedToSend, code);
    let return_path = verp::return_path(token_of_url(&request.callback_url), &account.domain)
        .ok_or_else(|| failed("no return path"))?;
    let message_id = message_id(account, request.attempt.job);
    let mut message = Message::builder();
    if let Some(url) = &request.unsubscribe_url {
        // On one line, however long: not every program that reads it unfolds it.
        let address = format!("<{}>", one_line(url));
        message = message
            .raw_header(HeaderValue::dangerous_new_pre_encoded(LIST_UNSUBSCRIBE, address.clone(), address))
            .raw_header(HeaderValue::new(LIST_UNSUBSCRIBE_POST, "List-Unsubscribe=One-Click".to_owned()));
    }
    let headed = message
        .date_now()
        .from(from)
        .to(Mailbox::new(None, to.clone()))
        .subject(one_line(request.subject.as_deref().unwrap_or_default()))
        .message_id(Some(format!("<{message_id}>")))
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()));
    let text = plain_lines(&request.body);
    let message = match request.files.is_empty() {
        true => headed.header(MIME_VERSION_1_0).header(ContentType::TEXT_PLAIN).body(text),
        false => headed.multipart(with_files(text, &request.files)),
    };
    let message = message.map_err(|_| failed("no message"))?;
    let mut bytes = message.formatted();
    // The line break before the dot that ends the mail is written with the dot.
    if bytes.ends_with(b"\r\n") {
        bytes.truncate(bytes.len() - 2);
    }
    Ok(Letter { return_path, to, message_id, bytes })
}

/// The text, and each file in base64 with its name.
fn with_files(text: String, files: &[File]) -> MultiPart {
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text);
    files.iter().fold(MultiPart::mixed().singlepart(text), |mail, file| {
        let kind = ContentType::parse(&file.media_type);
        let kind = kind.unwrap_or(ContentType::parse(ANY_BYTES).unwrap_or(ContentType::TEXT_PLAIN));
        // Whatever it holds: a text whose line breaks were changed on the way would be another file.
        let encoded = Body::dangerous_pre_encoded(base64_lines(&file.bytes), ContentTransferEncoding::Base64);
        mail.singlepart(Attachment::new(file.name.clone()).body(encoded, kind))
    })
}

/// Of 76 characters (RFC 2045).
fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    const BYTES_OF_LINE: usize = 57;
    let mut lines = Vec::with_capacity(bytes.len() / BYTES_OF_LINE * 78 + 80);
    for chunk in bytes.chunks(BYTES_OF_LINE) {
        if !lines.is_empty() {
            lines.extend_from_slice(b"\r\n");
        }
        lines.extend_from_slice(STANDARD.encode(chunk).as_bytes());
    }
    lines
}

/// With its domain in ASCII (RFC 5890): relays know no other.
fn recipient(address: &str) -> Option<Address> {
    let address: Address = address.trim().parse().ok()?;
    if address.domain().is_ascii() {
        return Some(address);
    }
    let domain = Url::parse(&format!("http://{}", address.domain())).ok()?;
    Address::new(address.user(), domain.host_str()?).ok()
}

pub(super) fn is_ascii(address: &Address) -> bool {
    let text: &str = address.as_ref();
    text.is_ascii()
}

/// A line break in a header would start another one.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect();
    words.join(" ")
}

/// One kind of line break. A bare carriage return is taken for one by some servers and not by others, which is how
/// one mail is made to look like two.
fn plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}
