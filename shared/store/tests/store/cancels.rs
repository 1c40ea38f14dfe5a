//! `canceled` is answered when nothing is asking and nothing is still to commit (promise 3).

use chrono::TimeDelta;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{CampaignState, Channel, Outcome};
use tocsin_store::claim::{Asked, Denied};
use tocsin_store::sweep::ToSweep;

use crate::counters::assert_counters;
use crate::fixture::{Setting, denials, granted, reports};
use crate::held::{FIRST, Point, SECOND, Waited, install_gate, side_by_side};
use crate::scene::{JOBS, Scene, Step, delivered, end};

/// The claim began before the cancel, so it may be granted; then it is in the receipt, and `canceled` waits.
#[tokio::test]
async fn a_claim_older_than_the_cancel_is_visible_when_the_sweep_is_through() {
    let setting = Setting::new().await;
    setting.staff(JOBS as i32).await;
    let scene = Scene::set(&setting).await;
    let (one, other) = (setting.actor(FIRST), setting.actor(SECOND));
    let (made, _, waited) = side_by_side(
        &setting,
        Point::BeforeItsLocks,
        Step::Claim.run(&one, &setting, &scene),
        Step::CancelAndSweep.run(&other, &setting, &scene),
        async |_| {
            let state = setting.campaign_state(scene.campaign).await;
            assert_eq!(state, i64::from(CampaignState::Canceling.number()), "the cancel waits for nobody");
        },
    )
    .await;
    assert_eq!(waited, Waited { first: true, second: true });
    let ended = setting.jobs_in(scene.campaign, 4).await;
    let claimed = setting.jobs_in(scene.campaign, 3).await;
    assert_eq!((ended + claimed, claimed), (JOBS, 4 + made as i64), "canceled or visibly claimed");
    let receipt = setting.tenant().receipt(scene.campaign).await.unwrap();
    assert_eq!((receipt.in_flight_or_unknown, receipt.never_tried), (claimed, ended));
    end(&setting, &scene, made, "after the sweep").await;
}

#[tokio::test]
async fn a_claim_that_waits_elsewhere_finds_the_swept_jobs_gone() {
    let setting = Setting::new().await;
    setting.staff(JOBS as i32).await;
    let (held, canceled) = (Scene::set(&setting).await, Scene::set(&setting).await);
    let one = setting.actor(FIRST);
    let asked: Vec<Asked> = held.queued.iter().chain(&canceled.queued).copied().collect();
    let row = setting.database.url.clone();
    let keeper = crate::fixture::connect(&row).await;
    let lock = format!("begin; select from jobs where campaign_id = '{}' for update", held.campaign);
    keeper.batch_execute(&lock).await.unwrap();
    let over = std::cell::Cell::new(false);
    let claim = async {
        let answers = one.claim(held.worker, &asked).await.unwrap();
        over.set(true);
        answers
    };
    let cancel_beside = async {
        assert!(crate::held::waits(&setting, FIRST, &over).await);
        Step::CancelAndSweep.run(&setting.store, &setting, &canceled).await;
        setting.report(&canceled.asking, delivered()).await;
        let finished = setting.store.finish_cancels(setting.now().await, &[]).await.unwrap();
        assert_eq!(finished.len(), 1, "nothing of this campaign is still to commit");
        keeper.batch_execute("commit").await.unwrap();
    };
    let (answers, ()) = tokio::join!(claim, cancel_beside);
    assert_eq!(denials(&answers), [Denied::Stale; 4]);
    assert!(granted(answers).iter().all(|grant| grant.attempt.job.campaign == held.campaign));
    assert_eq!(setting.jobs_in(canceled.campaign, 4).await, JOBS);
    assert_counters(&setting, canceled.campaign, "canceled beside").await;
}

/// The record was decided, and its rows locked, before the cancel; the sweep had nothing to wait for.
#[tokio::test]
async fn a_job_put_back_to_waiting_after_the_sweep_is_swept_again() {
    let setting = Setting::new().await;
    install_gate(&setting).await;
    setting.staff(JOBS as i32).await;
    let scene = Scene::set(&setting).await;
    let (one, other) = (setting.actor(FIRST), setting.actor(SECOND));
    side_by_side(
        &setting,
        Point::BeforeItsCommit,
        Step::Record.run(&one, &setting, &scene),
        Step::CancelAndSweep.run(&other, &setting, &scene),
        async |waited| {
            assert_eq!(waited, Waited { first: true, second: false });
            let finished = setting.store.finish_cancels(setting.now().await, &[]).await.unwrap();
            assert!(finished.is_empty(), "its attempts are asking as far as anybody can see");
        },
    )
    .await;
    assert_eq!(setting.jobs_in(scene.campaign, 1).await, 2, "what was not asked waits again");
    let again = setting.store.campaigns_to_sweep(setting.now().await).await.unwrap();
    assert_eq!(again.len(), 1, "at once, while it is canceling");
    assert_eq!(setting.sweep(again[0]).await, 2);
    end(&setting, &scene, 0, "swept again").await;
}

#[tokio::test]
async fn a_record_decided_before_the_cancel_is_decided_again_after_it() {
    let setting = Setting::new().await;
    setting.staff(JOBS as i32).await;
    let scene = Scene::set(&setting).await;
    let before = setting.store.attempt_views(&scene.asking).await.unwrap();
    Step::CancelAndSweep.run(&setting.store, &setting, &scene).await;
    let now = setting.now().await;
    let told = reports(&scene.asking, &ReportKind::NotAsked, now);
    let settled = setting.store.settle(told, before, now).await.unwrap();
    assert_eq!((settled.changed, settled.waiting_again), (4, 0));
    assert_eq!(setting.jobs_in(scene.campaign, 4).await, JOBS);
    end(&setting, &scene, 0, "decided again").await;
}

#[tokio::test]
async fn a_sweep_for_the_expiry_does_not_stand_for_the_cancels() {
    let setting = Setting::new().await;
    setting.staff(JOBS as i32).await;
    let scene = Scene::set(&setting).await;
    setting.report(&scene.asking, delivered()).await;
    let expiry = ToSweep { campaign: scene.campaign, outcome: Outcome::Expired };
    setting.sweep(expiry).await;
    setting.cancel(scene.campaign).await;
    let now = setting.now().await;
    assert!(setting.store.finish_cancels(now, &[]).await.unwrap().is_empty());
    // A pass that began before the cancel is over only now.
    setting.store.mark_swept(&expiry, now).await.unwrap();
    assert!(setting.store.finish_cancels(now, &[]).await.unwrap().is_empty());
    assert_eq!(setting.store.campaigns_to_sweep(now).await.unwrap().len(), 1);
    end(&setting, &scene, 0, "swept for both").await;
}

#[tokio::test]
async fn canceled_waits_for_recalls_until_their_deadline() {
    let setting = Setting::new().await;
    setting.staff(JOBS as i32).await;
    let scene = Scene::set(&setting).await;
    setting.report(&scene.asking, ReportKind::Accepted { provider_id: Some("SM1".to_owned()) }).await;
    Step::CancelAndSweep.run(&setting.store, &setting, &scene).await;
    let now = setting.now().await;
    let until = now + TimeDelta::seconds(30);
    let finished = setting.store.finish_cancels(now, &[Channel::Sms]).await.unwrap();
    assert!(finished.is_empty(), "accepted, and not recalled yet");
    let ordered = setting.store.order_recalls(scene.campaign, &[Channel::Sms], until).await.unwrap();
    assert_eq!(ordered.len(), 4);
    assert!(setting.store.order_recalls(scene.campaign, &[Channel::Sms], until).await.unwrap().is_empty());
    assert!(setting.store.finish_cancels(now, &[]).await.unwrap().is_empty(), "ordered");
    assert_eq!(setting.store.recall_failed(&scene.asking[..1]).await.unwrap(), 1);
    setting.report(&scene.asking[1..3], ReportKind::Recalled).await;
    assert!(setting.store.finish_cancels(now, &[]).await.unwrap().is_empty(), "one is not answered");
    assert_eq!(setting.store.finish_cancels(until, &[]).await.unwrap().len(), 1, "past its deadline");
    let receipt = setting.tenant().receipt(scene.campaign).await.unwrap();
    assert_eq!((receipt.recalled, receipt.in_flight_or_unknown, receipt.never_tried), (2, 2, 8));
}
