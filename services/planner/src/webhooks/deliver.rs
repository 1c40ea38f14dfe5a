//! Sending what is due. Each endpoint is served by a task of its own, which has a lease of it: one that does not answer
//! holds up itself alone, and is never sent more at once than `AT_ONCE_MAX`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use tocsin_domain::webhook::{
    Answer, DeliveryState, DisabledReason, FAILING_FOR_MAX, Fault, NextTry, next_try,
};
use tocsin_runtime::metrics::WEBHOOK_DELIVERIES;
use tocsin_runtime::{CancellationToken, Progress, Tasks};
use tocsin_store::webhooks::{DueDelivery, Record, Recorded, Served, Turn};
use tocsin_webhooks::{EndpointSecret, Message, message_id, sign};

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
    serving: Arc<AtomicUsize>,
}

impl Deliverer {
    pub fn new(planner: Planner, outbound: Outbound) -> Self {
        Self { planner, outbound, serving: Arc::default() }
    }

    /// Starts a turn for each endpoint that has something due, as many as there is room for.
    pub async fn tick(&self, tasks: &Tasks) -> Result<Progress, PlannerError> {
        for served in self.take().await? {
            let deliverer = self.clone();
            let stopping = tasks.stopping().clone();
            self.serving.fetch_add(1, Ordering::Relaxed);
            tasks.spawn("planner webhook", async move {
                deliverer.serve(&served, &stopping).await;
                deliverer.serving.fetch_sub(1, Ordering::Relaxed);
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
        let room = ENDPOINTS_MAX.saturating_sub(self.serving.load(Ordering::Relaxed));
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
        let mut turn = Turn::default();
        for some in due.chunks(AT_ONCE_MAX) {
            let answers = join_all(some.iter().map(|delivery| self.post(served, &secrets, delivery))).await;
            let now = store.now().await?;
            for (delivery, answer) in some.iter().zip(answers) {
                self.note(&mut turn, served, (delivery, answer), now);
            }
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
        let message = Message { url: &served.url, id: &id, at, signature: &signature, body: &delivery.body };
        self.outbound.client.post(message).await
    }

    fn note(
        &self,
        turn: &mut Turn,
        served: &Served,
        (delivery, answer): (&DueDelivery, Answer),
        now: DateTime<Utc>,
    ) {
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
                let fails_long = served.failing_since.is_some_and(|since| now - since >= FAILING_FOR_MAX);
                if fails_long && turn.disable.is_none() {
                    turn.disable = Some(DisabledReason::Failing);
                }
            }
            NextTry::Gone => turn.disable = Some(DisabledReason::Gone),
        }
        // One that takes something does not fail, whatever else it refuses.
        if turn.took_some.is_some() && turn.disable == Some(DisabledReason::Failing) {
            turn.disable = None;
        }
        turn.records.push(Record {
            id: delivery.id,
            attempts: delivery.attempts,
            state,
            next_at,
            status,
            fault,
        });
    }
}
