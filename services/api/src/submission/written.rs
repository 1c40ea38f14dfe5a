//! A campaign written back as the request that would make it: what edits start from.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tocsin_domain::audience::Audience;
use tocsin_domain::content::{Content, attachments};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::limits::CampaignLimits;
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::window::CallingWindow;
use tocsin_domain::{Channel, MessageType};

use super::mode_name;
use crate::policies::RedialView;

/// What campaigns, series and templates have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenCampaign<'a> {
    pub subject: &'a str,
    pub message_type: &'a str,
    pub channels: &'a [Channel],
    pub mode: DedupeMode,
    pub audience: &'a Audience,
    pub contents: &'a [Content],
    pub redial: Option<&'a RedialPolicy>,
    pub calling_window: Option<&'a CallingWindow>,
    pub limits: &'a CampaignLimits,
    pub expires_in: Duration,
}

/// The members of `POST /v1/campaigns`. A subject that a content has from the campaign is left out, so that it follows
/// the campaign's.
pub(crate) fn written(of: WrittenCampaign<'_>) -> Map<String, Value> {
    let contents: Vec<Content> = of
        .contents
        .iter()
        .cloned()
        .map(|content| Content {
            subject: content.subject.filter(|own| own != of.subject),
            attachments: Vec::new(),
            ..content
        })
        .collect();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            members.insert(name.to_owned(), value);
        }
    };
    put("subject", json!(of.subject));
    put("message_type", json!(of.message_type));
    put("channels", json!(of.channels));
    put("mode", json!(mode_name(of.mode)));
    put("audience", audience(of.audience));
    put("contents", json!(contents));
    let attached: Vec<_> = attachments(of.contents).iter().map(|file| file.id).collect();
    // Also where there are none: a correction that says nothing of files has those of the campaign corrected.
    put("attachments", json!(attached));
    put("redial", json!(of.redial.cloned().map(RedialView::from)));
    // Emergencies have none, and may name none.
    put("calling_window", json!(of.calling_window));
    put("limits", json!(of.limits));
    put("expires_in_seconds", json!(of.expires_in.as_secs()));
    members
}

/// Beside a receipt nothing else may stand.
fn audience(audience: &Audience) -> Value {
    match audience.receipt {
        Some(addressed) => json!({ "receipt": addressed }),
        None => json!(audience),
    }
}

/// `changes` over `members`. With another message type come the settings of that type, where they are not given.
pub(crate) fn merged(mut members: Map<String, Value>, changes: Map<String, Value>) -> Value {
    let kind = |members: &Map<String, Value>| {
        members.get("message_type").and_then(Value::as_str).and_then(MessageType::named)
    };
    let (before, after) = (kind(&members), kind(&changes));
    if after.is_some() && before != after {
        for name in ["redial", "calling_window", "expires_in_seconds"] {
            members.remove(name);
        }
    }
    if changes.contains_key("body") {
        members.remove("contents");
    }
    members.extend(changes);
    Value::Object(members)
}
