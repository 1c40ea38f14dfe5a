//! What a claim grants, and what it denies.

use std::collections::HashSet;

use chrono::TimeDelta;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AccountId, Channel, Generation, JobKey, Outcome, WorkerId};
use tocsin_store::claim::{Asked, Denied};
use tocsin_store::leases::LEASE_TERM;
use uuid::Uuid;

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts, denials, granted};

#[tokio::test]
async fn an_attempt_is_committed_with_send_by_two_seconds_after_its_claim() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(3).await;
    let grants = setting.claim(&setting.release(campaign, Channel::Sms).await).await;
    assert!(grants.iter().all(|grant| grant.attempt.number == 1 && grant.tries == 1));
    let written = "select count(*) from attempts where state = 1 and version = 1
        and send_by = claimed_at + interval '2 seconds'";
    assert_eq!(setting.number(written).await, 3);
    let looks = "select sum(cardinality(job_ids)) from claim_batches";
    assert_eq!(setting.number(looks).await, 3);
}

#[tokio::test]
async fn a_message_of_an_earlier_generation_or_of_no_job_is_stale() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(2).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let worker = setting.worker().await;
    let older = Asked { generation: Generation(jobs[0].generation.0 - 1), ..jobs[0] };
    let nobody = Asked { key: JobKey { campaign, job: 99 }, ..jobs[1] };
    let answers = setting.store.claim(worker, &[older, nobody]).await.unwrap();
    assert_eq!(denials(&answers), [Denied::Stale, Denied::Stale]);
    assert_eq!(granted(setting.store.claim(worker, &jobs).await.unwrap()).len(), 2);
    let again = setting.store.claim(worker, &jobs).await.unwrap();
    assert_eq!(denials(&again), [Denied::Stale, Denied::Stale]);
}

/// Of two releases by one generation, the first of which a crash of the server took back, another account may have the
/// job by now. The first one's message has a token of its own account.
#[tokio::test]
async fn a_message_for_another_account_is_stale() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(1).await;
    let [job] = setting.release(campaign, Channel::Sms).await.try_into().unwrap();
    let other = Asked { account: AccountId(job.account.0 + 1), ..job };
    let worker = setting.worker().await;
    assert_eq!(denials(&setting.store.claim(worker, &[other]).await.unwrap()), [Denied::Stale]);
    assert_eq!(granted(setting.store.claim(worker, &[job]).await.unwrap()).len(), 1);
}

#[tokio::test]
async fn claim_is_denied_after_cancel() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(2).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    setting.cancel(campaign).await;
    let answers = setting.store.claim(setting.worker().await, &jobs).await.unwrap();
    assert_eq!(denials(&answers), [Denied::Canceled, Denied::Canceled]);
    assert_eq!(setting.jobs_in(campaign, 2).await, 2);
}

#[tokio::test]
async fn claim_is_denied_without_a_lease_and_after_its_end() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(1).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let stranger = WorkerId(Uuid::new_v4());
    assert_eq!(denials(&setting.store.claim(stranger, &jobs).await.unwrap()), [Denied::NoLease]);
    let worker = setting.worker().await;
    setting.shift_clock(TimeDelta::from_std(LEASE_TERM).unwrap()).await;
    assert_eq!(denials(&setting.store.claim(worker, &jobs).await.unwrap()), [Denied::NoLease]);
    setting.store.renew_leases(worker, &Channel::ALL).await.unwrap();
    assert_eq!(granted(setting.store.claim(worker, &jobs).await.unwrap()).len(), 1);
}

#[tokio::test]
async fn a_recipient_who_may_not_be_contacted_any_more_waits_again() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(1).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    // The request may start until two seconds after the claim.
    setting.run("update jobs set contact_until = tocsin_now() + interval '1 second'").await;
    let answers = setting.store.claim(setting.worker().await, &jobs).await.unwrap();
    assert_eq!(denials(&answers), [Denied::Late]);
    assert_eq!(
        setting.number("select wait_reason from jobs where state = 1 and due_at is not null").await,
        8
    );
    assert_counters(&setting, campaign, "late").await;
}

#[tokio::test]
async fn a_phone_that_opted_out_or_was_suppressed_since_is_not_sent_to() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(2).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    setting
        .run(
            "insert into consents (district_id, phone, state, changed_at, source)
               select district_id, address, 3, tocsin_now(), 'STOP' from destinations where job_id = 1;
             insert into suppressions (district_id, channel, address, outcome, reason, created_at)
               select district_id, 2, address, 32, 'complaint', tocsin_now() from destinations where job_id = 2",
        )
        .await;
    let answers = setting.store.claim(setting.worker().await, &jobs).await.unwrap();
    let mut barred = denials(&answers);
    barred.sort_by_key(|denied| format!("{denied:?}"));
    assert_eq!(barred, [Denied::Barred(Outcome::OptOut), Denied::Barred(Outcome::Suppressed)]);
    assert_eq!(setting.jobs_in(campaign, 4).await, 2);
    assert_counters(&setting, campaign, "barred").await;
}

#[tokio::test]
async fn an_opt_out_between_two_tries_leaves_the_outcome_of_the_first() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(1).await;
    let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    let busy = ReportKind::Status { outcome: Outcome::Busy, provider_code: None, provider_id: None };
    setting.report(&tried, busy).await;
    setting.run("update jobs set due_at = tocsin_now()").await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    setting
        .run(
            "insert into consents (district_id, phone, state, changed_at, source)
             select district_id, address, 3, tocsin_now(), 'STOP' from destinations",
        )
        .await;
    let answers = setting.store.claim(setting.worker().await, &jobs).await.unwrap();
    assert_eq!(denials(&answers), [Denied::Barred(Outcome::OptOut)]);
    let outcome = setting.number("select outcome from jobs where state = 4").await;
    assert_eq!(outcome, i64::from(Outcome::Busy.number()));
    assert_counters(&setting, campaign, "barred after a try").await;
}

#[tokio::test]
async fn of_two_workers_with_the_same_message_exactly_one_is_granted() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(200).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let (one, other) = (setting.worker().await, setting.worker().await);
    let mut won = HashSet::new();
    for batch in jobs.chunks(4) {
        let backwards: Vec<Asked> = batch.iter().rev().copied().collect();
        let (first, second) =
            tokio::join!(setting.store.claim(one, batch), setting.store.claim(other, &backwards));
        let (first, second) = (granted(first.unwrap()), granted(second.unwrap()));
        assert_eq!(first.len() + second.len(), batch.len());
        won.extend(first.iter().chain(&second).map(|grant| grant.attempt));
    }
    assert_eq!(won.len(), 200);
    assert_eq!(setting.number("select count(*) from attempts").await, 200);
    assert_counters(&setting, campaign, "raced").await;
}
