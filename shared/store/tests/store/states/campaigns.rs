//! Campaigns: each statement is run on campaigns in each state, with whatever else its guard may look at.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use tocsin_domain::{CampaignId, CampaignState, Channel, Generation, JobKey, Outcome};
use tocsin_store::release::Release;
use tocsin_store::sweep::ToSweep;

use super::{NONE, Transitions, assert_documented, transition};
use crate::fixture::Setting;

const CANCELED: &str = "cancel_epoch = nextval('cancel_epochs'), canceled_at = now(), canceled_by = 'test'";

/// Every state, with what its columns may say then.
fn variants() -> Vec<(CampaignState, String)> {
    use CampaignState::{
        Canceled, Canceling, Discarded, Errored, Failed, NoRecipients, Processing, Scheduled, Sending, Sent,
    };
    let mut variants = vec![(Scheduled, String::new())];
    for state in [Processing, Sending] {
        let started = if state == Sending { "started_at = now()" } else { "started_at = null" };
        for expanded in ["expanded_at = null", "expanded_at = now()"] {
            variants.push((state, format!("{started}, {expanded}")));
        }
    }
    for from in [Scheduled, Processing, Sending] {
        for swept in ["swept_at = null", "swept_at = now()"] {
            variants.push((Canceling, format!("{CANCELED}, {swept}, canceled_from = {}", from.number())));
        }
    }
    for state in [Canceled, Discarded] {
        for closed in ["closed_at = null", "closed_at = now()"] {
            variants.push((state, format!("{CANCELED}, swept_at = now(), {closed}")));
        }
    }
    for state in [Sent, Errored, NoRecipients, Failed] {
        variants.push((state, "expanded_at = now(), closed_at = now()".to_owned()));
    }
    variants
}

/// What has become of a campaign's devices: nobody is in it; one is still to be tried; tried well; tried in vain.
#[derive(Debug, Clone, Copy)]
enum Devices {
    None,
    Waiting,
    Reached,
    Failed,
}

const DEVICES: [Devices; 4] = [Devices::None, Devices::Waiting, Devices::Reached, Devices::Failed];

async fn campaign(setting: &Setting, state: CampaignState, columns: &str, devices: Devices) -> CampaignId {
    let id = setting.campaign(|_| ()).await;
    let more = if columns.is_empty() { String::new() } else { format!(", {columns}") };
    setting.run(&format!("update campaigns set state = {}{more} where id = '{id}'", state.number())).await;
    let (job_state, successful, error) = match devices {
        Devices::None => return id,
        Devices::Waiting => (1, 0, 0),
        Devices::Reached => (4, 1, 0),
        Devices::Failed => (4, 0, 1),
    };
    setting
        .run(&format!(
            "insert into jobs (campaign_id, district_id, id, recipient_id, generation, channel, lane, state, due_at,
               wait_reason, outcome)
             select id, district_id, 1, 1, 0, 2, lane, {job_state},
               case {job_state} when 1 then now() end, case {job_state} when 1 then 1 end,
               case {job_state} when 4 then {outcome} end
             from campaigns where id = '{id}';
             insert into tallies (campaign_id, district_id, channel, recipients, open, attempts, successful, error)
             select id, district_id, 2, 1, {open}, {tried}, {successful}, {error} from campaigns where id = '{id}'",
            outcome = Outcome::Delivered.number(),
            open = i32::from(job_state == 1),
            tried = i32::from(job_state == 4),
        ))
        .await;
    id
}

fn name(state: CampaignState) -> &'static str {
    match state {
        CampaignState::Scheduled => "Scheduled",
        CampaignState::Processing => "Processing",
        CampaignState::Sending => "Sending",
        CampaignState::Canceling => "Canceling",
        CampaignState::Sent => "Sent",
        CampaignState::Errored => "Errored",
        CampaignState::Canceled => "Canceled",
        CampaignState::NoRecipients => "NoRecipients",
        CampaignState::Failed => "Failed",
        CampaignState::Discarded => "Discarded",
    }
}

type States = BTreeMap<CampaignId, CampaignState>;

async fn states(setting: &Setting) -> States {
    let found = setting.owner.query("select id, state from campaigns", &[]).await.unwrap();
    let state = |number| CampaignState::from_number(number).unwrap();
    found.iter().map(|row| (CampaignId(row.get(0)), state(row.get(1)))).collect()
}

const STATEMENTS: [&str; 8] = [
    "create_campaign",
    "expansions_due",
    "release",
    "fail_expansion",
    "cancel",
    "mark_swept",
    "finish_cancels",
    "close_campaigns",
];

async fn run(setting: &Setting, statement: &str, campaigns: &[CampaignId]) {
    let (store, now) = (&setting.store, setting.now().await);
    match statement {
        "create_campaign" => {
            setting.campaign(|_| ()).await;
            setting.campaign(|new| new.scheduled_at = now + TimeDelta::hours(1)).await;
        }
        "expansions_due" => drop(store.expansions_due(now, 1000).await.unwrap()),
        "release" => {
            let account = setting.fixture.account(Channel::Sms).unwrap();
            let releases: Vec<Release> = campaigns
                .iter()
                .map(|campaign| Release {
                    key: JobKey { campaign: *campaign, job: 1 },
                    generation: Generation(0),
                    account,
                    contact_until: now + TimeDelta::hours(1),
                })
                .collect();
            let duty = setting.duty().await;
            store.release(&duty, &releases, now, now + TimeDelta::minutes(1)).await.unwrap();
        }
        "fail_expansion" => {
            for campaign in campaigns {
                store.fail_expansion(*campaign, "test", now).await.unwrap();
            }
        }
        "cancel" => {
            for campaign in campaigns {
                setting.tenant().cancel(*campaign, "test", None).await.unwrap();
            }
        }
        "mark_swept" => {
            for campaign in campaigns {
                for outcome in [Outcome::Canceled, Outcome::Expired] {
                    store.mark_swept(&ToSweep { campaign: *campaign, outcome }, now).await.unwrap();
                }
            }
        }
        "finish_cancels" => drop(store.finish_cancels(now, &Channel::ALL).await.unwrap()),
        "close_campaigns" => drop(store.close_campaigns(now).await.unwrap()),
        other => panic!("{other} is not run"),
    }
}

#[tokio::test]
async fn the_transitions_of_a_campaign_are_those_of_the_document() {
    let setting = Setting::new().await;
    let mut found = Transitions::new();
    for statement in STATEMENTS {
        setting
            .run("delete from jobs; delete from tallies; delete from contents; delete from campaigns")
            .await;
        for (state, columns) in variants() {
            for devices in DEVICES {
                campaign(&setting, state, &columns, devices).await;
            }
        }
        let before = states(&setting).await;
        assert!(CampaignState::ALL.iter().all(|state| before.values().any(|is| is == state)));
        run(&setting, statement, &before.keys().copied().collect::<Vec<_>>()).await;
        for (campaign, to) in states(&setting).await {
            let from = before.get(&campaign);
            if from != Some(&to) {
                found.insert(transition(from.map_or(NONE, |from| name(*from)), name(to), statement));
            }
        }
    }
    assert_documented("Campaign", &found);
}
