//! Reminders of the question whether to opt in (requirement 165): whom, how often, and whom never.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::audience::Role;
use tocsin_domain::consent::ConsentChange;
use tocsin_domain::consent::reminder::ReminderPolicy;
use tocsin_domain::{CampaignId, Channel};
use tocsin_store::tenant::consents::ConsentPolicy;

use crate::consents::PHONE;
use crate::fixture::Setting;

const OTHER: &str = "+13125550199";

/// Whom a pass reminds: a campaign for each district that has anybody due.
async fn pass(setting: &Setting, now: DateTime<Utc>) -> Vec<CampaignId> {
    let mut campaigns = Vec::new();
    for due in setting.store.reminders_due(now).await.unwrap() {
        campaigns.extend(setting.store.remind_pending(&due, 100, now).await.unwrap().campaign);
    }
    campaigns
}

async fn change(setting: &Setting, phone: &str, change: ConsentChange, at: DateTime<Utc>) {
    setting.tenant().change_consent(phone, change, "office", at).await.unwrap();
}

async fn decide(setting: &Setting, reminder: ReminderPolicy) {
    let policy = ConsentPolicy { reminder, ..ConsentPolicy::default() };
    setting.tenant().set_consent_policy(&policy, "test", setting.now().await).await.unwrap();
}

/// The addresses that a campaign of reminders goes to.
async fn reached(setting: &Setting, campaign: CampaignId) -> Vec<String> {
    setting.expand(campaign, 100).await;
    let sql = "select address from destinations where campaign_id = $1 order by address";
    setting.owner.query(sql, &[&campaign.0]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_people_of_a_pending_phone_are_reminded_by_email_so_often_and_no_more() {
    let setting = Setting::new().await;
    let asked = setting.now().await;
    // Two people share the phone; one of them has no email address, and a third nothing to do with it.
    setting.person(Role::Guardian, &[(Channel::Sms, PHONE), (Channel::Email, "ana@example.org")]).await;
    setting.person(Role::Staff, &[(Channel::Sms, PHONE)]).await;
    setting.person(Role::Staff, &[(Channel::Sms, OTHER), (Channel::Email, "bob@example.org")]).await;
    change(&setting, PHONE, ConsentChange::Ask, asked).await;
    let day = |days| asked + TimeDelta::days(days) + TimeDelta::seconds(1);
    assert_eq!(pass(&setting, day(6)).await, []);
    let first = pass(&setting, day(7)).await;
    assert_eq!(first.len(), 1);
    assert_eq!(pass(&setting, day(7)).await, [], "once");
    assert_eq!(pass(&setting, day(13)).await, []);
    assert_eq!(pass(&setting, day(15)).await.len(), 1);
    assert_eq!(pass(&setting, day(60)).await, [], "twice is enough");
    let told = "select message_type, consent_class, created_by, channels from campaigns where id = $1";
    let row = setting.owner.query_one(told, &[&first[0].0]).await.unwrap();
    assert_eq!(
        (row.get::<_, &str>(0), row.get::<_, i16>(1), row.get::<_, &str>(2), row.get::<_, Vec<i16>>(3)),
        ("opt_in", 4, "opt-in reminder", vec![Channel::Email.number()])
    );
    assert_eq!(reached(&setting, first[0]).await, ["ana@example.org"]);
}

#[tokio::test]
async fn whoever_answered_or_was_never_asked_is_not_reminded() {
    for answer in [ConsentChange::Start, ConsentChange::Stop] {
        let setting = Setting::new().await;
        let asked = setting.now().await;
        setting.person(Role::Staff, &[(Channel::Sms, PHONE), (Channel::Email, "ana@example.org")]).await;
        setting.person(Role::Staff, &[(Channel::Sms, OTHER), (Channel::Email, "bob@example.org")]).await;
        change(&setting, PHONE, ConsentChange::Ask, asked).await;
        // What is due is read before the answer comes, and reminded after it.
        let later = asked + TimeDelta::days(8);
        let due = setting.store.reminders_due(later).await.unwrap();
        assert_eq!(due.len(), 1, "{answer:?}");
        change(&setting, PHONE, answer, asked + TimeDelta::days(1)).await;
        let reminded = setting.store.remind_pending(&due[0], 100, later).await.unwrap();
        assert_eq!((reminded.phones, reminded.campaign), (0, None), "{answer:?}");
    }
}

#[tokio::test]
async fn a_district_decides_how_often_and_what_is_told() {
    let setting = Setting::new().await;
    let asked = setting.now().await;
    setting.person(Role::Staff, &[(Channel::Sms, PHONE), (Channel::Email, "ana@example.org")]).await;
    change(&setting, PHONE, ConsentChange::Ask, asked).await;
    decide(&setting, ReminderPolicy { times_max: 0, ..ReminderPolicy::default() }).await;
    assert_eq!(pass(&setting, asked + TimeDelta::days(90)).await, []);
    let flyer_url = Some("https://www.example.org/flyer.pdf".to_owned());
    decide(&setting, ReminderPolicy { times_max: 1, every_days: 2, flyer_url }).await;
    let reminded = pass(&setting, asked + TimeDelta::days(3)).await;
    let contents = setting.tenant().contents(reminded[0]).await.unwrap();
    assert!(contents[0].body.contains("https://www.example.org/flyer.pdf"), "{contents:?}");
    assert!(!contents[0].body.contains(PHONE));
    assert_eq!(pass(&setting, asked + TimeDelta::days(90)).await, []);
}

#[tokio::test]
async fn a_phone_whose_people_have_no_email_is_looked_at_again_later_and_counts_as_not_reminded() {
    let setting = Setting::new().await;
    let asked = setting.now().await;
    let person = setting.person(Role::Staff, &[(Channel::Sms, PHONE)]).await;
    change(&setting, PHONE, ConsentChange::Ask, asked).await;
    let day = |days| asked + TimeDelta::days(days);
    assert_eq!(pass(&setting, day(8)).await, []);
    assert!(setting.store.reminders_due(day(9)).await.unwrap().is_empty(), "it waits as long as others");
    let sql =
        "insert into devices (district_id, person_id, channel, address, position) values ($1, $2, 3, $3, 1)";
    setting.owner.execute(sql, &[&setting.district.0, &person, &"ana@example.org"]).await.unwrap();
    assert_eq!((pass(&setting, day(16)).await.len(), pass(&setting, day(24)).await.len()), (1, 1));
    assert_eq!(pass(&setting, day(60)).await, []);
}

#[tokio::test]
async fn two_planners_remind_nobody_twice() {
    let setting = Setting::new().await;
    let asked = setting.now().await;
    for number in 0..40 {
        let phone = format!("+131255502{number:02}");
        let email = format!("p{number}@example.org");
        setting.person(Role::Staff, &[(Channel::Sms, &phone), (Channel::Email, &email)]).await;
        change(&setting, &phone, ConsentChange::Ask, asked).await;
    }
    let later = asked + TimeDelta::days(8);
    let due = setting.store.reminders_due(later).await.unwrap();
    let (one, other) = (setting.actor("one"), setting.actor("other"));
    let (one, other) =
        tokio::join!(one.remind_pending(&due[0], 100, later), other.remind_pending(&due[0], 100, later));
    let mut addresses = Vec::new();
    for campaign in [one.unwrap(), other.unwrap()].iter().filter_map(|reminded| reminded.campaign) {
        addresses.extend(reached(&setting, campaign).await);
    }
    addresses.sort();
    let all = addresses.len();
    addresses.dedup();
    assert_eq!((all, addresses.len()), (40, 40));
}

#[tokio::test]
async fn nobody_is_reminded_who_has_left_or_while_no_account_sends_emails() {
    let setting = Setting::new().await;
    let asked = setting.now().await;
    setting.person(Role::Staff, &[(Channel::Sms, PHONE), (Channel::Email, "ana@example.org")]).await;
    change(&setting, PHONE, ConsentChange::Ask, asked).await;
    let day = |days| asked + TimeDelta::days(days);
    setting.run("update provider_accounts set stopped_at = tocsin_now() where channel = 3").await;
    assert!(setting.store.reminders_due(day(8)).await.unwrap().is_empty(), "no account");
    setting.run("update provider_accounts set stopped_at = null where channel = 3").await;
    setting.run("update people set active = false").await;
    assert_eq!(pass(&setting, day(8)).await, [], "nobody has the phone any more");
    setting.run("update people set active = true").await;
    assert_eq!(pass(&setting, day(16)).await.len(), 1, "as if nobody had been looked for");
}
