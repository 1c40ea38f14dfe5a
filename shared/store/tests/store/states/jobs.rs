//! Jobs: each statement is run on jobs in each state, at the generation that they have.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::receipt::{Addressed, AddressedPart};
use tocsin_domain::recovery::Decision;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AttemptKey, CampaignId, Channel, Generation, JobKey, JobState, Outcome, WaitReason};
use tocsin_store::claim::Asked;
use tocsin_store::release::{Hold, Release};
use tocsin_store::sweep::ToSweep;

use super::settling::{job_name, settling};
use super::{NONE, Transitions, assert_documented, transition};
use crate::fixture::{Setting, attempts};

const PEOPLE: i32 = 8;

/// What is watched of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    state: JobState,
    generation: Generation,
    outcome: Option<i16>,
    due_at: Option<DateTime<Utc>>,
    reason: Option<i16>,
}

type Rows = BTreeMap<i32, Row>;

#[derive(Debug, Clone)]
enum Step {
    Hold,
    Release,
    GiveBack,
    RequeueOverdue,
    Claim,
    ClaimLate,
    ClaimBarred,
    Sweep,
    /// The database was restored, and what waits is due.
    Recover,
    Apply(ReportKind),
}

impl Step {
    fn statement(&self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::GiveBack => "give_back",
            Self::RequeueOverdue => "requeue_overdue",
            Self::Claim | Self::ClaimLate | Self::ClaimBarred => "claim",
            Self::Sweep => "sweep",
            Self::Recover => "doubt_jobs",
            Self::Apply(_) => "apply",
        }
    }
}

fn status(outcome: Outcome) -> ReportKind {
    ReportKind::Status { outcome, provider_code: None, provider_id: None }
}

async fn rows(setting: &Setting, campaign: CampaignId) -> Rows {
    let sql = "select id, state, generation, outcome, due_at, wait_reason from jobs where campaign_id = $1";
    let found = setting.owner.query(sql, &[&campaign.0]).await.unwrap();
    found
        .iter()
        .map(|row| {
            let job = Row {
                state: JobState::from_number(row.get("state")).unwrap(),
                generation: Generation(row.get("generation")),
                outcome: row.get("outcome"),
                due_at: row.get("due_at"),
                reason: row.get("wait_reason"),
            };
            (row.get("id"), job)
        })
        .collect()
}

fn name(row: Option<&Row>) -> &'static str {
    row.map_or(NONE, |row| job_name(row.state))
}

/// What became of each job whose row is not as it was.
fn changes(before: &Rows, after: &Rows, statement: &str) -> Transitions {
    let changed = after.iter().filter(|(id, row)| before.get(id) != Some(row));
    changed.map(|(id, row)| transition(name(before.get(id)), name(Some(row)), statement)).collect()
}

/// A campaign of which each job was tried: two wait for their redial, two are queued for it, two are being asked, two
/// have ended.
async fn tried(setting: &Setting) -> (CampaignId, Vec<AttemptKey>) {
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 1000).await;
    let claimed = setting.claim(&setting.release(campaign, Channel::Sms).await).await;
    let mut tried = attempts(&claimed);
    tried.sort();
    setting.report(&tried[..4], status(Outcome::Busy)).await;
    setting.report(&tried[6..], status(Outcome::Delivered)).await;
    let waiting = rows(setting, campaign).await;
    run(
        setting,
        campaign,
        &waiting.into_iter().filter(|(id, _)| (3..=4).contains(id)).collect(),
        &tried,
        &Step::Release,
    )
    .await;
    let states = rows(setting, campaign).await.into_values().map(|row| row.state).collect::<Vec<_>>();
    let expected = [JobState::Waiting, JobState::Queued, JobState::Claimed, JobState::Ended];
    assert_eq!(states, expected.iter().flat_map(|state| [*state; 2]).collect::<Vec<_>>());
    (campaign, tried)
}

async fn run(setting: &Setting, campaign: CampaignId, jobs: &Rows, tried: &[AttemptKey], step: &Step) {
    let now = setting.now().await;
    let later = now + TimeDelta::minutes(1);
    let key = |id: &i32| JobKey { campaign, job: *id };
    match step {
        Step::Hold => {
            let hold = |(id, row): (&i32, &Row)| Hold {
                key: key(id),
                generation: row.generation,
                due_at: later,
                reason: WaitReason::Window,
            };
            setting.store.hold(&jobs.iter().map(hold).collect::<Vec<_>>()).await.unwrap();
        }
        Step::Release => {
            let account = setting.fixture.account(Channel::Sms).unwrap();
            let contact_until = now + TimeDelta::hours(1);
            let release = |(id, row): (&i32, &Row)| Release {
                key: key(id),
                generation: row.generation,
                account,
                contact_until,
            };
            let releases: Vec<Release> = jobs.iter().map(release).collect();
            setting.store.release(&setting.duty().await, &releases, now, later).await.unwrap();
        }
        Step::GiveBack => {
            let queued: Vec<_> = jobs.iter().map(|(id, row)| (key(id), row.generation)).collect();
            setting.store.give_back(&queued, later, WaitReason::Limiter).await.unwrap();
        }
        Step::RequeueOverdue => {
            setting.store.requeue_overdue(later + TimeDelta::minutes(1), 1000).await.unwrap();
        }
        Step::Claim | Step::ClaimLate | Step::ClaimBarred => {
            let prepare = match step {
                Step::ClaimLate => {
                    format!("update jobs set contact_until = tocsin_now() where campaign_id = '{campaign}'")
                }
                Step::ClaimBarred => format!(
                    "insert into suppressions (district_id, channel, address, outcome, reason, created_at)
                     select distinct district_id, channel, address, {}, 'requested', now() from destinations
                     where campaign_id = '{campaign}'",
                    Outcome::Suppressed.number()
                ),
                _ => String::new(),
            };
            setting.run(&prepare).await;
            let account = setting.fixture.account(Channel::Sms).unwrap();
            let asked: Vec<Asked> = jobs
                .iter()
                .map(|(id, row)| Asked { key: key(id), generation: row.generation, account })
                .collect();
            setting.store.claim(setting.worker().await, &asked).await.unwrap();
            setting.run("delete from suppressions").await;
        }
        Step::Sweep => {
            let sweep = ToSweep { campaign, outcome: Outcome::Expired };
            setting.store.sweep(&sweep, 0, 1000, now).await.unwrap();
        }
        Step::Recover => {
            setting.run("update jobs set due_at = tocsin_now() where state = 1").await;
            setting.store.recover().await.unwrap();
        }
        Step::Apply(kind) => setting.report(tried, kind.clone()).await,
    }
}

/// Of two that wait for a redial one is told of since the restore: left, it ends. What is in doubt ends by `apply`.
async fn left(setting: &Setting) -> Transitions {
    let (campaign, _) = tried(setting).await;
    setting.store.recover().await.unwrap();
    setting.run("update attempts set settled_at = tocsin_now() where job_id = 1").await;
    let mut before = rows(setting, campaign).await;
    setting.store.decide(campaign, Decision::Leave, "test").await.unwrap().unwrap();
    let mut after = rows(setting, campaign).await;
    before.retain(|_, row| row.state == JobState::Waiting);
    after.retain(|id, _| before.contains_key(id));
    assert_eq!(before.len(), 2);
    changes(&before, &after, "leave_tried")
}

async fn expanded(setting: &Setting) -> Transitions {
    for _ in 0..2 {
        setting.person(Role::Staff, &[(Channel::Sms, "+13125550111")]).await;
    }
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 1000).await;
    changes(&Rows::new(), &rows(setting, campaign).await, "expand")
}

/// A correction to those whom a canceled campaign reached, one of whom may not be texted any more.
async fn corrected(setting: &Setting) -> Transitions {
    let (campaign, _) = tried(setting).await;
    setting.cancel(campaign).await;
    let suppressed = format!(
        "insert into suppressions (district_id, channel, address, outcome, reason, created_at)
         select district_id, channel, address, {}, 'requested', now() from destinations
         where campaign_id = '{campaign}' and job_id = {PEOPLE}",
        Outcome::Suppressed.number()
    );
    setting.run(&suppressed).await;
    let addressed = Addressed { campaign, part: AddressedPart::ContactedOrUnknown };
    let correction = setting.campaign(|new| new.audience = Audience::of_receipt(addressed)).await;
    setting.expand(correction, 1000).await;
    changes(&Rows::new(), &rows(setting, correction).await, "expand_receipt")
}

#[tokio::test]
async fn the_transitions_of_a_job_are_those_of_the_document() {
    let setting = Setting::new().await;
    setting.staff(PEOPLE).await;
    let mut steps = vec![
        Step::Hold,
        Step::Release,
        Step::GiveBack,
        Step::RequeueOverdue,
        Step::Claim,
        Step::ClaimLate,
        Step::ClaimBarred,
        Step::Sweep,
        Step::Recover,
    ];
    let told = [
        status(Outcome::Busy),
        status(Outcome::NoAnswer),
        status(Outcome::Delivered),
        status(Outcome::HardBounce),
        ReportKind::NotAsked,
        ReportKind::Throttled { provider_code: None, retry_after: None },
    ];
    steps.extend(told.map(Step::Apply));
    let mut found = Transitions::new();
    let mut applied = Transitions::new();
    for step in steps {
        let (campaign, tried) = tried(&setting).await;
        let before = rows(&setting, campaign).await;
        run(&setting, campaign, &before, &tried, &step).await;
        let after = rows(&setting, campaign).await;
        let changed = changes(&before, &after, step.statement());
        if matches!(step, Step::Apply(_)) { &mut applied } else { &mut found }.extend(changed);
    }
    let decided = settling().jobs;
    let undecided: Vec<_> = applied.difference(&decided).collect();
    assert!(undecided.is_empty(), "apply does what settle does not decide: {undecided:?}");
    found.extend(decided);
    found.extend(left(&setting).await);
    found.extend(corrected(&setting).await);
    found.extend(expanded(&setting).await);
    assert_documented("Job", &found);
}
