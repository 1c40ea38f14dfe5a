//! The collector: ingress as providers meet it, and the queues behind it a batch at a time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use chrono::{DateTime, Utc};
use tocsin_providers::{Registry, TokenKeys};
use tocsin_queue::Queue;
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Progress, Tasks};
use tocsin_status_collector::{Applying, Collector, Counts, Ingress, Rematch};

use super::PUBLIC_URL;
use crate::broker::FaultyBroker;
use crate::clock::SimulatedClock;
use crate::database::Database;
use crate::provider::{Callback, FORGED, Text};

#[derive(Debug)]
pub struct SimulatedCollector {
    collector: Collector,
    ingress: Ingress,
    publishing: Tasks,
    applying: Vec<(Queue, Applying)>,
    rematch: Rematch,
}

impl SimulatedCollector {
    pub fn new(
        database: &Database,
        broker: &FaultyBroker,
        clock: &SimulatedClock,
        registry: Arc<Registry>,
        token_keys: TokenKeys,
    ) -> Self {
        let collector = Collector {
            store: database.store.clone(),
            broker: Arc::new(broker.clone()),
            clock: clock.shared(),
            registry,
            token_keys,
            public_url: PUBLIC_URL.to_owned(),
            counts: Arc::new(Counts::default()),
            spans: Spans::none(),
        };
        let (ingress, publish) = Ingress::new(&collector);
        let publishing = Tasks::new();
        publishing.spawn("ingress", publish);
        Self { collector, ingress, publishing, applying: Vec::new(), rematch: Rematch::default() }
    }

    /// A provider posts a report. Returns how it is answered.
    pub async fn post(&self, callback: &Callback, forged: bool) -> Result<StatusCode> {
        let uri = format!("/callbacks/{}/{}", callback.account, callback.token);
        let mut request = Request::post(uri);
        if forged {
            request = request.header(FORGED, "yes");
        }
        let request = request.body(Body::from(callback.body()))?;
        Ok(self.ingress.answer(&callback.account, Some(&callback.token), request).await)
    }

    /// A person's text is passed on. Returns how it is answered.
    pub async fn post_text(&self, text: &Text) -> Result<StatusCode> {
        let request = Request::post(format!("/inbound/{}", text.account)).body(Body::from(text.body()))?;
        Ok(self.ingress.answer_text(&text.account, request).await.status())
    }

    /// By its own clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.collector.clock.now()
    }

    /// Applies a batch of what is there. Returns how many callbacks it was.
    pub async fn apply(&mut self, queue: Queue, batch_max: usize) -> Result<usize> {
        let applying = self.session(queue).await?;
        let batch = applying.take(batch_max);
        let callbacks = batch.len();
        if callbacks > 0 {
            applying.apply(batch).await?;
        }
        Ok(callbacks)
    }

    /// As [`SimulatedCollector::apply`], of a collector that is gone before it acknowledges.
    pub async fn apply_and_crash(&mut self, queue: Queue) -> Result<()> {
        let applying = self.session(queue).await?;
        let batch = applying.take(usize::MAX);
        applying.break_session().await;
        if !batch.is_empty() {
            // What is written cannot be acknowledged.
            let _ = applying.apply(batch).await;
        }
        self.applying.retain(|(of, _)| *of != queue);
        Ok(())
    }

    pub async fn rematch(&mut self) -> Result<()> {
        while self.rematch.tick(&self.collector).await? == Progress::More {}
        Ok(())
    }

    pub async fn stop(self) {
        drop(self.ingress);
        self.publishing.stop(Duration::from_secs(5)).await;
    }

    async fn session(&mut self, queue: Queue) -> Result<&mut Applying> {
        self.applying.retain(|(_, applying)| !applying.is_lost());
        if !self.applying.iter().any(|(of, _)| *of == queue) {
            let applying = Applying::open(&self.collector, queue).await?;
            self.applying.push((queue, applying));
        }
        let known = self.applying.iter_mut().find(|(of, _)| *of == queue);
        known.map(|(_, applying)| applying).context("a session that was just opened")
    }
}
