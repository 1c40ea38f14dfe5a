//! The request for one mail, or for many that differ in nothing that a variable could not hold (wire B.1).
//!
//! With `recipient-variables` every recipient gets a mail of his own and sees himself alone in *To*; without them all
//! would see all. So no request names two recipients and lacks them.

use std::collections::HashSet;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tocsin_domain::CampaignId;

use super::TOKEN_VARIABLE;
use crate::{File, SendRequest, token_of_url};

/// Recipients that Mailgun takes in one request.
pub(super) const RECIPIENTS_MAX: usize = 1000;
/// Bytes of subjects and texts that go into one request.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The delivery window Mailgun lets us ask for.
const DELIVER_WITHIN_MINUTES: std::ops::RangeInclusive<u64> = 5..=24 * 60;
/// What Mailgun replaces begins so. A text that holds it goes by itself, where nothing is replaced.
const PLACEHOLDER: &str = "%recipient";
/// Characters of a tag (wire B.1 allows more).
const TAG_CHARS_MAX: usize = 64;

const TOKEN: &str = "token";
const UNSUBSCRIBE: &str = "unsubscribe";
const SUBJECT: &str = "subject";
const TEXT: &str = "text";

/// Which of `requests` go together, by their places: same campaign, sender, tag and window, each address once.
pub(super) fn groups(requests: &[SendRequest]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (place, request) in requests.iter().enumerate() {
        match groups.iter_mut().find(|group| group.takes(request)) {
            Some(group) => group.add(place, request),
            None => groups.push(Group::of(place, request)),
        }
    }
    groups.into_iter().map(|group| group.places).collect()
}

struct Group<'a> {
    first: &'a SendRequest,
    places: Vec<usize>,
    /// In lower case: the variables are kept by them, and servers that tell them apart by case are not known.
    addresses: HashSet<String>,
    text_bytes: usize,
}

impl<'a> Group<'a> {
    fn of(place: usize, request: &'a SendRequest) -> Self {
        let mut group = Self { first: request, places: Vec::new(), addresses: HashSet::new(), text_bytes: 0 };
        group.add(place, request);
        group
    }

    fn add(&mut self, place: usize, request: &SendRequest) {
        self.places.push(place);
        self.addresses.insert(request.to.to_lowercase());
        self.text_bytes += text_bytes(request);
    }

    fn takes(&self, request: &SendRequest) -> bool {
        kind(self.first) == kind(request)
            && self.places.len() < RECIPIENTS_MAX
            && self.text_bytes + text_bytes(request) <= TEXT_BYTES_MAX
            && !self.addresses.contains(&request.to.to_lowercase())
            && !has_placeholder(self.first)
            && !has_placeholder(request)
    }
}

/// What all mails of one request have in common.
fn kind(request: &SendRequest) -> (CampaignId, Option<&str>, Option<&str>, bool, u64, *const File) {
    let (from, tag) = (request.from.as_deref(), request.tag.as_deref());
    let campaign = request.attempt.job.campaign;
    let unsubscribes = request.unsubscribe_url.is_some();
    (campaign, from, tag, unsubscribes, window_minutes(request), files(request))
}

/// The mails of a message share its files: others are another message's.
fn files(request: &SendRequest) -> *const File {
    if request.files.is_empty() { std::ptr::null() } else { request.files.as_ptr() }
}

fn text_bytes(request: &SendRequest) -> usize {
    request.body.len() + request.subject.as_deref().map_or(0, str::len)
}

fn has_placeholder(request: &SendRequest) -> bool {
    request.body.contains(PLACEHOLDER)
        || request.subject.as_deref().is_some_and(|subject| subject.contains(PLACEHOLDER))
}

fn window_minutes(request: &SendRequest) -> u64 {
    let minutes = request.valid_for.as_secs() / 60;
    minutes.clamp(*DELIVER_WITHIN_MINUTES.start(), *DELIVER_WITHIN_MINUTES.end())
}

/// A request's body, and what it is.
pub(super) struct Form {
    pub content_type: String,
    pub body: Vec<u8>,
}

/// Names and values, in their order.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Mailgun takes messages so that have no files.
    fn urlencoded(self) -> Form {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(self.0).finish();
        Form { content_type: "application/x-www-form-urlencoded".to_owned(), body: body.into_bytes() }
    }

    /// RFC 7578. Names of files are harmless by the time they are here: `tocsin_domain::attachment`.
    fn multipart(self, files: &[File], boundary: &str) -> Form {
        let text: usize = self.0.iter().map(|(name, value)| name.len() + value.len() + 120).sum();
        let bytes: usize = files.iter().map(|file| file.bytes.len() + 320).sum();
        let mut body = Vec::with_capacity(text + bytes + 80);
        let mut part = |head: String, content: &[u8]| {
            body.extend_from_slice(
                format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        };
        for (name, value) in &self.0 {
            part(format!("name=\"{name}\""), value.as_bytes());
        }
        for file in files {
            let head = format!(
                "name=\"attachment\"; filename=\"{}\"\r\nContent-Type: {}",
                file.name, file.media_type
            );
            part(head, &file.bytes);
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Form { content_type: format!("multipart/form-data; boundary={boundary}"), body }
    }
}

/// What stands in no text or file by chance.
fn boundary(request: &SendRequest) -> String {
    let key = request.attempt.job;
    let digest = Sha256::new()
        .chain_update("boundary of a form")
        .chain_update(key.campaign.0.as_bytes())
        .chain_update(key.job.to_be_bytes())
        .chain_update(token_of_url(&request.callback_url))
        .finalize();
    hex::encode(&digest[..24])
}

/// The form for requests that go together. None: there is none.
pub(super) fn form(sender: &str, requests: &[&SendRequest]) -> Option<Form> {
    let &first = requests.first()?;
    let mut form = Fields::default();
    form.add("from", first.from.as_deref().unwrap_or(sender));
    for request in requests {
        form.add("to", &request.to);
    }
    let mut variables = Variables::new(requests);
    // A line break in a header would start another one.
    let subject =
        |request: &SendRequest| request.subject.as_deref().unwrap_or_default().replace(['\r', '\n'], " ");
    form.add("subject", &variables.of(SUBJECT, subject));
    form.add("text", &variables.of(TEXT, |request| request.body.clone()));
    let minutes = window_minutes(first);
    form.add("o:deliver-within", &format!("{}h{}m", minutes / 60, minutes % 60));
    if let Some(tag) = first.tag.as_deref().filter(|tag| is_tag(tag)) {
        form.add("o:tag", tag);
    }
    if first.unsubscribe_url.is_some() {
        let address =
            variables.of(UNSUBSCRIBE, |request| request.unsubscribe_url.clone().unwrap_or_default());
        form.add("h:List-Unsubscribe", &format!("<{address}>"));
        form.add("h:List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
    }
    let token = variables.of(TOKEN, |request| token_of_url(&request.callback_url).to_owned());
    form.add(&format!("v:{TOKEN_VARIABLE}"), &token);
    if let Some(variables) = variables.finish() {
        form.add("recipient-variables", &variables);
    }
    Some(match first.files.is_empty() {
        true => form.urlencoded(),
        false => form.multipart(&first.files, &boundary(first)),
    })
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty() && tag.len() <= TAG_CHARS_MAX && tag.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What differs from one recipient to another.
struct Variables<'a> {
    requests: &'a [&'a SendRequest],
    /// One for each request.
    values: Vec<Map<String, Value>>,
}

impl<'a> Variables<'a> {
    fn new(requests: &'a [&'a SendRequest]) -> Self {
        Self { requests, values: vec![Map::new(); requests.len()] }
    }

    /// The value itself where all have the same, else the placeholder for each one's own.
    fn of(&mut self, name: &str, value: impl Fn(&SendRequest) -> String) -> String {
        let values: Vec<String> = self.requests.iter().map(|request| value(request)).collect();
        if values.windows(2).all(|two| two[0] == two[1]) {
            return values.into_iter().next().unwrap_or_default();
        }
        for (variables, value) in self.values.iter_mut().zip(values) {
            variables.insert(name.to_owned(), Value::String(value));
        }
        format!("{PLACEHOLDER}.{name}%")
    }

    /// None for one recipient. For several always some, for they keep the recipients apart.
    fn finish(self) -> Option<String> {
        if self.requests.len() < 2 {
            return None;
        }
        let by_address: Map<String, Value> = self
            .requests
            .iter()
            .zip(self.values)
            .map(|(request, variables)| (request.to.clone(), Value::Object(variables)))
            .collect();
        Some(Value::Object(by_address).to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tocsin_domain::{AttemptKey, JobKey};
    use uuid::Uuid;

    use super::*;
    use crate::twilio::form::Form as UrlForm;

    fn request(job: i32, to: &str, body: &str) -> SendRequest {
        SendRequest {
            attempt: AttemptKey { job: JobKey { campaign: CampaignId(Uuid::nil()), job }, number: 1 },
            from: None,
            to: to.into(),
            extension: None,
            language: None,
            subject: Some("Snow\r\nBcc: all@example.org".into()),
            body: body.into(),
            files: Default::default(),
            audio_url: None,
            call_url: None,
            confirm: false,
            unsubscribe_url: Some(format!("https://bell.example/unsubscribe/u{job}")),
            tag: Some("attendance".into()),
            detection: None,
            callback_url: format!("https://bell.example/callbacks/mail/tok{job}"),
            valid_for: Duration::from_secs(5400),
            start_within: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
        }
    }

    fn parsed(requests: &[&SendRequest]) -> Vec<(String, String)> {
        let form = form("office@example.org", requests).unwrap();
        assert_eq!(form.content_type, "application/x-www-form-urlencoded");
        let pairs = UrlForm::parse(&form.body);
        pairs.pairs().iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn one_mail_has_its_token_and_its_link_and_no_header_of_the_authors() {
        let expected = pairs(&[
            ("from", "office@example.org"),
            ("to", "ann@example.org"),
            ("subject", "Snow  Bcc: all@example.org"),
            ("text", "No school & no bus"),
            ("o:deliver-within", "1h30m"),
            ("o:tag", "attendance"),
            ("h:List-Unsubscribe", "<https://bell.example/unsubscribe/u1>"),
            ("h:List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("v:tocsin-token", "tok1"),
        ]);
        assert_eq!(parsed(&[&request(1, "ann@example.org", "No school & no bus")]), expected);
        let bare =
            SendRequest { unsubscribe_url: None, tag: None, subject: None, ..request(1, "a@b.org", "x") };
        let names: Vec<String> = parsed(&[&bare]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["from", "to", "subject", "text", "o:deliver-within", "v:tocsin-token"]);
    }

    #[test]
    fn many_mails_are_one_request_in_which_nobody_sees_another_and_each_has_his_token() {
        let (ann, bob) = (request(1, "ann@example.org", "Hello"), request(2, "bob@example.org", "Hello"));
        let form = parsed(&[&ann, &bob]);
        let value = |name: &str| {
            form.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(value("to"), ["ann@example.org", "bob@example.org"]);
        assert_eq!(value("text"), ["Hello"], "what all have in common is said once");
        assert_eq!(value("v:tocsin-token"), ["%recipient.token%"]);
        assert_eq!(value("h:List-Unsubscribe"), ["<%recipient.unsubscribe%>"]);
        let variables: Value = serde_json::from_str(value("recipient-variables")[0]).unwrap();
        assert_eq!(
            variables,
            json!({
                "ann@example.org": { "token": "tok1", "unsubscribe": "https://bell.example/unsubscribe/u1" },
                "bob@example.org": { "token": "tok2", "unsubscribe": "https://bell.example/unsubscribe/u2" },
            })
        );
    }

    #[test]
    fn files_go_along_once_for_all_who_get_them() {
        let file = File {
            name: "Plan Żółw.pdf".into(),
            media_type: "application/pdf".into(),
            bytes: "%PDF\r\n--\0x".into(),
        };
        let files: std::sync::Arc<[File]> = [file].into();
        let with = |job, to| SendRequest { files: files.clone(), ..request(job, to, "Hello") };
        let (ann, bob) = (with(1, "ann@example.org"), with(2, "bob@example.org"));
        assert_eq!(groups(&[ann.clone(), bob.clone()]).len(), 1);
        let form = form("office@example.org", &[&ann, &bob]).unwrap();
        let boundary = form.content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let body = String::from_utf8(form.body).unwrap();
        let attached = "Content-Disposition: form-data; name=\"attachment\"; filename=\"Plan Żółw.pdf\"\r\n\
            Content-Type: application/pdf\r\n\r\n%PDF\r\n--\0x\r\n";
        assert_eq!(body.matches(attached).count(), 1, "{body}");
        assert!(body.ends_with(&format!("{attached}--{boundary}--\r\n")), "{body}");
        let to = "Content-Disposition: form-data; name=\"to\"\r\n\r\n";
        assert_eq!(body.matches(to).count(), 2, "{body}");
        assert!(body.contains("name=\"recipient-variables\""), "{body}");
        assert!(!format!("{:?}", ann.files).contains("Plan"), "no name in logs");
    }

    #[test]
    fn texts_that_differ_are_variables_too() {
        let (ann, bob) =
            (request(1, "ann@example.org", "Ann's"), request(2, "bob@example.org", "Bob's \"x\"\n"));
        let form = parsed(&[&ann, &bob]);
        assert!(form.contains(&("text".to_owned(), "%recipient.text%".to_owned())), "{form:?}");
        let (_, variables) = form.iter().find(|(name, _)| name == "recipient-variables").unwrap();
        let variables: Value = serde_json::from_str(variables).unwrap();
        assert_eq!(variables["bob@example.org"]["text"], "Bob's \"x\"\n");
        assert_eq!(variables["ann@example.org"]["text"], "Ann's");
    }

    #[test]
    fn what_does_not_belong_together_goes_apart() {
        let ann = || request(1, "ann@example.org", "x");
        let with = |change: fn(&mut SendRequest)| {
            let mut other = request(2, "bob@example.org", "x");
            change(&mut other);
            groups(&[ann(), other]).len()
        };
        assert_eq!(with(|_| {}), 1);
        assert_eq!(with(|other| other.body = "another text".into()), 1);
        let apart: [fn(&mut SendRequest); 8] = [
            |other| {
                let file = File { name: "a.txt".into(), media_type: "text/plain".into(), bytes: "a".into() };
                other.files = [file].into();
            },
            |other| other.attempt.job.campaign = CampaignId(Uuid::max()),
            |other| other.from = Some("other@example.org".into()),
            |other| other.tag = Some("behavior".into()),
            |other| other.unsubscribe_url = None,
            |other| other.valid_for = Duration::from_secs(600),
            |other| other.to = "ANN@example.org".into(),
            |other| other.body = "write %recipient.token% to us".into(),
        ];
        for (number, change) in apart.into_iter().enumerate() {
            assert_eq!(with(change), 2, "{number}");
        }
    }

    #[test]
    fn no_request_is_larger_than_the_vendor_takes() {
        let many: Vec<SendRequest> =
            (0..2500).map(|job| request(job, &format!("a{job}@example.org"), "x")).collect();
        let sizes: Vec<usize> = groups(&many).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1000, 1000, 500]);
        let long = "x".repeat(TEXT_BYTES_MAX / 3);
        let long: Vec<SendRequest> =
            (0..7).map(|job| request(job, &format!("a{job}@example.org"), &long)).collect();
        let places = groups(&long);
        assert!(places.iter().all(|group| group.len() <= 2), "{places:?}");
        assert_eq!(places.concat(), (0..7).collect::<Vec<_>>(), "everybody once, in their order");
    }
}
