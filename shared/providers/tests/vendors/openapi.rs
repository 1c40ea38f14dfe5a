//! Every request that the adapters build is one that the vendor's published API knows (tests/data).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tocsin_domain::Channel;
use tocsin_domain::policy::Detection;
use tocsin_providers::{File, Provider, RawRequest, SendRequest};
use tocsin_testkit::simulator::{CallbackReceiver, Scenario};

use crate::stage::{LIMIT, Stage, attempt};

const TWILIO: &str = include_str!("../data/twilio.openapi.json");
const MAILGUN: &str = include_str!("../data/mailgun.openapi.json");
const SID: &str = "0123456789abcdef0123456789abcdef";

/// A vendor that takes down what it is asked and answers nothing of use.
struct Listener {
    receiver: CallbackReceiver,
    stage: Stage,
}

impl Listener {
    async fn new() -> Self {
        Self {
            receiver: CallbackReceiver::start().await.unwrap(),
            stage: Stage::set(Scenario::default()).await,
        }
    }

    fn provider(&self, channel: Channel) -> Arc<dyn Provider> {
        self.stage.provider_with(channel, |account| account.base_url = self.receiver.base_url.clone())
    }

    /// What was asked, in any order.
    async fn heard(&self, requests: usize) -> Vec<RawRequest> {
        self.receiver.received_at_least(requests, LIMIT).await.unwrap()
    }
}

/// A published API, cut to what is used.
struct Api(Value);

impl Api {
    fn of(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// Everything that is wrong with a request: nothing, if the API knows it.
    fn faults(&self, base_url: &str, request: &RawRequest) -> Vec<String> {
        let url = request.url.strip_prefix(base_url).unwrap();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let Some(operation) = self.operation(path, &request.method.to_lowercase()) else {
            return vec![format!("no operation {} {path}", request.method)];
        };
        let in_query = operation["parameters"].as_array().into_iter().flatten();
        let in_query = in_query.filter(|parameter| parameter["in"] == "query");
        let known: BTreeMap<&str, &Value> =
            in_query.map(|parameter| (parameter["name"].as_str().unwrap(), &parameter["schema"])).collect();
        let mut faults = faults_of(&known, &[], &pairs(query.as_bytes()));
        let authorized = request.header("authorization").is_some_and(|value| value.starts_with("Basic "));
        if !authorized {
            faults.push("no authorization".to_owned());
        }
        let Some(content) = operation["requestBody"]["content"].as_object() else { return faults };
        let schema = &content.values().next().unwrap()["schema"];
        let known: BTreeMap<&str, &Value> =
            schema["properties"].as_object().unwrap().iter().map(|(name, of)| (name.as_str(), of)).collect();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
        faults.extend(faults_of(&known, &required, &fields(request)));
        faults
    }

    fn operation(&self, path: &str, method: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (asked, known): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
            asked.len() == known.len()
                && asked.iter().zip(known).all(|(asked, known)| match known.split_once('{') {
                    Some((before, rest)) => {
                        let after = rest.split_once('}').unwrap().1;
                        asked.len() > before.len() + after.len()
                            && asked.starts_with(before)
                            && asked.ends_with(after)
                    }
                    None => *asked == known,
                })
        };
        let paths = self.0["paths"].as_object().unwrap();
        // The more specific first: `Calls.json` is no `Calls/{Sid}.json`.
        paths.iter().find(|(template, _)| fits(template)).and_then(|(_, operations)| operations.get(method))
    }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// The fields of a posted form, whichever way it is written. Of a file, its bytes as a text.
fn fields(request: &RawRequest) -> Vec<(String, String)> {
    let kind = request.header("content-type").unwrap_or_default();
    let Some(boundary) = kind.strip_prefix("multipart/form-data; boundary=") else {
        return pairs(&request.body);
    };
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let body = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).unwrap().to_owned();
    let parts = format!("\r\n{body}");
    let mark = format!("\r\n--{boundary}\r\n");
    let parts = parts.split(&mark).skip(1);
    let read = |part: &str| {
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        let name =
            head.strip_prefix("Content-Disposition: form-data; name=\"").unwrap().split_once('"').unwrap().0;
        (name.to_owned(), content.to_owned())
    };
    parts.map(read).collect()
}

fn faults_of(known: &BTreeMap<&str, &Value>, required: &[&str], pairs: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    for name in required {
        if !pairs.iter().any(|(key, _)| key == name) {
            faults.push(format!("{name} is missing"));
        }
    }
    for (name, value) in pairs {
        // `h:X-My-Header` and `v:my-var` stand for all headers and variables.
        let like =
            name.split_once(':').filter(|(prefix, _)| ["h", "v"].contains(prefix)).map(|(prefix, _)| prefix);
        let schema = known.get(name.as_str()).or_else(|| {
            known
                .iter()
                .find(|(known, _)| like.is_some_and(|like| known.starts_with(&format!("{like}:"))))
                .map(|(_, of)| of)
        });
        let Some(schema) = schema else {
            faults.push(format!("{name} is unknown"));
            continue;
        };
        let times = pairs.iter().filter(|(key, _)| key == name).count();
        let schema = match schema["type"].as_str() {
            Some("array") => &schema["items"],
            _ if times > 1 => {
                faults.push(format!("{name} is there {times} times"));
                schema
            }
            _ => schema,
        };
        if let Some(reason) = fault_of(schema, value) {
            faults.push(format!("{name} {reason}: {value}"));
        }
    }
    faults
}

fn fault_of(schema: &Value, value: &str) -> Option<&'static str> {
    let ok = match schema["type"].as_str() {
        Some("integer") => value.parse::<i64>().is_ok(),
        Some("number") => value.parse::<f64>().is_ok(),
        Some("boolean") => value == "true" || value == "false",
        _ => true,
    };
    let listed = schema["enum"].as_array().is_none_or(|values| values.iter().any(|one| one == value));
    let within = schema["maximum"].as_i64().is_none_or(|max| value.parse::<i64>().is_ok_and(|is| is <= max));
    let is_uri = schema["format"] != "uri" || value.starts_with("http://") || value.starts_with("https://");
    let length = |name: &str| schema[name].as_u64();
    let fits = length("minLength").is_none_or(|min| value.len() as u64 >= min)
        && length("maxLength").is_none_or(|max| value.len() as u64 <= max);
    [
        (ok, "is of another type"),
        (listed, "is none of its values"),
        (within, "is too large"),
        (is_uri, "is no URL"),
        (fits, "has another length"),
    ]
    .into_iter()
    .find_map(|(holds, reason)| (!holds).then_some(reason))
}

fn assert_known(api: &Api, base_url: &str, requests: &[RawRequest]) {
    for request in requests {
        let faults = api.faults(base_url, request);
        assert!(faults.is_empty(), "{} {}: {faults:?}", request.method, request.url);
    }
}

#[tokio::test]
async fn every_request_about_a_call_is_one_that_twilio_publishes() {
    let listener = Listener::new().await;
    let voice = listener.provider(Channel::Voice);
    let plain = || listener.stage.request(Channel::Voice, 1);
    let call_url = || Some("https://bell.example/calls/voice/tok".to_owned());
    let sends = [
        plain(),
        SendRequest { from: Some("+15005550006".into()), extension: Some("123#".into()), ..plain() },
        SendRequest { detection: Some(Detection::AfterGreeting), ..plain() },
        SendRequest { detection: Some(Detection::Meanwhile), ..plain() },
        SendRequest { confirm: true, call_url: call_url(), ..plain() },
        SendRequest { audio_url: Some("https://a.example/1.mp3".into()), ..plain() },
        SendRequest { body: "long ".repeat(1000), confirm: true, call_url: call_url(), ..plain() },
    ];
    for request in &sends {
        voice.send(request).await;
    }
    voice.recall(&format!("CA{SID}")).await;
    for provider_id in [None, Some(format!("CA{SID}"))] {
        voice.look_up(&listener.stage.query(Channel::Voice, 1, provider_id)).await;
    }
    let heard = listener.heard(sends.len() + 3).await;
    assert_known(&Api::of(TWILIO), &listener.receiver.base_url, &heard);
}

#[tokio::test]
async fn every_request_about_a_text_is_one_that_twilio_publishes() {
    let listener = Listener::new().await;
    let sms = listener.provider(Channel::Sms);
    let plain = || listener.stage.request(Channel::Sms, 1);
    for from in [None, Some("88788".to_owned()), Some(format!("MG{SID}"))] {
        sms.send(&SendRequest { from, ..plain() }).await;
    }
    for provider_id in [None, Some(format!("SM{SID}"))] {
        sms.look_up(&listener.stage.query(Channel::Sms, 1, provider_id)).await;
    }
    let heard = listener.heard(5).await;
    assert_known(&Api::of(TWILIO), &listener.receiver.base_url, &heard);
}

#[tokio::test]
async fn every_request_about_a_mail_is_one_that_mailgun_publishes() {
    let listener = Listener::new().await;
    let mailgun = listener.provider(Channel::Email);
    let mail = |job: i32, body: &str| SendRequest {
        attempt: attempt(job),
        to: format!("reader{job}@example.org"),
        body: body.to_owned(),
        unsubscribe_url: Some(format!("https://bell.example/unsubscribe/{job}")),
        tag: Some("attendance".into()),
        ..listener.stage.request(Channel::Email, job)
    };
    mailgun.send(&SendRequest { subject: None, ..mail(1, "x") }).await;
    mailgun.send_batch(&[mail(1, "x"), mail(2, "x"), mail(3, "y")]).await;
    let file =
        |name: &str| File { name: name.into(), media_type: "text/csv".into(), bytes: "a;b\r\n".into() };
    let files: Arc<[File]> = [file("menu.csv"), file("Plan Żółw.csv")].into();
    let with_files = |job, body| SendRequest { files: files.clone(), ..mail(job, body) };
    mailgun.send(&with_files(1, "x")).await;
    mailgun.send_batch(&[with_files(1, "x"), with_files(2, "y")]).await;
    mailgun.look_up(&listener.stage.query(Channel::Email, 1, None)).await;
    let heard = listener.heard(5).await;
    for request in heard
        .iter()
        .filter(|request| request.header("content-type").is_some_and(|it| it.contains("multipart")))
    {
        let attached = fields(request).into_iter().filter(|(name, _)| name == "attachment");
        assert_eq!(attached.map(|(_, bytes)| bytes).collect::<Vec<_>>(), ["a;b\r\n", "a;b\r\n"]);
    }
    assert_known(&Api::of(MAILGUN), &listener.receiver.base_url, &heard);
    let batches =
        heard.iter().filter(|request| String::from_utf8_lossy(&request.body).contains("recipient-variables"));
    assert_eq!(batches.count(), 2, "three mails are one request, and two with files");
}

/// Without this a check that finds nothing would not be known from one that looks at nothing.
#[tokio::test]
async fn a_request_that_the_vendor_does_not_know_is_found_out() {
    let base = "https://api.example";
    let posted = |path: &str, body: &str| RawRequest {
        method: "POST".into(),
        url: format!("{base}{path}"),
        headers: vec![("authorization".into(), "Basic x".into())],
        body: body.to_owned().into(),
    };
    let (calls, mails) = ("/2010-04-01/Accounts/AC1/Calls.json", "/v3/m.example/messages");
    let table = [
        (TWILIO, posted(calls, "To=%2B1&From=%2B1&Twiml=x"), ""),
        (TWILIO, posted(calls, "To=%2B1&Twiml=x"), "From is missing"),
        (TWILIO, posted(calls, "To=%2B1&From=%2B1&Twimml=x"), "Twimml is unknown"),
        (TWILIO, posted(calls, "To=%2B1&From=%2B1&TimeLimit=long"), "TimeLimit is of another type"),
        (TWILIO, posted(calls, "To=%2B1&From=%2B1&Url=ftp"), "Url is no URL"),
        (TWILIO, posted(calls, "To=%2B1&To=%2B2&From=%2B1"), "To is there 2 times"),
        (
            TWILIO,
            posted("/2010-04-01/Accounts/AC1/Calls/CA1.json", "Status=stopped"),
            "Status is none of its values",
        ),
        (TWILIO, posted("/2010-04-01/Accounts/AC1/Faxes.json", ""), "no operation"),
        (MAILGUN, posted(mails, "from=a&to=b&to=c&subject=s&text=t&v:x=1&h:X=1"), ""),
        (MAILGUN, posted(mails, "from=a&to=b&text=t"), "subject is missing"),
        (MAILGUN, posted(mails, "from=a&to=b&subject=s&o:tags=x"), "o:tags is unknown"),
    ];
    for (api, request, says) in table {
        let faults = Api::of(api).faults(base, &request).join("; ");
        assert!(
            if says.is_empty() { faults.is_empty() } else { faults.contains(says) },
            "{faults:?}, not {says:?}"
        );
    }
    let anonymous = RawRequest { headers: vec![], ..posted(calls, "To=%2B1&From=%2B1") };
    assert_eq!(Api::of(TWILIO).faults(base, &anonymous), ["no authorization"]);
}
