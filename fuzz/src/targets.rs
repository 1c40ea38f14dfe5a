//! The parsers, as functions of bytes.
//!
//! An input of an adapter is a request: its address, headers a line each, an empty line, its body.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tocsin_domain::Channel;
use tocsin_providers::smtp::verp;
use tocsin_providers::{
    AccountSettings, Provider, ProviderKind, RawRequest, Registry, Secret, TokenKeys, gateway, token_of_url,
};

/// What reads bytes from outside.
pub type Parse = dyn Fn(&[u8]);

/// A parser, by the name of its folder in the corpus.
pub struct Target {
    pub name: &'static str,
    pub run: Box<Parse>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

const FORM: &str = r#"
channels = ["sms"]
authentication = "none"
[send]
path = "/messages"
[callback]
format = "form"
[callback.report]
token = "/ref"
id = "/id"
status = "/status"
code = "/error"
at = "/at"
at_format = "unix"
sequence = "/n"
[callback.verify]
scheme = "hmac-sha1"
header = "X-Signature"
encoding = "base64"
[inbound]
format = "form"
id = "/id"
from = "/from"
text = "/text"
answer = "texted"
[addresses]
21 = "opted_out"
[statuses]
DELIVRD = "delivered"
UNDELIV = "undelivered"
21 = "opt_out"
"#;

const LIST: &str = r#"
channels = ["voice"]
authentication = "none"
[send]
path = "/calls"
[callback]
reports = "/reports"
[callback.report]
token = "/reference"
id = "/id"
status = "/code"
at = "/at"
at_format = "unix_ms"
sequence = "/n"
event_id = "/event"
[callback.verify]
scheme = "bearer"
[statuses]
1 = "busy"
5 = "live_person"
"#;

/// Every parser that reads outside bytes.
pub fn targets() -> Result<Vec<Target>> {
    let folder = tempfile::tempdir()?;
    let profile = |name: &str, text: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_str().context("an odd temporary folder")?.to_owned())
    };
    let (form, list) = (profile("form.toml", FORM)?, profile("list.toml", LIST)?);
    let accounts = vec![
        account("twilio-voice", Channel::Voice, ProviderKind::Twilio, None),
        account("twilio-sms", Channel::Sms, ProviderKind::Twilio, None),
        account("mailgun", Channel::Email, ProviderKind::Mailgun, None),
        account("smtp", Channel::Email, ProviderKind::Smtp, None),
        account("gateway", Channel::Voice, ProviderKind::Gateway, Some("call-codes".to_owned())),
        account("gateway-form", Channel::Sms, ProviderKind::Gateway, Some(form)),
        account("gateway-list", Channel::Voice, ProviderKind::Gateway, Some(list)),
    ];
    let names = ["twilio-voice", "twilio-sms", "mailgun", "smtp", "gateway", "gateway-form", "gateway-list"];
    // The adapters have read their profiles then.
    let registry = Registry::build(accounts)?;
    let mut targets: Vec<Target> = names
        .into_iter()
        .map(|name| {
            let provider = registry.get(name).context("an account without its adapter")?;
            Ok(Target { name, run: Box::new(move |input| callback(&provider, input)) })
        })
        .collect::<Result<_>>()?;
    let keys = TokenKeys::new(&Secret::new("token key"), Some(&Secret::new("an older one")));
    targets.push(Target { name: "token", run: Box::new(move |input| tokens(&keys, input)) });
    targets.push(Target {
        name: "profile",
        run: Box::new(|input| drop(gateway::check_profile(&String::from_utf8_lossy(input)))),
    });
    Ok(targets)
}

/// All that is done with a request before and behind the queue, whether it is verified or not.
fn callback(provider: &Arc<dyn Provider>, input: &[u8]) {
    let raw = request(input);
    let _ = provider.verify(&raw, DateTime::<Utc>::UNIX_EPOCH);
    let _ = provider.token(&raw);
    let tokens = provider.tokens(&raw);
    let _ = provider.nonce(&raw);
    let _ = provider.facts_of_addresses(&raw);
    let _ = provider.after_key(&raw);
    if let Ok(reports) = provider.parse(&raw) {
        assert!(tokens.len() <= reports.len(), "more tokens than reports");
        for code in reports.iter().filter_map(|report| report.provider_code.as_deref()) {
            let _ = provider.address_fact(code);
        }
    }
    let _ = provider.reply(&raw);
    if let Ok(text) = provider.inbound(&raw) {
        let _ = text.event_id("account");
    }
    let _ = provider.redact(&raw);
}

fn tokens(keys: &TokenKeys, input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let read = keys.read(token_of_url(&text));
    if let Ok((attempt, lane)) = read {
        // What is read was minted by one of the keys, and the current one mints the like.
        assert_eq!(keys.read(&keys.mint(attempt, lane)), Ok((attempt, lane)));
    }
    if let Ok(attempt) = keys.read_unsubscribe(token_of_url(&text)) {
        assert_eq!(keys.read_unsubscribe(&keys.mint_unsubscribe(attempt)), Ok(attempt));
    }
    if let Some(token) = verp::token(&text) {
        let again = verp::return_path(&token, "mail.example.org").and_then(|path| verp::token(path.as_ref()));
        assert_eq!(again, Some(token));
    }
}

fn request(input: &[u8]) -> RawRequest {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let url = lines.next().unwrap_or_default().to_owned();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = lines.filter_map(header).collect();
    let method = if body.is_empty() { "GET" } else { "POST" };
    RawRequest { method: method.to_owned(), url, headers, body: Bytes::copy_from_slice(body) }
}

fn account(name: &str, channel: Channel, kind: ProviderKind, profile: Option<String>) -> AccountSettings {
    let (base_url, user) = match kind {
        ProviderKind::Twilio => ("http://127.0.0.1:9", "AC00000000000000000000000000000001"),
        ProviderKind::Mailgun | ProviderKind::Gateway => ("http://127.0.0.1:9", "api"),
        ProviderKind::Smtp => ("smtps://relay.example.org", "tocsin"),
    };
    let sender = match channel {
        Channel::Voice | Channel::Sms => "+15005550006",
        Channel::Email | Channel::Inbox => "office@mail.example.org",
    };
    AccountSettings {
        name: name.to_owned(),
        channel,
        kind,
        base_url: base_url.to_owned(),
        user: user.to_owned(),
        secret: Secret::new("secret"),
        signing_keys: vec![Secret::new("signing key"), Secret::new("an older one")],
        sender: sender.to_owned(),
        domain: Some("mail.example.org".to_owned()),
        ca_file: None,
        profile,
        connections_max: None,
    }
}
