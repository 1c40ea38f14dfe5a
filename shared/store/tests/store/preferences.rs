//! Which devices a person wants for which messages, kept whatever is imported, and held at expansion.

use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::{CampaignId, Channel};
use tocsin_store::tenant::directory::Change;
use tocsin_store::tenant::directory::preferences::{DevicePreference, Preferences};

use crate::counters::assert_counters;
use crate::fixture::Setting;

const PHONE: &str = "+15550000001";
const MAIL: &str = "ann@example.org";
/// Every message type but emergencies.
const TYPES: [&str; 9] = [
    "priority",
    "general",
    "attendance",
    "behavior",
    "missing_assignment",
    "special_ed",
    "message_builder",
    "process_alert",
    "opt_in",
];

async fn source_of(setting: &Setting, person: i64) -> String {
    let found = setting.owner.query_one("select source_id from people where id = $1", &[&person]).await;
    found.unwrap().get(0)
}

fn declined(channel: Channel, address: &str, types: &[&str]) -> DevicePreference {
    let declined = types.iter().map(|kind| (*kind).to_owned()).collect();
    DevicePreference { channel, address: address.to_owned(), declined }
}

async fn prefer(setting: &Setting, person: i64, devices: Vec<DevicePreference>) {
    let source = source_of(setting, person).await;
    let preferences = Preferences { devices, ..Preferences::default() };
    let now = setting.now().await;
    assert_eq!(setting.tenant().prefer(&source, &preferences, "test", now).await.unwrap(), Change::Done);
}

/// A campaign of that type over texts and emails, expanded.
async fn sent(setting: &Setting, message_type: &str) -> CampaignId {
    let campaign = setting
        .campaign(|new| {
            new.message_type = message_type.to_owned();
            new.channels = vec![Channel::Sms, Channel::Email];
            new.audience = Audience { all: true, roles: vec![Role::Staff], ..Audience::default() };
        })
        .await;
    setting.expand(campaign, 7).await;
    campaign
}

async fn addresses(setting: &Setting, campaign: CampaignId) -> Vec<String> {
    let query = "select address from destinations where campaign_id = $1 order by 1";
    let rows = setting.owner.query(query, &[&campaign.0]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_device_that_is_declined_for_a_type_is_no_job_of_it_and_of_no_other() {
    let setting = Setting::new().await;
    let ann = setting.person(Role::Staff, &[(Channel::Sms, PHONE), (Channel::Email, MAIL)]).await;
    for kind in TYPES {
        prefer(&setting, ann, vec![declined(Channel::Sms, PHONE, &[kind])]).await;
        for sent_as in TYPES.into_iter().chain(["emergency"]) {
            let campaign = sent(&setting, sent_as).await;
            let expected = if sent_as == kind { vec![PHONE, MAIL].split_off(1) } else { vec![PHONE, MAIL] };
            assert_eq!(addresses(&setting, campaign).await, expected, "{kind} declined, {sent_as} sent");
        }
    }
}

/// Requirement 50: no available device, or no selected one.
#[tokio::test]
async fn whoever_has_declined_every_device_counts_as_without_one_but_in_an_emergency() {
    let setting = Setting::new().await;
    let ann = setting.person(Role::Staff, &[(Channel::Sms, PHONE), (Channel::Email, MAIL)]).await;
    setting.person(Role::Staff, &[]).await;
    let all = vec![declined(Channel::Sms, PHONE, &TYPES), declined(Channel::Email, MAIL, &TYPES)];
    prefer(&setting, ann, all).await;
    for (kind, without, jobs) in [("general", 2, 0), ("emergency", 1, 2)] {
        let campaign = sent(&setting, kind).await;
        let counts = setting.tenant().counts(campaign).await.unwrap();
        assert_eq!((counts.recipients, counts.no_device), (2, without), "{kind}");
        assert_eq!(addresses(&setting, campaign).await.len(), jobs, "{kind}");
        assert_counters(&setting, campaign, kind).await;
    }
    let emergency = "insert into device_preferences select district_id, person_id, channel, 'x', '{emergency}', now(), 'x' from devices limit 1";
    assert!(setting.owner.batch_execute(emergency).await.is_err(), "nobody declines emergencies");
}

#[tokio::test]
async fn a_language_of_ones_own_stands_before_the_rosters_until_it_is_taken_back() {
    let setting = Setting::new().await;
    let ann = setting.person(Role::Staff, &[(Channel::Sms, PHONE)]).await;
    setting.run("update people set language = 'es', roster_language = 'es'").await;
    let source = source_of(&setting, ann).await;
    let tenant = setting.tenant();
    let now = setting.now().await;
    let says = |language: Option<&str>| Preferences {
        language: Some(language.map(str::to_owned)),
        ..Preferences::default()
    };
    for (preferences, language) in [(says(Some("vi")), "vi"), (says(None), "es")] {
        assert_eq!(tenant.prefer(&source, &preferences, "test", now).await.unwrap(), Change::Done);
        assert_eq!(tenant.prefer(&source, &preferences, "test", now).await.unwrap(), Change::Unchanged);
        let person = tenant.person(&source).await.unwrap().unwrap();
        assert_eq!(person.language.as_deref(), Some(language));
    }
    assert_eq!(tenant.prefer("nobody", &says(None), "test", now).await.unwrap(), Change::Unknown);
}
