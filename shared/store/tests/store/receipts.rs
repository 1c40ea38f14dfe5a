//! The receipt: its four parts hold the whole audience once, and its never-tried part is fixed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_domain::audience::Role;
use tocsin_domain::receipt::{Part, Tried};
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{
    AttemptKey, AttemptState, CampaignId, CampaignState, Channel, DistrictId, Outcome, WaitReason,
};
use tocsin_store::release::Hold;
use tocsin_store::sweep::ToSweep;
use tocsin_store::tenant::receipt::{Page, Place, Recall, ReceiptRow};
use uuid::Uuid;

use crate::fixture::{Setting, attempts, keys};
use crate::scene::delivered;

/// A row of any part: the job, or the recipient without a device.
type Row = (Option<i32>, i32);

pub async fn list(setting: &Setting, campaign: CampaignId, part: Part, rows_max: u32) -> Vec<ReceiptRow> {
    let (mut rows, mut after) = (Vec::new(), Place::HEAD);
    loop {
        let Page { rows: page, next } =
            setting.tenant().receipt_part(campaign, part, after, rows_max).await.unwrap();
        assert!(page.len() <= rows_max as usize);
        rows.extend(page);
        let Some(next) = next else { return rows };
        assert!(next > after, "no way on from {after:?}");
        after = next;
    }
}

async fn part(setting: &Setting, campaign: CampaignId, part: Part) -> BTreeSet<Row> {
    let rows = list(setting, campaign, part, 3).await;
    let found: BTreeSet<Row> = rows
        .iter()
        .map(|found| (found.row.device.as_ref().map(|device| device.job), found.row.recipient))
        .collect();
    assert_eq!(found.len(), rows.len(), "{part} shows a row twice");
    found
}

/// Every part's rows, held against the counts, the audience and the domain's rule.
async fn parts(setting: &Setting, campaign: CampaignId, context: &str) -> BTreeMap<Part, BTreeSet<Row>> {
    let mut parts = BTreeMap::new();
    for each in Part::ALL.iter().copied() {
        parts.insert(each, part(setting, campaign, each).await);
    }
    let receipt = setting.tenant().receipt(campaign).await.unwrap();
    let counts = [receipt.contacted, receipt.in_flight_or_unknown, receipt.recalled, receipt.never_tried];
    assert_eq!(
        parts.values().map(|rows| rows.len() as i64).collect::<Vec<_>>(),
        counts,
        "{context}: lists left, counts right"
    );
    let audience = setting
        .owner
        .query(
            "select j.id as job, r.id as recipient,
               array(select a.state from attempts a
                     where a.campaign_id = $1 and a.job_id = j.id order by number) as states,
               array(select coalesce(a.outcome, 0::smallint) from attempts a
                     where a.campaign_id = $1 and a.job_id = j.id order by number) as outcomes,
               array(select a.taken from attempts a
                     where a.campaign_id = $1 and a.job_id = j.id order by number) as taken
             from recipients r left join jobs j on j.campaign_id = $1 and j.recipient_id = r.id
             where r.campaign_id = $1",
            &[&campaign.0],
        )
        .await
        .unwrap();
    let all: usize = parts.values().map(BTreeSet::len).sum();
    assert_eq!(all, audience.len(), "{context}: a partition of the audience");
    for row in audience {
        let (states, outcomes, taken): (Vec<i16>, Vec<i16>, Vec<bool>) =
            (row.get("states"), row.get("outcomes"), row.get("taken"));
        let tried = states.iter().zip(outcomes).zip(taken).map(|((state, outcome), taken)| Tried {
            state: AttemptState::from_number(*state).unwrap(),
            outcome: Outcome::from_number(outcome),
            taken,
        });
        let expected = Part::of(tried);
        let key: Row = (row.get("job"), row.get("recipient"));
        assert!(parts[&expected].contains(&key), "{context}: {key:?} is not in {expected}");
    }
    parts
}

/// Cancels, sweeps, and answers `canceled`: nothing may be asking.
async fn cancel(setting: &Setting, campaign: CampaignId) -> CampaignState {
    setting.cancel(campaign).await;
    setting.sweep(ToSweep { campaign, outcome: Outcome::Canceled }).await;
    let finished = setting.store.finish_cancels(setting.now().await, &[]).await.unwrap();
    finished.iter().find(|end| end.campaign == campaign).unwrap().state
}

fn status(outcome: Outcome) -> ReportKind {
    ReportKind::Status { outcome, provider_code: None, provider_id: None }
}

/// People without a device, who share one, and who opted out.
async fn never_to_be_tried(setting: &Setting) {
    setting.person(Role::Staff, &[]).await;
    setting.person(Role::Staff, &[(Channel::Sms, "+15559000001")]).await;
    setting.person(Role::Staff, &[(Channel::Sms, "+15559000001")]).await;
    setting.person(Role::Staff, &[(Channel::Sms, "+15559000002")]).await;
    setting.store.opt_out(setting.district, "+15559000002", "test", setting.now().await).await.unwrap();
    setting.person(Role::Staff, &[]).await;
}

/// Whatever the attempts of a campaign came to, and whenever it was canceled.
#[tokio::test]
async fn the_receipt_partitions_the_audience_in_every_state() {
    let setting = Setting::new().await;
    never_to_be_tried(&setting).await;
    setting.staff(14).await;
    let outcomes: Vec<Outcome> = Outcome::all().collect();
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let campaign = setting.campaign(|_| ()).await;
        setting.expand(campaign, 100).await;
        let context = format!("seed {seed}");
        parts(&setting, campaign, &context).await;
        let jobs = setting.release(campaign, Channel::Sms).await;
        let tried = attempts(&setting.claim(&jobs[..12]).await);
        let canceled_at = random.random_range(0..3);
        for step in 0..3 {
            if step == canceled_at {
                setting.cancel(campaign).await;
                setting.sweep(ToSweep { campaign, outcome: Outcome::Canceled }).await;
            }
            for attempt in &tried {
                let told = match random.random_range(0..9) {
                    0 => continue,
                    1 => ReportKind::Accepted { provider_id: Some("SM1".to_owned()) },
                    2 => ReportKind::NotAsked,
                    3 => ReportKind::Throttled { provider_code: None, retry_after: None },
                    4 => ReportKind::Lost,
                    5 => ReportKind::DoubtOver,
                    6 => ReportKind::Recalled,
                    _ => status(outcomes[random.random_range(0..outcomes.len())]),
                };
                setting.report(&[*attempt], told).await;
            }
            parts(&setting, campaign, &format!("{context}, step {step}")).await;
        }
    }
}

/// Every state, outcome and mark that an attempt's row can have.
#[tokio::test]
async fn the_statements_tell_the_parts_as_the_domain_does() {
    let setting = Setting::with_connections(1).await;
    let campaign = setting.campaign(|_| ()).await;
    let outcomes: Vec<Option<i16>> =
        Outcome::all().map(|outcome| Some(outcome.number())).chain([None]).collect();
    setting
        .owner
        .execute(
            "with told as (
               select row_number() over () as id, state, outcome, taken
               from unnest($2::smallint[]) outcome cross join generate_series(1, 4) state
                 cross join unnest(array[true, false]) taken
             ), people as (
               insert into recipients (campaign_id, district_id, person_id, id, no_device, name, merge_values)
               select $1::uuid, $3::uuid, id, id, false, 'Sam', '{}' from told
             ), addressed as (
               insert into destinations (campaign_id, district_id, device_id, job_id, channel, duplicate, address)
               select $1::uuid, $3::uuid, id, id, 2, false, id::text from told
             ), made as (
               insert into jobs (campaign_id, district_id, id, recipient_id, generation, channel, lane, state, attempt)
               select $1::uuid, $3::uuid, id, id, 1, 2, 3, 4, 1 from told
             ), extent as (
               update campaigns set jobs_made = (select count(*) from told) where id = $1
             )
             insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, job_id, account_id,
               generation, version, number, state, outcome, taken)
             select $1::uuid, $3::uuid, gen_random_uuid(), now(), now(), id, 1, 1, 1, 1, state, outcome, taken from told",
            &[&campaign.0, &outcomes, &setting.district.0],
        )
        .await
        .unwrap();
    let parts = parts(&setting, campaign, "every attempt").await;
    assert!(parts.values().all(|rows| !rows.is_empty()));
}

#[tokio::test]
async fn the_never_tried_part_never_changes_once_canceled_is_answered() {
    let setting = Setting::new().await;
    never_to_be_tried(&setting).await;
    setting.staff(12).await;
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 100).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let tried = attempts(&setting.claim(&jobs[..10]).await);
    let worker = setting.worker().await;
    // In time for `canceled`: one was not asked, one throttled; then five are unknown and three accepted.
    setting.report(&tried[..1], ReportKind::NotAsked).await;
    setting.cancel(campaign).await;
    setting.report(&tried[1..2], ReportKind::Throttled { provider_code: None, retry_after: None }).await;
    setting.report(&tried[2..7], ReportKind::Lost).await;
    setting.report(&tried[7..], ReportKind::Accepted { provider_id: Some("SM1".to_owned()) }).await;
    assert_eq!(cancel(&setting, campaign).await, CampaignState::Canceled);

    let first = parts(&setting, campaign, "canceled").await;
    let never = first[&Part::NeverTried].clone();
    let without = never.iter().filter(|(job, _)| job.is_none()).count();
    // Two without a device, a duplicate, one who opted out; three not taken up, two given back.
    assert_eq!((never.len(), without), (2 + 2 + 5, 2));
    let open: BTreeSet<i32> = first[&Part::InFlightOrUnknown].iter().filter_map(|(job, _)| *job).collect();
    let job_of = |attempt: &AttemptKey| attempt.job.job;
    assert_eq!(open, tried[2..].iter().map(job_of).collect());

    // Everything that can still be learned of an attempt that was open.
    for (at, told, part) in [
        (2, status(Outcome::Delivered), Part::Contacted),
        (3, ReportKind::NotAsked, Part::Recalled),
        (4, ReportKind::Throttled { provider_code: None, retry_after: None }, Part::Recalled),
        (5, ReportKind::DoubtOver, Part::InFlightOrUnknown),
        (6, status(Outcome::OptOut), Part::Recalled),
        (7, status(Outcome::Undelivered), Part::Contacted),
        (8, status(Outcome::Dropped), Part::Recalled),
        (9, ReportKind::Silence, Part::InFlightOrUnknown),
    ] {
        setting.report(&tried[at..=at], told).await;
        let now = parts(&setting, campaign, "a late report").await;
        assert_eq!(now[&Part::NeverTried], never, "after the report about {at}");
        assert!(now[&part].iter().any(|(job, _)| *job == Some(job_of(&tried[at]))), "{at} is not in {part}");
    }
    // Nothing is claimed or expanded any more.
    assert!(crate::fixture::granted(setting.store.claim(worker, &jobs).await.unwrap()).is_empty());
    setting.sweep(ToSweep { campaign, outcome: Outcome::Canceled }).await;
    setting.store.close_campaigns(setting.now().await).await.unwrap();
    let last = parts(&setting, campaign, "closed").await;
    assert_eq!(last[&Part::NeverTried], never);
}

#[tokio::test]
async fn a_cancel_has_one_receipt_wherever_it_found_the_campaign() {
    let setting = Setting::new().await;
    never_to_be_tried(&setting).await;
    setting.staff(6).await;
    let now = setting.now().await;

    // Scheduled: nobody was worked out yet.
    let scheduled = setting.campaign(|new| new.scheduled_at = now + TimeDelta::hours(1)).await;
    assert_eq!(cancel(&setting, scheduled).await, CampaignState::Canceled);
    assert_eq!(total(&parts(&setting, scheduled, "scheduled").await), [0, 0, 0, 0]);

    // Processing: a part of the audience has its rows, and none is made any more.
    let processing = setting.campaign(|_| ()).await;
    let expansion = setting.expansion(processing).await;
    setting.store.expand(&expansion, 4, now).await.unwrap();
    assert_eq!(cancel(&setting, processing).await, CampaignState::Discarded);
    assert_eq!(total(&parts(&setting, processing, "processing").await), [0, 0, 0, 4]);
    let gone_on = setting.store.expand(&expansion, 100, now).await.unwrap();
    assert_eq!(gone_on, tocsin_store::expand::Chunk::Moved);

    // Held by its calling window.
    let held = setting.campaign(|_| ()).await;
    setting.expand(held, 100).await;
    let due = setting.due(held, Channel::Sms).await;
    let holds: Vec<Hold> = due
        .iter()
        .map(|job| Hold {
            key: job.key,
            generation: job.generation,
            due_at: now + TimeDelta::hours(1),
            reason: WaitReason::Window,
        })
        .collect();
    setting.store.hold(&holds).await.unwrap();
    cancel(&setting, held).await;
    assert_eq!(total(&parts(&setting, held, "held").await), [0, 0, 0, 11]);

    // In redial: tried and busy, and waiting for the next try.
    let redial = setting.campaign(|_| ()).await;
    setting.expand(redial, 100).await;
    let jobs = setting.release(redial, Channel::Sms).await;
    let tried = attempts(&setting.claim(&jobs[..3]).await);
    setting.report(&tried, status(Outcome::Busy)).await;
    assert_eq!(cancel(&setting, redial).await, CampaignState::Canceled);
    assert_eq!(total(&parts(&setting, redial, "redial").await), [3, 0, 0, 8]);

    // Queued, and given back too late.
    let queued = setting.campaign(|_| ()).await;
    setting.expand(queued, 100).await;
    let jobs = setting.release(queued, Channel::Sms).await;
    cancel(&setting, queued).await;
    setting.store.give_back(&keys(&jobs), now, WaitReason::Limiter).await.unwrap();
    assert_eq!(total(&parts(&setting, queued, "queued").await), [0, 0, 0, 11]);

    for campaign in [scheduled, processing, held, redial, queued] {
        let head = setting.tenant().cancel(campaign, "another", Some("again")).await.unwrap().unwrap();
        let canceled = head.canceled.unwrap();
        assert!(!head.fresh && canceled.by == "test" && canceled.reason.is_none(), "{canceled:?}");
    }
}

fn total(parts: &BTreeMap<Part, BTreeSet<Row>>) -> [usize; 4] {
    let count = |part| parts.get(&part).map_or(0, BTreeSet::len);
    [Part::Contacted, Part::InFlightOrUnknown, Part::Recalled, Part::NeverTried].map(count)
}

#[tokio::test]
async fn a_row_tells_who_where_when_and_how_the_recall_stands() {
    let setting = Setting::new().await;
    setting.staff(4).await;
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 100).await;
    let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    setting.report(&tried, ReportKind::Accepted { provider_id: Some("SM1".to_owned()) }).await;
    setting.cancel(campaign).await;
    let until = setting.now().await + TimeDelta::seconds(30);
    setting.store.order_recalls(campaign, &[Channel::Sms], until).await.unwrap();
    setting.report(&tried[..1], ReportKind::Recalled).await;
    setting.store.recall_failed(&tried[1..2]).await.unwrap();
    setting.report(&tried[2..3], delivered()).await;
    let told = |rows: Vec<ReceiptRow>| -> Vec<(i32, Recall, bool)> {
        rows.iter()
            .map(|found| {
                let device = found.row.device.as_ref().unwrap();
                assert!(found.row.name == "Sam Staff" && device.address.starts_with("+1555"));
                (device.job, found.recall, found.first_tried_at.is_some() && device.tried_at.is_some())
            })
            .collect()
    };
    let job = |at: usize| tried[at].job.job;
    let recalled = told(list(&setting, campaign, Part::Recalled, 10).await);
    assert_eq!(recalled, [(job(0), Recall::Stopped, true)]);
    let mut open = told(list(&setting, campaign, Part::InFlightOrUnknown, 10).await);
    open.sort_by_key(|row| row.0);
    let mut expected = vec![(job(1), Recall::TooLate, true), (job(3), Recall::Ordered, true)];
    expected.sort_by_key(|row| row.0);
    assert_eq!(open, expected);
    assert_eq!(
        told(list(&setting, campaign, Part::Contacted, 10).await),
        [(job(2), Recall::TooLate, true)],
        "what was delivered in spite of the recall"
    );
}

#[tokio::test]
async fn another_districts_receipt_is_empty_in_every_part() {
    let setting = Setting::new().await;
    never_to_be_tried(&setting).await;
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 100).await;
    setting.claim(&setting.release(campaign, Channel::Sms).await).await;
    setting.cancel(campaign).await;
    assert_eq!(total(&parts(&setting, campaign, "its own").await), [0, 1, 0, 4]);
    let stranger = setting.store.tenant(DistrictId(Uuid::new_v4()));
    let receipt = stranger.receipt(campaign).await.unwrap();
    assert_eq!((receipt.in_flight_or_unknown, receipt.never_tried), (0, 0));
    assert!(!stranger.was_anybody_contacted(campaign).await.unwrap());
    for part in Part::ALL.iter().copied() {
        let page = stranger.receipt_part(campaign, part, Place::HEAD, 10).await.unwrap();
        assert!(page.rows.is_empty() && page.next.is_none(), "{part}");
    }
}
