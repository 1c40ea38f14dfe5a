//! Two messages of one job.

use std::sync::Arc;

use tocsin_domain::{AccountId, Channel, Lane, WaitReason};
use tocsin_queue::{MemoryBroker, Queue};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::claim::{Claim, Denied};
use tocsin_store::release::Released;
use tocsin_worker::stages::{Permitted, Stages};

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

/// The release of a job was lost by the database and made again, by another account: both messages are of one generation.
#[tokio::test]
async fn of_two_accounts_at_one_generation_the_rows_is_claimed_whichever_message_is_first() {
    for rows_is_first in [true, false] {
        let broker = MemoryBroker::new();
        let stage = Stage::new(Arc::new(broker.clone())).await;
        let another = stage.another_account().await;
        let rows = stage.released(1).await;
        let lost = [Released { account: another, ..rows[0] }];
        let worker = stage.worker();
        let mut stages = Stages::open(&worker).await.unwrap();
        let mut both: Vec<Permitted> = Vec::new();
        for released in if rows_is_first { [&rows[..], &lost[..]] } else { [&lost[..], &rows[..]] } {
            stage.publish(Lane::General, released).await;
            stages.take_in(Channel::Inbox, Lane::General).await;
            let before = both.len();
            // The first look finds that there is no lease, and asks for one.
            for _ in 0..3 {
                both.extend(stages.permits(Channel::Inbox));
                worker.renew_leases().await.unwrap();
            }
            assert_eq!(both.len(), before + 1, "of {}", released[0].account.0);
        }
        let answered = worker.ask(both).await.unwrap();
        let (mut granted, mut denied): (Vec<AccountId>, Vec<AccountId>) = Default::default();
        for answer in &answered.answers {
            match answer {
                Claim::Granted(grant) => granted.push(grant.account),
                Claim::Denied(_, account, reason) => {
                    assert_eq!(*reason, Denied::Stale);
                    denied.push(*account);
                }
            }
        }
        assert_eq!((granted, denied), (vec![rows[0].account], vec![another]), "first: {rows_is_first}");
        assert_eq!(worker.settle(Channel::Inbox, answered).await.len(), 1);
        let queue = Queue::Jobs(Channel::Inbox, Lane::General);
        tokio::time::timeout(BOUND, broker.drained(queue)).await.unwrap();
        stages.leave().await;
    }
}
