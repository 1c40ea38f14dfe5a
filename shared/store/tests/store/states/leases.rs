//! Leases: a worker's row of one account, under its own statements, another worker's and time.

use chrono::TimeDelta;
use tocsin_domain::{Channel, WorkerId};
use tocsin_store::leases::LEASE_TERM;
use uuid::Uuid;

use super::{NONE, Transitions, assert_documented, transition};
use crate::fixture::Setting;

#[derive(Debug, Clone, Copy)]
enum By {
    Renewal,
    AnotherRenewal,
    Drop,
    Beginning,
    Time,
}

/// How long ago the lease was renewed; None: there is none.
const AGES: [Option<i64>; 4] = [None, Some(0), Some(10), Some(90)];

async fn state(setting: &Setting, worker: WorkerId) -> &'static str {
    let live = format!(
        "select expires_at > tocsin_now() from leases l join provider_accounts a on a.id = l.account_id
         where worker_id = '{}' and a.channel = {}",
        worker.0,
        Channel::Sms.number()
    );
    match setting.owner.query_opt(&live, &[]).await.unwrap() {
        None => NONE,
        Some(row) if row.get(0) => "Live",
        Some(_) => "Over",
    }
}

#[tokio::test]
async fn the_transitions_of_a_lease_are_those_of_the_document() {
    let setting = Setting::new().await;
    let store = &setting.store;
    let mut found = Transitions::new();
    for age in AGES {
        for by in [By::Renewal, By::AnotherRenewal, By::Drop, By::Beginning, By::Time] {
            setting.shift_clock(TimeDelta::zero()).await;
            setting.run("delete from leases").await;
            let [worker, another] = [0, 1].map(|_| WorkerId(Uuid::new_v4()));
            if let Some(age) = age {
                store.renew_leases(worker, &[Channel::Sms]).await.unwrap();
                setting.shift_clock(TimeDelta::seconds(age)).await;
            }
            let from = state(&setting, worker).await;
            let (name, wrote) = match by {
                By::Renewal => {
                    store.renew_leases(worker, &[Channel::Sms]).await.unwrap();
                    ("renew_leases", true)
                }
                By::AnotherRenewal => {
                    store.renew_leases(another, &[Channel::Sms]).await.unwrap();
                    ("renew_leases", false)
                }
                By::Drop => {
                    store.drop_leases(worker).await.unwrap();
                    ("drop_leases", false)
                }
                By::Beginning => {
                    store.begin_alone().await.unwrap();
                    ("begin_alone", false)
                }
                By::Time => {
                    let later =
                        TimeDelta::from_std(LEASE_TERM).unwrap() + TimeDelta::seconds(age.unwrap_or(0));
                    setting.shift_clock(later).await;
                    ("time", false)
                }
            };
            let to = state(&setting, worker).await;
            if from != to || (wrote && to != NONE) {
                found.insert(transition(from, to, name));
            }
        }
    }
    assert_documented("Lease", &found);
}

#[tokio::test]
async fn a_stopped_account_leases_nothing() {
    let setting = Setting::new().await;
    setting.run("update provider_accounts set stopped_at = now(), stop_reason = 'test'").await;
    let worker = WorkerId(Uuid::new_v4());
    assert_eq!(setting.store.renew_leases(worker, &Channel::ALL).await.unwrap(), []);
    assert_eq!(state(&setting, worker).await, NONE);
}
