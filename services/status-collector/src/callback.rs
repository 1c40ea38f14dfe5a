//! A callback as it travels from ingress to apply.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptKey, CampaignId, JobKey, Lane};
use tocsin_proto::v1::{Header, RawCallback};
use tocsin_proto::{Envelope, ProtoError};
use tocsin_providers::RawRequest;
use uuid::Uuid;

/// Verification is done with these; nobody behind the queue needs a credential.
const CREDENTIALS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// A verified request and what its token says. Its `Debug` shows no body, address or token.
#[derive(Debug, Clone, PartialEq)]
pub struct Callback {
    /// Drawn at ingress: the events' id, by which a redelivery is known.
    pub id: Uuid,
    pub received_at: DateTime<Utc>,
    /// Name of the provider account.
    pub account: String,
    pub raw: RawRequest,
    /// None: the request carried no token.
    pub attempt: Option<AttemptKey>,
    /// Without a token: general.
    pub lane: Lane,
}

/// A message on a status queue that is no callback. The words hold nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("not a RawCallback")]
    Proto(#[from] ProtoError),
    #[error("{field} has {bytes} bytes, a UUID has 16")]
    Uuid { field: &'static str, bytes: usize },
    #[error("{field} is out of range")]
    Range { field: &'static str },
}

impl Callback {
    pub fn into_bytes(self) -> Bytes {
        let headers = self
            .raw
            .headers
            .into_iter()
            .filter(|(name, _)| !CREDENTIALS.iter().any(|secret| name.eq_ignore_ascii_case(secret)))
            .map(|(name, value)| Header { name, value })
            .collect();
        let (campaign_id, job_id, attempt) = match self.attempt {
            Some(AttemptKey { job: JobKey { campaign, job }, number }) => {
                (Bytes::copy_from_slice(campaign.0.as_bytes()), job, i32::from(number))
            }
            None => (Bytes::new(), 0, 0),
        };
        Envelope::new(RawCallback {
            id: Bytes::copy_from_slice(self.id.as_bytes()),
            received_at_ms: self.received_at.timestamp_millis(),
            account: self.account,
            method: self.raw.method,
            url: self.raw.url,
            headers,
            body: self.raw.body,
            campaign_id,
            job_id,
            attempt,
            lane: i32::from(self.lane.number()),
        })
        .into_bytes()
    }

    /// Reads what [`Callback::into_bytes`] wrote.
    pub fn read(body: Bytes) -> Result<Self, Unreadable> {
        let message = Envelope::<RawCallback>::decode(body)?.message;
        let range = |field| Unreadable::Range { field };
        let headers = message.headers.into_iter().map(|header| (header.name, header.value)).collect();
        let attempt = match message.campaign_id.len() {
            0 => None,
            _ => Some(AttemptKey {
                job: JobKey {
                    campaign: CampaignId(uuid("campaign_id", &message.campaign_id)?),
                    job: message.job_id,
                },
                number: i16::try_from(message.attempt).map_err(|_| range("attempt"))?,
            }),
        };
        let lane = i16::try_from(message.lane).ok().and_then(Lane::from_number);
        Ok(Self {
            id: uuid("id", &message.id)?,
            received_at: DateTime::from_timestamp_millis(message.received_at_ms)
                .ok_or_else(|| range("received_at_ms"))?,
            account: message.account,
            raw: RawRequest { method: message.method, url: message.url, headers, body: message.body },
            attempt,
            lane: lane.ok_or_else(|| range("lane"))?,
        })
    }
}

fn uuid(field: &'static str, bytes: &[u8]) -> Result<Uuid, Unreadable> {
    Uuid::from_slice(bytes).map_err(|_| Unreadable::Uuid { field, bytes: bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback() -> Callback {
        Callback {
            id: Uuid::from_u128(7),
            received_at: DateTime::from_timestamp_millis(1_800_000_000_123).unwrap(),
            account: "sms-1".into(),
            raw: RawRequest {
                method: "POST".into(),
                url: "https://bell.example/callbacks/sms-1/t?a=%20b".into(),
                headers: vec![("X-Twilio-Signature".into(), "s".into())],
                body: Bytes::from_static(b"a=1&\xff\x00"),
            },
            attempt: Some(AttemptKey {
                job: JobKey { campaign: CampaignId(Uuid::from_u128(8)), job: 70_000 },
                number: 3,
            }),
            lane: Lane::Emergency,
        }
    }

    #[test]
    fn a_callback_is_read_as_it_was_written_with_and_without_a_token() {
        let unmatched = Callback { attempt: None, lane: Lane::General, ..callback() };
        for written in [callback(), unmatched] {
            assert_eq!(Callback::read(written.clone().into_bytes()).unwrap(), written);
        }
    }

    #[test]
    fn credentials_stay_at_the_ingress() {
        let mut written = callback();
        written.raw.headers.push(("Authorization".into(), "Basic eDp5".into()));
        assert_eq!(Callback::read(written.into_bytes()).unwrap(), callback());
    }

    #[test]
    fn what_is_no_callback_is_refused_with_a_reason() {
        let good = Envelope::<RawCallback>::decode(callback().into_bytes()).unwrap().message;
        let short = Bytes::from_static(b"short");
        let cases = [
            (RawCallback { id: short.clone(), ..good.clone() }, "id has 5 bytes, a UUID has 16"),
            (RawCallback { campaign_id: short, ..good.clone() }, "campaign_id has 5 bytes, a UUID has 16"),
            (RawCallback { attempt: 70_000, ..good.clone() }, "attempt is out of range"),
            (RawCallback { lane: 9, ..good.clone() }, "lane is out of range"),
            (RawCallback { received_at_ms: i64::MAX, ..good }, "received_at_ms is out of range"),
        ];
        for (message, reason) in cases {
            let fault = Callback::read(Envelope::new(message).into_bytes()).unwrap_err();
            assert_eq!(fault.to_string(), reason);
        }
        let fault = Callback::read(Bytes::from_static(b"\xff\xff")).unwrap_err();
        assert_eq!(fault.to_string(), "not a RawCallback");
    }
}
