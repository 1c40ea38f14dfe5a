//! A district that an operator stopped: nothing of it is released, and nobody else waits for it.

use tocsin_domain::{Channel, Lane};
use tocsin_planner::Expander;
use tocsin_runtime::Progress;
use tocsin_testkit::fixture::Fixture;

use crate::stage::Stage;

#[tokio::test]
async fn an_emergency_of_a_stopped_district_holds_up_no_other_district() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let neighbour = Fixture::new(&stage.database).await.unwrap();
    neighbour.guardians(3, Channel::Sms).await.unwrap();
    neighbour.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    neighbour.expand_all().await.unwrap();
    let store = stage.fixture.store();
    store.stop_sending(Some(stage.fixture.district()), "ops", "wrong list").await.unwrap();

    let planning = stage.leading().await;
    planning.release(Channel::Sms).await;
    let queued = async |lane| stage.queued(Channel::Sms, lane).await;
    assert_eq!([queued(Lane::Emergency).await, queued(Lane::General).await], [0, 3]);
    let late = neighbour.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    let mut expander = Expander::default();
    while expander.tick(&planning.planner).await.unwrap() == Progress::More {}
    assert_eq!(stage.jobs(late).await, 3, "nor is expansion held up");

    store.resume_sending(Some(stage.fixture.district()), "ops").await.unwrap();
    planning.release(Channel::Sms).await;
    assert_eq!(queued(Lane::Emergency).await, 5, "it goes on, and first");
    assert_eq!(queued(Lane::General).await, 3, "what came meanwhile waits for it");
}

/// What was released before the stop and met no worker goes back to its row, and is not released again.
#[tokio::test]
async fn what_was_released_before_a_stop_waits_again_and_stays() {
    let stage = Stage::new().await;
    stage.fixture.guardians(4, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let planning = stage.leading().await;
    planning.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 4);
    let store = stage.fixture.store();
    store.stop_sending(None, "ops", "all of it").await.unwrap();
    assert_eq!(stage.claim(Lane::General, 2).await, 0);
    stage.shift_clock(3_600).await;
    while tocsin_planner::expire(&planning.planner).await.unwrap() == Progress::More {}
    planning.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 0);
    store.resume_sending(None, "ops").await.unwrap();
    planning.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 4, "nothing is lost");
}
