//! Accounts that fail: what workers tell of their answers, what it comes to, and who does their work.

use chrono::TimeDelta;
use tocsin_domain::failover::{Answers, Health};
use tocsin_domain::{AccountId, Channel, WorkerId};
use tocsin_store::accounts::{AccountHealth, AccountLimits, SenderLimits};
use tocsin_store::leases::{Lease, Usage};

use crate::fixture::Setting;

const CHANNEL: Channel = Channel::Email;

/// A second account of the channel beside the fixture's.
async fn two_accounts(setting: &Setting) -> [AccountId; 2] {
    let limits = AccountLimits {
        name: "email-2".to_owned(),
        district: None,
        channel: CHANNEL,
        rate_per_second: None,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    };
    setting.store.configure_accounts(&[limits], setting.now().await).await.unwrap();
    let accounts = setting.store.accounts().await.unwrap();
    let mut of_channel = accounts.iter().filter(|account| account.limits.channel == CHANNEL);
    [0, 1].map(|_| of_channel.next().unwrap().id)
}

async fn health(setting: &Setting, account: AccountId) -> AccountHealth {
    let accounts = setting.store.accounts().await.unwrap();
    accounts.into_iter().find(|known| known.id == account).unwrap().health
}

/// A worker renews, and tells what it was answered since the health that it knows.
async fn tell(setting: &Setting, worker: WorkerId, known: (AccountId, i32), all: u32, failed: u32) -> Lease {
    let (account, health_epoch) = known;
    let usage = Usage { answers: Answers { all, failed }, health_epoch, ..Usage::wanted(account) };
    setting.store.renew_leases_as(worker, &[CHANNEL], &[usage]).await.unwrap().remove(0)
}

#[tokio::test]
async fn what_several_workers_saw_counts_together_and_only_what_they_saw_since_the_last_change() {
    let setting = Setting::new().await;
    let [failing, other] = two_accounts(&setting).await;
    let (one, two) = (setting.worker().await, setting.worker().await);
    tell(&setting, one, (failing, 0), 3, 3).await;
    assert_eq!(health(&setting, failing).await.health, Health::Full, "too few");
    let lease = tell(&setting, two, (failing, 0), 3, 3).await;
    assert_eq!((lease.health.health, lease.health.epoch, lease.health.rests), (Health::Resting, 1, true));
    let given = health(&setting, failing).await;
    assert_eq!((given.health, given.gives_way), (Health::Resting, true));
    assert_eq!(health(&setting, other).await, AccountHealth::SOUND);
    // The other worker has not heard of it, and says the same again.
    let lease = tell(&setting, one, (failing, 0), 30, 30).await;
    assert_eq!((lease.health.epoch, lease.health.rests), (1, true), "it fell once");
    let falls = format!("select falls from provider_accounts where id = {}", failing.0);
    assert_eq!(setting.number(&falls).await, 1);
}

#[tokio::test]
async fn it_comes_back_by_steps_as_time_passes_and_answers_are_good() {
    let setting = Setting::new().await;
    let [failing, _] = two_accounts(&setting).await;
    let worker = setting.worker().await;
    tell(&setting, worker, (failing, 0), 10, 10).await;
    let steps = [(31, Health::Trial), (47, Health::Quarter), (63, Health::Half), (79, Health::Full)];
    for (epoch, (seconds, expected)) in (1..).zip(steps) {
        setting.shift_clock(TimeDelta::seconds(seconds)).await;
        let lease = tell(&setting, worker, (failing, epoch), 1, 0).await;
        assert_eq!((lease.health.health, lease.health.epoch), (expected, epoch + 1));
        assert!(!lease.health.rests);
        if expected == Health::Trial {
            assert_eq!(lease.share.rate_per_second, Some(1.0), "a job a second");
        }
    }
    assert!(!health(&setting, failing).await.gives_way);
}

#[tokio::test]
async fn an_account_that_has_rested_is_on_trial_before_any_worker_says_so() {
    let setting = Setting::new().await;
    let [failing, _] = two_accounts(&setting).await;
    let worker = setting.worker().await;
    tell(&setting, worker, (failing, 0), 10, 10).await;
    setting.shift_clock(TimeDelta::seconds(31)).await;
    assert_eq!(health(&setting, failing).await.given(), Health::Trial, "release gives it a job");
}

#[tokio::test]
async fn where_no_other_is_better_it_stays_in_use() {
    let setting = Setting::new().await;
    let [failing, other] = two_accounts(&setting).await;
    let worker = setting.worker().await;
    setting.store.stop_account(other, "refused", setting.now().await).await.unwrap();
    let lease = tell(&setting, worker, (failing, 0), 10, 10).await;
    assert_eq!((lease.health.health, lease.health.rests), (Health::Resting, false), "the other is stopped");
    assert_eq!(health(&setting, failing).await.given(), Health::Full);
    setting.store.resume_account("email-2", setting.now().await).await.unwrap();
    assert_eq!(health(&setting, failing).await.given(), Health::Resting);
    tell(&setting, worker, (other, 1), 10, 10).await;
    for account in [failing, other] {
        assert_eq!(health(&setting, account).await.given(), Health::Full, "both fail");
    }
}

#[tokio::test]
async fn an_account_of_one_district_does_not_do_the_work_of_all() {
    let setting = Setting::new().await;
    let [failing, other] = two_accounts(&setting).await;
    let sql =
        format!("update provider_accounts set district_id = '{}' where id = {}", setting.district, other.0);
    setting.run(&sql).await;
    let worker = setting.worker().await;
    let lease = tell(&setting, worker, (failing, 0), 10, 10).await;
    assert!(!lease.health.rests);
    assert_eq!(health(&setting, failing).await.given(), Health::Full);
}

/// Whoever resumes an account has put it right.
#[tokio::test]
async fn a_resumed_account_is_sound() {
    let setting = Setting::new().await;
    let [failing, _] = two_accounts(&setting).await;
    let worker = setting.worker().await;
    tell(&setting, worker, (failing, 0), 10, 10).await;
    setting.store.stop_account(failing, "by hand", setting.now().await).await.unwrap();
    setting.store.resume_account("email-1", setting.now().await).await.unwrap();
    assert_eq!(health(&setting, failing).await, AccountHealth::SOUND);
    let lease = tell(&setting, worker, (failing, 1), 30, 30).await;
    assert_eq!(lease.health.health, Health::Full, "what was told of before counts no more");
}

/// Held by its provider, or with no number left to send from, it is no better than one that fails.
#[tokio::test]
async fn an_account_that_cannot_send_at_the_moment_does_not_do_the_work_of_another() {
    let setting = Setting::new().await;
    let [failing, other] = two_accounts(&setting).await;
    let worker = setting.worker().await;
    tell(&setting, worker, (failing, 0), 10, 10).await;
    let gives_way = async || health(&setting, failing).await.gives_way;
    assert!(gives_way().await);
    for (until, expected) in [("tocsin_now() + interval '1 minute'", false), ("tocsin_now()", true)] {
        let held = format!("update provider_accounts set held_until = {until} where id = {}", other.0);
        setting.run(&held).await;
        assert_eq!(gives_way().await, expected, "held until {until}");
    }
    let (now, limits) = (setting.now().await, SenderLimits::default());
    setting.store.add_sender(other, "one@example.org", &limits, now).await.unwrap();
    assert!(gives_way().await, "it has an address to send from");
    let accounts = setting.store.accounts().await.unwrap();
    let sender = accounts.iter().find(|account| account.parent() == Some(other)).unwrap();
    setting.store.stop_account(sender.id, "refused", now).await.unwrap();
    assert!(!gives_way().await, "the only one is stopped");
    setting.store.add_sender(other, "two@example.org", &limits, now).await.unwrap();
    assert!(gives_way().await, "it has another");
}
