//! The rules of looking at dead letters, on every broker.

use tocsin_queue::dead_letters::DeadLetters;
use tocsin_queue::topology::DELIVERIES_MAX;
use tocsin_queue::{Destination, Message, Queue};

use crate::stand::{JOBS, Stand, bodies, depth_becomes, messages, put, take};

/// So many of a job queue, buried as unreadable.
async fn bury(stand: &Stand, count: u32) {
    let session = stand.session().await;
    put(&session, messages(JOBS, 0..count)).await;
    let mut consumer = session.consume(JOBS, 100).await.unwrap();
    for delivery in take(&mut consumer, count as usize).await {
        consumer.acker().dead_letter(&delivery, "not a Jobs").await.unwrap();
    }
    session.close().await;
    depth_becomes(&stand.session().await, Queue::DeadLetters, count).await;
}

async fn ids(stand: &Stand) -> Vec<String> {
    let held = DeadLetters::hold(stand.session().await, 100).await.unwrap();
    let ids = held.letters().iter().map(|letter| letter.id.clone()).collect();
    held.let_go().await;
    ids
}

pub async fn dead_letters_are_looked_at_any_number_of_times_and_stay(stand: Stand) {
    bury(&stand, 3).await;
    let first = ids(&stand).await;
    assert_eq!(first.len(), 3);
    let session = stand.session().await;
    for look in 0..DELIVERIES_MAX + 5 {
        depth_becomes(&session, Queue::DeadLetters, 3).await;
        assert_eq!(ids(&stand).await, first, "look {look}");
    }
    depth_becomes(&session, Queue::DeadLetters, 3).await;
}

pub async fn a_dead_letter_goes_back_to_its_queue_as_it_was_published(stand: Stand) {
    let session = stand.session().await;
    let headers = vec![("traceparent".to_owned(), "00-1-2-01".to_owned())];
    let to = Destination::Queue(JOBS);
    put(&session, vec![Message { to, body: "a".into(), headers: headers.clone(), persistent: true }]).await;
    let mut consumer = session.consume(JOBS, 1).await.unwrap();
    let taken = take(&mut consumer, 1).await;
    consumer.acker().dead_letter(&taken[0], "not a Jobs").await.unwrap();
    session.close().await;
    let session = stand.session().await;
    depth_becomes(&session, Queue::DeadLetters, 1).await;

    let held = DeadLetters::hold(stand.session().await, 100).await.unwrap();
    let [letter] = held.letters() else { panic!("one letter") };
    assert_eq!((letter.queue(), letter.reason.as_deref()), (Some(JOBS), Some("not a Jobs")));
    held.requeue(letter, JOBS).await.unwrap();
    held.let_go().await;

    depth_becomes(&session, Queue::DeadLetters, 0).await;
    let mut consumer = session.consume(JOBS, 1).await.unwrap();
    let back = take(&mut consumer, 1).await;
    assert_eq!((bodies(&back), &back[0].headers), (vec!["a"], &headers));
}

pub async fn what_the_broker_buried_itself_says_where_it_was(stand: Stand) {
    let session = stand.session().await;
    put(&session, messages(JOBS, [1])).await;
    for _ in 0..DELIVERIES_MAX {
        let mut consumer = session.consume(JOBS, 1).await.unwrap();
        take(&mut consumer, 1).await;
    }
    depth_becomes(&session, Queue::DeadLetters, 1).await;
    let held = DeadLetters::hold(stand.session().await, 100).await.unwrap();
    assert_eq!(held.letters()[0].queue(), Some(JOBS));
}

pub async fn a_dead_letter_that_is_thrown_away_is_gone_and_no_other(stand: Stand) {
    bury(&stand, 3).await;
    let held = DeadLetters::hold(stand.session().await, 100).await.unwrap();
    let letters = held.letters();
    assert_ne!(letters[0].id, letters[1].id);
    held.discard(&letters[1]).await.unwrap();
    held.let_go().await;
    depth_becomes(&stand.session().await, Queue::DeadLetters, 2).await;
    let held = DeadLetters::hold(stand.session().await, 100).await.unwrap();
    assert_eq!(held.letters().iter().map(|letter| letter.body.as_ref()).collect::<Vec<_>>(), [b"0", b"2"]);
}
