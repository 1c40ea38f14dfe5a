//! What a district or a campaign's author allows, release keeps, whichever planner and lane.

use tocsin_domain::{CampaignId, Channel, Lane};
use tocsin_planner::{Expander, Releaser};
use tocsin_runtime::Progress;
use tocsin_store::accounts::SenderLimits;
use tocsin_testkit::fixture::Fixture;

use crate::stage::Stage;

/// So slow that one job may be released, and the next in an hour.
const SLOW: &str = "0.0003";

async fn limit(stage: &Stage, columns: &str, values: &str) {
    let district = stage.fixture.district();
    stage
        .run(&format!(
            "insert into district_limits (district_id, channel, updated_at, updated_by, {columns})
             values ('{district}', {}, now(), 'test', {values})",
            Channel::Sms.number()
        ))
        .await;
}

async fn campaign(stage: &Stage, lane: Lane) -> CampaignId {
    let campaign = stage.fixture.campaign(lane, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    campaign
}

#[tokio::test]
async fn a_districts_rate_holds_over_lanes_and_a_change_of_planners() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    limit(&stage, "rate_per_second", SLOW).await;
    for lane in [Lane::Priority, Lane::General] {
        campaign(&stage, lane).await;
    }
    stage.leading().await.release(Channel::Sms).await;
    let queued = async || {
        stage.queued(Channel::Sms, Lane::Priority).await + stage.queued(Channel::Sms, Lane::General).await
    };
    assert_eq!(queued().await, 1);
    // The first is gone: its duties are over, and another has them.
    stage.shift_clock(10).await;
    stage.leading().await.release(Channel::Sms).await;
    assert_eq!(queued().await, 1, "it does not begin anew");
    stage.shift_clock(3_400).await;
    stage.leading().await.release(Channel::Sms).await;
    assert_eq!(queued().await, 2, "its rate");
}

#[tokio::test]
async fn a_districts_concurrency_counts_what_is_queued_and_under_way() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    limit(&stage, "concurrency", "2").await;
    campaign(&stage, Lane::General).await;
    let planning = stage.leading().await;
    planning.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 2);
    assert_eq!(stage.claim(Lane::General, 2).await, 2);
    planning.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 0, "both are under way");
    stage.run("update jobs set state = 4, ended_at = now() where id = (select min(id) from jobs where state = 3)").await;
    planning.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 1);
}

#[tokio::test]
async fn no_number_of_general_jobs_takes_the_places_of_their_districts_emergency() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    limit(&stage, "concurrency", "2").await;
    campaign(&stage, Lane::General).await;
    let planning = stage.leading().await;
    planning.release(Channel::Sms).await;
    assert_eq!(stage.claim(Lane::General, 2).await, 2);
    campaign(&stage, Lane::Emergency).await;
    planning.release(Channel::Sms).await;
    let queued = async |lane| stage.queued(Channel::Sms, lane).await;
    assert_eq!([queued(Lane::Emergency).await, queued(Lane::General).await], [2, 0], "its own limit holds");
    stage.run("update jobs set state = 4, ended_at = now() where state = 3").await;
    planning.release(Channel::Sms).await;
    assert_eq!(queued(Lane::General).await, 0, "the emergency's places are taken for the others");
}

#[tokio::test]
async fn a_campaigns_own_rate_is_kept_and_the_others_go_on() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    let slow = campaign(&stage, Lane::General).await;
    let limits = format!(r#"update campaigns set limits = '{{"sms": {{"rate_per_second": {SLOW}}}}}'"#);
    stage.run(&format!("{limits} where id = '{slow}'")).await;
    campaign(&stage, Lane::General).await;
    stage.leading().await.release(Channel::Sms).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 1 + 5);
}

#[tokio::test]
async fn an_emergency_heeds_its_districts_limit_unless_it_is_spared_and_then_holds_up_nobody() {
    for (spared, released) in [(false, 1), (true, 5)] {
        let stage = Stage::new().await;
        stage.fixture.guardians(5, Channel::Sms).await.unwrap();
        limit(&stage, "rate_per_second, spares_emergencies", &format!("{SLOW}, {spared}")).await;
        campaign(&stage, Lane::Emergency).await;
        let planning = stage.leading().await;
        planning.release(Channel::Sms).await;
        assert_eq!(stage.queued(Channel::Sms, Lane::Emergency).await, released, "spared: {spared}");
        if spared {
            continue;
        }
        // What waits for its own district alone gains nothing from others' waiting.
        assert_eq!(stage.claim(Lane::Emergency, 1).await, 1);
        let neighbour = Fixture::new(&stage.database).await.unwrap();
        neighbour.guardians(3, Channel::Sms).await.unwrap();
        neighbour.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
        neighbour.expand_all().await.unwrap();
        planning.release(Channel::Sms).await;
        assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 3);
    }
}

/// Its jobs fill each tick as they fall due, and are never all claimed: at no instant is nothing released or queued.
#[tokio::test]
async fn an_emergency_of_a_limited_district_holds_up_nobody_while_it_is_released_and_unclaimed() {
    let stage = Stage::new().await;
    stage.fixture.guardians(5, Channel::Sms).await.unwrap();
    limit(&stage, "concurrency", "2").await;
    campaign(&stage, Lane::Emergency).await;
    let neighbour = Fixture::new(&stage.database).await.unwrap();
    neighbour.guardians(3, Channel::Sms).await.unwrap();
    neighbour.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    let planning = stage.leading().await;
    neighbour.expand_all().await.unwrap();
    let mut releaser = Releaser::new(Channel::Sms, planning.duties.clone());
    releaser.tick(&planning.planner).await.unwrap();
    let queued = async |lane| stage.queued(Channel::Sms, lane).await;
    assert_eq!([queued(Lane::Emergency).await, queued(Lane::General).await], [2, 3], "in the same tick");

    let late = neighbour.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    let mut expander = Expander::default();
    while expander.tick(&planning.planner).await.unwrap() == Progress::More {}
    assert_eq!(stage.jobs(late).await, 3, "nor is expansion held up");
    releaser.tick(&planning.planner).await.unwrap();
    assert_eq!(
        [queued(Lane::Emergency).await, queued(Lane::General).await],
        [2, 6],
        "while two are unclaimed"
    );

    // One that only accounts limit comes first beside it, as ever.
    neighbour.campaign(Lane::Emergency, &[Channel::Sms]).await.unwrap();
    neighbour.expand_all().await.unwrap();
    neighbour.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    neighbour.expand_all().await.unwrap();
    planning.release(Channel::Sms).await;
    assert_eq!([queued(Lane::Emergency).await, queued(Lane::General).await], [5, 6]);
}

#[tokio::test]
async fn people_are_contacted_from_the_same_number_in_every_campaign() {
    let stage = Stage::new().await;
    // As many as do not divide evenly: by load alone the second campaign would go another way than the first.
    stage.fixture.guardians(13, Channel::Sms).await.unwrap();
    let account = stage.fixture.account(Channel::Sms).unwrap();
    for number in ["+12025550101", "+12025550102", "+12025550103"] {
        let now = chrono::DateTime::UNIX_EPOCH;
        stage.fixture.store().add_sender(account, number, &SenderLimits::default(), now).await.unwrap();
    }
    let planning = stage.leading().await;
    for _ in 0..2 {
        campaign(&stage, Lane::General).await;
        planning.release(Channel::Sms).await;
    }
    let by_person = "select count(distinct j.account_id) from jobs j
        join destinations d on d.campaign_id = j.campaign_id and d.job_id = j.id
        where j.state = 2 group by d.address having count(*) = 2";
    let numbers = stage.numbers(by_person).await;
    assert_eq!(numbers, vec![1; 13]);
    let used = stage.numbers("select count(distinct account_id) from jobs").await;
    assert!(used[0] > 1, "and not all from one");
    let of_account = format!("select count(*) from jobs where account_id = {}", account.0);
    assert_eq!(stage.numbers(&of_account).await, [0], "from its own number no more");
}
