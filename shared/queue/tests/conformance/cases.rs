//! The rules that every broker keeps.

use futures::FutureExt;
use tocsin_domain::{Channel, Lane};
use tocsin_queue::topology::{DELIVERIES_MAX, QUEUE_HEADER, REASON_HEADER};
use tocsin_queue::{Destination, Message, Published, Publisher, Queue, QueueError};

pub use crate::dead_letters::*;
use crate::stand::{JOBS, Stand, bodies, depth_becomes, message, messages, put, take};

pub async fn a_message_arrives_once_with_its_bytes_and_headers(stand: Stand) {
    let session = stand.session().await;
    let headers = vec![("traceparent".to_owned(), "00-4bf9-00f0-01".to_owned())];
    let body = bytes::Bytes::from_static(&[0, 159, 146, 150, 255]);
    let sent = Message { to: Destination::Queue(JOBS), body, headers, persistent: true };
    put(&session, vec![sent.clone()]).await;
    assert!(!session.is_blocked(), "the broker took it");

    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    let [delivery] = &take(&mut consumer, 1).await[..] else { panic!("one message") };
    assert_eq!((&delivery.body, &delivery.headers), (&sent.body, &sent.headers));
    assert_eq!(delivery.header("traceparent"), Some("00-4bf9-00f0-01"));
    assert!(!delivery.redelivered);
    consumer.acker().ack(&[delivery.tag]).await.unwrap();
    session.close().await;
    assert_eq!(stand.session().await.depth(JOBS).await.unwrap(), 0);
}

pub async fn a_batch_is_what_is_there_and_at_most_max(stand: Stand) {
    let session = stand.session().await;
    let mut consumer = session.consume(JOBS, 100).await.unwrap();
    assert!(consumer.next_batch(10).now_or_never().is_none(), "an empty queue gives no batch");
    put(&session, messages(JOBS, 0..5)).await;
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < 5 {
        sizes.push(consumer.next_batch(2).await.unwrap().len());
    }
    assert!(sizes.iter().all(|size| (1..=2).contains(size)), "{sizes:?}");
}

pub async fn a_queue_receives_only_its_own_messages(stand: Stand) {
    let session = stand.session().await;
    let all: Vec<Queue> = Queue::all().collect();
    put(&session, all.iter().map(|queue| message(Destination::Queue(*queue), &queue.name())).collect()).await;
    for queue in all {
        let mut consumer = session.consume(queue, 10).await.unwrap();
        assert_eq!(bodies(&take(&mut consumer, 1).await), [queue.name()]);
        depth_becomes(&session, queue, 0).await;
    }
}

pub async fn each_message_of_a_batch_gets_its_own_answer(stand: Stand) {
    let session = stand.session().await;
    assert_eq!(session.publish(Vec::new()).await.unwrap(), []);
    // Nobody listens on the control exchange, so it has nowhere to put these.
    let unroutable = |number: u32| number % 7 == 3;
    let batch = (0..500)
        .map(|number| match unroutable(number) {
            true => message(Destination::Control, "stop"),
            false => message(Destination::Queue(JOBS), "go"),
        })
        .collect();
    let answers = session.publish(batch).await.unwrap();
    let expected: Vec<Published> = (0..500)
        .map(|number| if unroutable(number) { Published::Unroutable } else { Published::Confirmed })
        .collect();
    assert_eq!(answers, expected);
}

pub async fn what_a_vanished_consumer_had_is_delivered_again(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..3)).await;
    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    let first = take(&mut consumer, 3).await;
    consumer.acker().ack(&[first[1].tag]).await.unwrap();
    drop(consumer);

    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    let again = take(&mut consumer, 2).await;
    assert_eq!(bodies(&again), ["0", "2"]);
    assert!(again.iter().all(|delivery| delivery.redelivered));
    depth_becomes(&session, JOBS, 0).await;
}

pub async fn what_an_acker_may_still_settle_stays_out(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..2)).await;
    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    let taken = take(&mut consumer, 2).await;
    let acker = consumer.acker();
    drop(consumer);
    acker.ack(&[taken[0].tag]).await.unwrap();
    drop(acker);
    depth_becomes(&session, JOBS, 1).await;
    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    assert_eq!(bodies(&take(&mut consumer, 1).await), ["1"]);
}

pub async fn acknowledging_out_of_order_settles_exactly_those(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..12)).await;
    let mut consumer = session.consume(JOBS, 100).await.unwrap();
    let taken = take(&mut consumer, 12).await;
    let acker = consumer.acker();
    // 5 and 9 stay open; 3 is given back, within what a multiple acknowledgement passes over.
    for group in [&[4][..], &[1, 2], &[7, 8], &[0], &[6], &[11, 10]] {
        let tags: Vec<_> = group.iter().map(|index: &usize| taken[*index].tag).collect();
        acker.ack(&tags).await.unwrap();
        if group == [1, 2] {
            acker.give_back(&[taken[3].tag]).await.unwrap();
        }
    }
    let given_back = take(&mut consumer, 1).await;
    assert_eq!(bodies(&given_back), ["3"]);
    session.close().await;

    let session = stand.session().await;
    depth_becomes(&session, JOBS, 3).await;
    let mut consumer = session.consume(JOBS, 100).await.unwrap();
    let mut left = take(&mut consumer, 3).await;
    left.sort_by_key(|delivery| delivery.body.clone());
    assert_eq!(bodies(&left), ["3", "5", "9"]);
}

pub async fn settling_twice_settles_once(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..3)).await;
    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    let taken = take(&mut consumer, 3).await;
    let acker = consumer.acker();
    acker.ack(&[taken[2].tag, taken[2].tag]).await.unwrap();
    acker.ack(&[taken[0].tag]).await.unwrap();
    acker.give_back(&[taken[0].tag, taken[2].tag]).await.unwrap();
    acker.ack(&[taken[0].tag, taken[1].tag, taken[2].tag]).await.unwrap();
    session.close().await;
    let session = stand.session().await;
    depth_becomes(&session, JOBS, 0).await;
}

pub async fn the_prefetch_bounds_what_is_unsettled(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..25)).await;
    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    let mut unsettled = take(&mut consumer, 10).await;
    depth_becomes(&session, JOBS, 15).await;
    assert!(consumer.next_batch(100).now_or_never().is_none());

    let settled: Vec<_> = unsettled.drain(..4).map(|delivery| delivery.tag).collect();
    consumer.acker().ack(&settled).await.unwrap();
    unsettled.extend(take(&mut consumer, 4).await);
    depth_becomes(&session, JOBS, 11).await;
    assert!(consumer.next_batch(100).now_or_never().is_none());
    assert_eq!(unsettled.len(), 10);
}

pub async fn control_reaches_every_living_session_and_only_those(stand: Stand) {
    let publisher = stand.session().await;
    let cancel = |number: usize| vec![message(Destination::Control, &number.to_string())];
    assert_eq!(publisher.publish(cancel(0)).await.unwrap(), [Published::Unroutable]);

    let sessions = [stand.session().await, stand.session().await, stand.session().await];
    let mut consumers = Vec::new();
    for session in &sessions {
        consumers.push(session.control().await.unwrap());
    }
    for number in 1..=22 {
        put(&publisher, cancel(number)).await;
    }
    let expected: Vec<String> = (1..=22).map(|number| number.to_string()).collect();
    for consumer in &mut consumers {
        let taken = take(consumer, 22).await;
        assert_eq!(bodies(&taken), expected);
        consumer.acker().ack(&taken.iter().map(|delivery| delivery.tag).collect::<Vec<_>>()).await.unwrap();
    }

    sessions[0].close().await;
    put(&publisher, cancel(23)).await;
    assert!(consumers[0].next_batch(10).await.is_none());
    for consumer in &mut consumers[1..] {
        assert_eq!(bodies(&take(consumer, 1).await), ["23"]);
    }
}

pub async fn a_dead_letter_keeps_bytes_headers_and_reason(stand: Stand) {
    let session = stand.session().await;
    let status = Queue::Status(Lane::Emergency);
    let headers = vec![("traceparent".to_owned(), "00-1-2-01".to_owned())];
    let body = bytes::Bytes::from_static(b"\xff\x00not a message");
    put(
        &session,
        vec![Message { to: Destination::Queue(status), body: body.clone(), headers, persistent: true }],
    )
    .await;
    let mut consumer = session.consume(status, 10).await.unwrap();
    let taken = take(&mut consumer, 1).await;
    consumer.acker().dead_letter(&taken[0], "cannot be parsed").await.unwrap();
    session.close().await;

    let session = stand.session().await;
    depth_becomes(&session, status, 0).await;
    let mut dead = session.consume(Queue::DeadLetters, 10).await.unwrap();
    let letter = &take(&mut dead, 1).await[0];
    assert_eq!(letter.body, body);
    for (name, value) in [
        ("traceparent", "00-1-2-01"),
        (REASON_HEADER, "cannot be parsed"),
        (QUEUE_HEADER, "status.emergency"),
    ] {
        assert_eq!(letter.header(name), Some(value), "{name}");
    }
}

pub async fn a_part_goes_to_the_dead_letters_and_its_message_stays_unsettled(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, [1])).await;
    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    let taken = take(&mut consumer, 1).await;
    consumer.acker().dead_letter_part(&taken[0], "a part".into(), "cannot be parsed").await.unwrap();
    let mut dead = session.consume(Queue::DeadLetters, 10).await.unwrap();
    let letters = take(&mut dead, 1).await;
    assert_eq!(bodies(&letters), ["a part"]);
    assert_eq!(letters[0].header(REASON_HEADER), Some("cannot be parsed"));
    assert_eq!(letters[0].header(QUEUE_HEADER), Some(JOBS.name().as_str()));
    session.close().await;
    depth_becomes(&stand.session().await, JOBS, 1).await;
}

pub async fn a_message_that_keeps_killing_its_consumer_becomes_a_dead_letter(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, [1])).await;
    for _ in 0..DELIVERIES_MAX {
        let mut consumer = session.consume(JOBS, 1).await.unwrap();
        take(&mut consumer, 1).await;
    }
    let mut dead = session.consume(Queue::DeadLetters, 10).await.unwrap();
    assert_eq!(bodies(&take(&mut dead, 1).await), ["1"]);
    depth_becomes(&session, JOBS, 0).await;
}

pub async fn what_is_given_back_goes_to_another_consumer(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..4)).await;
    let mut leaving = session.consume(JOBS, 10).await.unwrap();
    let taken = take(&mut leaving, 4).await;
    leaving.stop().await;
    leaving.acker().give_back(&[taken[1].tag, taken[2].tag]).await.unwrap();

    let mut staying = session.consume(JOBS, 10).await.unwrap();
    let again = take(&mut staying, 2).await;
    assert_eq!(bodies(&again), ["1", "2"]);
    assert!(again.iter().all(|delivery| delivery.redelivered));
}

pub async fn a_session_cut_by_the_broker_is_lost_and_stays_lost(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..2)).await;
    let mut consumer = session.consume(JOBS, 1).await.unwrap();
    let taken = take(&mut consumer, 1).await;
    assert!(session.lost().now_or_never().is_none());
    stand.cut();

    assert!(matches!(session.lost().await, QueueError::Lost { .. }));
    assert!(consumer.next_batch(10).await.is_none());
    assert!(consumer.next_batch(10).await.is_none(), "an ended consumer stays ended");
    let refusals = [
        session.publish(messages(JOBS, [9])).await.map(drop),
        session.consume(JOBS, 1).await.map(drop),
        session.control().await.map(drop),
        session.depth(JOBS).await.map(drop),
        session.purge(JOBS).await.map(drop),
        consumer.acker().ack(&[taken[0].tag]).await,
        consumer.acker().give_back(&[taken[0].tag]).await,
        consumer.acker().dead_letter(&taken[0], "late").await,
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(QueueError::Lost { .. })), "{refusal:?}");
    }
    consumer.stop().await;
    session.close().await;

    let session = stand.session().await;
    let mut consumer = session.consume(JOBS, 10).await.unwrap();
    assert_eq!(bodies(&take(&mut consumer, 2).await), ["0", "1"]);
}

pub async fn a_publisher_opens_a_new_session_after_a_loss(stand: Stand) {
    let publisher = Publisher::new(stand.broker(), "publisher");
    assert_eq!(publisher.publish(messages(JOBS, [1])).await.unwrap(), [Published::Confirmed]);
    let first = publisher.session().await.unwrap();
    stand.cut();
    first.lost().await;
    assert_eq!(publisher.publish(messages(JOBS, [2])).await.unwrap(), [Published::Confirmed]);
    publisher.close().await;
    assert_eq!(publisher.publish(messages(JOBS, [3])).await.unwrap(), [Published::Confirmed]);
    assert_eq!(publisher.session().await.unwrap().depth(JOBS).await.unwrap(), 3);
}

pub async fn a_stopped_consumer_gets_nothing_more_and_may_still_settle(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..6)).await;
    let mut consumer = session.consume(JOBS, 4).await.unwrap();
    let taken = take(&mut consumer, 2).await;
    consumer.stop().await;
    consumer.stop().await;
    assert!(consumer.next_batch(10).await.is_none());
    // What was underway to it is there for others while it still holds its own.
    depth_becomes(&session, JOBS, 4).await;
    let tags: Vec<_> = taken.iter().map(|delivery| delivery.tag).collect();
    consumer.acker().ack(&tags).await.unwrap();
    drop(consumer);

    let mut other = session.consume(JOBS, 10).await.unwrap();
    let mut rest = take(&mut other, 4).await;
    rest.sort_by_key(|delivery| delivery.body.clone());
    assert_eq!(bodies(&rest), ["2", "3", "4", "5"]);
    depth_becomes(&session, JOBS, 0).await;
}

pub async fn closing_writes_the_acknowledgements_first(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..200)).await;
    let mut consumer = session.consume(JOBS, 200).await.unwrap();
    let taken = take(&mut consumer, 200).await;
    // All but the first, so that they wait for an earlier one that is never settled.
    let tags: Vec<_> = taken[1..].iter().map(|delivery| delivery.tag).collect();
    consumer.acker().ack(&tags).await.unwrap();
    session.close().await;
    assert!(matches!(session.lost().await, QueueError::Lost { .. }));

    let session = stand.session().await;
    depth_becomes(&session, JOBS, 1).await;
    let mut consumer = session.consume(JOBS, 200).await.unwrap();
    assert_eq!(bodies(&take(&mut consumer, 1).await), ["0"]);
}

pub async fn purging_empties_a_queue_and_says_how_much(stand: Stand) {
    let session = stand.session().await;
    let recall = Queue::Recall(Channel::Voice);
    put(&session, messages(recall, 0..7)).await;
    put(&session, messages(JOBS, 0..2)).await;
    depth_becomes(&session, recall, 7).await;
    assert_eq!(session.purge(recall).await.unwrap(), 7);
    depth_becomes(&session, recall, 0).await;
    depth_becomes(&session, JOBS, 2).await;
    put(&session, messages(recall, [8])).await;
    let mut consumer = session.consume(recall, 10).await.unwrap();
    assert_eq!(bodies(&take(&mut consumer, 1).await), ["8"]);
}

pub async fn ten_thousand_messages_are_confirmed_and_consumed_once(stand: Stand) {
    const COUNT: u32 = 10_000;
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..COUNT)).await;
    let mut consumers =
        [session.consume(JOBS, 500).await.unwrap(), session.consume(JOBS, 500).await.unwrap()];
    let mut seen: Vec<u32> = Vec::new();
    while seen.len() < COUNT as usize {
        let [one, other] = &mut consumers;
        let (batch, acker) = tokio::select! {
            batch = one.next_batch(500) => (batch, one.acker()),
            batch = other.next_batch(500) => (batch, other.acker()),
        };
        let batch = batch.unwrap();
        acker.ack(&batch.iter().map(|delivery| delivery.tag).collect::<Vec<_>>()).await.unwrap();
        seen.extend(bodies(&batch).iter().map(|body| body.parse::<u32>().unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..COUNT).collect::<Vec<_>>());
}
