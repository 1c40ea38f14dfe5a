//! Running until asked to leave, and leaving in order: first what takes work in, then, when every callback that
//! was answered is applied, what applies them. A broker in memory keeps nothing for the next start.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use tocsin_queue::MemoryBroker;
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{CancellationToken, Stopped, Tasks};
use tocsin_status_collector::applied_queues;
use tocsin_testkit::simulator::Simulator;

/// How long the callbacks that were taken may take to be applied.
const APPLY_WITHIN: Duration = Duration::from_secs(10);
/// A collector of traces that is away does not hold up an exit for longer.
const SPANS_WITHIN: Duration = Duration::from_secs(3);

/// Every role at work.
pub struct Running {
    pub tasks: Tasks,
    /// Applies callbacks. Leaves after the others.
    pub applying: Tasks,
    /// Cancelled when nothing is to be waited for any more.
    pub hurry: CancellationToken,
    /// How long the roles are given to leave.
    pub leave_within: Duration,
    pub simulator: Option<Simulator>,
    /// What it holds at the end is gone.
    pub memory: Option<MemoryBroker>,
    /// What is still to be sent of traces goes last.
    pub spans: Spans,
    pub banner: String,
}

impl Running {
    pub async fn run(self) -> Result<ExitCode> {
        tokio::select! {
            () = self.tasks.stopping().cancelled() => {}
            // Only when one of its tasks failed.
            () = self.applying.stopping().cancelled() => {}
        }
        eprintln!("stopping; a second Ctrl-C does not wait for what is under way");
        let mut stopped = self.tasks.stop(self.leave_within).await;
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
        let applying = match self.hurry.run_until_cancelled(finish(&self.applying, self.memory)).await {
            Some(applying) => applying,
            None => {
                self.applying.abort();
                self.applying.stop(APPLY_WITHIN).await
            }
        };
        self.spans.close(SPANS_WITHIN).await;
        stopped.unfinished.extend(applying.unfinished);
        if let Some(failure) = stopped.failure.or(applying.failure) {
            bail!("{} failed: {}", failure.task, failure.why);
        }
        if stopped.unfinished.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        tracing::error!(tasks = ?stopped.unfinished, "did not leave in time");
        Ok(ExitCode::FAILURE)
    }
}

/// Stops `applying` when it has applied what the broker in memory holds.
async fn finish(applying: &Tasks, memory: Option<MemoryBroker>) -> Stopped {
    if let Some(broker) = memory {
        let applied = async {
            // Nothing comes in any more: a queue that is drained stays so.
            for queue in applied_queues() {
                broker.drained(queue).await;
            }
        };
        if tokio::time::timeout(APPLY_WITHIN, applied).await.is_err() {
            tracing::warn!("callbacks are not all applied");
        }
    }
    applying.stop(APPLY_WITHIN).await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt as _;
    use tocsin_queue::{Broker as _, Destination, Message, Queue};

    use super::*;

    #[tokio::test]
    async fn a_text_that_was_answered_is_applied_before_its_applier_is_stopped() {
        let broker = MemoryBroker::new();
        let session = broker.connect("test").await.unwrap();
        let to = Destination::Queue(Queue::Inbound);
        let text = Message { to, body: "STOP".into(), headers: Vec::new(), persistent: true };
        session.publish(vec![text]).await.unwrap();
        let mut consumer = session.consume(Queue::Inbound, 1).await.unwrap();
        let taken = consumer.next_batch(1).await.unwrap();

        let applying = Tasks::new();
        let mut finishing = pin!(finish(&applying, Some(broker)));
        assert!(finishing.as_mut().now_or_never().is_none());
        assert!(!applying.stopping().is_cancelled());
        consumer.acker().ack(&[taken[0].tag]).await.unwrap();
        finishing.await;
        assert!(applying.stopping().is_cancelled());
    }
}
