//! A campaign with jobs in every state, the steps that meet on them, and the end that must come of it.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::LocalBoxFuture;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AttemptKey, CampaignId, CampaignState, Channel, JobKey, Outcome, WaitReason, WorkerId};
use tocsin_store::Store;
use tocsin_store::claim::Asked;
use tocsin_store::leadership::Duty;
use tocsin_store::release::{Hold, Release};
use tocsin_store::sweep::ToSweep;

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts, granted, keys, reports};

pub const JOBS: i64 = 12;

/// A campaign with jobs in every state: 1 to 4 wait, 5 to 8 are queued, 9 to 12 are being asked.
pub struct Scene {
    pub campaign: CampaignId,
    duty: Duty,
    pub worker: WorkerId,
    waiting: Vec<Release>,
    pub queued: Vec<Asked>,
    pub asking: Vec<AttemptKey>,
}

impl Scene {
    pub async fn set(setting: &Setting) -> Self {
        let campaign = setting.campaign(|_| ()).await;
        setting.expand(campaign, 100).await;
        let due = setting.due(campaign, Channel::Sms).await;
        let releases = setting.releases(&due, Channel::Sms).await;
        let duty = setting.duty().await;
        let now = setting.now().await;
        let later = now + TimeDelta::minutes(1);
        let released = setting.store.release(&duty, &releases[4..], now, later).await.unwrap();
        let mut queued = crate::fixture::asked(&released);
        queued.sort_by_key(|job| job.key);
        let claimed = queued.split_off(4);
        let asking = attempts(&setting.claim(&claimed).await);
        let worker = setting.worker().await;
        Self { campaign, duty, worker, waiting: releases[..4].to_vec(), queued, asking }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Release,
    /// The waiting jobs are held by their calling window.
    Hold,
    Claim,
    GiveBack,
    Requeue,
    /// The worker's answers: two accepted, two not asked, which wait again.
    Record,
    /// Callbacks: all delivered.
    Apply,
    /// Nobody answered in time: unknown.
    Look,
    Expire,
    Cancel,
    CancelAndSweep,
}

impl Step {
    pub const ALL: [Self; 11] = [
        Self::Release,
        Self::Hold,
        Self::Claim,
        Self::GiveBack,
        Self::Requeue,
        Self::Record,
        Self::Apply,
        Self::Look,
        Self::Expire,
        Self::Cancel,
        Self::CancelAndSweep,
    ];

    /// Does the step on the scene; returns how many attempts it made.
    pub fn run<'a>(
        self,
        store: &'a Store,
        setting: &'a Setting,
        scene: &'a Scene,
    ) -> LocalBoxFuture<'a, usize> {
        Box::pin(self.take(store, setting, scene))
    }

    async fn take(self, store: &Store, setting: &Setting, scene: &Scene) -> usize {
        let now = setting.now().await;
        let campaign = scene.campaign;
        match self {
            Self::Release => {
                let later = now + TimeDelta::minutes(1);
                store.release(&scene.duty, &scene.waiting, now, later).await.unwrap();
            }
            Self::Hold => {
                let due_at = now + TimeDelta::hours(1);
                store.hold(&holds(&scene.waiting, due_at)).await.unwrap();
            }
            Self::Claim => {
                return granted(store.claim(scene.worker, &scene.queued).await.unwrap()).len();
            }
            Self::GiveBack => {
                store.give_back(&keys(&scene.queued), now, WaitReason::Limiter).await.unwrap();
            }
            Self::Requeue => {
                store.requeue_overdue(now + TimeDelta::minutes(2), 100).await.unwrap();
            }
            Self::Record => {
                let accepted = ReportKind::Accepted { provider_id: Some("SM1".to_owned()) };
                let mut told = reports(&scene.asking[..2], &accepted, now);
                told.extend(reports(&scene.asking[2..], &ReportKind::NotAsked, now));
                store.settle(told, vec![], now).await.unwrap();
            }
            Self::Apply => {
                store.settle(reports(&scene.asking, &delivered(), now), vec![], now).await.unwrap();
            }
            Self::Look => {
                let due = store.due_claim_batches(now + TimeDelta::hours(1), 1000).await.unwrap();
                let open: Vec<AttemptKey> = due
                    .iter()
                    .flat_map(|batch| &batch.open)
                    .map(|open| open.view.key)
                    .filter(|key| key.job.campaign == campaign)
                    .collect();
                store.settle(reports(&open, &ReportKind::Lost, now), vec![], now).await.unwrap();
            }
            Self::Expire => sweep(store, setting, campaign, Outcome::Expired).await,
            Self::Cancel => cancel(store, setting, campaign).await,
            Self::CancelAndSweep => {
                cancel(store, setting, campaign).await;
                sweep(store, setting, campaign, Outcome::Canceled).await;
            }
        }
        0
    }
}

fn holds(waiting: &[Release], due_at: DateTime<Utc>) -> Vec<Hold> {
    waiting
        .iter()
        .map(|job| Hold { key: job.key, generation: job.generation, due_at, reason: WaitReason::Window })
        .collect()
}

pub fn delivered() -> ReportKind {
    ReportKind::Status { outcome: Outcome::Delivered, provider_code: None, provider_id: None }
}

async fn cancel(store: &Store, setting: &Setting, campaign: CampaignId) {
    store.tenant(setting.district).cancel(campaign, "test", None).await.unwrap().unwrap();
}

pub async fn sweep(store: &Store, setting: &Setting, campaign: CampaignId, outcome: Outcome) {
    let sweep = ToSweep { campaign, outcome };
    loop {
        let pass = store.sweep(&sweep, 0, 100, setting.now().await).await.unwrap();
        if pass.ended == 0 {
            store.mark_swept(&sweep, setting.now().await).await.unwrap();
            return;
        }
    }
}

async fn asking(setting: &Setting, campaign: CampaignId) -> i64 {
    setting
        .number(&format!("select count(*) from attempts where campaign_id = '{campaign}' and state = 1"))
        .await
}

/// Brings the campaign to its end and checks that everything fits.
pub async fn end(setting: &Setting, scene: &Scene, made: usize, context: &str) {
    let campaign = scene.campaign;
    assert_counters(setting, campaign, context).await;
    let tried = setting
        .owner
        .query("select job_id, number from attempts where campaign_id = $1", &[&campaign.0])
        .await
        .unwrap();
    assert_eq!(tried.len(), scene.asking.len() + made, "{context}: an attempt for each claim granted");
    let tried: Vec<AttemptKey> = tried
        .iter()
        .map(|row| AttemptKey { job: JobKey { campaign, job: row.get(0) }, number: row.get(1) })
        .collect();
    setting.cancel(campaign).await;
    sweep(&setting.store, setting, campaign, Outcome::Canceled).await;
    let still_asking = asking(setting, campaign).await;
    let finished = setting.store.finish_cancels(setting.now().await, &[]).await.unwrap();
    let is_finished = finished.iter().any(|end| end.campaign == campaign);
    assert_eq!(is_finished, still_asking == 0, "{context}: canceled exactly when nothing is asking");
    setting.report(&tried, delivered()).await;
    sweep(&setting.store, setting, campaign, Outcome::Canceled).await;
    setting.store.finish_cancels(setting.now().await, &[]).await.unwrap();
    let closed = setting.store.close_campaigns(setting.now().await).await.unwrap();
    let end = closed.iter().find(|end| end.campaign == campaign).unwrap();
    assert_eq!(end.state, CampaignState::Canceled, "{context}");
    let unfit = format!(
        "select count(*) from jobs j where campaign_id = '{campaign}' and not (
           state = 4 and ended_at is not null and due_at is null and outcome =
             case when exists (select from attempts a where a.campaign_id = j.campaign_id and a.job_id = j.id)
             then {} else outcome end)",
        Outcome::Delivered.number()
    );
    assert_eq!(setting.number(&unfit).await, 0, "{context}: every job has ended, tried ones as delivered");
    assert_eq!(setting.jobs_in(campaign, 4).await, JOBS, "{context}");
    assert_counters(setting, campaign, context).await;
}
