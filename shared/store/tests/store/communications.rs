//! What a contact was sent and what was sent on behalf of a student, over campaigns, days and columns.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_store::plans::{COMMUNICATIONS, TENANT_SESSION};
use tocsin_store::tenant::communications::{Communication, CommunicationsQuery, Sort};

use crate::fixture::{Setting, attempts, connect};
use crate::scene::delivered;

fn lately(person: i64, now: DateTime<Utc>) -> CommunicationsQuery {
    CommunicationsQuery {
        person,
        from: now - TimeDelta::days(7),
        until: now + TimeDelta::seconds(60),
        channel: None,
        outcomes: None,
        message_type: None,
        subject: None,
        sort: Sort::Time,
        descending: true,
        after: None,
        rows_max: 100,
    }
}

async fn found(setting: &Setting, query: &CommunicationsQuery) -> Vec<Communication> {
    setting.tenant().communications(query).await.unwrap()
}

fn subjects(found: &[Communication]) -> Vec<String> {
    found.iter().map(|one| format!("{} {:?} {}", one.subject, one.channel, one.own)).collect()
}

/// A campaign to all guardians and students, expanded.
async fn sent(setting: &Setting, subject: &str, mode: DedupeMode, at: DateTime<Utc>) -> CampaignId {
    let campaign = setting
        .campaign(|new| {
            new.audience =
                Audience { all: true, roles: vec![Role::Guardian, Role::Student], ..Audience::default() };
            (new.channels, new.mode) = (vec![Channel::Sms, Channel::Email], mode);
            (new.subject, new.scheduled_at) = (subject.to_owned(), at);
        })
        .await;
    setting.expand(campaign, 2).await;
    campaign
}

#[tokio::test]
async fn a_contact_sees_what_was_sent_to_them_and_a_student_all_that_was_sent_on_their_behalf() {
    let setting = Setting::new().await;
    let ann =
        setting.person(Role::Guardian, &[(Channel::Sms, "+15550000001"), (Channel::Email, "a@x.org")]).await;
    let bob = setting.person(Role::Guardian, &[]).await;
    let (cy, di) = (setting.student(&[ann, bob]).await, setting.student(&[ann]).await);
    let now = setting.now().await;
    for (mode, of_ann, of_cy, of_di) in [
        // Ann's text and email, Bob's row without a device, Cy's and Di's own.
        (DedupeMode::PerDevice, 2, 2 + 1 + 1, 2 + 1),
        (DedupeMode::PerDeviceAndStudent, 4, 2 + 1 + 1, 2 + 1),
    ] {
        let before = (
            found(&setting, &lately(ann, now)).await.len(),
            found(&setting, &lately(cy, now)).await.len(),
            found(&setting, &lately(di, now)).await.len(),
        );
        sent(&setting, "Bus", mode, now).await;
        let rows = found(&setting, &lately(ann, now)).await;
        assert_eq!(rows.len(), before.0 + of_ann, "{mode:?}");
        assert!(rows.iter().all(|row| row.own));
        let rows = found(&setting, &lately(cy, now)).await;
        assert_eq!(rows.len(), before.1 + of_cy, "{mode:?} {:?}", subjects(&rows));
        assert_eq!(found(&setting, &lately(di, now)).await.len(), before.2 + of_di, "{mode:?}");
    }
    let rows = found(&setting, &lately(bob, now)).await;
    assert!(rows.iter().all(|row| row.outcome == Outcome::NoDevice && row.channel.is_none()), "{rows:?}");
    assert_eq!(rows.len(), 2);
    let other = tocsin_testkit::fixture::Fixture::new(&setting.database).await.unwrap().district();
    assert!(setting.store.tenant(other).communications(&lately(ann, now)).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_column_filters_and_sorts_both_ways_on_pages_of_any_size() {
    let setting = Setting::new().await;
    let ann =
        setting.person(Role::Guardian, &[(Channel::Sms, "+15550000001"), (Channel::Email, "a@x.org")]).await;
    setting.student(&[ann]).await;
    let now = setting.now().await;
    for (nth, subject) in ["Bus 7 is late", "Snow day", "50% off_lunch"].into_iter().enumerate() {
        let at = now - TimeDelta::days(2 * i64::try_from(nth).unwrap());
        let campaign = sent(&setting, subject, DedupeMode::PerDevice, at).await;
        if nth == 0 {
            let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
            setting.report(&tried, delivered()).await;
        }
    }
    let base = lately(ann, now);
    let count = async |change: fn(&mut CommunicationsQuery)| {
        let mut query = base.clone();
        change(&mut query);
        found(&setting, &query).await.len()
    };
    assert_eq!(count(|_| ()).await, 6);
    assert_eq!(count(|query| query.channel = Some(Channel::Sms)).await, 3);
    assert_eq!(count(|query| query.outcomes = Some(vec![Outcome::Delivered])).await, 1);
    assert_eq!(count(|query| query.outcomes = Some(vec![Outcome::InProgress])).await, 5);
    assert_eq!(count(|query| query.message_type = Some("general".to_owned())).await, 6);
    assert_eq!(count(|query| query.message_type = Some("attendance".to_owned())).await, 0);
    assert_eq!(count(|query| query.subject = Some("SNOW".to_owned())).await, 2);
    assert_eq!(count(|query| query.subject = Some("0% off_".to_owned())).await, 2);
    assert_eq!(count(|query| query.subject = Some("_".to_owned())).await, 2, "no sign of a pattern");
    assert_eq!(count(|query| query.from += TimeDelta::days(6)).await, 2);
    assert_eq!(count(|query| query.until -= TimeDelta::days(3)).await, 2);
    for sort in Sort::ALL {
        for descending in [false, true] {
            let whole = found(&setting, &CommunicationsQuery { sort, descending, ..base.clone() }).await;
            let keys: Vec<_> =
                whole.iter().map(|row| (&row.place.key, row.place.campaign, row.place.job)).collect();
            let sorted = if descending { keys.iter().rev().is_sorted() } else { keys.is_sorted() };
            assert!(sorted, "{sort:?} {descending}: {keys:?}");
            for rows_max in 1..=4 {
                let (mut paged, mut after) = (Vec::new(), None);
                loop {
                    let query = CommunicationsQuery { sort, descending, rows_max, after, ..base.clone() };
                    let page = found(&setting, &query).await;
                    let Some(last) = page.last() else { break };
                    after = Some(last.place.clone());
                    paged.extend(page);
                }
                assert_eq!(paged, whole, "{sort:?} {descending} {rows_max}");
            }
        }
    }
}

/// With years of partitions, a week's communications touch those of the week's campaigns, by whole keys.
#[tokio::test]
async fn a_week_is_read_from_the_partitions_of_its_campaigns_alone() {
    let setting = Setting::new().await;
    let ann = setting.person(Role::Guardian, &[(Channel::Sms, "+15550000001")]).await;
    setting.student(&[ann]).await;
    let now = setting.now().await;
    setting.store.make_partitions(now + TimeDelta::days(3 * 365)).await.unwrap();
    sent(&setting, "Bus", DedupeMode::PerDevice, now).await;
    for context in ["not analysed", "analysed"] {
        let tenant = connect(&setting.database.url).await;
        let district = setting.district;
        tenant.batch_execute(&format!("{TENANT_SESSION}; set tocsin.district = '{district}'")).await.unwrap();
        for (name, sql) in COMMUNICATIONS {
            tenant.batch_execute(&format!("prepare {name} as {sql}")).await.unwrap();
            let explain = format!(
                "explain (analyze, format json) execute {name}('{district}', {ann}, '{}', '{}', null, null, null, null,
                 1, '{{}}', null, null, null, null, 100, false, null)",
                (now - TimeDelta::days(7)).to_rfc3339(),
                (now + TimeDelta::days(1)).to_rfc3339()
            );
            let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
            let mut scans = Vec::new();
            executed(&plan[0]["Plan"], &mut scans);
            for table in ["recipient_people", "recipients", "jobs", "destinations"] {
                let of_table: Vec<_> = scans.iter().filter(|scan| is_part_of(scan, table)).collect();
                let parts: std::collections::BTreeSet<_> =
                    of_table.iter().map(|scan| scan["Relation Name"].as_str().unwrap()).collect();
                assert_eq!(parts.len(), 1, "{context} {name} {table}: {parts:?}");
            }
            let campaigns: Vec<_> =
                scans.iter().filter(|scan| scan["Relation Name"] == "campaigns").collect();
            assert!(!campaigns.is_empty(), "{plan}");
        }
        setting.run("analyze").await;
    }
}

/// The scans that were not left out when the plan ran.
fn executed<'a>(node: &'a Value, found: &mut Vec<&'a Value>) {
    if node["Actual Loops"] == 0 {
        return;
    }
    if node["Relation Name"].is_string() {
        found.push(node);
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        executed(child, found);
    }
}

fn is_part_of(scan: &Value, table: &str) -> bool {
    let name = scan["Relation Name"].as_str().unwrap_or_default();
    name.strip_prefix(table).is_some_and(|rest| rest.starts_with("_2") || rest == "_default")
}
