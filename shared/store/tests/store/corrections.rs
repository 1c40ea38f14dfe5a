//! A correction reaches exactly those whom a canceled campaign contacted, or may have.

use std::collections::BTreeSet;

use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::receipt::{Addressed, AddressedPart, Part};
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AttemptKey, CampaignId, Channel, Outcome};
use tocsin_store::expand::Chunk;
use tocsin_store::sweep::ToSweep;
use tocsin_testkit::fixture::Fixture;

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts};
use crate::receipts::list;
use crate::scene::delivered;

pub fn of_receipt(campaign: CampaignId) -> Audience {
    Audience::of_receipt(Addressed { campaign, part: AddressedPart::ContactedOrUnknown })
}

fn guardians() -> Audience {
    Audience { all: true, ..Audience::default() }
}

/// Person, channel and address of every job.
type Reached = BTreeSet<(i64, i16, String)>;

async fn reached(setting: &Setting, campaign: CampaignId, jobs: Option<&BTreeSet<i32>>) -> Reached {
    let rows = setting
        .owner
        .query(
            "select r.person_id, j.channel, d.address, j.id from jobs j
             join recipients r on r.campaign_id = j.campaign_id and r.id = j.recipient_id
             join destinations d on d.campaign_id = j.campaign_id and d.job_id = j.id
             where j.campaign_id = $1",
            &[&campaign.0],
        )
        .await
        .unwrap();
    rows.iter()
        .filter(|row| jobs.is_none_or(|jobs| jobs.contains(&row.get("id"))))
        .map(|row| (row.get("person_id"), row.get("channel"), row.get("address")))
        .collect()
}

async fn contacted_or_unknown(setting: &Setting, campaign: CampaignId) -> Reached {
    let mut jobs = BTreeSet::new();
    for part in [Part::Contacted, Part::InFlightOrUnknown] {
        let rows = list(setting, campaign, part, 100).await;
        jobs.extend(rows.iter().filter_map(|row| row.row.device.as_ref().map(|device| device.job)));
    }
    reached(setting, campaign, Some(&jobs)).await
}

/// Cancels after some of the campaign's texts were tried: of every five one each delivered, refused, unknown,
/// recalled and not asked. Returns the attempts.
pub async fn tried_and_canceled(
    setting: &Setting,
    campaign: CampaignId,
    channels: &[Channel],
) -> Vec<AttemptKey> {
    let mut tried = Vec::new();
    for channel in channels {
        let due = setting.due(campaign, *channel).await;
        let releases = setting.releases(&due, *channel).await;
        let duty = format!("release.{channel}.general");
        let duty = setting.store.hold_duties(uuid::Uuid::from_u128(7), &[duty]).await.unwrap().remove(0);
        let now = setting.now().await;
        let later = now + chrono::TimeDelta::minutes(1);
        let released = setting.store.release(&duty, &releases, now, later).await.unwrap();
        let mut jobs = crate::fixture::asked(&released);
        jobs.sort_by_key(|job| job.key);
        // The last one is never tried.
        jobs.pop();
        tried.extend(attempts(&setting.claim(&jobs).await));
    }
    tried.sort();
    let refused = ReportKind::Status {
        outcome: Outcome::Undelivered,
        provider_code: Some("30006".to_owned()),
        provider_id: None,
    };
    let told = [delivered(), refused, ReportKind::Lost, ReportKind::Recalled, ReportKind::NotAsked];
    setting.cancel(campaign).await;
    for (attempt, told) in tried.iter().zip(told.iter().cycle()) {
        if *told == ReportKind::Recalled {
            let accepted = ReportKind::Accepted { provider_id: Some(attempt.to_string()) };
            setting.report(&[*attempt], accepted).await;
        }
        setting.report(&[*attempt], told.clone()).await;
    }
    setting.sweep(ToSweep { campaign, outcome: Outcome::Canceled }).await;
    assert_eq!(setting.store.finish_cancels(setting.now().await, &[]).await.unwrap().len(), 1);
    tried
}

/// Families with shared phones, several children and several devices each.
pub async fn families(setting: &Setting) {
    for number in 0..9 {
        let (one, two) = (format!("+15551000{number:03}"), format!("+15552000{number:03}"));
        let email = format!("family{number}@example.org");
        let devices = [(Channel::Sms, one.as_str()), (Channel::Email, email.as_str())];
        let first = setting.person(Role::Guardian, &devices).await;
        let second =
            setting.person(Role::Guardian, &[(Channel::Sms, two.as_str()), (Channel::Sms, &one)]).await;
        setting.student(&[first, second]).await;
        setting.student(&[first]).await;
        setting.person(Role::Guardian, &[]).await;
    }
}

/// In each mode, by chunks of every size, also such as end amid a person's devices.
#[tokio::test]
async fn a_correction_reaches_exactly_those_contacted_or_unknown() {
    let setting = Setting::new().await;
    families(&setting).await;
    let channels = vec![Channel::Sms, Channel::Email];
    for mode in DedupeMode::ALL {
        let campaign = setting
            .campaign(|new| {
                (new.mode, new.audience, new.channels) = (mode, guardians(), channels.clone());
            })
            .await;
        setting.expand(campaign, 100).await;
        tried_and_canceled(&setting, campaign, &channels).await;
        let expected = contacted_or_unknown(&setting, campaign).await;
        let receipt = setting.tenant().receipt(campaign).await.unwrap();
        assert!(receipt.contacted > 5 && receipt.in_flight_or_unknown > 2 && receipt.recalled > 2);
        for chunk in [1, 2, 3, 7, 1000] {
            let context = format!("{mode:?} by {chunk}");
            let correction = setting
                .campaign(|new| {
                    (new.mode, new.audience, new.channels) = (mode, of_receipt(campaign), channels.clone());
                })
                .await;
            setting.expand(correction, chunk).await;
            assert_eq!(reached(&setting, correction, None).await, expected, "{context}");
            let jobs = receipt.contacted + receipt.in_flight_or_unknown;
            assert_eq!(setting.jobs_in(correction, 1).await, jobs, "{context}: each once, and none barred");
            assert_counters(&setting, correction, &context).await;
            assert_rows_fit(&setting, campaign, correction, &context).await;
        }
    }
}

/// Recipients are numbered without gaps, each once, with the names and merge values of the campaign corrected.
async fn assert_rows_fit(setting: &Setting, campaign: CampaignId, correction: CampaignId, context: &str) {
    let unfit = format!(
        "select count(*) from recipients r where campaign_id = '{correction}' and not exists (
           select from recipients o where o.campaign_id = '{campaign}' and o.person_id = r.person_id
             and o.student_id is not distinct from r.student_id and o.name = r.name
             and o.merge_values = r.merge_values and o.student_name is not distinct from r.student_name)"
    );
    assert_eq!(setting.number(&unfit).await, 0, "{context}");
    let twice = format!(
        "select count(*) - count(distinct (person_id, student_id)) from recipients where campaign_id = '{correction}'"
    );
    assert_eq!(setting.number(&twice).await, 0, "{context}: a recipient twice");
    for (table, column, made) in [("recipients", "id", "recipients_made"), ("jobs", "id", "jobs_made")] {
        let gaps = format!(
            "select abs(max({column}) - count(*)) + abs(count(*) - (select {made} from campaigns where id = '{correction}'))
             from {table} where campaign_id = '{correction}'"
        );
        assert_eq!(setting.number(&gaps).await, 0, "{context}: {table}");
    }
    let idle = format!(
        "select count(*) from recipients r where campaign_id = '{correction}' and not exists (
           select from jobs j where j.campaign_id = r.campaign_id and j.recipient_id = r.id)"
    );
    assert_eq!(setting.number(&idle).await, 0, "{context}: a recipient without a job");
}

#[tokio::test]
async fn what_is_known_when_a_correction_is_expanded_decides() {
    let setting = Setting::new().await;
    setting.staff(6).await;
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 100).await;
    let tried = tried_and_canceled(&setting, campaign, &[Channel::Sms]).await;
    let correction = setting.campaign(|new| new.audience = of_receipt(campaign)).await;
    // Told since the correction was made: the unknown one was never asked, the recalled one was reached after all.
    setting.report(&tried[2..3], ReportKind::NotAsked).await;
    setting.report(&tried[3..4], delivered()).await;
    setting.expand(correction, 2).await;
    assert_eq!(
        reached(&setting, correction, None).await,
        reached(&setting, campaign, Some(&BTreeSet::from([0, 1, 3].map(|at: usize| tried[at].job.job))))
            .await
    );
    assert_counters(&setting, correction, "as known").await;
}

#[tokio::test]
async fn a_correction_keeps_consent_and_suppressions_and_the_address_of_then() {
    let setting = Setting::new().await;
    setting.staff(6).await;
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 100).await;
    let tried = tried_and_canceled(&setting, campaign, &[Channel::Sms]).await;
    let before = contacted_or_unknown(&setting, campaign).await;
    let phones: Vec<&str> = before.iter().map(|(.., address)| address.as_str()).collect();
    assert_eq!((phones.len(), tried.len()), (3, 5));
    let now = setting.now().await;
    setting.store.opt_out(setting.district, phones[0], "test", now).await.unwrap();
    setting
        .run(&format!(
            "insert into suppressions (district_id, channel, address, outcome, reason, created_at)
             values ('{}', 2, '{}', 32, 'test', tocsin_now())",
            setting.district, phones[1]
        ))
        .await;
    // Everybody has another phone by now, or is gone.
    setting.run("delete from devices where id % 2 = 0; update devices set address = address || '0'").await;
    setting.run("update people set active = false").await;
    let correction = setting.campaign(|new| new.audience = of_receipt(campaign)).await;
    setting.expand(correction, 100).await;
    assert_eq!(reached(&setting, correction, None).await, before);
    let ended = |outcome: Outcome| {
        format!(
            "select count(*) from jobs where campaign_id = '{correction}' and state = 4 and outcome = {}",
            outcome.number()
        )
    };
    assert_eq!(setting.number(&ended(Outcome::OptOut)).await, 1);
    assert_eq!(setting.number(&ended(Outcome::Suppressed)).await, 1);
    assert_eq!(setting.jobs_in(correction, 1).await, 1);
    assert_counters(&setting, correction, "barred").await;
}

/// A correction that is one message per device of a campaign that was one per student reaches a device once.
#[tokio::test]
async fn dedupe_holds_in_a_correction() {
    let setting = Setting::new().await;
    let guardian = setting.person(Role::Guardian, &[(Channel::Sms, "+15551000001")]).await;
    for _ in 0..4 {
        setting.student(&[guardian]).await;
    }
    let per_student = DedupeMode::PerDeviceAndStudent;
    let campaign = setting.campaign(|new| (new.mode, new.audience) = (per_student, guardians())).await;
    setting.expand(campaign, 100).await;
    tried_and_canceled(&setting, campaign, &[Channel::Sms]).await;
    let receipt = setting.tenant().receipt(campaign).await.unwrap();
    assert_eq!(receipt.contacted + receipt.in_flight_or_unknown, 3);
    for chunk in [1, 100] {
        let correction = setting.campaign(|new| new.audience = of_receipt(campaign)).await;
        setting.expand(correction, chunk).await;
        assert_eq!((setting.jobs_in(correction, 1).await, setting.jobs_in(correction, 4).await), (1, 2));
        assert_counters(&setting, correction, "once a device").await;
    }
}

#[tokio::test]
async fn a_correction_goes_on_where_a_planner_was_killed_and_narrows_by_channel() {
    let setting = Setting::new().await;
    families(&setting).await;
    let channels = vec![Channel::Sms, Channel::Email];
    let campaign =
        setting.campaign(|new| (new.audience, new.channels) = (guardians(), channels.clone())).await;
    setting.expand(campaign, 100).await;
    tried_and_canceled(&setting, campaign, &channels).await;
    let correction = setting
        .campaign(|new| (new.audience, new.channels) = (of_receipt(campaign), vec![Channel::Email]))
        .await;
    let first = setting.expansion(correction).await;
    let now = setting.now().await;
    assert!(matches!(setting.store.expand(&first, 3, now).await.unwrap(), Chunk::Made { .. }));
    assert_eq!(setting.store.expand(&first, 3, now).await.unwrap(), Chunk::Moved, "two planners");
    setting.expand(correction, 3).await;
    let email = Channel::Email.number();
    let mut expected = contacted_or_unknown(&setting, campaign).await;
    expected.retain(|(_, channel, _)| *channel == email);
    assert!(!expected.is_empty());
    assert_eq!(reached(&setting, correction, None).await, expected);
}

/// The api refuses it before; the statement does not rely on that.
#[tokio::test]
async fn another_districts_receipt_gives_a_correction_nobody() {
    let setting = Setting::new().await;
    setting.staff(3).await;
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 100).await;
    tried_and_canceled(&setting, campaign, &[Channel::Sms]).await;
    let other = Fixture::new(&setting.database).await.unwrap().district();
    let mut new = crate::fixture::new_campaign(setting.now().await);
    new.audience = of_receipt(campaign);
    setting.store.tenant(other).create_campaign(&new).await.unwrap();
    setting.expand(new.id, 100).await;
    assert_eq!(reached(&setting, new.id, None).await, Reached::new());
}
