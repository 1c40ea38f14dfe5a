//! What a provider says of an account, and what it holds, bounds the whole fleet (promise 4).

use std::time::Duration;

use chrono::TimeDelta;
use tocsin_domain::lease::Share;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{Channel, Outcome, WorkerId};
use tocsin_store::accounts::{AccountLimits, Pace};
use tocsin_store::leases::{Lease, Throttled, Usage};
use uuid::Uuid;

use crate::counters::{asking_or_accepted, held};
use crate::fixture::{Setting, attempts};

fn limits(channel: Channel) -> AccountLimits {
    AccountLimits {
        name: tocsin_testkit::fixture::account_name(channel),
        district: None,
        channel,
        rate_per_second: None,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    }
}

async fn limited(limits: AccountLimits) -> Setting {
    let setting = Setting::new().await;
    setting.store.configure_accounts(&[limits], setting.now().await).await.unwrap();
    setting
}

fn workers(count: usize) -> Vec<WorkerId> {
    (0..count).map(|_| WorkerId(Uuid::new_v4())).collect()
}

async fn renewed(setting: &Setting, worker: WorkerId, channel: Channel) -> Lease {
    setting.store.renew_leases(worker, &[channel]).await.unwrap().remove(0)
}

/// A renewal of a busy worker that has taken what `lease` gave it.
fn usage(lease: &Lease, throttled: Option<Throttled>) -> Usage {
    Usage { taken: lease.epoch, demand: 5, throttled, ..Usage::wanted(lease.account) }
}

async fn told(setting: &Setting, worker: WorkerId, usage: Usage) -> Lease {
    setting.store.renew_leases_as(worker, &[Channel::Sms], &[usage]).await.unwrap().remove(0)
}

async fn pace(setting: &Setting, channel: Channel) -> Pace {
    let accounts = setting.store.accounts().await.unwrap();
    accounts.iter().find(|account| account.limits.channel == channel).unwrap().pace
}

#[tokio::test]
async fn a_429_slows_the_whole_fleet_once() {
    let setting = limited(AccountLimits { rate_per_second: Some(30.0), ..limits(Channel::Sms) }).await;
    let fleet = workers(3);
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.clear();
        for worker in &fleet {
            leases.push(renewed(&setting, *worker, Channel::Sms).await);
        }
    }
    let rate =
        |leases: &[Lease]| -> f64 { leases.iter().filter_map(|lease| lease.share.rate_per_second).sum() };
    assert_eq!(rate(&leases), 30.0);
    // Each of them heard it, and each hears it again a moment later.
    for _ in 0..2 {
        for (worker, lease) in fleet.iter().zip(&mut leases) {
            let said = Some(Throttled { retry_after: None });
            *lease = told(&setting, *worker, usage(lease, said)).await;
        }
    }
    assert_eq!(rate(&leases), 15.0);
    assert_eq!(pace(&setting, Channel::Sms).await.rate_per_second, Some(15.0));
    setting.shift_clock(TimeDelta::seconds(6)).await;
    assert_eq!(pace(&setting, Channel::Sms).await.rate_per_second, Some(18.0));
    told(&setting, fleet[0], usage(&leases[0], Some(Throttled { retry_after: None }))).await;
    assert_eq!(pace(&setting, Channel::Sms).await.rate_per_second, Some(9.0), "in the next period");
    setting.shift_clock(TimeDelta::seconds(66)).await;
    assert_eq!(pace(&setting, Channel::Sms).await.rate_per_second, Some(30.0), "recovered");
}

#[tokio::test]
async fn an_account_without_a_rate_is_slowed_to_half_of_what_was_sent() {
    let setting = limited(limits(Channel::Sms)).await;
    let fleet = workers(2);
    for worker in &fleet {
        let lease = renewed(&setting, *worker, Channel::Sms).await;
        assert_eq!(lease.share, Share::default());
        told(&setting, *worker, Usage { used_per_second: 40.0, ..usage(&lease, None) }).await;
    }
    let lease = renewed(&setting, fleet[0], Channel::Sms).await;
    let said = usage(&lease, Some(Throttled { retry_after: None }));
    let slowed = told(&setting, fleet[0], Usage { used_per_second: 60.0, ..said }).await;
    assert_eq!(pace(&setting, Channel::Sms).await.rate_per_second, Some(50.0));
    assert_eq!(slowed.share.rate_per_second, Some(25.0));
}

#[tokio::test]
async fn retry_after_holds_the_account_until_then() {
    let setting = limited(limits(Channel::Sms)).await;
    let fleet = workers(2);
    let lease = renewed(&setting, fleet[0], Channel::Sms).await;
    let said = |seconds| Some(Throttled { retry_after: Some(Duration::from_secs(seconds)) });
    assert_eq!(told(&setting, fleet[0], usage(&lease, said(30))).await.share, Share::NOTHING);
    // Another's shorter word does not shorten it.
    let lease = renewed(&setting, fleet[1], Channel::Sms).await;
    assert_eq!(told(&setting, fleet[1], usage(&lease, said(1))).await.share, Share::NOTHING);
    setting.shift_clock(TimeDelta::seconds(25)).await;
    assert!(pace(&setting, Channel::Sms).await.held);
    assert_eq!(renewed(&setting, fleet[1], Channel::Sms).await.share, Share::NOTHING);
    setting.shift_clock(TimeDelta::seconds(31)).await;
    assert!(!pace(&setting, Channel::Sms).await.held);
    assert_ne!(renewed(&setting, fleet[1], Channel::Sms).await.share, Share::NOTHING);
}

#[tokio::test]
async fn a_share_that_shrank_is_given_on_when_its_holder_has_taken_the_smaller_one() {
    let setting = limited(AccountLimits { rate_per_second: Some(30.0), ..limits(Channel::Sms) }).await;
    let fleet = workers(2);
    let whole = renewed(&setting, fleet[0], Channel::Sms).await;
    assert_eq!(whole.share.rate_per_second, Some(30.0));
    let newcomer = async || renewed(&setting, fleet[1], Channel::Sms).await.share.rate_per_second;
    assert_eq!(newcomer().await, Some(0.0));
    // The answer is lost twice: the holder still applies what it had.
    for _ in 0..2 {
        let half = told(&setting, fleet[0], usage(&whole, None)).await;
        assert_eq!(half.share.rate_per_second, Some(15.0));
        assert_eq!(newcomer().await, Some(0.0), "the holder may not know yet");
    }
    let half = told(&setting, fleet[0], usage(&whole, None)).await;
    told(&setting, fleet[0], usage(&half, None)).await;
    assert_eq!(newcomer().await, Some(15.0));
}

#[tokio::test]
async fn a_thawed_worker_keeps_nothing_of_a_share_that_was_given_on() {
    let setting = limited(AccountLimits { rate_per_second: Some(30.0), ..limits(Channel::Sms) }).await;
    let fleet = workers(2);
    let frozen = renewed(&setting, fleet[0], Channel::Sms).await;
    setting.shift_clock(TimeDelta::seconds(8)).await;
    assert_eq!(renewed(&setting, fleet[1], Channel::Sms).await.share.rate_per_second, Some(30.0));
    let thawed = told(&setting, fleet[0], usage(&frozen, None)).await;
    assert_eq!(thawed.share, Share::NOTHING);
}

#[tokio::test]
async fn an_idle_worker_leaves_its_share_to_a_busy_one() {
    let setting = limited(AccountLimits { rate_per_second: Some(160.0), ..limits(Channel::Sms) }).await;
    let fleet = workers(8);
    let mut leases = Vec::new();
    for worker in &fleet {
        leases.push(renewed(&setting, *worker, Channel::Sms).await);
    }
    for _ in 0..3 {
        for (position, (worker, lease)) in fleet.iter().zip(&mut leases).enumerate() {
            let demand = if position == 0 { 9 } else { 0 };
            *lease = told(&setting, *worker, Usage { demand, ..usage(lease, None) }).await;
        }
    }
    let rates: Vec<f64> = leases.iter().filter_map(|lease| lease.share.rate_per_second).collect();
    assert_eq!((rates[0], rates[1]), (151.25, 1.25), "{rates:?}");
}

#[tokio::test]
async fn a_slow_account_is_leased_to_one_worker_at_a_time() {
    let slow = AccountLimits { rate_per_second: Some(1.0), burst: Some(1), ..limits(Channel::Sms) };
    let setting = limited(slow).await;
    let fleet = workers(8);
    let mut served = Vec::new();
    let mut shift = TimeDelta::zero();
    for round in 0..90 {
        let mut holders = Vec::new();
        for worker in &fleet {
            let lease = renewed(&setting, *worker, Channel::Sms).await;
            if !lease.share.is_empty() {
                assert_eq!(lease.share.rate_per_second, Some(1.0), "the whole of it");
                holders.push(*worker);
            }
        }
        assert!(holders.len() <= 1, "round {round}: {holders:?}");
        served.extend(holders);
        shift += TimeDelta::seconds(4);
        setting.shift_clock(shift).await;
    }
    assert!(served.len() > 70, "in use most of the time: {}", served.len());
    for worker in &fleet {
        let turns = served.iter().filter(|holder| *holder == worker).count();
        assert!((5..=22).contains(&turns), "fairly handed on: {turns}");
    }
}

#[tokio::test]
async fn a_call_holds_its_place_until_it_ends_also_when_its_worker_is_gone() {
    let setting = limited(AccountLimits { concurrency: Some(3), ..limits(Channel::Voice) }).await;
    for phone in ["+15550000001", "+15550000002"] {
        setting.person(tocsin_domain::audience::Role::Staff, &[(Channel::Voice, phone)]).await;
    }
    let campaign = setting.campaign(|new| new.channels = vec![Channel::Voice]).await;
    setting.expand(campaign, 100).await;
    let jobs = setting.release(campaign, Channel::Voice).await;
    let calling = workers(1)[0];
    renewed(&setting, calling, Channel::Voice).await;
    let granted = crate::fixture::granted(setting.store.claim(calling, &jobs).await.unwrap());
    let tried = attempts(&granted);
    setting.report(&tried, ReportKind::Accepted { provider_id: None }).await;
    assert_eq!(renewed(&setting, calling, Channel::Voice).await.calls, 2);
    assert_eq!(pace(&setting, Channel::Voice).await.holds, 2);
    // Its lease is over for long; its calls go on.
    setting.shift_clock(TimeDelta::seconds(30)).await;
    let heir = workers(1)[0];
    assert_eq!(renewed(&setting, heir, Channel::Voice).await.share.concurrency, Some(1));
    let completed =
        ReportKind::Status { outcome: Outcome::NotInService, provider_code: None, provider_id: None };
    setting.report(&tried[..1], completed).await;
    setting.store.fold().await.unwrap();
    assert_eq!(renewed(&setting, heir, Channel::Voice).await.share.concurrency, Some(2));
}

#[tokio::test]
async fn what_providers_hold_is_counted_anew_after_a_release_that_did_not_count_it() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(5).await;
    setting.claim(&setting.release(campaign, Channel::Sms).await).await;
    assert_eq!(setting.store.recount_held().await.unwrap(), 0);
    setting.run("update held set attempts = attempts - 7").await;
    assert_eq!(setting.store.recount_held().await.unwrap(), 7);
    assert_eq!(held(&setting).await, asking_or_accepted(&setting).await);
}
