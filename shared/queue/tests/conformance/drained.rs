//! What only the broker in memory can say: that nothing of a queue is left.

use std::time::Duration;

use futures::FutureExt as _;
use tocsin_queue::MemoryBroker;

use crate::stand::{JOBS, Stand, messages, put, take};

#[tokio::test]
async fn a_queue_is_drained_when_its_last_message_is_settled_and_not_when_it_is_taken() {
    let broker = MemoryBroker::new();
    let session = Stand::Memory(broker.clone()).session().await;
    assert!(broker.drained(JOBS).now_or_never().is_some(), "nothing was ever there");
    put(&session, messages(JOBS, 0..2)).await;
    assert!(broker.drained(JOBS).now_or_never().is_none(), "both are ready");
    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    let taken = take(&mut consumer, 2).await;
    let acker = consumer.acker();
    acker.ack(&[taken[0].tag]).await.unwrap();
    assert!(broker.drained(JOBS).now_or_never().is_none(), "one is in the consumer's hands");
    let waiting = tokio::time::timeout(Duration::from_secs(60), broker.drained(JOBS));
    let settled = async { acker.ack(&[taken[1].tag]).await };
    let (drained, settled) = tokio::join!(waiting, settled);
    settled.unwrap();
    drained.expect("the last message was settled");
}
