//! Few free places among many open campaigns.

use tocsin_domain::{Channel, Lane};
use tocsin_planner::Releaser;

use crate::stage::Stage;

/// More than four draws of four places look at.
const OPEN: usize = 60;

#[tokio::test]
async fn one_campaign_with_jobs_due_does_not_wait_for_the_turns_of_all_that_have_none() {
    let stage = Stage::new().await;
    stage.fixture.guardians(3, Channel::Sms).await.unwrap();
    // Four places.
    stage.slow(Channel::Sms).await;
    for _ in 0..OPEN {
        stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    }
    stage.fixture.expand_all().await.unwrap();
    // All are claimed, and of nobody is heard yet: their campaigns stay open.
    let planning = stage.leading().await;
    for which in ["min", "max"] {
        stage.run("update jobs set state = 3, due_at = null, wait_reason = null where state <> 3").await;
        stage
            .run(&format!(
                "update jobs set state = 1, due_at = '2020-01-01', wait_reason = 1
             where campaign_id = (select {which}(id::text)::uuid from campaigns)",
            ))
            .await;
        let mut releaser = Releaser::new(Channel::Sms, planning.duties.clone());
        releaser.tick(&planning.planner).await.unwrap();
        assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 3, "{which}");
        stage.run("delete from flow").await;
    }
}

#[tokio::test]
async fn a_campaign_that_comes_to_the_end_of_what_is_due_begins_anew_within_the_tick() {
    let stage = Stage::new().await;
    stage.fixture.guardians(6, Channel::Sms).await.unwrap();
    // Four places.
    stage.slow(Channel::Sms).await;
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let planning = stage.leading().await;
    let mut releaser = Releaser::new(Channel::Sms, planning.duties.clone());
    releaser.tick(&planning.planner).await.unwrap();
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 4);
    // All four leave the queue, and two of them are due again: before those that were never drawn.
    stage.run("update jobs set state = 3 where state = 2").await;
    stage
        .run(
            "update jobs set state = 1, due_at = '2020-01-01', wait_reason = 1
             where id in (select id from jobs where state = 3 order by id limit 2)",
        )
        .await;
    stage.run("delete from flow").await;
    releaser.tick(&planning.planner).await.unwrap();
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 4, "the two, and the two that were left");
}
