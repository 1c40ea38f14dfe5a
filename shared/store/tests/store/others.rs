//! What is left of a person whose text was refused in an emergency.

use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::{CampaignId, Channel, JobKey, Lane};
use tocsin_store::others::Left;

use crate::fixture::Setting;

const PHONE: &str = "+13125550100";
const OTHER_PHONE: &str = "+13125550101";

/// A text with two other devices, one whose person has nothing else, one whose other phone opted out as well, and
/// one of a guardian of two students with a call for each.
async fn refused(setting: &Setting, lane: Lane, mode: DedupeMode) -> (CampaignId, Vec<JobKey>) {
    use Channel::{Email, Sms, Voice};
    for phone in [PHONE, OTHER_PHONE, "+13125550102", "+13125550103"] {
        setting.store.opt_out(setting.district, phone, "test", setting.now().await).await.unwrap();
    }
    setting.person(Role::Staff, &[(Voice, PHONE), (Sms, PHONE), (Email, "ana@example.org")]).await;
    setting.person(Role::Staff, &[(Sms, OTHER_PHONE)]).await;
    setting.person(Role::Staff, &[(Sms, "+13125550102"), (Sms, "+13125550103")]).await;
    let guardian = setting.person(Role::Guardian, &[(Voice, "+13125550104"), (Sms, OTHER_PHONE)]).await;
    setting.student(&[guardian]).await;
    setting.student(&[guardian]).await;
    let campaign = setting
        .campaign(|new| {
            (new.lane, new.mode, new.channels) = (lane, mode, vec![Voice, Sms, Email]);
            new.audience =
                Audience { all: true, roles: vec![Role::Staff, Role::Guardian], ..Audience::default() };
        })
        .await;
    setting.expand(campaign, 2).await;
    let opted_out = "select id from jobs where campaign_id = $1 and outcome = 31 order by id";
    let rows = setting.owner.query(opted_out, &[&campaign.0]).await.unwrap();
    (campaign, rows.iter().map(|row| JobKey { campaign, job: row.get(0) }).collect())
}

#[tokio::test]
async fn the_other_devices_of_a_refused_person_are_counted_but_for_refused_ones() {
    for (mode, others) in [
        (DedupeMode::PerDevice, vec![2, 0, 0, 0]),
        // The call for each student is left, and stands beside the text for each.
        (DedupeMode::PerDeviceAndStudent, vec![2, 0, 0, 0, 2, 2]),
    ] {
        let setting = Setting::new().await;
        let (campaign, refused) = refused(&setting, Lane::Emergency, mode).await;
        let jobs: Vec<i32> = refused.iter().map(|key| key.job).collect();
        let by_job = setting.tenant().others_left(campaign, &jobs).await.unwrap();
        let told: Vec<i64> = jobs.iter().map(|job| by_job[job]).collect();
        assert_eq!(told, others, "{mode:?}");
        let left = Left {
            campaign,
            refused: others.len() as i64,
            other_devices: others.iter().sum(),
            without_other: others.iter().filter(|others| **others == 0).count() as i64,
        };
        assert_eq!(setting.store.others_left(&refused).await.unwrap(), [left], "{mode:?}");
    }
}

#[tokio::test]
async fn only_texts_of_emergencies_are_told() {
    let setting = Setting::new().await;
    let (_, refused) = refused(&setting, Lane::General, DedupeMode::PerDevice).await;
    assert!(!refused.is_empty());
    assert_eq!(setting.store.others_left(&refused).await.unwrap(), []);
}

/// What an emergency's expansion answers of its texts that are barred, and no other campaign's does.
#[tokio::test]
async fn expansion_tells_an_emergencys_barred_texts() {
    let setting = Setting::new().await;
    setting.store.opt_out(setting.district, PHONE, "test", setting.now().await).await.unwrap();
    setting.person(Role::Staff, &[(Channel::Voice, PHONE), (Channel::Sms, PHONE)]).await;
    setting.person(Role::Staff, &[(Channel::Sms, PHONE), (Channel::Sms, OTHER_PHONE)]).await;
    for (lane, barred) in [(Lane::Emergency, 1), (Lane::General, 0)] {
        let campaign = setting
            .campaign(|new| (new.lane, new.channels) = (lane, vec![Channel::Voice, Channel::Sms]))
            .await;
        let expansion = setting.expansion(campaign).await;
        let chunk = setting.store.expand(&expansion, 100, setting.now().await).await.unwrap();
        assert_eq!(chunk.barred_texts().len(), barred, "{lane}: the duplicate is none");
    }
}

/// However many devices a person has, what one text costs is bounded: 64 jobs on either side are looked at.
#[tokio::test]
async fn of_a_persons_devices_those_within_64_jobs_of_the_text_are_counted() {
    let setting = Setting::new().await;
    for phone in [PHONE, OTHER_PHONE] {
        setting.store.opt_out(setting.district, phone, "test", setting.now().await).await.unwrap();
    }
    let calls: Vec<String> = (0..65).map(|number| format!("+1312555{:04}", 200 + number)).collect();
    let mails: Vec<String> = (0..65).map(|number| format!("mail-{number}@example.org")).collect();
    let text = |phone| std::iter::once((Channel::Sms, phone));
    let calls = |count| calls[..count].iter().map(|phone| (Channel::Voice, phone.as_str()));
    let mails = |count| mails[..count].iter().map(|mail| (Channel::Email, mail.as_str()));
    // A person's calls are numbered before their texts, and their mails after.
    let behind: Vec<(Channel, &str)> = text(PHONE).chain(mails(65)).collect();
    let before: Vec<(Channel, &str)> = calls(65).chain(text(OTHER_PHONE)).collect();
    setting.person(Role::Staff, &behind).await;
    setting.person(Role::Staff, &before).await;
    let campaign = setting
        .campaign(|new| {
            new.lane = Lane::Emergency;
            new.channels = vec![Channel::Voice, Channel::Sms, Channel::Email];
        })
        .await;
    setting.expand(campaign, 100).await;
    let texts = setting.owner.query("select id from jobs where channel = 2 order by id", &[]).await.unwrap();
    let texts: Vec<i32> = texts.iter().map(|row| row.get(0)).collect();
    assert_eq!(texts, [1, 132], "the first of a person's jobs, and the last");
    let left = setting.tenant().others_left(campaign, &texts).await.unwrap();
    assert_eq!((left[&1], left[&132]), (64, 64), "of 65 each");
}
