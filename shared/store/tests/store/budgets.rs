//! What districts and campaigns allow, by the store's clock, whoever releases.

use chrono::TimeDelta;
use futures::future::join_all;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{Channel, DistrictId, Generation, JobKey, Lane, Outcome};
use tocsin_store::budgets::{BudgetDraw, PlaceWish};
use tocsin_store::{Access, Store};
use uuid::Uuid;

use crate::fixture::{Setting, attempts};

const OWNER: Uuid = Uuid::from_u128(7);

fn draw(jobs: i32) -> BudgetDraw {
    BudgetDraw { owner: OWNER, rate_per_second: 4.0, jobs }
}

async fn drawn(store: &Store, jobs: i32) -> u32 {
    store.draw_budgets(Channel::Sms, &[draw(jobs)]).await.unwrap()[0]
}

/// The store's clock stands still but for what a test shifts: what passes in between is too little for a job.
#[tokio::test]
async fn a_budget_gives_its_rate_and_saves_little() {
    let setting = Setting::new().await;
    let slow = |jobs| BudgetDraw { rate_per_second: 0.01, ..draw(jobs) };
    let drawn = async |jobs| setting.store.draw_budgets(Channel::Sms, &[slow(jobs)]).await.unwrap()[0];
    assert_eq!([drawn(5).await, drawn(5).await], [1, 0], "full at first, and no more");
    setting.shift_clock(TimeDelta::seconds(100)).await;
    assert_eq!([drawn(5).await, drawn(5).await], [1, 0], "its rate");
    setting.shift_clock(TimeDelta::hours(10)).await;
    assert_eq!([drawn(5).await, drawn(5).await], [1, 0], "nothing is saved up");
    drawn(-1).await;
    assert_eq!([drawn(5).await, drawn(5).await], [1, 0], "what was given back");
    setting.shift_clock(TimeDelta::hours(9)).await;
    assert_eq!(drawn(5).await, 0, "a clock that was set back gives nothing");
    let other = BudgetDraw { owner: Uuid::from_u128(8), ..slow(5) };
    assert_eq!(setting.store.draw_budgets(Channel::Sms, &[slow(5), other]).await.unwrap(), [0, 1]);
    assert_eq!(
        setting.store.draw_budgets(Channel::Voice, &[slow(5)]).await.unwrap(),
        [1],
        "of another channel"
    );
}

#[tokio::test]
async fn two_planners_at_once_draw_no_more_than_there_is() {
    let setting = Setting::new().await;
    let planners: Vec<Store> =
        (0..8).map(|_| Store::open(&setting.database.url, 1, Access::Engine).unwrap()).collect();
    let before = setting.now().await;
    let mut got = 0;
    for _ in 0..10 {
        got += join_all(planners.iter().map(|store| drawn(store, 100))).await.into_iter().sum::<u32>();
    }
    let seconds = (setting.now().await - before).as_seconds_f64();
    assert!(got >= 3 && f64::from(got) <= 3.0 + 4.0 * seconds, "{got} in {seconds} s");
}

async fn limit(setting: &Setting, concurrency: i32) {
    setting
        .run(&format!(
            "insert into district_limits (district_id, channel, concurrency, updated_at, updated_by)
             values ('{}', 2, {concurrency}, now(), 'test')",
            setting.district
        ))
        .await;
}

async fn free(setting: &Setting) -> Option<u32> {
    free_for(setting, Lane::General).await
}

async fn free_for(setting: &Setting, lane: Lane) -> Option<u32> {
    let free = setting.store.free_places(Channel::Sms, lane, &[setting.district]).await.unwrap();
    free.get(&setting.district).copied()
}

async fn take(store: &Store, lane: Lane, wishes: &[PlaceWish]) -> Vec<JobKey> {
    store.take_places(Channel::Sms, lane, wishes).await.unwrap()
}

fn wishes(district: DistrictId, keys: &[JobKey]) -> Vec<PlaceWish> {
    keys.iter().map(|key| PlaceWish { district, key: *key, generation: Generation(0) }).collect()
}

#[tokio::test]
async fn a_job_has_its_place_until_it_is_settled() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(3).await;
    assert_eq!(free(&setting).await, None, "no limit");
    limit(&setting, 2).await;
    let keys: Vec<JobKey> = (1..=3).map(|job| JobKey { campaign, job }).collect();
    let all = wishes(setting.district, &keys);
    assert_eq!(take(&setting.store, Lane::General, &all).await, &keys[..2]);
    assert_eq!(free(&setting).await, Some(0), "to be released");
    setting.release(campaign, Channel::Sms).await;
    setting.shift_clock(TimeDelta::seconds(10)).await;
    assert_eq!(free(&setting).await, Some(0), "queued");
    setting.run("update jobs set state = 3").await;
    assert_eq!(free(&setting).await, Some(0), "claimed");
    setting.run("update jobs set state = 4, ended_at = now() where id = 1").await;
    assert_eq!(free(&setting).await, Some(1), "ended");
    setting.run("update jobs set state = 1, due_at = now() where id = 2").await;
    assert_eq!(free(&setting).await, Some(2), "waiting again");
    assert_eq!(setting.number("select count(*) from release_places").await, 0);
    // A planner that died between taking places and releasing.
    let waiting = [PlaceWish { generation: Generation(1), ..all[1] }];
    take(&setting.store, Lane::General, &waiting).await;
    assert_eq!(free(&setting).await, Some(1));
    setting.shift_clock(TimeDelta::seconds(20)).await;
    assert_eq!(free(&setting).await, Some(2), "given up");
}

#[tokio::test]
async fn two_planners_at_once_take_no_more_places_than_there_are() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(40).await;
    limit(&setting, 7).await;
    let planners: Vec<Store> =
        (0..8).map(|_| Store::open(&setting.database.url, 1, Access::Engine).unwrap()).collect();
    let takes = planners.iter().enumerate().map(|(at, store)| {
        let keys: Vec<JobKey> =
            (0..5).map(|job| JobKey { campaign, job: (at as i32) * 5 + job + 1 }).collect();
        let wishes = wishes(setting.district, &keys);
        async move { take(store, Lane::General, &wishes).await.len() }
    });
    assert_eq!(join_all(takes).await.into_iter().sum::<usize>(), 7);
}

#[tokio::test]
async fn emergencies_find_the_places_of_other_lanes_free_and_no_other_lane_finds_theirs() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(5).await;
    limit(&setting, 2).await;
    let keys: Vec<JobKey> = (1..=5).map(|job| JobKey { campaign, job }).collect();
    let all = wishes(setting.district, &keys);
    take(&setting.store, Lane::Priority, &all[..2]).await;
    let free_now = async || [free_for(&setting, Lane::Emergency).await, free(&setting).await];
    assert_eq!(free_now().await, [Some(2), Some(0)]);
    assert_eq!(take(&setting.store, Lane::Emergency, &all[2..]).await, &keys[2..4]);
    assert_eq!(free_now().await, [Some(0), Some(0)]);
}

#[tokio::test]
async fn a_call_that_is_over_and_awaits_who_answered_holds_no_place() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(2).await;
    limit(&setting, 2).await;
    let keys: Vec<JobKey> = (1..=2).map(|job| JobKey { campaign, job }).collect();
    take(&setting.store, Lane::General, &wishes(setting.district, &keys)).await;
    let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    let status = |outcome| ReportKind::Status { outcome, provider_code: None, provider_id: None };
    setting.report(&tried[..1], status(Outcome::CallEnded)).await;
    setting.report(&tried[1..], status(Outcome::PersonAnswered)).await;
    assert_eq!(setting.number("select count(*) from jobs where state = 3").await, 2);
    assert_eq!(free(&setting).await, Some(1), "the line of the one is free, the other is spoken with");
}

/// One planner judges a place by what it was before another took it for the job's next release.
#[tokio::test]
async fn a_place_that_is_taken_anew_meanwhile_is_not_removed() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(1).await;
    limit(&setting, 1).await;
    let again = "update release_places set generation = generation + 1";
    for (taken, seconds) in [(again, 10), ("update release_places set taken_at = tocsin_now()", 20)] {
        take(&setting.store, Lane::General, &wishes(setting.district, &[JobKey { campaign, job: 1 }])).await;
        setting.shift_clock(TimeDelta::seconds(seconds)).await;
        setting.run(&format!("begin; {taken}")).await;
        let waits = "select count(*) from pg_locks
            where not granted and pg_backend_pid() = any(pg_blocking_pids(pid))";
        let commit = async {
            while setting.number(waits).await == 0 {
                tokio::task::yield_now().await;
            }
            setting.run("commit").await;
        };
        tokio::join!(free(&setting), commit);
        assert_eq!(setting.number("select count(*) from release_places").await, 1, "{taken}");
        setting.run("delete from release_places").await;
    }
}
