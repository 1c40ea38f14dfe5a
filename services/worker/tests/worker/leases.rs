//! Renewing leases and sending don't wait for each other.

use std::sync::{Arc, Condvar, Mutex};

use async_trait::async_trait;
use tocsin_domain::Lane;
use tocsin_queue::{Broker, MemoryBroker, QueueError, Session};
use tocsin_runtime::Stopped;

use crate::stage::{BOUND, Stage, connect};

/// A broker whose connecting stops the thread it is asked on, until the gate is opened.
#[derive(Debug, Clone)]
struct Stuck {
    broker: MemoryBroker,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Stuck {
    fn new() -> Self {
        Self { broker: MemoryBroker::new(), gate: Arc::default() }
    }

    /// Ends every session, and lets nobody connect.
    fn shut(&self) {
        *self.gate.0.lock().unwrap() = false;
        self.broker.disconnect_all();
    }

    fn open(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }
}

#[async_trait]
impl Broker for Stuck {
    async fn connect(&self, name: &str) -> Result<Arc<dyn Session>, QueueError> {
        drop(self.gate.1.wait_while(self.gate.0.lock().unwrap(), |open| !*open).unwrap());
        self.broker.connect(name).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_holds_up_sending_delays_no_renewal() {
    let broker = Stuck::new();
    broker.open();
    let stage = Stage::new(Arc::new(broker.clone())).await;
    let released = stage.released(1).await;
    stage.start();
    stage.publish(Lane::General, &released).await;
    stage.reaches("select count(*) from inbox_messages", 1).await.unwrap();
    // An account that was used just now is kept.
    broker.shut();
    let renewed = stage.reaches("select max(epoch) from leases", 5).await;
    broker.open();
    renewed.unwrap();
    assert_eq!(stage.tasks.stop(BOUND).await, Stopped::default());
    let left: i64 = stage.client.query_one("select count(*) from leases", &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "a worker that leaves in order gives its leases up");
}

#[tokio::test]
async fn a_renewal_that_waits_stops_no_sending() {
    let stage = Stage::new(Arc::new(MemoryBroker::new())).await;
    let released = stage.released(4).await;
    let (first, others) = released.split_at(1);
    stage.start();
    stage.publish(Lane::General, first).await;
    stage.reaches("select count(*) from inbox_messages", 1).await.unwrap();

    let holder = connect(&stage.database.url).await;
    holder.batch_execute("begin; select from provider_accounts for update").await.unwrap();
    let renewals_held = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%renew_leases%'";
    stage.reaches(renewals_held, 1).await.unwrap();
    stage.publish(Lane::General, others).await;
    stage.reaches("select count(*) from inbox_messages", 4).await.unwrap();
    stage.reaches(renewals_held, 1).await.unwrap();
    holder.batch_execute("commit").await.unwrap();
    assert_eq!(stage.tasks.stop(BOUND).await, Stopped::default());
}
