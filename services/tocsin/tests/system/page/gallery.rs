//! A district as districts are, with campaigns in each of their states: what pages are looked at with.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tocsin::system::ChannelLimits;
use tocsin_domain::{CampaignId, Channel};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_testkit::simulator::{Callbacks, ChannelScenario, Delay, Fate, Scenario};
use tocsin_testkit::wait_until;

use super::hall::Hall;
use crate::client::Client;
use crate::facts::{WITHIN, closed};

pub struct Gallery {
    pub hall: Hall,
    pub sent: CampaignId,
    pub canceled: CampaignId,
    pub running: CampaignId,
    pub scheduled: CampaignId,
}

impl Gallery {
    pub async fn hang() -> Result<Self> {
        let hall = Hall::open(scenario(), limits()).await?;
        let (client, system, now) = (&hall.client, &hall.system, SystemClock.now());
        let sent = client.send(&message("Bus 12 runs late", "priority", &["inbox"], BUS)).await?;
        closed(&system.store, sent).await?;
        let canceled = client.send(&message("Picture day on Thursday", "general", &ALL, PICTURES)).await?;
        attempted(client, canceled, 150).await?;
        client.cancel(canceled).await?;
        closed(&system.store, canceled).await?;
        let mut later = message("Spring conferences: choose your time", "general", &["email"], PICTURES);
        later["scheduled_at"] = json!((now + TimeDelta::days(3)).to_rfc3339());
        let scheduled = client.send(&later).await?;
        let running = client.send(&message("Early dismissal today", "emergency", &ALL, STORM)).await?;
        attempted(client, running, 600).await?;
        Ok(Self { hall, sent, canceled, running, scheduled })
    }
}

async fn attempted(client: &Client, campaign: CampaignId, attempts: u64) -> Result<()> {
    wait_until("attempts", WITHIN, async || {
        client
            .detail(campaign)
            .await
            .is_ok_and(|detail| detail["totals"]["attempts"].as_u64() >= Some(attempts))
    })
    .await?;
    Ok(())
}

const ALL: [&str; 4] = ["voice", "sms", "email", "inbox"];
type Texts = [(Option<&'static str>, &'static str); 3];

const STORM: Texts = [
    (
        None,
        "Dear {{ given_name | family }}: because of the storm {{ school_name | our school }} closes at noon today. \
         Please pick up {{ student_given_name | your student }} by 12:15, or reply to the office.",
    ),
    (
        Some("es"),
        "Estimada familia de {{ student_given_name | su estudiante }}: por la tormenta, {{ school_name | nuestra \
         escuela }} cierra hoy al mediodía. Por favor recójalo antes de las 12:15.",
    ),
    (
        Some("vi"),
        "Kính gửi gia đình {{ student_given_name | học sinh }}: vì bão, {{ school_name | trường }} đóng cửa lúc 12 \
         giờ trưa hôm nay. Xin đón con trước 12:15.",
    ),
];
const PICTURES: Texts = [
    (None, "Picture day at {{ school_name | our school }} is on Thursday."),
    (Some("es"), "El día de fotos en {{ school_name | nuestra escuela }} es el jueves."),
    (Some("vi"), "Ngày chụp ảnh tại {{ school_name | trường }} là thứ Năm."),
];
const BUS: Texts = [
    (None, "Bus 12 runs twenty minutes late this afternoon."),
    (Some("es"), "El autobús 12 llega veinte minutos tarde esta tarde."),
    (Some("vi"), "Xe buýt 12 đến trễ hai mươi phút chiều nay."),
];

fn message(subject: &str, kind: &str, channels: &[&str], texts: Texts) -> Value {
    let contents = texts.iter().map(|(language, body)| json!({ "language": language, "body": body }));
    json!({
        "subject": subject,
        "message_type": kind,
        "channels": channels,
        "audience": { "all": true },
        "contents": contents.collect::<Vec<_>>(),
        "redial": { "attempts_max": 3, "wait_seconds": 600 },
        "created_by": "Principal Ortiz",
    })
}

pub fn scenario() -> Scenario {
    let fates = |weights: &[(Fate, f64)]| ChannelScenario {
        fates: vec![weights.iter().copied().collect::<BTreeMap<_, _>>()],
        callbacks: Callbacks { delay: Delay::Uniform(50, 800), ..Callbacks::default() },
        ..ChannelScenario::default()
    };
    Scenario {
        voice: fates(&[
            (Fate::Human, 0.6),
            (Fate::Machine, 0.2),
            (Fate::NoAnswer, 0.1),
            (Fate::Busy, 0.06),
            (Fate::Failed, 0.04),
        ]),
        sms: fates(&[(Fate::Delivered, 0.95), (Fate::Undelivered, 0.05)]),
        email: fates(&[(Fate::Delivered, 0.96), (Fate::Bounced, 0.04)]),
        ..Scenario::default()
    }
}

/// Each channel at a pace of its own, so that they are at different places.
fn limits() -> Vec<ChannelLimits> {
    [(Channel::Voice, 14.0), (Channel::Sms, 30.0), (Channel::Email, 22.0), (Channel::Inbox, 90.0)]
        .map(|(channel, rate)| ChannelLimits {
            channel,
            rate_per_second: Some(rate),
            burst: Some(4),
            concurrency: None,
        })
        .to_vec()
}
