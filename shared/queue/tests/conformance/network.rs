//! What only a real server and a real network do.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tocsin_domain::{Channel, Lane};
use tocsin_queue::{Broker, Queue, QueueError, RabbitBroker};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::stand::{JOBS, bounded, messages, put, take};
use crate::vhost::VirtualHost;

#[derive(Clone, Copy, PartialEq)]
enum Cable {
    Plugged,
    /// Nothing passes, and nobody is told.
    Frozen,
    Cut,
}

/// A wire to the server that can fail.
struct Wire {
    cable: watch::Sender<Cable>,
    url: String,
    _carrying: JoinSet<()>,
}

impl Wire {
    async fn to(vhost: &VirtualHost) -> Self {
        let url = vhost.url();
        let (userinfo, rest) = url.trim_start_matches("amqp://").split_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("amqp://{userinfo}@{}/{name}", listener.local_addr().unwrap());
        let cable = watch::Sender::new(Cable::Plugged);
        let mut state = cable.subscribe();
        let mut carrying = JoinSet::new();
        carrying.spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(server).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                _ = state.wait_for(|cable| *cable != Cable::Plugged) => {}
            }
            let _ = state.wait_for(|cable| *cable == Cable::Cut).await;
        });
        Self { cable, url, _carrying: carrying }
    }
}

#[tokio::test]
async fn a_cut_wire_ends_the_session_and_its_consumers() {
    let vhost = VirtualHost::take();
    let wire = Wire::to(&vhost).await;
    bounded(async {
        let session = RabbitBroker::new(&wire.url).unwrap().connect("cut").await.unwrap();
        put(&session, messages(JOBS, 0..3)).await;
        let mut consumer = session.consume(JOBS, 10).await.unwrap();
        take(&mut consumer, 3).await;
        wire.cable.send_replace(Cable::Cut);
        assert!(matches!(session.lost().await, QueueError::Lost { .. }));
        assert!(consumer.next_batch(10).await.is_none());

        let session = RabbitBroker::new(&vhost.url()).unwrap().connect("again").await.unwrap();
        let mut consumer = session.consume(JOBS, 10).await.unwrap();
        assert!(take(&mut consumer, 3).await.iter().all(|delivery| delivery.redelivered));
    })
    .await;
}

#[tokio::test]
async fn a_frozen_broker_runs_into_the_deadline_which_ends_the_session() {
    let vhost = VirtualHost::take();
    let wire = Wire::to(&vhost).await;
    bounded(async {
        let deadline = Duration::from_secs(3);
        let broker = RabbitBroker::new(&wire.url).unwrap().with_deadline(deadline);
        let session = broker.connect("frozen").await.unwrap();
        let mut consumer = session.consume(JOBS, 10).await.unwrap();
        put(&session, messages(JOBS, [0])).await;
        take(&mut consumer, 1).await;
        wire.cable.send_replace(Cable::Frozen);
        let error = session.publish(messages(JOBS, [1])).await.unwrap_err();
        assert!(matches!(error, QueueError::Deadline { doing: "publishing", .. }), "{error:?}");
        assert!(matches!(session.lost().await, QueueError::Lost { .. }));
        assert!(consumer.next_batch(10).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn an_acknowledgement_held_for_earlier_ones_is_written_without_them() {
    let vhost = VirtualHost::take();
    bounded(async {
        let session = RabbitBroker::new(&vhost.url()).unwrap().connect("hold").await.unwrap();
        put(&session, messages(JOBS, 0..4)).await;
        let mut consumer = session.consume(JOBS, 3).await.unwrap();
        let taken = take(&mut consumer, 3).await;
        // The prefetch is full, so the fourth comes only once the broker knows of the third.
        consumer.acker().ack(&[taken[2].tag]).await.unwrap();
        assert_eq!(take(&mut consumer, 1).await[0].body, "3");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_queue_ends_the_session_of_its_consumer() {
    let vhost = VirtualHost::take();
    bounded(async {
        let broker = RabbitBroker::new(&vhost.url()).unwrap();
        let session = broker.connect("consumer").await.unwrap();
        let mut consumer = session.consume(JOBS, 10).await.unwrap();
        admin(&vhost).await.queue_delete(JOBS.name().into(), Default::default()).await.unwrap();
        assert!(consumer.next_batch(10).await.is_none());
        assert!(matches!(session.lost().await, QueueError::Lost { .. }));

        // The next session has it again.
        let session = broker.connect("consumer").await.unwrap();
        put(&session, messages(JOBS, [1])).await;
    })
    .await;
}

#[tokio::test]
async fn asking_for_a_missing_queue_harms_nothing_else() {
    let vhost = VirtualHost::take();
    bounded(async {
        let session = RabbitBroker::new(&vhost.url()).unwrap().connect("depth").await.unwrap();
        let recall = Queue::Recall(Channel::Email);
        admin(&vhost).await.queue_delete(recall.name().into(), Default::default()).await.unwrap();
        assert!(matches!(session.depth(recall).await, Err(QueueError::Operation { .. })));
        put(&session, messages(JOBS, [1])).await;
        assert!(session.lost().now_or_never().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_queue_of_other_properties_is_named_with_the_remedy() {
    let vhost = VirtualHost::take();
    bounded(async {
        let options = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
        let name = Queue::Jobs(Channel::Voice, Lane::Priority).name();
        admin(&vhost).await.queue_declare(name.into(), options, Default::default()).await.unwrap();
        let error = RabbitBroker::new(&vhost.url()).unwrap().connect("mismatch").await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the queue voice.priority"), "{text}");
        assert!(text.contains("rabbitmqctl delete_queue"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_failed_connect_names_its_cause_and_not_the_password() {
    let vhost = VirtualHost::take();
    let url = vhost.url();
    let (authority, name) = url.trim_start_matches("amqp://").split_once('/').unwrap();
    let server = authority.rsplit_once('@').unwrap().1;
    let free_port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let cases = [
        (format!("amqp://guest:s3cret@{server}/{name}"), "refuses the user \"guest\""),
        (format!("amqp://{authority}/nowhere-s3cret"), "virtual host \"nowhere-s3cret\""),
        (
            format!("amqp://guest:s3cret@127.0.0.1:{free_port}/{name}"),
            "cannot connect to the broker at amqp://127.0.0.1",
        ),
        (format!("amqps://guest:s3cret@{server}/{name}"), "cannot connect to the broker at amqps://"),
    ];
    bounded(async {
        for (url, expected) in cases {
            let broker = RabbitBroker::new(&url).unwrap();
            let error = broker.connect("refused").await.unwrap_err();
            assert!(error.to_string().contains(expected), "{url}: {error:?}");
            let shown = format!("{error:?} {error} {broker:?}").replace("nowhere-s3cret", "");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn eight_tasks_share_one_session() {
    let vhost = VirtualHost::take();
    bounded(async {
        let session = RabbitBroker::new(&vhost.url()).unwrap().connect("shared").await.unwrap();
        let mut tasks = JoinSet::new();
        for task in 0..8_u32 {
            let session = Arc::clone(&session);
            tasks.spawn(async move { put(&session, messages(JOBS, task * 100..task * 100 + 100)).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert_eq!(session.depth(JOBS).await.unwrap(), 800);
    })
    .await;
}

/// A channel of an operator's own connection. It lives as long as the channel does.
async fn admin(vhost: &VirtualHost) -> lapin::Channel {
    let connection = lapin::Connection::connect(&vhost.url(), Default::default()).await.unwrap();
    connection.create_channel().await.unwrap()
}
