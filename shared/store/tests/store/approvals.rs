//! What waits for a second person: decided once, by another, and one campaign of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tocsin_domain::rights::{Actor, ActorKind, Grant};
use tocsin_store::tenant::approvals::{Approve, Approved, NewApproval, NewsOfApproval, Waiting};
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
