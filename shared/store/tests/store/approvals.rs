//! What waits for a second person: decided once, by another, and one campaign of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tocsin_domain::rights::{Actor, ActorKind, Grant};
use tocsin_store::approval_mails::{DueMail, MailEnd};
use tocsin_store::tenant::approvals::{Approve, Approved, NewApproval, NewsOfApproval, Told, Waiting};
use tocsin_store::{StoreError, Tenant};
use uuid::Uuid;

use crate::fixture::{Setting, new_campaign};

fn acting(setting: &Setting, id: Option<Uuid>) -> Tenant {
    let actor = Actor { kind: ActorKind::User, id, name: "Ana".to_owned(), grant: Grant::all() };
    setting.tenant().acting_as(Arc::new(actor))
}

fn asked(key: &str, now: DateTime<Utc>) -> NewApproval {
    NewApproval {
        id: Uuid::now_v7(),
        client_key: key.to_owned(),
        request_hash: vec![0; 32],
        request: json!({"subject": "Lockdown"}),
        subject: "Lockdown".to_owned(),
        asked_by: "Ana".to_owned(),
        asked_at: now,
        expires_at: now + TimeDelta::minutes(30),
        event: NewsOfApproval { id: Uuid::now_v7(), event: "approval.requested", body: "{}".to_owned() },
        page_url: Some("https://tocsin.example.org/approvals/1".to_owned()),
        approving_roles: vec!["administrator", "communications"],
    }
}

#[tokio::test]
async fn of_many_who_approve_at_once_one_makes_the_campaign_and_whoever_asked_makes_none() {
    let setting = Setting::new().await;
    let now = setting.now().await;
    let asker = Uuid::from_u128(1);
    let ana = acting(&setting, Some(asker));
    let id = ana.ask_approval(&asked("k", now)).await.unwrap().id;
    assert_eq!(ana.ask_approval(&asked("k", now)).await.unwrap().id, id, "asked once");
    let others = acting(&setting, Some(Uuid::from_u128(2)));
    assert_eq!(ana.approvals_waiting(now).await.unwrap(), Waiting { others: 0, own: 1 });
    assert_eq!(others.approvals_waiting(now).await.unwrap(), Waiting { others: 1, own: 0 });
    let approve = Approve { id, by: "somebody", at: now };
    let campaign = || {
        let mut new = new_campaign(now);
        new.client_key = "k".to_owned();
        new
    };
    for nobody in [ana.clone(), acting(&setting, None), setting.tenant()] {
        assert_eq!(nobody.approve(approve, &campaign()).await.unwrap(), Approved::Not);
    }
    // Not even a statement with a fault could: the row refuses.
    let raw = format!(
        "update approvals set decision = 1, decided_at = now(), decided_by = 'x', decider_id = asker_id,
           campaign_id = gen_random_uuid() where id = '{id}'"
    );
    let refused = setting.owner.batch_execute(&raw).await.unwrap_err();
    assert_eq!(refused.as_db_error().unwrap().constraint(), Some("another_says_yes"));

    let mut all = Vec::new();
    for number in 2..10 {
        let (tenant, new) = (acting(&setting, Some(Uuid::from_u128(number))), campaign());
        all.push(async move { tenant.approve(approve, &new).await.unwrap() });
    }
    let made = futures::future::join_all(all).await;
    assert_eq!(made.iter().filter(|it| **it != Approved::Not).count(), 1, "{made:?}");
    assert_eq!(setting.number("select count(*) from campaigns").await, 1);
    let whose = format!("select count(*) from campaigns where creator_id = '{asker}'");
    assert_eq!(setting.number(&whose).await, 1, "it is the message of whoever asked");
    let kept = ana.approval(id).await.unwrap().unwrap();
    assert!(made.contains(&Approved::Made(kept.campaign.unwrap())));
    assert!(!others.decline(approve, None).await.unwrap(), "it is decided for good");
    assert_eq!(others.approvals_waiting(now).await.unwrap(), Waiting::default());
    // Who asked is in the line of the campaign, who approved in the line of the approval.
    let lines = "select count(*) from audit where action = 'campaign.create' and actor_id = '00000000-0000-0000-0000-000000000001'";
    assert_eq!(setting.number(lines).await, 1);
    let lines = "select count(*) from audit where action = 'approval.approve' and actor_id > '00000000-0000-0000-0000-000000000001'";
    assert_eq!(setting.number(lines).await, 1);
}

#[tokio::test]
async fn nothing_is_approved_after_its_time_or_under_a_key_that_made_a_campaign() {
    let setting = Setting::new().await;
    let now = setting.now().await;
    let (ana, ben) = (acting(&setting, Some(Uuid::from_u128(1))), acting(&setting, Some(Uuid::from_u128(2))));
    let late = asked("late", now);
    ana.ask_approval(&late).await.unwrap();
    let at = late.expires_at;
    let approve = Approve { id: late.id, by: "Ben", at };
    assert_eq!(ben.approve(approve, &new_campaign(now)).await.unwrap(), Approved::Not);
    assert!(!ben.decline(approve, None).await.unwrap());

    let known = new_campaign(now);
    ana.create_campaign(&known).await.unwrap();
    let reused = ana.ask_approval(&asked(&known.client_key, now)).await;
    assert!(matches!(reused, Err(StoreError::KeyReused { .. })), "{reused:?}");
    // Asked for first, and made past it by a program that asks nobody: nothing goes out twice.
    let first = asked("both", now);
    ana.ask_approval(&first).await.unwrap();
    let mut made = new_campaign(now);
    made.client_key = "both".to_owned();
    ana.create_campaign(&made).await.unwrap();
    let mut again = new_campaign(now);
    again.client_key = "both".to_owned();
    let approved = ben.approve(Approve { id: first.id, by: "Ben", at: now }, &again).await;
    assert!(matches!(approved, Err(StoreError::KeyReused { .. })), "{approved:?}");
    assert_eq!(ana.approval(first.id).await.unwrap().unwrap().decision, None, "half of it was kept");
    assert_eq!(setting.number("select count(*) from campaigns").await, 2);
}

/// Users of the district by number, each with one role, named as their logins begin.
async fn users(setting: &Setting, users: &[(u128, &str, &str)]) {
    for (number, name, role) in users {
        let sql = format!(
            "insert into users (district_id, id, login, display_name, password_hash, roles, created_at, created_by, changed_at,
               changed_by, password_changed_at)
             values ('{}', '{}', '{name}@example.org', '{name}', 'x', '{{{role}}}', now(), 'a', now(), 'a', now())",
            setting.district,
            Uuid::from_u128(*number)
        );
        setting.run(&sql).await;
    }
}

const ACCOUNT: &str = "email-1";

async fn taken(setting: &Setting, accounts: &[&str], now: DateTime<Utc>) -> Vec<DueMail> {
    let accounts: Vec<String> = accounts.iter().map(|name| (*name).to_owned()).collect();
    let mut mails = setting.store.take_approval_mails(&accounts, 50, now).await.unwrap();
    mails.sort_by(|one, other| one.address.cmp(&other.address));
    mails
}

fn addresses(mails: &[DueMail]) -> Vec<&str> {
    mails.iter().map(|mail| mail.address.as_str()).collect()
}

#[tokio::test]
async fn those_who_may_approve_are_told_once_and_nobody_else() {
    let setting = Setting::new().await;
    let now = setting.now().await;
    users(
        &setting,
        &[
            (1, "ana", "communications"),
            (2, "ben", "communications"),
            (3, "cem", "alarm"),
            (4, "dan", "clerk"),
            (5, "eve", "administrator"),
            (6, "fay", "secretary"),
            (7, "gil", "administrator"),
        ],
    )
    .await;
    let other = Uuid::from_u128(99);
    setting
        .run(&format!(
            "insert into roles (district_id, name, rights, changed_at, changed_by)
               values ('{district}', 'alarm', '{{messages.own,send.emergency}}', now(), 'a'), ('{district}', 'clerk', '{{send}}', now(), 'a');
             update users set active = false where login = 'eve@example.org';
             insert into districts (id, name, created_at) values ('{other}', 'Other', now());
             insert into roles (district_id, name, rights, changed_at, changed_by)
               values ('{other}', 'clerk', '{{send.emergency}}', now(), 'a');
             insert into users (district_id, id, login, display_name, password_hash, roles, created_at, created_by, changed_at,
               changed_by, password_changed_at)
             values ('{other}', gen_random_uuid(), 'not@example.org', 'x', 'x', '{{administrator}}', now(), 'a', now(), 'a', now())",
            district = setting.district
        ))
        .await;
    let ana = acting(&setting, Some(Uuid::from_u128(1)));
    let id = ana.ask_approval(&asked("k", now)).await.unwrap().id;
    ana.ask_approval(&asked("k", now)).await.unwrap();
    assert_eq!(ana.approval_told(id).await.unwrap(), Told { sent: 0, waiting: 3, failed: 0 });
    let mails = taken(&setting, &[ACCOUNT], now).await;
    assert_eq!(addresses(&mails), ["ben@example.org", "cem@example.org", "gil@example.org"]);
    let ordinals: Vec<i32> = mails.iter().map(|mail| mail.ordinal).collect();
    assert_eq!(ordinals, [1, 2, 3]);
    let ben = &mails[0];
    assert_eq!((ben.approval, ben.account.as_str(), ben.tries), (id, ACCOUNT, 1));
    assert_eq!((ben.subject.as_str(), ben.asked_by.as_str()), ("Lockdown", "Ana"));
    assert_eq!(ben.page_url.as_deref(), Some("https://tocsin.example.org/approvals/1"));
    assert_eq!(ben.zone.map(|zone| zone.name()), Some("America/Chicago"));
    assert!(!format!("{ben:?}").contains("example.org"), "{ben:?}");
    assert_eq!(taken(&setting, &[ACCOUNT], now + TimeDelta::minutes(20)).await, [], "they are with a worker");

    let ends = [
        MailEnd::Sent,
        MailEnd::Unknown("the connection broke".to_owned()),
        MailEnd::Failed("550 5.1.1".to_owned()),
    ];
    for (mail, end) in mails.iter().zip(&ends) {
        setting.store.record_approval_mail(mail, end, now).await.unwrap();
        // What has ended stays so.
        setting.store.record_approval_mail(mail, &MailEnd::Sent, now).await.unwrap();
    }
    assert_eq!(ana.approval_told(id).await.unwrap(), Told { sent: 1, waiting: 0, failed: 2 });
    assert_eq!(taken(&setting, &[ACCOUNT], now + TimeDelta::minutes(20)).await, []);
    let told = "select string_agg(details->>'result' || ' ' || coalesce(details->>'code', '-'), ', ' order by details->>'user')
                from audit where action = 'approval.mail' and actor = 'approval mail' and subject = $1";
    let told: String = setting.owner.query_one(told, &[&id.to_string()]).await.unwrap().get(0);
    assert_eq!(told, "sent -, unknown the connection broke, failed 550 5.1.1");
    let addressed = "select count(*) from audit where details::text like '%@%'";
    assert_eq!(setting.number(addressed).await, 0, "an address is in the audit");
}

#[tokio::test]
async fn a_mail_that_was_not_sent_is_tried_again_over_another_account_while_somebody_can_approve() {
    let setting = Setting::new().await;
    let now = setting.now().await;
    users(&setting, &[(1, "ana", "communications"), (2, "ben", "communications")]).await;
    let ana = acting(&setting, Some(Uuid::from_u128(1)));
    let ask = async |key: &str| ana.ask_approval(&asked(key, now)).await.unwrap().id;
    let first = ask("first").await;
    assert_eq!(taken(&setting, &[], now).await, [], "no account is configured here");
    setting.run("update provider_accounts set stopped_at = now() where name = 'email-1'").await;
    assert_eq!(taken(&setting, &[ACCOUNT], now).await, [], "it is stopped");
    setting.run("update provider_accounts set stopped_at = null where name = 'email-1'").await;
    setting.run("insert into stops (stopped_at, stopped_by, reason) values (now(), 'a', 'b')").await;
    assert_eq!(taken(&setting, &[ACCOUNT], now).await, [], "nothing at all is sent");
    setting.run("delete from stops").await;
    let another = "insert into provider_accounts (name, channel, updated_at) values ('email-2', 3, now())";
    setting.run(another).await;
    let mails = taken(&setting, &[ACCOUNT, "email-2"], now).await;
    assert_eq!(mails[0].account, ACCOUNT);
    let due_at = now + TimeDelta::seconds(5);
    let again = MailEnd::Again { due_at, code: "421".to_owned() };
    setting.store.record_approval_mail(&mails[0], &again, now).await.unwrap();
    assert_eq!(taken(&setting, &[ACCOUNT, "email-2"], now).await, []);
    let mails = taken(&setting, &[ACCOUNT, "email-2"], due_at).await;
    assert_eq!((mails[0].account.as_str(), mails[0].tries), ("email-2", 2));
    setting.store.record_approval_mail(&mails[0], &again, now).await.unwrap();
    // A district with an account of its own has no other.
    let own = format!(
        "insert into provider_accounts (name, channel, district_id, updated_at) values ('own', 3, '{}', now())",
        setting.district
    );
    setting.run(&own).await;
    assert_eq!(taken(&setting, &[ACCOUNT, "email-2"], due_at).await, []);
    let mails = taken(&setting, &[ACCOUNT, "email-2", "own"], due_at).await;
    assert_eq!(mails[0].account, "own");
    setting.store.record_approval_mail(&mails[0], &MailEnd::Sent, now).await.unwrap();
    assert_eq!(ana.approval_told(first).await.unwrap().sent, 1);

    let accounts = [ACCOUNT, "email-2", "own"];
    let ben = acting(&setting, Some(Uuid::from_u128(2)));
    let declined = ask("declined").await;
    ben.decline(Approve { id: declined, by: "Ben", at: now }, None).await.unwrap();
    ask("over").await;
    assert_eq!(taken(&setting, &accounts, now + TimeDelta::minutes(30)).await, [], "its time is over");
    setting.run("update users set active = false where login = 'ben@example.org'").await;
    assert_eq!(taken(&setting, &accounts, now).await, [], "he has left");
    setting.run("update users set active = true").await;
    assert_eq!(taken(&setting, &accounts, now).await.len(), 1, "what was declined is told to nobody");
}
