//! How fast a broker takes and gives messages: confirmed publishes and acknowledged deliveries per
//! second, in batches.
//!
//! `throughput URL [COUNT]`: the virtual host should be one for this alone, as its queue
//! `sms.general` is emptied. `throughput memory` measures the in-memory broker.

#![allow(clippy::print_stdout, reason = "the numbers are its output")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tocsin_domain::{Channel, Lane};
use tocsin_queue::{Broker, Destination, MemoryBroker, Message, Published, Queue, RabbitBroker, Session};
use tokio::task::JoinSet;

const QUEUE: Queue = Queue::Jobs(Channel::Sms, Lane::General);
const BATCH: usize = 500;
const PREFETCH: u16 = 2000;

/// About what a job with its trace context takes.
const BODY_BYTES: usize = 80;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: throughput URL|memory [COUNT]")?;
    let count: usize = arguments.next().map_or(Ok(100_000), |count| count.parse())?;
    let broker: Arc<dyn Broker> = match url.as_str() {
        "memory" => Arc::new(MemoryBroker::new()),
        url => Arc::new(RabbitBroker::new(url)?),
    };
    let begun = Instant::now();
    let session = broker.connect("throughput").await?;
    println!("connect and declare: {:.0?}", begun.elapsed());
    session.purge(QUEUE).await?;
    for tasks in [1, 2, 4] {
        publish(&session, tasks, count).await?;
        consume(&session, count).await?;
    }
    session.close().await;
    Ok(())
}

async fn publish(session: &Arc<dyn Session>, tasks: usize, count: usize) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut publishing = JoinSet::new();
    for _ in 0..tasks {
        let session = session.clone();
        publishing.spawn(async move {
            for _ in 0..count / tasks / BATCH {
                let answers = session.publish(batch()).await?;
                if answers.iter().any(|answer| *answer != Published::Confirmed) {
                    return Err(Failure::from("a message was not confirmed"));
                }
            }
            Ok(())
        });
    }
    while let Some(done) = publishing.join_next().await {
        done??;
    }
    println!("published, {tasks} at a time: {:.0}/s", count as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

fn batch() -> Vec<Message> {
    let message = Message {
        to: Destination::Queue(QUEUE),
        body: Bytes::from_static(&[7; BODY_BYTES]),
        headers: vec![(
            "traceparent".into(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        )],
        persistent: true,
    };
    vec![message; BATCH]
}

async fn consume(session: &Arc<dyn Session>, count: usize) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut consumer = session.consume(QUEUE, PREFETCH).await?;
    let (mut taken, mut batches) = (0, 0);
    while taken < count / BATCH * BATCH {
        let batch = consumer.next_batch(BATCH).await.ok_or("the session was lost")?;
        consumer.acker().ack(&batch.iter().map(|delivery| delivery.tag).collect::<Vec<_>>()).await?;
        taken += batch.len();
        batches += 1;
    }
    let rate = taken as f64 / begun.elapsed().as_secs_f64();
    println!("consumed and acknowledged: {rate:.0}/s in batches of {}", taken / batches);
    Ok(())
}
