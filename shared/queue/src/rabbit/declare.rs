//! Declaring the topology. Redeclaring what is there with the same properties changes nothing.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind};

use super::link::Link;
use crate::error::QueueError;
use crate::message::Queue;
use crate::topology::{
    CONTROL_EXCHANGE, CONTROL_LENGTH_MAX, CONTROL_TTL, DEAD_EXCHANGE, DEAD_REDELIVERIES_MAX, DELIVERIES_MAX,
    EXCHANGES, ExchangeKind,
};

const QUEUE_REMEDY: &str = "it exists with other properties; let it run empty, delete it \
                            (rabbitmqctl delete_queue NAME) and start again";
const DEAD_LETTERS_REMEDY: &str = "empty it with tocsin dead, then delete it (rabbitmqctl delete_queue dead-letters): \
                                   whoever connects next makes it anew";
const EXCHANGE_REMEDY: &str = "it exists as another kind; delete it and start again";

/// Declares the queue of dead letters. One that is there with other properties, as an earlier release made it, is used as it
/// is: what waits in it is nowhere else, and it takes what it is sent. A mismatch kills the channel, so the caller gives one
/// to throw away.
pub(super) async fn dead_letters(link: &Link, channel: &Channel) -> Result<(), QueueError> {
    match quorum_queue(link, channel, Queue::DeadLetters).await {
        Err(QueueError::Topology { name, source, .. }) if is_mismatch(&source) => {
            let remedy = DEAD_LETTERS_REMEDY;
            tracing::warn!(name, remedy, error = %source, "made with other properties: used as it is");
            Ok(())
        }
        declared => declared,
    }
}

/// Declares all else that is durable, on a channel to throw away, and binds every queue.
pub(super) async fn durable(link: &Link, channel: &Channel) -> Result<(), QueueError> {
    for (name, kind) in EXCHANGES {
        exchange(link, channel, name, kind).await?;
    }
    for queue in Queue::all() {
        if queue != Queue::DeadLetters {
            quorum_queue(link, channel, queue).await?;
        }
        let name = queue.name();
        bind(link, channel, &name, queue.exchange(), &name).await?;
    }
    Ok(())
}

/// Declares and binds the session's own control queue, and returns the name the broker gave it.
pub(super) async fn control_queue(link: &Link, channel: &Channel) -> Result<String, QueueError> {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let ttl = u32::try_from(CONTROL_TTL.as_millis()).unwrap_or(u32::MAX);
    let arguments = arguments([
        ("x-queue-type", text("classic")),
        ("x-message-ttl", AMQPValue::LongUInt(ttl)),
        ("x-max-length", AMQPValue::LongUInt(CONTROL_LENGTH_MAX)),
        ("x-overflow", text("drop-head")),
    ]);
    let declared = link
        .answer("declaring the control queue", channel.queue_declare("".into(), options, arguments))
        .await?;
    let name = declared.name().to_string();
    bind(link, channel, &name, CONTROL_EXCHANGE, "").await?;
    Ok(name)
}

async fn exchange(link: &Link, channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), QueueError> {
    let kind = match kind {
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
        ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
    };
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
    link.answer("declaring an exchange", declared)
        .await
        .map_err(|error| mismatch(format!("the exchange {name}"), EXCHANGE_REMEDY, error))
}

async fn quorum_queue(link: &Link, channel: &Channel, queue: Queue) -> Result<(), QueueError> {
    let name = queue.name();
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let declared = channel.queue_declare(name.as_str().into(), options, quorum_arguments(queue));
    link.answer("declaring a queue", declared)
        .await
        .map_err(|error| mismatch(format!("the queue {name}"), QUEUE_REMEDY, error))
        .map(drop)
}

async fn bind(
    link: &Link,
    channel: &Channel,
    queue: &str,
    exchange: &str,
    key: &str,
) -> Result<(), QueueError> {
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default());
    link.answer("binding a queue", bound).await
}

fn quorum_arguments(queue: Queue) -> FieldTable {
    let quorum = [("x-queue-type", text("quorum"))];
    if queue == Queue::DeadLetters {
        // The last stop: whatever its readers do, nothing leaves it but by acknowledgement.
        let limit = ("x-delivery-limit", AMQPValue::LongInt(DEAD_REDELIVERIES_MAX));
        return arguments(quorum.into_iter().chain([limit]));
    }
    // The broker counts the deliveries after the first.
    let redeliveries = i32::try_from(DELIVERIES_MAX - 1).unwrap_or(i32::MAX);
    arguments(quorum.into_iter().chain([
        ("x-delivery-limit", AMQPValue::LongInt(redeliveries)),
        ("x-dead-letter-exchange", text(DEAD_EXCHANGE)),
        // A raw callback has no row yet: the queue keeps it until the dead letters have confirmed
        // it. The broker does so only for a queue that refuses rather than drops when full.
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]))
}

fn arguments(entries: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Is it there with other properties, and not out of our reach?
fn is_mismatch(error: &lapin::Error) -> bool {
    let mismatch = AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED);
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == mismatch)
}

/// The broker's refusal to redeclare, told with what to do; other errors pass as they are.
fn mismatch(name: String, remedy: &'static str, error: QueueError) -> QueueError {
    match error {
        QueueError::Operation { source, .. } if source.is_amqp_soft_error() => {
            QueueError::Topology { name, remedy, source }
        }
        other => other,
    }
}
