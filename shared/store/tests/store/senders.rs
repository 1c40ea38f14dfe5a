//! Senders of an account: leased where there is demand, each with limits of its own, stopped alone (promise 4).

use chrono::TimeDelta;
use tocsin_domain::lease::Share;
use tocsin_domain::{AccountId, Channel, WorkerId};
use tocsin_store::accounts::{Account, AccountLimits, SenderLimits};
use tocsin_store::claim::Asked;
use tocsin_store::leases::{Lease, Throttled, Usage};
use uuid::Uuid;

use crate::fixture::{Setting, granted};

const NUMBERS: [&str; 2] = ["+15005550101", "+15005550102"];

/// Texts go out from two numbers of one account: the first has a rate of its own, the second none.
async fn numbers(account_rate: Option<f64>) -> (Setting, AccountId, [AccountId; 2]) {
    let setting = Setting::new().await;
    let now = setting.now().await;
    let texts = find(&setting, |account| account.limits.channel == Channel::Sms).await;
    let limits = AccountLimits { rate_per_second: account_rate, ..texts.limits.clone() };
    setting.store.configure_accounts(&[limits], now).await.unwrap();
    let own = SenderLimits { rate_per_second: Some(10.0), burst: Some(8), concurrency: None };
    for (number, limits) in NUMBERS.iter().zip([own, SenderLimits::default()]) {
        let name = setting.store.add_sender(texts.id, number, &limits, now).await.unwrap();
        assert_eq!(name, Some(format!("{}/{number}", texts.limits.name)));
        assert_eq!(setting.store.add_sender(texts.id, number, &limits, now).await.unwrap(), None);
    }
    let mut senders = Vec::new();
    for number in NUMBERS {
        senders.push(find(&setting, |account| address(account) == Some(number)).await.id);
    }
    (setting, texts.id, [senders[0], senders[1]])
}

fn address(account: &Account) -> Option<&str> {
    account.sender.as_ref().map(|sender| sender.address.as_str())
}

async fn find(setting: &Setting, is_it: impl Fn(&Account) -> bool) -> Account {
    setting.store.accounts().await.unwrap().into_iter().find(is_it).unwrap()
}

fn demand(account: AccountId, demand: u32, taken: i64) -> Usage {
    Usage { taken, demand, ..Usage::wanted(account) }
}

async fn renew(setting: &Setting, worker: WorkerId, usage: &[Usage]) -> Vec<Lease> {
    setting.store.renew_leases_as(worker, &[Channel::Sms], usage).await.unwrap()
}

fn of(leases: &[Lease], account: AccountId) -> Option<&Lease> {
    leases.iter().find(|lease| lease.account == account)
}

fn worker(number: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(number))
}

#[tokio::test]
async fn a_sender_is_leased_to_whoever_has_jobs_for_it_and_to_nobody_else() {
    let (setting, texts, [first, second]) = numbers(Some(30.0)).await;
    let (one, other) = (worker(1), worker(2));
    let idle = renew(&setting, one, &[demand(texts, 0, 0)]).await;
    assert_eq!(idle.iter().map(|lease| lease.account).collect::<Vec<_>>(), [texts]);
    // Both have a part of the account.
    for worker in [other, one, other] {
        renew(&setting, worker, &[demand(texts, 0, 0)]).await;
    }
    let leases = renew(&setting, one, &[demand(first, 1, 0)]).await;
    let lease = of(&leases, first).unwrap();
    assert_eq!(lease.share.rate_per_second, Some(10.0), "the whole of it");
    assert_eq!(
        (&*lease.name, lease.sender.as_ref().unwrap().parent),
        (&*of(&leases, texts).unwrap().name, texts)
    );
    assert_eq!(lease.sender.as_ref().unwrap().address, NUMBERS[0]);
    assert!(of(&leases, second).is_none());
    // Another has jobs, too: it waits for the first to have taken less.
    let leases = renew(&setting, other, &[demand(first, 1, 0)]).await;
    assert_eq!(of(&leases, first).unwrap().share, Share::NOTHING);
    let epoch = lease.epoch;
    let half = renew(&setting, one, &[demand(first, 1, epoch)]).await;
    assert_eq!(of(&half, first).unwrap().share.rate_per_second, Some(5.0));
    let taken = of(&half, first).unwrap().epoch;
    renew(&setting, one, &[demand(first, 1, taken)]).await;
    let leases = renew(&setting, other, &[demand(first, 1, of(&leases, first).unwrap().epoch)]).await;
    assert_eq!(of(&leases, first).unwrap().share.rate_per_second, Some(5.0));
    // The first has none left.
    let leases = renew(&setting, one, &[demand(first, 0, taken)]).await;
    assert_eq!(of(&leases, first).unwrap().share, Share::NOTHING);
}

/// With the seats of the account and of its sender at different workers nobody could send.
#[tokio::test]
async fn a_sender_is_leased_to_whoever_has_its_account() {
    let (setting, texts, [first, _]) = numbers(Some(1.0)).await;
    let now = setting.now().await;
    let slow = SenderLimits { rate_per_second: Some(1.0), burst: None, concurrency: None };
    setting.store.limit_sender(first, &slow, now).await.unwrap();
    let workers = [worker(1), worker(2), worker(3)];
    let mut epochs = [[0; 2]; 3];
    let mut sends = vec![None; 3];
    for second in 0..80 {
        setting.shift_clock(TimeDelta::seconds(second)).await;
        for (position, worker) in workers.into_iter().enumerate() {
            let [account, sender] = epochs[position];
            // All have jobs for the sender. The account itself is lacked for a time by those who cannot use it.
            let lacks = u32::from(position == 0 || second > 40);
            let usage = [demand(texts, lacks, account), demand(first, 1, sender)];
            // The first comes when another has the account already.
            let usage = if second == 0 && position == 0 { &usage[..1] } else { &usage[..] };
            let leases = renew(&setting, worker, usage).await;
            let account = of(&leases, texts).unwrap();
            epochs[position][0] = account.epoch;
            let Some(sender) = of(&leases, first) else { continue };
            epochs[position][1] = sender.epoch;
            let has = [account, sender].map(|lease| !lease.share.is_empty());
            assert!(has[0] || !has[1], "second {second}: of what use is the sender to {worker}?");
            if !has[0] {
                assert_eq!(sender.seated, account.seated, "second {second}: who has the account can send");
            }
            sends[position] = has[1].then_some(second);
        }
        if (3..30).contains(&second) {
            assert_eq!(sends.iter().flatten().count(), 1, "second {second}: {sends:?}");
        }
    }
    assert_eq!(sends.iter().flatten().count(), 1, "{sends:?}");
}

#[tokio::test]
async fn a_claim_of_a_senders_job_needs_a_lease_of_the_sender() {
    let (setting, texts, [first, _]) = numbers(None).await;
    let campaign = setting.expanded(3).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    setting.run(&format!("update jobs set account_id = {}", first.0)).await;
    let jobs: Vec<Asked> = jobs.into_iter().map(|job| Asked { account: first, ..job }).collect();
    let holder = worker(1);
    renew(&setting, holder, &[demand(texts, 1, 0)]).await;
    let answers = setting.store.claim(holder, &jobs).await.unwrap();
    assert!(granted(answers).is_empty(), "a lease of the account is not enough");
    renew(&setting, holder, &[demand(first, 1, 0)]).await;
    let granted = granted(setting.store.claim(holder, &jobs).await.unwrap());
    assert_eq!(granted.iter().map(|grant| grant.account).collect::<Vec<_>>(), [first; 3]);
    let account = find(&setting, |account| account.limits.channel == Channel::Sms).await;
    assert_eq!(account.pace.holds, 3, "the account holds what its sender holds");
}

#[tokio::test]
async fn a_sender_that_is_stopped_leaves_the_others_and_their_account_alone() {
    let (setting, texts, [first, second]) = numbers(None).await;
    let now = setting.now().await;
    assert!(setting.store.stop_account(first, "not ours", now).await.unwrap());
    let both = [demand(first, 1, 0), demand(second, 1, 0)];
    let leases = renew(&setting, worker(1), &both).await;
    assert!(of(&leases, first).is_none());
    assert!(of(&leases, second).is_some() && of(&leases, texts).is_some());
    // With its account all of them stop.
    let epoch = format!("select epoch from leases where account_id = {}", second.0);
    let before = setting.number(&epoch).await;
    setting.store.stop_account(texts, "suspended", now).await.unwrap();
    assert_eq!(renew(&setting, worker(1), &both).await, []);
    assert_eq!(setting.number(&epoch).await, before, "no claim finds a new lease");
}

#[tokio::test]
async fn a_sender_that_is_throttled_is_slowed_and_its_account_is_not() {
    let (setting, texts, [first, _]) = numbers(Some(30.0)).await;
    let said = Usage { throttled: Some(Throttled { retry_after: None }), ..demand(first, 1, 0) };
    let leases = renew(&setting, worker(1), &[said]).await;
    assert_eq!(of(&leases, first).unwrap().share.rate_per_second, Some(5.0));
    let pace = async |id| find(&setting, |account| account.id == id).await.pace.rate_per_second;
    assert_eq!((pace(first).await, pace(texts).await), (Some(5.0), Some(30.0)));
    setting.shift_clock(TimeDelta::seconds(60)).await;
    assert_eq!(pace(first).await, Some(10.0), "it recovers");
}

#[tokio::test]
async fn a_sender_goes_with_its_account_to_another_district() {
    let (setting, texts, [first, _]) = numbers(None).await;
    let account = find(&setting, |account| account.id == texts).await;
    let own = AccountLimits { district: Some(setting.district), ..account.limits };
    setting.store.configure_accounts(&[own], setting.now().await).await.unwrap();
    let sender = find(&setting, |account| account.id == first).await;
    assert_eq!(sender.limits.district, Some(setting.district));
}
