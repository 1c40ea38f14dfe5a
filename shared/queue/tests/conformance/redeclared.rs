//! Queues that are there with other properties than this release declares, on a real server.

use futures::FutureExt as _;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use tocsin_queue::{Queue, QueueError};

use crate::stand::{JOBS, Stand, bounded, depth_becomes, messages, put, take};

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

/// Somebody else on the stand's virtual host.
async fn other(stand: &Stand) -> lapin::Channel {
    let Stand::RabbitMq(vhost) = stand else { panic!("a real server") };
    let connection = Connection::connect(&vhost.url(), ConnectionProperties::default()).await.unwrap();
    connection.create_channel().await.unwrap()
}

async fn declare(stand: &Stand, name: &str, arguments: FieldTable) -> lapin::Result<lapin::Queue> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    other(stand).await.queue_declare(name.into(), options, arguments).await
}

/// RabbitMQ 4 would give the queue a limit of its own, and drop a letter that was looked at often.
#[tokio::test]
async fn dead_letters_are_declared_with_a_limit_of_their_own() {
    bounded(async {
        let stand = Stand::rabbitmq();
        stand.session().await;
        let refused = declare(&stand, "dead-letters", quorum()).await.unwrap_err().to_string();
        assert!(refused.contains("PRECONDITION") && refused.contains("x-delivery-limit"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn dead_letters_of_an_earlier_release_are_kept_and_more_are_put_to_them() {
    bounded(async {
        let stand = Stand::rabbitmq();
        declare(&stand, "dead-letters", quorum()).await.unwrap();
        let published = other(&stand).await;
        let options = BasicPublishOptions::default();
        published
            .basic_publish("".into(), "dead-letters".into(), options, b"old", BasicProperties::default())
            .await
            .unwrap()
            .await
            .unwrap();
        let session = stand.session().await;
        depth_becomes(&session, Queue::DeadLetters, 1).await;
        put(&session, messages(JOBS, [1])).await;
        let mut consumer = session.consume(JOBS, 1).await.unwrap();
        let taken = take(&mut consumer, 1).await;
        consumer.acker().dead_letter(&taken[0], "not a Jobs").await.unwrap();
        depth_becomes(&session, Queue::DeadLetters, 2).await;
        assert!(session.lost().now_or_never().is_none());
    })
    .await;
}

#[tokio::test]
async fn any_other_queue_of_another_kind_is_refused_with_its_name_and_the_remedy() {
    bounded(async {
        let stand = Stand::rabbitmq();
        declare(&stand, &JOBS.name(), quorum()).await.unwrap();
        let refused = stand.broker().connect("conformance").await.unwrap_err();
        assert!(matches!(refused, QueueError::Topology { .. }), "{refused:?}");
        let said = refused.to_string();
        assert!(said.contains(&JOBS.name()) && said.contains("rabbitmqctl delete_queue"), "{said}");
    })
    .await;
}
