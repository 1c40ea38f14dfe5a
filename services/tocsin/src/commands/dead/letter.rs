//! What a dead letter holds, by the queue that it came from. Ids and sizes: a callback's body, headers and address may
//! name people, and are never shown.

use bytes::Bytes;
use serde_json::{Value, json};
use tocsin_proto::Envelope;
use tocsin_proto::v1::{Jobs, LookUp, RawCallback, RawCallbacks, Recall};
use tocsin_queue::Queue;
use tocsin_queue::dead_letters::Letter;
use uuid::Uuid;

pub fn contents(letter: &Letter) -> Value {
    let body = letter.body.clone();
    let read = match letter.queue() {
        Some(Queue::Jobs(..)) => jobs(body),
        Some(Queue::Recall(_)) => recall(body),
        Some(Queue::LookUp(_) | Queue::EmergencyLookUp(_) | Queue::Refresh(_)) => look_up(body),
        Some(Queue::Status(_) | Queue::Inbound) => callbacks(body),
        Some(Queue::DeadLetters) | None => None,
    };
    read.unwrap_or_else(|| json!({ "unreadable": true }))
}

fn jobs(body: Bytes) -> Option<Value> {
    let jobs = Envelope::<Jobs>::decode(body).ok()?.message.jobs;
    let jobs: Vec<Value> = jobs
        .iter()
        .map(|job| {
            json!({ "campaign": id(&job.campaign_id), "job": job.job_id, "generation": job.generation,
                "account": job.account_id })
        })
        .collect();
    Some(json!({ "jobs": jobs }))
}

fn recall(body: Bytes) -> Option<Value> {
    let it = Envelope::<Recall>::decode(body).ok()?.message;
    Some(
        json!({ "campaign": id(&it.campaign_id), "job": it.job_id, "attempt": it.attempt, "account": it.account_id }),
    )
}

fn look_up(body: Bytes) -> Option<Value> {
    let it = Envelope::<LookUp>::decode(body).ok()?.message;
    Some(json!({ "campaign": id(&it.campaign_id), "job": it.job_id, "attempt": it.attempt }))
}

/// Several that came together, or one that was put aside alone.
fn callbacks(body: Bytes) -> Option<Value> {
    let several = |body: Bytes| {
        let callbacks = Envelope::<RawCallbacks>::decode(body).ok()?.message.callbacks;
        let read = callbacks.into_iter().map(callback).collect::<Option<Vec<Value>>>()?;
        (!read.is_empty()).then_some(read)
    };
    let read = match several(body.clone()) {
        Some(several) => several,
        None => vec![callback(body)?],
    };
    Some(json!({ "callbacks": read }))
}

fn callback(body: Bytes) -> Option<Value> {
    let it = Envelope::<RawCallback>::decode(body).ok()?.message;
    let received_at = chrono::DateTime::from_timestamp_millis(it.received_at_ms);
    Some(json!({
        "id": id(&it.id), "received_at": received_at, "account": it.account, "method": it.method,
        "campaign": id(&it.campaign_id), "job": it.job_id, "attempt": it.attempt,
        "url_bytes": it.url.len(), "headers": it.headers.len(), "body_bytes": it.body.len(),
    }))
}

/// None: there is none, or it is no UUID.
fn id(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use tocsin_proto::v1::Header;

    use super::*;

    #[test]
    fn a_callbacks_sizes_are_shown_and_nothing_of_what_it_says() {
        let secret = "+15005550006";
        let raw = RawCallback {
            id: Uuid::from_u128(7).as_bytes().to_vec().into(),
            received_at_ms: 1_800_000_000_000,
            account: "main-text".to_owned(),
            method: "POST".to_owned(),
            url: format!("https://calls.example.org/callbacks/{secret}"),
            headers: vec![Header { name: "x-to".to_owned(), value: secret.to_owned() }],
            body: format!("To={secret}").into_bytes().into(),
            job_id: 3,
            ..RawCallback::default()
        };
        let alone = Envelope::new(raw.clone()).into_bytes();
        let together = Envelope::new(RawCallbacks { callbacks: vec![alone.clone()] }).into_bytes();
        for body in [alone, together] {
            let shown = callbacks(body).unwrap();
            assert!(!shown.to_string().contains("5550006"), "{shown}");
            let one = &shown["callbacks"][0];
            assert_eq!((&one["job"], &one["body_bytes"]), (&json!(3), &json!(raw.body.len())), "{shown}");
        }
    }
}
