//! What the district allows of each channel.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tocsin_domain::Channel;
use tocsin_domain::limits::DistrictLimit;

use super::number;
use crate::console::form::{Complaints, Form};
use crate::console::words;
use crate::fields::Fault;

pub(super) struct LimitsForm {
    pub channels: Vec<ChannelForm>,
    pub faults: Complaints,
}

pub(super) struct ChannelForm {
    pub channel: Channel,
    pub name: &'static str,
    pub rate: String,
    pub concurrency: String,
    pub spares: bool,
}

impl LimitsForm {
    pub fn of(kept: &BTreeMap<Channel, DistrictLimit>) -> Self {
        let written = |number: Option<String>| number.unwrap_or_default();
        let channel = |channel: Channel| {
            let limit = kept.get(&channel).copied().unwrap_or_default();
            ChannelForm {
                channel,
                name: words::channel(channel),
                rate: written(limit.rate_per_second.map(|rate| rate.to_string())),
                concurrency: written(limit.concurrency.map(|concurrency| concurrency.to_string())),
                spares: limit.spares_emergencies,
            }
        };
        Self { channels: Channel::ALL.map(channel).into(), faults: Complaints::default() }
    }

    pub fn typed(form: &Form, faults: Complaints) -> Self {
        let channel = |channel: Channel| ChannelForm {
            channel,
            name: words::channel(channel),
            rate: form.text(&format!("rate_{channel}")),
            concurrency: form.text(&format!("concurrency_{channel}")),
            spares: form.holds(&format!("spares_{channel}")),
        };
        Self { channels: Channel::ALL.map(channel).into(), faults }
    }

    /// As `PUT /v1/limits` takes it: a channel of which nothing is filled in has no limit.
    pub fn request(form: &Form) -> Result<Value, Vec<Fault>> {
        let (mut faults, mut channels) = (Vec::new(), Map::new());
        for channel in Channel::ALL {
            let mut members = Map::new();
            for (field, member) in [("rate", "rate_per_second"), ("concurrency", "concurrency")] {
                let name = format!("{field}_{channel}");
                if !form.text(&name).trim().is_empty() {
                    let path = format!("channels.{channel}.{member}");
                    members.insert(member.to_owned(), number(form, &name, &path, &mut faults));
                }
            }
            if form.holds(&format!("spares_{channel}")) {
                members.insert("spares_emergencies".to_owned(), json!(true));
            }
            if !members.is_empty() {
                channels.insert(channel.to_string(), Value::Object(members));
            }
        }
        if faults.is_empty() { Ok(json!({ "channels": channels })) } else { Err(faults) }
    }

    /// What is wrong with one member of a channel; without a name, with the channel.
    pub fn fault(&self, channel: &Channel, member: &str) -> Option<String> {
        let path = format!("channels.{channel}");
        match member {
            "" => {
                let remedy =
                    "Nothing is limited that could be spared: fill in a limit, or take the tick away.";
                self.faults.exactly(&path, "").map(|_| remedy.to_owned())
            }
            member => self.faults.about(&format!("{path}.{member}"), "It"),
        }
    }
}
