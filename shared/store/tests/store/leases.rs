//! Shares of an account: never more in sum than its limits (promise 4).

use std::time::Duration;

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tocsin_domain::policy::SEND_BY;
use tocsin_domain::{Channel, WorkerId};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::leases::{LEASE_TERM, Usage};
use uuid::Uuid;

use crate::fixture::Setting;

const RATE: f64 = 30.0;
const BURST: i32 = 10;
const CONCURRENCY: i32 = 9;

async fn limited() -> Setting {
    let setting = Setting::new().await;
    let limits = AccountLimits {
        name: tocsin_testkit::fixture::account_name(Channel::Sms),
        district: None,
        channel: Channel::Sms,
        rate_per_second: Some(RATE),
        burst: Some(BURST),
        concurrency: Some(CONCURRENCY),
        reserve: 0,
        depth: None,
        weight: 1,
    };
    setting.store.configure_accounts(&[limits], setting.now().await).await.unwrap();
    setting
}

/// No share that may still be used is more than what the others leave, at the store's present time. A claim
/// of a lease's last instant may start its request for `send_by` more.
async fn assert_within_limits(setting: &Setting, context: &str) {
    let row = setting
        .owner
        .query_one(
            "select coalesce(sum(greatest(l.rate_per_second, l.counted_rate)), 0)::float8 as rate,
               coalesce(sum(greatest(l.burst, l.counted_burst)), 0)::int as burst,
               coalesce(sum(greatest(l.concurrency, l.counted_concurrency)), 0)::int as concurrency
             from leases l join provider_accounts a on a.id = l.account_id
             where a.channel = 2 and l.expires_at + $1 * interval '1 second' > tocsin_now()",
            &[&SEND_BY.as_secs_f64()],
        )
        .await
        .unwrap();
    let (rate, burst, concurrency): (f64, i32, i32) = (row.get(0), row.get(1), row.get(2));
    assert!(rate <= RATE + 1e-6, "{context}: rate {rate}");
    assert!(burst <= BURST && concurrency <= CONCURRENCY, "{context}: {burst}, {concurrency}");
}

#[tokio::test]
async fn the_shares_never_exceed_the_limits_while_workers_come_go_and_freeze() {
    let setting = limited().await;
    let mut random = StdRng::seed_from_u64(11);
    let mut workers: Vec<WorkerId> = (0..8).map(|_| WorkerId(Uuid::new_v4())).collect();
    let mut shift = TimeDelta::zero();
    for round in 0..40 {
        let awake: Vec<WorkerId> = workers.iter().copied().filter(|_| random.random_bool(0.7)).collect();
        let renewals = awake.iter().map(|worker| setting.store.renew_leases(*worker, &[Channel::Sms]));
        for renewed in futures::future::join_all(renewals).await {
            assert_eq!(renewed.unwrap().len(), 1);
        }
        assert_within_limits(&setting, &format!("round {round}")).await;
        match random.random_range(0..4) {
            0 => {
                setting.store.drop_leases(workers[0]).await.unwrap();
                workers[0] = WorkerId(Uuid::new_v4());
            }
            1 => workers[random.random_range(0..8)] = WorkerId(Uuid::new_v4()),
            _ => {
                shift += TimeDelta::milliseconds(random.random_range(500..6000));
                setting.shift_clock(shift).await;
            }
        }
    }
}

#[tokio::test]
async fn workers_that_stay_come_to_equal_shares_of_everything() {
    let setting = limited().await;
    let workers: Vec<WorkerId> = (0..3).map(|_| WorkerId(Uuid::new_v4())).collect();
    let mut shares = Vec::new();
    for _ in 0..4 {
        shares.clear();
        for worker in &workers {
            shares.push(setting.store.renew_leases(*worker, &[Channel::Sms]).await.unwrap().remove(0).share);
        }
    }
    let bursts: u32 = shares.iter().filter_map(|share| share.burst).sum();
    let concurrency: u32 = shares.iter().filter_map(|share| share.concurrency).sum();
    assert!(shares.iter().all(|share| share.rate_per_second == Some(10.0)));
    assert_eq!((bursts, concurrency), (10, 9));
}

#[tokio::test]
async fn a_dead_workers_share_is_given_on_after_its_end_and_send_by() {
    let setting = limited().await;
    let (dead, heir) = (WorkerId(Uuid::new_v4()), WorkerId(Uuid::new_v4()));
    setting.store.renew_leases(dead, &[Channel::Sms]).await.unwrap();
    let granted = async |after: Duration| {
        setting.shift_clock(TimeDelta::from_std(after).unwrap()).await;
        setting.store.renew_leases(heir, &[Channel::Sms]).await.unwrap()[0].share.rate_per_second
    };
    assert_eq!(granted(Duration::ZERO).await, Some(0.0));
    // Over, but its last claim may be about to be sent. The server's clock goes on beside the shift, so the
    // last second is left out.
    assert_eq!(granted(LEASE_TERM + SEND_BY - Duration::from_secs(1)).await, Some(0.0));
    assert_eq!(granted(LEASE_TERM + SEND_BY).await, Some(RATE));
}

/// Whoever has no use for any account costs nothing.
#[tokio::test]
async fn what_a_worker_does_not_name_is_not_leased_to_it() {
    let setting = limited().await;
    let worker = WorkerId(Uuid::new_v4());
    let account = setting.fixture.account(Channel::Sms).unwrap();
    let of_all =
        async |usage: &[Usage]| setting.store.renew_leases_as(worker, &Channel::ALL, usage).await.unwrap();
    assert_eq!(of_all(&[]).await, []);
    assert_eq!(setting.number("select count(*) from leases").await, 0);
    let named = Usage::wanted(account);
    let leases = of_all(&[named]).await;
    assert_eq!(leases.iter().map(|lease| lease.account).collect::<Vec<_>>(), [account]);
    let end = "select extract(epoch from expires_at)::bigint from leases";
    let before = setting.number(end).await;
    setting.shift_clock(TimeDelta::seconds(3)).await;
    assert_eq!(of_all(&[]).await, []);
    assert_eq!(setting.number(end).await, before, "it runs out");
}

/// Its statements are sent together: what fails in between must leave neither a lock nor half of a renewal.
#[tokio::test]
async fn a_renewal_that_is_given_up_leaves_no_lock() {
    let setting = limited().await;
    let worker = WorkerId(Uuid::new_v4());
    setting.store.renew_leases(worker, &[Channel::Sms]).await.unwrap();
    for milliseconds in [0, 1, 2, 3, 5] {
        let given_up = setting.store.renew_leases(worker, &[Channel::Sms]);
        let _ = tokio::time::timeout(Duration::from_millis(milliseconds), given_up).await;
        let another = WorkerId(Uuid::new_v4());
        assert_eq!(setting.store.renew_leases(another, &[Channel::Sms]).await.unwrap().len(), 1);
        setting.store.drop_leases(another).await.unwrap();
    }
    assert_within_limits(&setting, "after all").await;
}

#[tokio::test]
async fn a_stopped_account_has_no_shares_to_give() {
    let setting = limited().await;
    let worker = WorkerId(Uuid::new_v4());
    let account = setting.fixture.account(Channel::Sms).unwrap();
    let now = setting.now().await;
    assert!(setting.store.stop_account(account, "wrong secret", now).await.unwrap());
    assert_eq!(setting.store.renew_leases(worker, &[Channel::Sms]).await.unwrap(), []);
    let name = tocsin_testkit::fixture::account_name(Channel::Sms);
    assert!(setting.store.resume_account(&name, now).await.unwrap());
    assert_eq!(setting.store.renew_leases(worker, &[Channel::Sms]).await.unwrap().len(), 1);
}
