//! `/campaigns/{id}/recipients/{recipient}`: why a recipient's devices are not tried yet, or what happened to them
//! (promise 12).

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tocsin_domain::CampaignId;
use tocsin_domain::trace::TraceId;
use tocsin_store::tenant::why::Meant;

use super::access::Visitor;
use super::page::{Refused, Shell, answer};
use super::recipients::Address;
use super::when::{Stamp, reading};
use super::words;
use crate::campaigns::existing;
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::why::{DeviceView, explained};

#[derive(Template)]
#[template(path = "why.html")]
struct WhyPage {
    shell: Shell,
    campaign: CampaignId,
    number: i64,
    subject: String,
    recipient: String,
    student: Option<String>,
    /// The campaign's own.
    trace: TraceId,
    devices: Vec<Shown>,
}

struct Shown {
    channel: &'static str,
    address: Address,
    answer: String,
    trace: String,
    /// Of the attempts before, in order.
    earlier: Vec<String>,
    steps: Vec<Told>,
}

struct Told {
    at: Stamp,
    what: String,
}

/// `GET /campaigns/{id}/recipients/{recipient}`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    Path((id, recipient)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let id: CampaignId = id.parse().map_err(|_| Refused::unknown_campaign())?;
    let unknown =
        || Problem::new(Kind::UnknownRecipient, "this campaign has no such recipient with a device");
    let campaign = existing(&visitor.tenant, id).await?;
    // There is none behind the last number.
    let number = recipient.parse().ok().filter(|number| *number < i32::MAX).ok_or_else(unknown)?;
    let now = api.clock.now();
    let devices = explained(&visitor.tenant, &campaign, &Meant::Recipient(number), reading(now)).await?;
    let (name, student) =
        devices.first().map(|first| (first.recipient.clone(), first.student.clone())).ok_or_else(unknown)?;
    let shown = |device: DeviceView| Shown {
        earlier: earlier(&device),
        channel: words::channel(device.channel),
        address: Address::of(&device.address),
        answer: device.answer,
        trace: device.trace_id,
        steps: device
            .steps
            .into_iter()
            .map(|step| Told { at: visitor.zone.brief(step.at, now), what: step.what })
            .collect(),
    };
    let page = WhyPage {
        shell: Shell::new(format!("What became of the message to {name}"), &visitor.who, ""),
        campaign: id,
        number: campaign.number,
        subject: campaign.subject,
        recipient: name,
        student,
        trace: TraceId::of_campaign(id),
        devices: devices.into_iter().map(shown).collect(),
    };
    Ok(answer(StatusCode::OK, &page))
}

fn earlier(device: &DeviceView) -> Vec<String> {
    let mut traces: Vec<String> = Vec::new();
    for trace in device.steps.iter().filter_map(|step| step.trace_id.as_ref()) {
        if *trace != device.trace_id && !traces.contains(trace) {
            traces.push(trace.clone());
        }
    }
    traces
}
