//! Sending what is due. Each endpoint is served by a task of its own, which has a lease of it: one that does not answer
//! holds up itself alone, and is never sent more at once than `AT_ONCE_MAX`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use tocsin_domain::CampaignId;
use tocsin_domain::trace::Context;
use tocsin_domain::webhook::{Answer, DeliveryState, Fault, NextTry, gives_up, next_try};
use tocsin_runtime::metrics::WEBHOOK_DELIVERIES;
use tocsin_runtime::telemetry::campaign_root;
use tocsin_runtime::{CancellationToken, Progress, Tasks};
use tocsin_store::webhooks::{DueDelivery, Record, Recorded, Served, Turn};
use tocsin_webhooks::{EndpointSecret, Message, message_id, sign};
use tokio::sync::Semaphore;

use super::Outbound;
use crate::{Planner, PlannerError};

/// Endpoints that one planner serves at a time.
const ENDPOINTS_MAX: usize = 64;
/// Deliveries of one turn of an endpoint.
const DELIVERIES_MAX: i64 = 16;
/// Requests to one endpoint that are open at once.
const AT_ONCE_MAX: usize = 4;
/// Longer than a turn takes in which every request runs into its deadline: four times 15 s.
const TURN_SECONDS: f64 = 90.0;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deliverer {
    planner: Planner,
    outbound: Outbound,
    /// A permit for each turn, which goes with it however it ends.
    places: Arc<Semaphore>,
}

impl Deliverer {
    pub fn new(planner: Planner, outbound: Outbound) -> Self {
        Self { planner, outbound, places: Arc::new(Semaphore::new(ENDPOINTS_MAX)) }
    }

    /// Starts a turn for each endpoint that has something due, as many as there is room for.
    pub async fn tick(&self, tasks: &Tasks) -> Result<Progress, PlannerError> {
        for served in self.take().await? {
            // Nobody else takes places, so there is one; without, the endpoint waits until its lease is over.
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { break };
            let deliverer = self.clone();
            let stopping = tasks.stopping().clone();
            tasks.spawn("planner webhook", async move {
                deliverer.serve(&served, &stopping).await;
                drop(place);
                deliverer.outbound.wake.notify_one();
            });
        }
        Ok(Progress::Idle)
    }

    /// One turn for each endpoint that has something due, to its end. Returns how many there were.
    pub async fn deliver(&self) -> Result<usize, PlannerError> {
        let taken = self.take().await?;
        let stopping = CancellationToken::new();
        join_all(taken.iter().map(|served| self.serve(served, &stopping))).await;
        Ok(taken.len())
    }

    async fn take(&self) -> Result<Vec<Served>, PlannerError> {
        let room = self.places.available_permits();
        let (store, id) = (&self.planner.store, self.planner.id);
        if room == 0 {
            return Ok(Vec::new());
        }
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        Ok(store.serve_webhooks(id, room, TURN_SECONDS, store.now().await?).await?)
    }

    /// A turn that cannot be recorded is done again when its lease is over: receivers know a repetition by its id.
    async fn serve(&self, served: &Served, stopping: &CancellationToken) {
        let (district, endpoint) = (served.district, served.endpoint);
        match self.turn(served, stopping).await {
            Ok(Recorded::Done) => {}
            Ok(Recorded::Disabled) => {
                tracing::warn!(district.id = %district, webhook.id = %endpoint, "webhook disabled");
            }
            Err(error) => {
                tracing::warn!(district.id = %district, webhook.id = %endpoint, %error, "webhook's turn failed");
            }
        }
    }

    async fn turn(&self, served: &Served, stopping: &CancellationToken) -> Result<Recorded, PlannerError> {
        let store = &self.planner.store;
        let due = store.due_deliveries(served, DELIVERIES_MAX, store.now().await?).await?;
        let secrets = served.secrets.iter().map(|name| self.outbound.keys.secret(served.endpoint, name));
        let secrets: Vec<EndpointSecret> = secrets.flatten().collect();
        let (mut turn, mut tries) = (Turn::default(), Vec::new());
        for some in due.chunks(AT_ONCE_MAX) {
            let answers = join_all(some.iter().map(|delivery| self.post(served, &secrets, delivery))).await;
            let now = store.now().await?;
            for (delivery, answer) in some.iter().zip(answers) {
                tries.push(self.note(&mut turn, delivery, answer, now));
            }
            turn.disable = gives_up(&tries, served.failing_since, now);
            // What failed is left alone for a moment; the rest waits as it is, and where the process is to leave.
            if turn.hold_until.is_some() || turn.disable.is_some() || stopping.is_cancelled() {
                break;
            }
        }
        Ok(store.record_deliveries(self.planner.id, served, &turn, store.now().await?).await?)
    }

    async fn post(&self, served: &Served, secrets: &[EndpointSecret], delivery: &DueDelivery) -> Answer {
        if secrets.is_empty() {
            return Answer::None(Fault::NoSecret);
        }
        let (id, at) = (message_id(delivery.id), self.planner.clock.now());
        let signature = sign(secrets, &id, at.timestamp(), &delivery.body);
        let trace = delivery.campaign.map(|campaign| self.trace(campaign).to_string());
        let message = Message {
            url: &served.url,
            id: &id,
            at,
            signature: &signature,
            trace: trace.as_deref(),
            body: &delivery.body,
        };
        self.outbound.client.post(message).await
    }

    /// The campaign's trace goes on at the receiver's, which keeps it where this side does.
    fn trace(&self, campaign: CampaignId) -> Context {
        Context { sampled: self.planner.spans.on(), ..campaign_root(campaign) }
    }

    fn note(&self, turn: &mut Turn, delivery: &DueDelivery, answer: Answer, now: DateTime<Utc>) -> NextTry {
        let (status, fault) = match answer {
            Answer::Status { status, .. } => (Some(status), None),
            Answer::None(fault) => (None, Some(fault)),
        };
        let next = next_try(answer, delivery.attempts + 1, now, (self.outbound.chance)());
        let result = match next {
            NextTry::Delivered => "delivered",
            NextTry::Again { .. } => "again",
            NextTry::Failed { .. } => "failed",
            NextTry::Gone => "gone",
        };
        WEBHOOK_DELIVERIES.of([result]).one();
        let (state, next_at) = match next {
            NextTry::Delivered => (DeliveryState::Delivered, None),
            NextTry::Again { at, .. } => (DeliveryState::Waiting, Some(at)),
            NextTry::Failed { .. } | NextTry::Gone => (DeliveryState::Failed, None),
        };
        match next {
            NextTry::Delivered => turn.took_some = Some(now),
            NextTry::Again { hold_until, .. } | NextTry::Failed { hold_until } => {
                turn.hold_until = turn.hold_until.max(Some(hold_until));
            }
            NextTry::Gone => {}
        }
        turn.records.push(Record {
            id: delivery.id,
            attempts: delivery.attempts,
            due_at: delivery.due_at,
            state,
            next_at,
            status,
            fault,
        });
        next
    }
}
