//! The counters that the store keeps are those that the domain recounts from the rows (promise 10).

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_domain::audience::Audience;
use tocsin_domain::counters::{Device, Recount, Row, recount};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AttemptResult, CampaignId, Channel, Outcome};
use tocsin_store::sweep::ToSweep;
use tocsin_store::tenant::campaigns::Counts;
use uuid::Uuid;

use crate::fixture::{Setting, attempts, granted, keys, reports};

/// Every recipient and device of a campaign with its attempts, and what the domain counts of them.
pub async fn recounted(setting: &Setting, campaign: CampaignId) -> Recount {
    let rows = setting
        .owner
        .query(
            "select r.person_id, j.channel, d.address, d.student_id, d.duplicate, j.repeats, j.state = 4 as ended, j.outcome,
               array(select a.result from attempts a
                     where a.campaign_id = j.campaign_id and a.job_id = j.id order by a.number) as results,
               (select extract(epoch from a.claimed_at - c.started_at)::float8 from attempts a
                where a.campaign_id = j.campaign_id and a.job_id = j.id and a.number = 1) as first_attempt
             from recipients r
             join campaigns c on c.id = r.campaign_id
             left join jobs j on j.campaign_id = r.campaign_id and j.recipient_id = r.id
             left join destinations d on d.campaign_id = j.campaign_id and d.job_id = j.id
             where r.campaign_id = $1",
            &[&campaign.0],
        )
        .await
        .unwrap();
    recount(rows.iter().map(|row| Row {
        person: row.get("person_id"),
        device: row.get::<_, Option<i16>>("channel").map(|channel| {
            Device {
                channel: Channel::from_number(channel).unwrap(),
                address: row.get("address"),
                student: row.get("student_id"),
                duplicate: row.get("duplicate"),
                repeats: row.get("repeats"),
                ended: row.get("ended"),
                outcome: row
                    .get::<_, Option<i16>>("outcome")
                    .map(|number| Outcome::from_number(number).unwrap()),
                attempts: row
                    .get::<_, Vec<i16>>("results")
                    .into_iter()
                    .map(|number| AttemptResult::from_number(number).unwrap())
                    .collect(),
                first_attempt: row
                    .get::<_, Option<f64>>("first_attempt")
                    .map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
            }
        }),
    }))
}

/// What both tell of one channel: the nine numbers of requirement 51 and around it, and that of 52.
type Numbers = (Channel, [i64; 9], Option<Duration>);

fn of_domain(recount: &Recount) -> Vec<Numbers> {
    let signed = |number: u64| i64::try_from(number).unwrap();
    recount
        .channels
        .iter()
        .map(|told| {
            let numbers = [
                told.devices,
                told.duplicates,
                told.open,
                told.attempts,
                told.successful,
                told.error,
                told.canceled,
                told.not_dispatched,
                told.confirmed,
            ];
            (told.channel, numbers.map(signed), told.first_attempt)
        })
        .collect()
}

fn of_store(counts: &Counts) -> Vec<Numbers> {
    counts
        .channels
        .iter()
        .map(|told| {
            let numbers = [
                told.devices,
                told.duplicates,
                told.open,
                told.attempts,
                told.successful,
                told.error,
                told.canceled,
                told.not_dispatched,
                told.confirmed,
            ];
            (told.channel, numbers, told.first_attempt)
        })
        .collect()
}

/// The campaign's tallies and the queued jobs are what its rows say.
pub async fn assert_counters(setting: &Setting, campaign: CampaignId, context: &str) {
    let counts = setting.tenant().counts(campaign).await.unwrap();
    let recount = recounted(setting, campaign).await;
    assert_eq!(of_store(&counts), of_domain(&recount), "{context}: store left, recount right");
    assert_eq!(counts.totals(), recount.totals, "{context}: store left, recount right");
    let queued: i64 = setting.store.queued_counts().await.unwrap().iter().map(|count| count.queued).sum();
    assert_eq!(queued, setting.number("select count(*) from jobs where state = 2").await, "{context}: flow");
    assert_eq!(held(setting).await, asking_or_accepted(setting).await, "{context}: held");
    let dispatched = "select count(*) from jobs j where j.dispatched <> (
        select count(*) from attempts a where a.campaign_id = j.campaign_id and a.job_id = j.id and a.result <> 4)";
    assert_eq!(setting.number(dispatched).await, 0, "{context}: dispatched");
    let drift = setting.store.audit_campaign(campaign, setting.now().await).await.unwrap();
    assert_eq!(drift, Some(vec![]), "{context}: the auditor");
}

/// What providers hold, by account and worker: as tallied, and as the rows have it.
pub async fn held(setting: &Setting) -> Vec<(i32, Uuid, i64)> {
    let tallied =
        "select account_id, worker_id, sum(attempts) from held group by 1, 2 having sum(attempts) <> 0";
    by_worker(setting, tallied).await
}

pub async fn asking_or_accepted(setting: &Setting) -> Vec<(i32, Uuid, i64)> {
    by_worker(
        setting,
        "select account_id, worker_id, count(*) from attempts where state in (1, 2) group by 1, 2",
    )
    .await
}

async fn by_worker(setting: &Setting, query: &str) -> Vec<(i32, Uuid, i64)> {
    let rows = setting.owner.query(&format!("{query} order by 1, 2"), &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// Reports of every kind that moves a counter, also against one another.
fn random_report(random: &mut StdRng) -> ReportKind {
    let status = |outcome| ReportKind::Status { outcome, provider_code: None, provider_id: None };
    match random.random_range(0..17) {
        0 | 1 => ReportKind::Accepted { provider_id: Some("id".to_owned()) },
        2 => ReportKind::NotAsked,
        3 => ReportKind::Throttled { provider_code: None, retry_after: None },
        4 => ReportKind::Lost,
        5 => ReportKind::DoubtOver,
        6 => ReportKind::Silence,
        7 => ReportKind::Recalled,
        8 => status(Outcome::Busy),
        9 => status(Outcome::TextFailed),
        10 => status(Outcome::Sent),
        11 => status(Outcome::HardBounce),
        12 => status(Outcome::Unknown),
        13 => status(Outcome::OptOut),
        14 => status(Outcome::LivePerson),
        _ => status(Outcome::Delivered),
    }
}

/// Guardians of several students, some without a device, who share phones and addresses.
async fn families(setting: &Setting, random: &mut StdRng) {
    let mut guardians = Vec::new();
    for _ in 0..24 {
        let mut devices = Vec::new();
        for channel in Channel::ALL {
            if random.random_bool(0.7) {
                devices.push((channel, format!("+155500000{:02}", random.random_range(0..20))));
            }
        }
        let devices: Vec<(Channel, &str)> =
            devices.iter().map(|(channel, address)| (*channel, address.as_str())).collect();
        guardians.push(setting.person(tocsin_domain::audience::Role::Guardian, &devices).await);
    }
    for _ in 0..20 {
        let mut of_student: Vec<i64> =
            (0..3).map(|_| guardians[random.random_range(0..guardians.len())]).collect();
        of_student.sort_unstable();
        of_student.dedup();
        setting.student(&of_student).await;
    }
}

/// Whoever has this address opted out, or the address is not to be tried, from now on.
async fn bar(setting: &Setting, random: &mut StdRng) {
    let address = format!("+155500000{:02}", random.random_range(0..20));
    let barred = match random.random_bool(0.5) {
        true => {
            "insert into consents (district_id, phone, state, changed_at, source)
             values ($1, $2, 3, tocsin_now(), 'test') on conflict do nothing"
        }
        false => {
            "insert into suppressions (district_id, channel, address, outcome, reason, created_at)
             values ($1, 2, $2, 32, 'test', tocsin_now()) on conflict do nothing"
        }
    };
    setting.owner.execute(barred, &[&setting.district.0, &address]).await.unwrap();
}

#[tokio::test]
async fn tallies_equal_the_recount_after_any_run() {
    for seed in 0..8 {
        let setting = Setting::new().await;
        let mut random = StdRng::seed_from_u64(seed);
        families(&setting, &mut random).await;
        let mode = DedupeMode::ALL[seed as usize % 2];
        let audience = Audience { all: true, ..Audience::default() };
        let campaign = setting
            .campaign(|new| {
                (new.channels, new.mode, new.audience) = (Channel::ALL.to_vec(), mode, audience);
            })
            .await;
        bar(&setting, &mut random).await;
        setting.expand(campaign, 7).await;
        assert_counters(&setting, campaign, "expanded").await;
        let mut tried = Vec::new();
        let mut canceled = false;
        for step in 0..50 {
            match random.random_range(0..12) {
                0..=3 => {
                    let channel = Channel::ALL[random.random_range(0..Channel::ALL.len())];
                    let mut jobs = setting.release(campaign, channel).await;
                    jobs.retain(|_| random.random_bool(0.7));
                    let unused = jobs.split_off(jobs.len() / 2);
                    let answers = setting.store.claim(setting.worker().await, &jobs).await.unwrap();
                    tried.extend(attempts(&granted(answers)));
                    let reason = tocsin_domain::WaitReason::Limiter;
                    setting.store.give_back(&keys(&unused), setting.now().await, reason).await.unwrap();
                }
                4..=8 => {
                    let now = setting.now().await;
                    let some: Vec<_> = tried.iter().copied().filter(|_| random.random_bool(0.4)).collect();
                    let mut told = Vec::new();
                    for attempt in some {
                        told.extend(reports(&[attempt], &random_report(&mut random), now));
                    }
                    setting.store.settle(told, vec![], now).await.unwrap();
                    setting.run("update jobs set due_at = tocsin_now() where due_at > tocsin_now()").await;
                }
                9 => bar(&setting, &mut random).await,
                10 if step > 30 => {
                    let outcome = if canceled { Outcome::Canceled } else { Outcome::Expired };
                    setting.sweep(ToSweep { campaign, outcome }).await;
                }
                11 if step > 35 && !canceled => {
                    canceled = true;
                    setting.cancel(campaign).await;
                }
                _ => {
                    setting.store.fold().await.unwrap();
                }
            }
            assert_counters(&setting, campaign, &format!("seed {seed}, {mode:?}, step {step}")).await;
        }
    }
}

#[tokio::test]
async fn a_recalled_attempt_that_was_delivered_after_all_is_no_longer_canceled() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(1).await;
    let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    setting.cancel(campaign).await;
    setting.report(&tried, ReportKind::Recalled).await;
    let told = async |setting: &Setting| {
        let counts = setting.tenant().counts(campaign).await.unwrap();
        let sms = &counts.channels[0];
        (sms.attempts, sms.successful, sms.canceled)
    };
    assert_eq!(told(&setting).await, (1, 0, 1));
    let delivered =
        ReportKind::Status { outcome: Outcome::Delivered, provider_code: None, provider_id: None };
    setting.report(&tried, delivered).await;
    assert_eq!(told(&setting).await, (1, 1, 0));
    assert_counters(&setting, campaign, "raised").await;
}

#[tokio::test]
async fn unsent_jobs_of_an_expired_campaign_are_errors_and_of_a_canceled_one_canceled() {
    for (outcome, counted) in [(Outcome::Expired, (3, 0)), (Outcome::Canceled, (0, 3))] {
        let setting = Setting::new().await;
        let campaign = setting.expanded(3).await;
        if outcome == Outcome::Canceled {
            setting.cancel(campaign).await;
        }
        assert_eq!(setting.sweep(ToSweep { campaign, outcome }).await, 3);
        let counts = setting.tenant().counts(campaign).await.unwrap();
        assert_eq!((counts.channels[0].error, counts.channels[0].canceled), counted);
        assert_counters(&setting, campaign, outcome.code()).await;
    }
}

/// Of a suppressed address nothing is dispatched: no other outcome would be counted where it is made.
#[tokio::test]
async fn a_suppression_ends_only_with_an_outcome_that_is_not_dispatched() {
    let setting = Setting::new().await;
    for outcome in Outcome::all() {
        let kept = setting
            .owner
            .execute(
                "insert into suppressions (district_id, channel, address, outcome, reason, created_at)
                 values ($1, 2, $2, $3, 'test', tocsin_now())",
                &[&setting.district.0, &outcome.code(), &outcome.number()],
            )
            .await
            .is_ok();
        assert!(!kept || outcome.result() == AttemptResult::NotDispatched, "{outcome}");
    }
    assert!(setting.number("select count(*) from suppressions where outcome in (32, 34, 48)").await == 3);
}
