//! Running until asked to leave, and leaving in order: first what takes work in, then, when every callback that
//! was answered is applied, what applies them. A broker in memory keeps nothing for the next start.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tocsin_domain::Lane;
use tocsin_queue::{Broker, Queue, QueueError};
use tocsin_runtime::Tasks;
use tocsin_testkit::simulator::Simulator;

/// How long the roles are given to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(25);
/// How long the callbacks that were taken may take to be applied.
const APPLY_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Every role at work.
pub struct Running {
    pub tasks: Tasks,
    /// Applies callbacks. Leaves after the others.
    pub applying: Tasks,
    pub simulator: Option<Simulator>,
    /// The broker in memory: what it holds at the end is gone.
    pub memory: Option<Arc<dyn Broker>>,
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
        let mut stopped = self.tasks.stop(LEAVE_WITHIN).await;
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
        if let Some(broker) = self.memory {
            match tokio::time::timeout(APPLY_WITHIN, applied(broker.as_ref())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "callbacks may not all be applied"),
                Err(_) => tracing::warn!("callbacks are not all applied"),
            }
        }
        let applying = self.applying.stop(APPLY_WITHIN).await;
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

/// Waits until no callback waits on a status queue.
async fn applied(broker: &dyn Broker) -> Result<(), QueueError> {
    let session = broker.connect("up leaving").await?;
    for lane in Lane::ALL {
        while session.depth(Queue::Status(lane)).await? > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    session.close().await;
    Ok(())
}
