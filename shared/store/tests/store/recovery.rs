//! After a restore nothing is sent again by itself (promises 1, 2 and 10 over a restore).

use chrono::TimeDelta;
use tocsin_domain::recovery::Decision;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AttemptState, Channel, JobState, Lane, Outcome};
use tocsin_store::audit::JobFact;

use crate::counters::assert_counters;
use crate::fixture::Setting;
use crate::scene::{JOBS, Scene, Step, delivered};

/// As a dump that was restored into another database would say.
async fn restore(setting: &Setting) {
    setting.run("update installation set database_oid = 1").await;
    assert!(setting.store.is_restored().await.unwrap());
}

async fn facts(setting: &Setting, scene: &Scene) -> Vec<JobFact> {
    setting.store.job_facts(scene.campaign).await.unwrap()
}

/// 1 to 4 wait, the last of them until long after now; 5 to 8 are queued; 9 to 12 are being asked, one of them accepted.
async fn scene(setting: &Setting) -> Scene {
    setting.staff(JOBS as i32).await;
    let scene = Scene::set(setting).await;
    setting
        .run("update jobs set due_at = tocsin_now() + interval '1 hour', wait_reason = 8 where id = 4")
        .await;
    setting.report(&scene.asking[..1], ReportKind::Accepted { provider_id: Some("SM1".to_owned()) }).await;
    scene
}

async fn recovered(setting: &Setting) -> Scene {
    let scene = scene(setting).await;
    restore(setting).await;
    setting.store.recover().await.unwrap();
    scene
}

#[tokio::test]
async fn after_a_restore_what_may_have_been_sent_is_unknown_and_what_surely_was_not_waits() {
    let setting = Setting::new().await;
    let scene = scene(&setting).await;
    restore(&setting).await;
    // Interrupted, and called again.
    for _ in 0..2 {
        setting.store.recover().await.unwrap();
        setting.run("update installation set database_oid = 1").await;
    }
    setting.store.recover().await.unwrap();
    assert!(!setting.store.is_restored().await.unwrap(), "roles start again");
    let jobs = facts(&setting, &scene).await;
    let waiting: Vec<i32> =
        jobs.iter().filter(|job| job.state == JobState::Waiting).map(|job| job.job).collect();
    assert_eq!(waiting, [4]);
    assert_eq!(jobs.iter().filter(|job| job.state == JobState::Claimed).count(), 11);
    let tried = setting.store.attempt_facts(scene.campaign).await.unwrap();
    assert_eq!(tried.len(), 11, "one each, as a claim would have made");
    assert!(tried.iter().all(|attempt| attempt.state == AttemptState::Unknown));
    let undecided = setting.store.undecided().await.unwrap();
    assert_eq!((undecided[0].unknown, undecided[0].waiting), (11, 1));
    assert_counters(&setting, scene.campaign, "in doubt").await;
    assert_eq!(setting.number("select coalesce(sum(queued), 0) from flow").await, 0);
    assert_eq!(setting.number("select coalesce(sum(attempts), 0) from held").await, 0);
}

#[tokio::test]
async fn nothing_of_an_undecided_campaign_is_released_claimed_or_expanded() {
    let setting = Setting::new().await;
    let scene = recovered(&setting).await;
    let later = setting.campaign(|new| new.scheduled_at += TimeDelta::hours(1)).await;
    let due = setting.campaign(|_| ()).await;
    let overdue = setting.campaign(|new| new.scheduled_at += TimeDelta::hours(1)).await;
    setting.run(&format!("update campaigns set scheduled_at = tocsin_now() where id = '{overdue}'")).await;
    restore(&setting).await;
    setting.store.recover().await.unwrap();
    assert_eq!(setting.store.open_campaigns().await.unwrap(), []);
    let expanded = setting.store.expansions_due(setting.now().await + TimeDelta::hours(2), 10).await.unwrap();
    let expanded: Vec<_> = expanded.iter().map(|expansion| expansion.campaign).collect();
    assert_eq!(expanded, [later], "one whose time comes after the restore begins, and no other");
    // Whatever lies on the broker is void; and if a row were queued still, it is given back.
    let stale = setting.store.claim(setting.worker().await, &scene.queued).await.unwrap();
    assert_eq!(crate::fixture::denials(&stale).len(), 4);
    let not_begun: Vec<bool> =
        setting.store.undecided().await.unwrap().iter().map(|one| one.had_not_begun()).collect();
    assert_eq!(not_begun, [false, true, true]);
    assert_eq!(setting.store.decide(due, Decision::Leave, "ann").await.unwrap(), Some(0));
    assert_eq!(setting.campaign_state(due).await, 4, "one that had not begun is canceled");
}

#[tokio::test]
async fn sent_again_the_unknown_jobs_are_due_and_left_they_end_as_unknown() {
    for (decision, lane) in [
        (Decision::SendAgain, Lane::General),
        (Decision::SendAgain, Lane::Emergency),
        (Decision::Leave, Lane::General),
        (Decision::Leave, Lane::Emergency),
    ] {
        let setting = Setting::new().await;
        let scene = recovered(&setting).await;
        setting
            .run(&format!("update campaigns set lane = {n}; update jobs set lane = {n}", n = lane.number()))
            .await;
        let moved = setting.store.decide(scene.campaign, decision, "ann").await.unwrap();
        assert_eq!(moved, Some(11), "{decision:?} {lane}");
        assert_eq!(
            setting.store.decide(scene.campaign, decision, "ann").await.unwrap(),
            None,
            "decided once"
        );
        let jobs = facts(&setting, &scene).await;
        let (waiting, ended) = match decision {
            Decision::SendAgain => (12, 0),
            Decision::Leave => (1, 11),
        };
        assert_eq!(jobs.iter().filter(|job| job.state == JobState::Waiting).count(), waiting, "{lane}");
        let unknown = Outcome::silent(Channel::Sms);
        let left = jobs.iter().filter(|job| job.state == JobState::Ended && job.outcome == Some(unknown));
        assert_eq!(left.count(), ended, "{lane}");
        assert_eq!(setting.store.open_campaigns().await.unwrap().len(), 1, "its other jobs go on");
        assert_counters(&setting, scene.campaign, &format!("{decision:?} {lane}")).await;
        let audited = "select count(*) from audit where action = 'campaign.recover'";
        assert_eq!(setting.number(audited).await, 1);
    }
}

/// The attempt that a restore made up has the number that the lost one had: what its provider says finds it.
#[tokio::test]
async fn what_a_provider_tells_after_the_restore_still_counts() {
    let setting = Setting::new().await;
    let scene = recovered(&setting).await;
    let tried = setting.store.attempt_facts(scene.campaign).await.unwrap();
    let keys: Vec<_> = tried
        .iter()
        .filter(|attempt| attempt.job <= 8)
        .map(|attempt| tocsin_domain::AttemptKey {
            job: tocsin_domain::JobKey { campaign: scene.campaign, job: attempt.job },
            number: attempt.number,
        })
        .collect();
    setting.report(&keys, delivered()).await;
    assert_eq!(setting.store.undecided().await.unwrap()[0].unknown, 4);
    assert_eq!(setting.store.decide(scene.campaign, Decision::SendAgain, "ann").await.unwrap(), Some(4));
    let ended =
        facts(&setting, &scene).await.iter().filter(|job| job.outcome == Some(Outcome::Delivered)).count();
    assert_eq!(ended, keys.len(), "nobody who has it gets it again");
    assert_counters(&setting, scene.campaign, "told late").await;
}

/// A redial may have been made before the crash, so that a campaign that is left makes none of them.
#[tokio::test]
async fn a_redial_that_a_report_asks_for_after_the_restore_waits_for_the_decision() {
    for (decision, waiting) in [(Decision::SendAgain, 12), (Decision::Leave, 1)] {
        let setting = Setting::new().await;
        let scene = recovered(&setting).await;
        let busy = ReportKind::Status { outcome: Outcome::Busy, provider_code: None, provider_id: None };
        setting.report(&scene.asking[..2], busy).await;
        assert_eq!(setting.jobs_in(scene.campaign, 1).await, 3);
        setting.store.decide(scene.campaign, decision, "ann").await.unwrap();
        assert_eq!(setting.jobs_in(scene.campaign, 1).await, waiting, "{decision:?}");
        assert_counters(&setting, scene.campaign, "redialed").await;
    }
}

#[tokio::test]
async fn a_database_that_was_moved_starts_without_a_decision() {
    let setting = Setting::new().await;
    let scene = scene(&setting).await;
    restore(&setting).await;
    setting.store.mark_moved().await.unwrap();
    assert!(!setting.store.is_restored().await.unwrap());
    assert_eq!(setting.store.undecided().await.unwrap(), []);
    assert_eq!(Step::Claim.run(&setting.store, &setting, &scene).await, 4);
}

/// Its unknown attempts settle by their deadline, as those of every canceled campaign, and it closes.
#[tokio::test]
async fn an_undecided_campaign_may_be_canceled_instead() {
    let setting = Setting::new().await;
    let scene = recovered(&setting).await;
    setting.cancel(scene.campaign).await;
    crate::scene::sweep(&setting.store, &setting, scene.campaign, Outcome::Canceled).await;
    assert_eq!(setting.store.finish_cancels(setting.now().await, &[]).await.unwrap().len(), 1);
    let due = setting.store.due_claim_batches(setting.now().await, 100).await.unwrap();
    let open: Vec<_> = due.iter().flat_map(|batch| &batch.open).collect();
    assert!(open.len() >= 11 && open.iter().all(|open| open.undecided && open.view.job.canceled));
    let keys = attempts_of(&open.iter().map(|open| open.view.key).collect::<Vec<_>>());
    setting.report(&keys, ReportKind::DoubtOver).await;
    assert_eq!(setting.store.close_campaigns(setting.now().await).await.unwrap().len(), 1);
    assert_counters(&setting, scene.campaign, "canceled").await;
}

fn attempts_of(keys: &[tocsin_domain::AttemptKey]) -> Vec<tocsin_domain::AttemptKey> {
    let mut keys = keys.to_vec();
    keys.sort();
    keys.dedup();
    keys
}
