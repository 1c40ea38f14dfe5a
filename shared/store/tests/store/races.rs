//! Two statements at once: no `canceled` while a claim is still to commit, no lost update, no deadlock
//! (promise 3).

use std::collections::HashSet;

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AccountId, AttemptKey, Channel, Generation, JobKey, Outcome, WaitReason};
use tocsin_store::claim::Asked;

use crate::counters::assert_counters;
use crate::fixture::{Setting, keys, reports};
use crate::held::{FIRST, Point, SECOND, Waited, install_gate, side_by_side};
use crate::scene::{JOBS, Scene, Step, end, sweep};

/// Runs every pair of steps side by side. Returns those in which the second had to wait for the first.
async fn every_pair(point: Point) -> HashSet<(Step, Step)> {
    let setting = Setting::new().await;
    install_gate(&setting).await;
    setting.staff(JOBS as i32).await;
    let (one, other) = (setting.actor(FIRST), setting.actor(SECOND));
    let mut blocked = HashSet::new();
    for first in Step::ALL {
        for second in Step::ALL {
            let scene = Scene::set(&setting).await;
            let context = format!("{first:?} held {point:?}, beside it {second:?}");
            let meanwhile = async |waited: Waited| {
                if first == Step::Claim && waited.first {
                    let now = setting.now().await;
                    let finished = setting.store.finish_cancels(now, &[]).await.unwrap();
                    let canceled = finished.iter().any(|end| end.campaign == scene.campaign);
                    assert!(!canceled, "{context}: canceled while a claim is to commit");
                }
            };
            let (made_first, made_second, waited) = side_by_side(
                &setting,
                point,
                first.run(&one, &setting, &scene),
                second.run(&other, &setting, &scene),
                meanwhile,
            )
            .await;
            if waited.first && waited.second {
                blocked.insert((first, second));
            }
            end(&setting, &scene, made_first + made_second, &context).await;
        }
    }
    blocked
}

#[tokio::test]
async fn any_two_steps_fit_when_the_first_has_its_locks() {
    let blocked = every_pair(Point::BeforeItsCommit).await;
    for pair in [
        (Step::Claim, Step::CancelAndSweep),
        (Step::Claim, Step::Expire),
        (Step::Claim, Step::GiveBack),
        (Step::Claim, Step::Requeue),
        (Step::Claim, Step::Claim),
        (Step::Release, Step::CancelAndSweep),
        (Step::Requeue, Step::Claim),
        (Step::Expire, Step::Claim),
        (Step::Record, Step::Apply),
        (Step::Apply, Step::Look),
        (Step::Hold, Step::Release),
        (Step::Release, Step::Hold),
        (Step::Hold, Step::CancelAndSweep),
    ] {
        assert!(blocked.contains(&pair), "{pair:?} did not meet");
    }
    assert!(!blocked.contains(&(Step::Claim, Step::Cancel)), "a claim holds up no cancel");
}

#[tokio::test]
async fn any_two_steps_fit_when_the_first_has_its_snapshot_and_waits() {
    let blocked = every_pair(Point::BeforeItsLocks).await;
    for pair in [
        (Step::Claim, Step::CancelAndSweep),
        (Step::Release, Step::CancelAndSweep),
        (Step::GiveBack, Step::Expire),
        (Step::Record, Step::Apply),
    ] {
        assert!(blocked.contains(&pair), "{pair:?} did not meet");
    }
}

/// Batches in any order over the same rows: locks are taken in one order, so none ever waits for itself.
#[tokio::test]
async fn batches_in_any_order_do_not_deadlock() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(60).await;
    let duty = setting.duty().await;
    let worker = setting.worker().await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let rounds = 25;
    let planner = async {
        for _ in 0..rounds {
            let releases = setting.releases(&setting.due(campaign, Channel::Sms).await, Channel::Sms).await;
            let now = setting.now().await;
            setting.store.release(&duty, &releases, now, now).await.unwrap();
            setting.store.requeue_overdue(now - TimeDelta::milliseconds(20), 3).await.unwrap();
        }
    };
    let work = async |seed: u64| {
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..rounds {
            let now = setting.now().await;
            setting.store.renew_leases(worker, &Channel::ALL).await.unwrap();
            let mut asked: Vec<Asked> = setting
                .owner
                .query("select id, generation, account_id from jobs where state = 2", &[])
                .await
                .unwrap()
                .iter()
                .map(|row| Asked {
                    key: JobKey { campaign, job: row.get(0) },
                    generation: Generation(row.get(1)),
                    account: AccountId(row.get(2)),
                })
                .collect();
            asked.shuffle(&mut random);
            let given_back = keys(&asked[..asked.len() / 3]);
            setting.store.claim(worker, &asked).await.unwrap();
            setting.store.give_back(&given_back, now, WaitReason::Limiter).await.unwrap();
        }
    };
    let tell = async |seed: u64| {
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..rounds {
            let now = setting.now().await;
            let mut told = Vec::new();
            for job in &jobs {
                let kind = match random.random_range(0..4) {
                    0 => ReportKind::NotAsked,
                    1 => ReportKind::Lost,
                    _ => ReportKind::Accepted { provider_id: Some("SM1".to_owned()) },
                };
                let number = random.random_range(1..4);
                told.extend(reports(&[AttemptKey { job: job.key, number }], &kind, now));
            }
            told.shuffle(&mut random);
            setting.store.settle(told, vec![], now).await.unwrap();
        }
    };
    let recall = async {
        for _ in 0..rounds {
            let now = setting.now().await;
            let ordered = setting.store.order_recalls(campaign, &[Channel::Sms], now).await.unwrap();
            let mut failed: Vec<AttemptKey> = ordered.iter().map(|order| order.attempt).collect();
            failed.reverse();
            setting.store.recall_failed(&failed).await.unwrap();
            setting.store.fold().await.unwrap();
        }
    };
    tokio::join!(planner, work(1), work(2), tell(3), tell(4), recall);
    assert_counters(&setting, campaign, "stormed").await;
    sweep(&setting.store, &setting, campaign, Outcome::Expired).await;
    assert_counters(&setting, campaign, "swept").await;
}
