//! Months that are dropped, and people who are erased: what was counted stays.

use chrono::{DateTime, Months, TimeDelta, Utc};
use tocsin_domain::audience::Role;
use tocsin_domain::{CampaignId, Channel};
use uuid::{NoContext, Timestamp, Uuid};

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts};
use crate::scene::delivered;

/// A campaign made at `at`, everybody of which has the message.
async fn sent_at(setting: &Setting, at: DateTime<Utc>) -> CampaignId {
    let moment = Timestamp::from_unix(NoContext, at.timestamp().unsigned_abs(), 0);
    let id = CampaignId(Uuid::new_v7(moment));
    setting.campaign(|new| (new.id, new.client_key) = (id, id.to_string())).await;
    setting.expand(id, 100).await;
    let tried = attempts(&setting.claim(&setting.release(id, Channel::Sms).await).await);
    setting.report(&tried, delivered()).await;
    setting.store.close_campaigns(setting.now().await).await.unwrap();
    setting.run(&format!("update campaigns set closed_at = '{at}' where id = '{id}'")).await;
    id
}

async fn counted(setting: &Setting, campaign: CampaignId) -> String {
    format!("{:?}", setting.tenant().counts(campaign).await.unwrap())
}

#[tokio::test]
async fn a_month_is_dropped_when_all_of_it_is_closed_for_long_and_its_counts_stay() {
    let setting = Setting::new().await;
    setting.staff(3).await;
    let now = setting.now().await;
    let long_ago = now - Months::new(16);
    let month = long_ago.format("%Y_%m").to_string();
    // As a database has that ran then.
    setting
        .run(&format!(
            "select tocsin_partition(p.relname, '{month}', format('for values from (%L) to (%L)',
               uuid7_floor(date_trunc('month', timestamptz '{long_ago}', 'UTC')),
               uuid7_floor(date_trunc('month', timestamptz '{long_ago}', 'UTC') + interval '1 month')), 100)
             from pg_class p where p.relkind = 'p' and p.relnamespace = 'public'::regnamespace"
        ))
        .await;
    let (old, recent) = (sent_at(&setting, long_ago).await, sent_at(&setting, now).await);
    assert_eq!(setting.number(&format!("select count(*) from jobs_{month}")).await, 3);
    let before = counted(&setting, old).await;
    let cutoff = now - TimeDelta::days(400);

    setting.run(&format!("update campaigns set closed_at = null where id = '{old}'")).await;
    assert_eq!(setting.store.droppable_months(cutoff).await.unwrap(), [], "it is open");
    setting.run(&format!("update campaigns set closed_at = '{now}' where id = '{old}'")).await;
    assert_eq!(setting.store.droppable_months(cutoff).await.unwrap(), [], "it closed lately");
    setting.run(&format!("update campaigns set closed_at = '{long_ago}' where id = '{old}'")).await;
    let months = setting.store.droppable_months(cutoff).await.unwrap();
    assert_eq!((months.len(), &months[0].name, months[0].campaigns), (1, &month, 1));
    // What changed since it was listed is looked at again.
    setting.run(&format!("update campaigns set closed_at = null where id = '{old}'")).await;
    assert_eq!(setting.store.drop_month(&months[0], cutoff).await.unwrap(), 0);
    setting.run(&format!("update campaigns set closed_at = '{long_ago}' where id = '{old}'")).await;
    assert!(setting.store.drop_month(&months[0], cutoff).await.unwrap() > 6);
    assert_eq!(setting.store.droppable_months(cutoff).await.unwrap(), []);

    let tables = format!("select count(*) from pg_class where relname ~ '_{month}$' and relkind = 'r'");
    assert_eq!(setting.number(&tables).await, 0);
    assert_eq!(counted(&setting, old).await, before, "what was counted stays");
    let summary = setting.tenant().campaign(old).await.unwrap().unwrap();
    assert!(summary.rows_dropped_at.is_some());
    let audited = setting.store.audit_campaign(old, setting.now().await).await.unwrap();
    assert_eq!(audited, Some(Vec::new()), "an audit does not take counters for drifted whose rows are gone");
    assert_eq!(counted(&setting, old).await, before);
    assert_counters(&setting, recent, "kept").await;
    assert_eq!(setting.jobs_in(recent, 4).await, 3);
}

#[tokio::test]
async fn a_person_is_erased_everywhere_and_the_counts_stay() {
    let setting = Setting::new().await;
    let (shared, own) = ("+13125550111", "+13125550112");
    let person = setting.person(Role::Staff, &[(Channel::Sms, shared), (Channel::Sms, own)]).await;
    let other = setting.person(Role::Staff, &[(Channel::Sms, shared)]).await;
    let source: String = setting
        .owner
        .query_one("select source_id from people where id = $1", &[&person])
        .await
        .unwrap()
        .get(0);
    setting
        .run(&format!(
            "update people set given_name = 'Wanda', family_name = 'Unusual' where id = {person};
             insert into consents (district_id, phone, state, changed_at, source) values
               ('{d}', '{own}', 2, now(), 'START'), ('{d}', '{shared}', 2, now(), 'START');
             insert into consent_history (district_id, phone, to_state, source, at) values
               ('{d}', '{own}', 2, 'START', now()), ('{d}', '{shared}', 2, 'START', now())",
            d = setting.district
        ))
        .await;
    let closed = sent_at(&setting, setting.now().await).await;
    let open = setting.campaign(|_| ()).await;
    setting.expand(open, 100).await;
    setting
        .run(&format!(
            "insert into events (campaign_id, id, district_id, received_at, job_id, ordinal, account, raw)
             select campaign_id, gen_random_uuid(), district_id, now(), id, 0, 'a', 'To={own}' from jobs
             where campaign_id = '{closed}'"
        ))
        .await;
    let before = counted(&setting, closed).await;
    let named = |campaign: CampaignId| {
        format!(
            "select (select count(*) from recipients where campaign_id = '{campaign}' and name like '%Unusual%')
               + (select count(*) from destinations where campaign_id = '{campaign}' and address = '{own}')
               + (select count(*) from events where campaign_id = '{campaign}' and raw is not null
                    and job_id in (select id from jobs j where campaign_id = '{campaign}' and exists (
                      select from recipients r where r.campaign_id = j.campaign_id and r.id = j.recipient_id
                        and r.person_id = {person})))"
        )
    };
    assert!(setting.number(&named(closed)).await > 2 && setting.number(&named(open)).await > 1);

    let store = &setting.store;
    assert_eq!(store.forget(setting.district, "nobody", "ann", setting.now().await).await.unwrap(), None);
    for round in 0..2 {
        let whom =
            store.forget(setting.district, &source, "ann", setting.now().await).await.unwrap().unwrap();
        assert_eq!(whom.person, person, "round {round}: also when the directory has it no more");
        let erased = store.erase(whom).await.unwrap();
        assert_eq!(erased.open, 1, "an open campaign is left alone: its devices are still to be tried");
    }
    assert_eq!(setting.number(&named(closed)).await, 0);
    assert!(setting.number(&named(open)).await > 1);
    assert_eq!(counted(&setting, closed).await, before);
    assert_counters(&setting, closed, "erased").await;
    let audited = store.audit_campaign(closed, setting.now().await).await.unwrap();
    assert_eq!(audited, Some(Vec::new()), "the auditor agrees");
    let left = format!(
        "select (select count(*) from people where id = {person}) + (select count(*) from devices where person_id = {person})"
    );
    assert_eq!(setting.number(&left).await, 0);
    assert_eq!(setting.number(&format!("select count(*) from people where id = {other}")).await, 1);
    let consents = format!("select count(*) from consents where phone = '{own}'");
    assert_eq!(setting.number(&consents).await, 0);
    let of_other = format!(
        "select (select count(*) from consents where phone = '{shared}')
           + (select count(*) from consent_history where phone = '{shared}')"
    );
    assert_eq!(setting.number(&of_other).await, 2, "the other person's phone keeps its consent");

    // Once it is closed the rest goes, too.
    let tried = attempts(&setting.claim(&setting.release(open, Channel::Sms).await).await);
    setting.report(&tried, delivered()).await;
    store.close_campaigns(setting.now().await).await.unwrap();
    let whom = store.forget(setting.district, &source, "ann", setting.now().await).await.unwrap().unwrap();
    assert_eq!(store.erase(whom).await.unwrap().open, 0);
    assert_eq!(setting.number(&named(open)).await, 0);
    assert_counters(&setting, open, "erased later").await;
}

#[tokio::test]
async fn who_opted_out_stays_opted_out_when_erased() {
    let setting = Setting::new().await;
    let phone = "+13125550113";
    let person = setting.person(Role::Staff, &[(Channel::Sms, phone)]).await;
    setting
        .run(&format!(
            "insert into consents (district_id, phone, state, changed_at, source)
             values ('{}', '{phone}', 3, now(), 'STOP')",
            setting.district
        ))
        .await;
    let source: String = setting
        .owner
        .query_one("select source_id from people where id = $1", &[&person])
        .await
        .unwrap()
        .get(0);
    let now = setting.now().await;
    setting.store.forget(setting.district, &source, "ann", now).await.unwrap().unwrap();
    let stopped = format!("select count(*) from consents where phone = '{phone}' and state = 3");
    assert_eq!(setting.number(&stopped).await, 1);
}
