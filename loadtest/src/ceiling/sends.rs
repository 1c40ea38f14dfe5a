//! From the queue to the provider, and what it answered to the table.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use tocsin_domain::policy::REQUEST_DEADLINE;
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey, Lane};
use tocsin_proto::Envelope;
use tocsin_proto::v1::Job;
use tocsin_providers::{AccountSettings, Answer, Provider, ProviderKind, Registry, SendRequest};
use tocsin_queue::{Acker, Session, Tag};
use tocsin_testkit::simulator::{SENDER, Scenario};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::table::Table;
use super::{BATCH, QUEUE};

const ACCOUNT: &str = "sms";
const TEXT: &str = "School is closed today, Load stays at home.";
const VALID_FOR: Duration = Duration::from_secs(4 * 3_600);

/// The bytes of a released job.
pub fn body(number: usize) -> Bytes {
    Envelope::new(Job {
        campaign_id: Bytes::copy_from_slice(Uuid::max().as_bytes()),
        job_id: i32::try_from(number).unwrap_or(i32::MAX),
        generation: 1,
        channel: i32::from(Channel::Sms.number()),
        lane: i32::from(Lane::General.number()),
        account_id: 1,
        traceparent: String::new(),
    })
    .into_bytes()
}

pub struct Sender {
    provider: Arc<dyn Provider>,
    callbacks_url: String,
    in_flight: usize,
}

impl Sender {
    pub fn new(provider_url: &str, callbacks_url: String, in_flight: usize) -> Result<Self> {
        let credentials = Scenario::default().credentials;
        let registry = Registry::build(vec![AccountSettings {
            name: ACCOUNT.to_owned(),
            channel: Channel::Sms,
            kind: ProviderKind::Twilio,
            base_url: provider_url.to_owned(),
            user: credentials.twilio_account.clone(),
            secret: credentials.twilio_token.clone(),
            signing_keys: vec![],
            sender: SENDER.to_owned(),
            domain: None,
            ca_file: None,
            profile: None,
            connections_max: None,
        }])?;
        let provider = registry.get(ACCOUNT).context("no account")?;
        Ok(Self { provider, callbacks_url, in_flight })
    }

    fn request(&self, job: i32) -> SendRequest {
        let key = JobKey { campaign: CampaignId(Uuid::max()), job };
        SendRequest {
            attempt: AttemptKey { job: key, number: 1 },
            from: None,
            to: format!("+1202555{:04}", job % 10_000),
            extension: None,
            language: None,
            detection: None,
            audio_url: None,
            call_url: None,
            confirm: false,
            unsubscribe_url: None,
            tag: None,
            subject: None,
            body: TEXT.to_owned(),
            files: Default::default(),
            callback_url: format!("{}/{job}", self.callbacks_url),
            valid_for: VALID_FOR,
            start_within: Duration::from_secs(2),
            deadline: REQUEST_DEADLINE,
        }
    }
}

/// Sends every job, and ends when all answers are kept.
pub async fn run(session: Arc<dyn Session>, sender: Sender, table: Table, jobs: usize) -> Result<()> {
    let prefetch = u16::try_from(2 * sender.in_flight.max(BATCH)).unwrap_or(u16::MAX);
    let mut consumer = session.consume(QUEUE, prefetch).await?;
    let (answers, to_record) = mpsc::channel(4 * BATCH);
    let tracker = TaskTracker::new();
    let recording = tracker.spawn(record(table, to_record, consumer.acker(), jobs));
    let slots = Arc::new(Semaphore::new(sender.in_flight));
    let sender = Arc::new(sender);
    let mut sent = 0;
    while sent < jobs {
        let batch = consumer.next_batch(BATCH).await.context("the session was lost")?;
        sent += batch.len();
        for delivery in batch {
            let job = Envelope::<Job>::decode(delivery.body)?.message.job_id;
            let slot = Arc::clone(&slots).acquire_owned().await?;
            let (sender, answers) = (Arc::clone(&sender), answers.clone());
            tracker.spawn(async move {
                let answer = sender.provider.send(&sender.request(job)).await;
                drop(slot);
                // Nobody records any more: its own error is told.
                let _ = answers.send((job, delivery.tag, answer)).await;
            });
        }
    }
    drop(answers);
    recording.await?
}

async fn record(
    table: Table,
    mut answers: mpsc::Receiver<(i32, Tag, Answer)>,
    acker: Acker,
    jobs: usize,
) -> Result<()> {
    let statement = table.recording().await?;
    let mut recorded = 0;
    let mut batch = Vec::with_capacity(BATCH);
    while recorded < jobs && answers.recv_many(&mut batch, BATCH).await > 0 {
        let mut rows = Vec::with_capacity(batch.len());
        let mut tags = Vec::with_capacity(batch.len());
        for (job, tag, answer) in batch.drain(..) {
            let Answer::Accepted { provider_id, .. } = answer else { bail!("job {job}: {answer:?}") };
            rows.push((job, provider_id.unwrap_or_default()));
            tags.push(tag);
        }
        recorded += rows.len();
        table.write(&statement, rows).await?;
        acker.ack(&tags).await?;
    }
    Ok(())
}
