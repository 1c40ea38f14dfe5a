//! An audience becomes recipients and jobs: each once, duplicates marked as the domain marks them.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::{Candidate, DedupeMode, mark_duplicates};
use tocsin_domain::{CampaignId, CampaignState, Channel, Outcome};
use tocsin_store::expand::Chunk;
use tocsin_store::sweep::ToSweep;

use crate::counters::assert_counters;
use crate::fixture::Setting;

/// A job as expanded: who, on whose behalf, which device, and the duplicate mark.
#[derive(Debug, Clone, PartialEq)]
struct Made {
    person: i64,
    student: Option<i64>,
    channel: Channel,
    address: String,
    duplicate: bool,
    outcome: Option<i16>,
}

async fn made(setting: &Setting, campaign: CampaignId) -> Vec<Made> {
    let rows = setting
        .owner
        .query(
            "select r.person_id, d.student_id, d.channel, d.address, d.duplicate, j.outcome
             from jobs j
             join destinations d on d.campaign_id = j.campaign_id and d.job_id = j.id
             join recipients r on r.campaign_id = j.campaign_id and r.id = j.recipient_id
             where j.campaign_id = $1 order by j.id",
            &[&campaign.0],
        )
        .await
        .unwrap();
    rows.iter()
        .map(|row| Made {
            person: row.get("person_id"),
            student: row.get("student_id"),
            channel: Channel::from_number(row.get("channel")).unwrap(),
            address: row.get("address"),
            duplicate: row.get("duplicate"),
            outcome: row.get("outcome"),
        })
        .collect()
}

/// Guardians with shared phones and addresses, of several students each.
pub async fn crowded_district(seed: u64) -> Setting {
    let setting = Setting::new().await;
    let mut random = StdRng::seed_from_u64(seed);
    let mut guardians = Vec::new();
    for _ in 0..25 {
        let mut devices = Vec::new();
        for channel in Channel::ALL {
            for number in 0..random.random_range(0..3) {
                devices.push((channel, format!("address-{}", random.random_range(0..9) * 3 + number)));
            }
        }
        let devices: Vec<(Channel, &str)> =
            devices.iter().map(|(channel, address)| (*channel, address.as_str())).collect();
        guardians.push(setting.person(Role::Guardian, &devices).await);
    }
    for _ in 0..20 {
        let mut of_student: Vec<i64> =
            (0..3).map(|_| guardians[random.random_range(0..guardians.len())]).collect();
        of_student.sort_unstable();
        of_student.dedup();
        setting.student(&of_student).await;
    }
    setting
}

async fn to_guardians(setting: &Setting, mode: DedupeMode) -> CampaignId {
    setting
        .campaign(|new| {
            new.mode = mode;
            new.channels = Channel::ALL.to_vec();
            new.audience = Audience { all: true, ..Audience::default() };
        })
        .await
}

#[tokio::test]
async fn duplicates_are_those_of_the_domain_whatever_the_chunks() {
    for seed in 0..3 {
        let setting = crowded_district(seed).await;
        for mode in DedupeMode::ALL {
            let mut first: Option<Vec<Made>> = None;
            for people_max in [1, 7, 1000] {
                let campaign = to_guardians(&setting, mode).await;
                setting.expand(campaign, people_max).await;
                let jobs = made(&setting, campaign).await;
                let context = format!("seed {seed}, {mode:?}, chunks of {people_max}");
                let marks: Vec<bool> = jobs.iter().map(|job| job.duplicate).collect();
                let candidates = jobs.iter().map(|job| Candidate {
                    channel: job.channel,
                    address: &job.address,
                    student: job.student,
                });
                assert_eq!(marks, mark_duplicates(mode, candidates), "{context}");
                for job in &jobs {
                    let ended = job.duplicate.then_some(Outcome::Duplicate.number());
                    assert_eq!(job.outcome, ended, "{context}");
                    assert_eq!(job.student.is_some(), mode == DedupeMode::PerDeviceAndStudent, "{context}");
                }
                assert!(marks.iter().any(|mark| *mark) && marks.iter().any(|mark| !*mark), "{context}");
                assert_counters(&setting, campaign, &context).await;
                match &first {
                    Some(first) => assert_eq!(&jobs, first, "{context}"),
                    None => first = Some(jobs),
                }
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_sent_has_its_outcome_at_once() {
    let setting = Setting::new().await;
    let phones = ["+15550000001", "+15550000002", "+15550000003", "+15550000004", "+15550000005"];
    for phone in phones {
        setting.person(Role::Staff, &[(Channel::Sms, phone), (Channel::Voice, phone)]).await;
    }
    setting.person(Role::Staff, &[]).await;
    setting.person(Role::Staff, &[(Channel::Email, "ann@example.org")]).await;
    setting
        .run(&format!(
            "insert into consents (district_id, phone, state, changed_at, source)
               select '{0}', phone, state, tocsin_now(), 'test'
               from (values ('{1}', 3), ('{2}', 2), ('{3}', 1), ('{4}', 2)) c(phone, state);
             insert into suppressions (district_id, channel, address, outcome, reason, created_at)
               values ('{0}', 2, '{4}', 34, 'asked', tocsin_now()), ('{0}', 1, '{5}', 32, 'asked', tocsin_now())",
            setting.district, phones[0], phones[1], phones[2], phones[3], phones[4],
        ))
        .await;
    let (opt_out, dnc, suppressed, ineligible) = (
        Some(Outcome::OptOut.number()),
        Some(Outcome::DoNotCall.number()),
        Some(Outcome::Suppressed.number()),
        Some(Outcome::Ineligible.number()),
    );
    // By consent class: the text's outcome of each phone, in order.
    let cases = [
        (1, [opt_out, None, None, dnc, None]),
        (2, [opt_out, None, None, dnc, None]),
        (3, [opt_out, None, ineligible, dnc, ineligible]),
    ];
    for (class, texts) in cases {
        let campaign = setting
            .campaign(|new| {
                new.consent_class = class;
                new.channels = vec![Channel::Sms, Channel::Voice];
            })
            .await;
        setting.expand(campaign, 3).await;
        let jobs = made(&setting, campaign).await;
        let outcomes = |channel| -> Vec<Option<i16>> {
            jobs.iter().filter(|job| job.channel == channel).map(|job| job.outcome).collect()
        };
        assert_eq!(outcomes(Channel::Sms), texts, "class {class}");
        assert_eq!(outcomes(Channel::Voice), [None, None, None, None, suppressed], "class {class}");
        let no_device =
            format!("select count(*) from recipients where no_device and campaign_id = '{campaign}'");
        assert_eq!(setting.number(&no_device).await, 2, "class {class}");
        let final_at_once = format!(
            "select count(*) from jobs where campaign_id = '{campaign}'
             and (outcome is not null) <> (state = 4 and ended_at is not null and due_at is null)"
        );
        assert_eq!(setting.number(&final_at_once).await, 0, "class {class}");
        assert_counters(&setting, campaign, &format!("class {class}")).await;
    }
}

#[tokio::test]
async fn a_chunk_made_twice_makes_no_job_twice() {
    let setting = Setting::new().await;
    setting.staff(20).await;
    let campaign = setting.campaign(|_| ()).await;
    let expansion = setting.expansion(campaign).await;
    let now = setting.now().await;
    // Two planners begin with the same cursor; and one that crashed after its commit begins there again.
    let (first, second) =
        tokio::join!(setting.store.expand(&expansion, 7, now), setting.store.expand(&expansion, 7, now));
    let answers = [first.unwrap(), second.unwrap()];
    assert!(
        answers.contains(&Chunk::Moved) && answers.iter().any(|chunk| matches!(chunk, Chunk::Made { .. }))
    );
    assert_eq!(setting.store.expand(&expansion, 7, now).await.unwrap(), Chunk::Moved);
    assert_eq!(setting.number("select count(*) from jobs").await, 7);
    setting.expand(campaign, 7).await;
    assert_eq!(setting.number("select count(distinct address) from destinations").await, 20);
    assert_eq!(setting.number("select count(*) from jobs").await, 20);
    assert_eq!(setting.store.expand(&expansion, 7, now).await.unwrap(), Chunk::Moved);
    assert_counters(&setting, campaign, "complete").await;
}

#[tokio::test]
async fn a_canceled_campaign_is_not_expanded_further() {
    let setting = Setting::new().await;
    setting.staff(20).await;
    let campaign = setting.campaign(|_| ()).await;
    let mut expansion = setting.expansion(campaign).await;
    let now = setting.now().await;
    let Chunk::Made { cursor, .. } = setting.store.expand(&expansion, 7, now).await.unwrap() else {
        panic!("there are more people")
    };
    expansion.cursor = cursor;
    setting.cancel(campaign).await;
    assert_eq!(setting.store.expand(&expansion, 7, now).await.unwrap(), Chunk::Moved);
    assert!(setting.store.expansions_due(now, 10).await.unwrap().is_empty());
    assert_eq!(setting.jobs_in(campaign, 1).await, 7);
}

#[tokio::test]
async fn an_audience_of_nobody_is_complete_at_once_and_ends_as_no_recipients() {
    let setting = Setting::new().await;
    let campaign = setting.campaign(|_| ()).await;
    let expansion = setting.expansion(campaign).await;
    let now = setting.now().await;
    let chunk = setting.store.expand(&expansion, 7, now).await.unwrap();
    assert_eq!(chunk, Chunk::Complete { people: 0, jobs: 0, barred: vec![] });
    let closed = setting.store.close_campaigns(now).await.unwrap();
    assert_eq!(closed[0].state, CampaignState::NoRecipients);
}

/// Decision D4 for what was Processing; a campaign whose time had not come stays on the lists.
#[tokio::test]
async fn a_canceled_campaign_ends_by_the_state_that_the_cancel_found() {
    let setting = Setting::new().await;
    let now = setting.now().await;
    let scheduled = setting.campaign(|new| new.scheduled_at = now + chrono::TimeDelta::hours(1)).await;
    let processing = setting.campaign(|_| ()).await;
    setting.staff(2).await;
    let sending = setting.campaign(|_| ()).await;
    setting.expand(sending, 10).await;
    setting.release(sending, Channel::Sms).await;
    let campaigns = [
        (scheduled, CampaignState::Canceled),
        (processing, CampaignState::Discarded),
        (sending, CampaignState::Canceled),
    ];
    for (campaign, _) in campaigns {
        setting.cancel(campaign).await;
    }
    assert!(setting.store.finish_cancels(now, &[]).await.unwrap().is_empty(), "not swept yet");
    let to_sweep = setting.store.campaigns_to_sweep(now).await.unwrap();
    assert_eq!(to_sweep.len(), 3);
    for sweep in to_sweep {
        assert_eq!(sweep, ToSweep { campaign: sweep.campaign, outcome: Outcome::Canceled });
        setting.sweep(sweep).await;
    }
    let finished = setting.store.finish_cancels(now, &[]).await.unwrap();
    assert_eq!(finished.len(), 3);
    let closed = setting.store.close_campaigns(now).await.unwrap();
    for (campaign, state) in campaigns {
        for ended in [&finished, &closed] {
            let found = ended.iter().find(|end| end.campaign == campaign).unwrap();
            assert_eq!(found.state, state);
        }
    }
}
