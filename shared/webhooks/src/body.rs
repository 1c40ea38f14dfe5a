//! What is sent: thin, for it leaves the district. Ids, channels, outcomes and times; never a number, an address, a name
//! or a text. docs/WEBHOOKS.md shows each, and a test holds it to this code.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tocsin_domain::webhook::{CampaignFacts, CampaignNews, DeviceNews, EventType};
use tocsin_domain::{AttemptResult, CampaignId};
use uuid::Uuid;

use crate::WebhooksError;

#[derive(Serialize)]
struct Body<T> {
    #[serde(rename = "type")]
    event: &'static str,
    timestamp: DateTime<Utc>,
    data: T,
}

#[derive(Serialize)]
struct Campaign {
    campaign_id: CampaignId,
    number: i64,
    state: &'static str,
    scheduled_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Devices {
    campaign_id: CampaignId,
    devices: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    device_id: i32,
    recipient_id: i32,
    channel: &'static str,
    status_code: &'static str,
    result: AttemptResult,
    ended_at: DateTime<Utc>,
    /// What was told before; null: nothing.
    previous_status_code: Option<&'static str>,
}

#[derive(Serialize)]
struct Approval {
    approval_id: Uuid,
    expires_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Test {
    webhook_id: Uuid,
}

pub fn campaign_body(facts: &CampaignFacts, news: CampaignNews) -> Result<String, WebhooksError> {
    let data = Campaign {
        campaign_id: facts.campaign,
        number: facts.number,
        state: news.state.as_str(),
        scheduled_at: facts.scheduled_at,
    };
    write(news.event, news.at, data)
}

/// Of at most [`tocsin_domain::webhook::DEVICES_MAX`] devices.
pub fn devices_body(
    campaign: CampaignId,
    devices: &[DeviceNews],
    now: DateTime<Utc>,
) -> Result<String, WebhooksError> {
    let device = |news: &DeviceNews| Device {
        device_id: news.job,
        recipient_id: news.recipient,
        channel: news.channel.as_str(),
        status_code: news.outcome.code(),
        result: news.outcome.result(),
        ended_at: news.ended_at,
        previous_status_code: news.before.map(|before| before.code()),
    };
    let data = Devices { campaign_id: campaign, devices: devices.iter().map(device).collect() };
    write(EventType::DeviceOutcome, now, data)
}

/// Not what it says: who may approve looks at it where they sign in.
pub fn approval_body(
    approval: Uuid,
    asked_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<String, WebhooksError> {
    write(EventType::ApprovalRequested, asked_at, Approval { approval_id: approval, expires_at })
}

pub fn test_body(endpoint: Uuid, now: DateTime<Utc>) -> Result<String, WebhooksError> {
    write(EventType::WebhookTest, now, Test { webhook_id: endpoint })
}

fn write<T: Serialize>(event: EventType, timestamp: DateTime<Utc>, data: T) -> Result<String, WebhooksError> {
    serde_json::to_string(&Body { event: event.as_str(), timestamp, data }).map_err(WebhooksError::Body)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tocsin_domain::webhook::{BODY_BYTES_MAX, DEVICES_MAX};
    use tocsin_domain::{CampaignState, Channel, DistrictId, Outcome};

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/WEBHOOKS.md");

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_793_606_400 + seconds, 0).unwrap()
    }

    /// The sample of an event in the document: what stands after its heading in a block of JSON.
    fn sample(event: EventType) -> Value {
        let heading = format!("### `{event}`");
        let (_, rest) = DOCUMENT.split_once(&heading).unwrap_or_else(|| panic!("no {heading}"));
        let (_, rest) = rest.split_once("```json\n").unwrap();
        serde_json::from_str(rest.split_once("```").unwrap().0).unwrap()
    }

    fn campaign_facts() -> CampaignFacts {
        CampaignFacts {
            campaign: CampaignId("019b0000-0000-7000-8000-000000000001".parse().unwrap()),
            district: DistrictId(Uuid::nil()),
            number: 4711,
            state: CampaignState::Sending,
            created_at: at(0),
            scheduled_at: at(3_600),
            started_at: None,
            canceled_at: None,
            ended_at: None,
            closed_at: None,
            told: 0,
            since: at(0),
        }
    }

    fn device(number: i32, before: Option<Outcome>) -> DeviceNews {
        let outcome = if before.is_some() { Outcome::HardBounce } else { Outcome::Delivered };
        let channel = if before.is_some() { Channel::Email } else { Channel::Sms };
        DeviceNews { job: number, recipient: number, channel, outcome, ended_at: at(3_605), before }
    }

    #[test]
    fn the_document_shows_every_event_as_it_is_sent() {
        let facts = campaign_facts();
        let states = [
            (EventType::CampaignAccepted, 0, CampaignState::Scheduled),
            (EventType::CampaignSending, 3_601, CampaignState::Sending),
            (EventType::CampaignCanceling, 3_650, CampaignState::Canceling),
            (EventType::CampaignCanceled, 3_652, CampaignState::Canceled),
            (EventType::CampaignCompleted, 4_000, CampaignState::Sent),
            (EventType::CampaignFailed, 3_602, CampaignState::Failed),
            (EventType::CampaignClosed, 4_000, CampaignState::Sent),
        ];
        let mut shown = Vec::new();
        for (event, seconds, state) in states {
            let body = campaign_body(&facts, CampaignNews { event, at: at(seconds), state }).unwrap();
            shown.push((event, body));
        }
        let devices = [device(17, None), device(18, Some(Outcome::EmailSent))];
        shown.push((EventType::DeviceOutcome, devices_body(facts.campaign, &devices, at(3_610)).unwrap()));
        let endpoint = "019b0000-0000-4000-8000-000000000002".parse().unwrap();
        shown.push((EventType::WebhookTest, test_body(endpoint, at(0)).unwrap()));
        let approval = "019b0000-0000-7000-8000-000000000003".parse().unwrap();
        let asked = approval_body(approval, at(0), at(1_800)).unwrap();
        shown.push((EventType::ApprovalRequested, asked));
        assert_eq!(shown.len(), EventType::ALL.len());
        for (event, body) in shown {
            assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), sample(event), "{event}");
        }
    }

    #[test]
    fn the_most_devices_of_one_event_are_less_than_receivers_take() {
        let outcome = Outcome::all().max_by_key(|outcome| outcome.code().len()).unwrap();
        let at = DateTime::from_timestamp(1_793_606_400, 123_456_000).unwrap();
        let widest = DeviceNews {
            job: i32::MAX,
            recipient: i32::MAX,
            channel: Channel::Voice,
            outcome,
            ended_at: at,
            before: Some(outcome),
        };
        let body = devices_body(CampaignId(Uuid::max()), &[widest; DEVICES_MAX], at).unwrap();
        assert!(body.len() < BODY_BYTES_MAX, "{}", body.len());
    }
}
