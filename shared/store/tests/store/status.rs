//! What `tocsin status` shows is what the rows say.

use chrono::TimeDelta;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{CampaignState, Channel};
use tocsin_store::processes::{Alive, PRESENCE_TERM, Presence};
use uuid::Uuid;

use crate::fixture::{Setting, attempts};

fn presence(role: &str) -> Presence {
    let (version, host) = ("0.1.0".to_owned(), "pod-1".to_owned());
    Presence { id: Uuid::now_v7(), role: role.to_owned(), version, host }
}

#[tokio::test]
async fn a_process_counts_as_running_until_it_leaves_or_falls_silent() {
    let setting = Setting::new().await;
    let store = &setting.store;
    assert!(!store.alive().await.unwrap().is_anybody());
    let (planner, worker) = (presence("planner"), presence("worker sms"));
    for process in [&planner, &worker, &planner] {
        store.tell_presence(process).await.unwrap();
    }
    let seen = store.processes().await.unwrap();
    assert_eq!(seen.iter().map(|seen| &seen.is).collect::<Vec<_>>(), [&planner, &worker]);
    assert_eq!(store.alive().await.unwrap(), Alive { processes: 2, leases: 0, duties: 0 });
    store.end_presence(worker.id).await.unwrap();
    assert_eq!(store.alive().await.unwrap().processes, 1);
    setting.shift_clock(TimeDelta::from_std(PRESENCE_TERM).unwrap()).await;
    assert!(!store.alive().await.unwrap().is_anybody(), "the planner fell silent");
    assert!(!store.processes().await.unwrap()[0].alive);
    setting.worker().await;
    setting.duty().await;
    let alive = store.alive().await.unwrap();
    assert!(
        alive.leases > 0 && alive.duties == 1,
        "one that tells no presence is seen by what it holds: {alive:?}"
    );
}

/// The api sees one district at a time, and tells that it runs all the same.
#[tokio::test]
async fn the_api_tells_its_presence_in_its_own_role() {
    let setting = Setting::new().await;
    let api = tocsin_store::Store::open(&setting.database.url, 1, tocsin_store::Access::Tenants).unwrap();
    let process = presence("api");
    api.tell_presence(&process).await.unwrap();
    assert!(!api.is_restored().await.unwrap());
    assert_eq!(setting.store.processes().await.unwrap()[0].is, process);
    api.end_presence(process.id).await.unwrap();
    assert_eq!(setting.store.processes().await.unwrap(), []);
}

#[tokio::test]
async fn campaigns_are_counted_by_state_and_those_that_send_show_how_far_they_are() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(3).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let tried = attempts(&setting.claim(&jobs).await);
    setting.report(&tried[..1], crate::scene::delivered()).await;
    setting.report(&tried[1..2], ReportKind::Lost).await;
    let open = setting.store.open_now().await.unwrap();
    let [one] = &open[..] else { panic!("{open:?}") };
    assert_eq!((one.id, one.devices, one.open, one.undecided), (campaign, 3, 2, false));
    assert_eq!(setting.store.unknown_attempts().await.unwrap(), 1);
    assert_eq!(setting.store.campaign_counts().await.unwrap(), [(CampaignState::Sending, 1)]);
    let account = setting.fixture.account(Channel::Sms).unwrap();
    assert_eq!(setting.store.shared().await.unwrap()[&account].workers, 1);
    assert_eq!(setting.store.duties().await.unwrap()[0].name, "release.sms.general");
    setting.report(&tried[1..], crate::scene::delivered()).await;
    setting.store.close_campaigns(setting.now().await).await.unwrap();
    assert_eq!(setting.store.open_now().await.unwrap(), []);
    assert_eq!(setting.store.campaign_counts().await.unwrap(), [(CampaignState::Sent, 1)]);
}
