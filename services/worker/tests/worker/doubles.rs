//! Two messages of one job in one batch.

use std::sync::Arc;

use tocsin_domain::{Channel, Lane, WaitReason};
use tocsin_queue::{MemoryBroker, Queue};
use tocsin_runtime::{Clock as _, SystemClock};

use crate::stage::{BOUND, Stage};

#[tokio::test]
async fn of_two_messages_of_one_job_one_is_claimed_and_both_are_settled() {
    let broker = MemoryBroker::new();
    let stage = Stage::new(Arc::new(broker.clone())).await;
    stage.fixture.guardians(3, Channel::Inbox).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Inbox]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let first = stage.fixture.release_all().await.unwrap();
    let keys: Vec<_> = first.iter().map(|job| (job.key, job.generation)).collect();
    stage.fixture.store().give_back(&keys, SystemClock.now(), WaitReason::Republish).await.unwrap();
    let second = stage.fixture.release_all().await.unwrap();
    // The same message twice, and one of the generation before.
    for released in [&second, &second, &first] {
        stage.publish(Lane::General, released).await;
    }
    stage.start();
    stage.reaches("select count(*) from jobs where state = 4", 3).await.unwrap();
    stage.reaches("select count(*) from attempts", 3).await.unwrap();
    let queue = Queue::Jobs(Channel::Inbox, Lane::General);
    tokio::time::timeout(BOUND, broker.drained(queue)).await.unwrap();
}
