//! What planners tell of the store in their metrics.

use std::time::Duration;

use chrono::TimeDelta;
use tocsin_domain::recovery::Decision;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{CampaignId, Channel, DistrictId, Lane, WaitReason};
use tocsin_store::observe::{InDoubt, Work};
use tocsin_testkit::wait_until;
use uuid::Uuid;

use crate::fixture::{Setting, attempts, keys};

#[tokio::test]
async fn due_work_is_what_waits_and_may_be_released() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(5).await;
    let observed = async || {
        let work = setting.store.observe_work(setting.now().await).await.unwrap();
        work.into_iter().find(|some| some.campaign == campaign && some.channel == Channel::Sms)
    };
    let work = observed().await.unwrap();
    let oldest = work.oldest;
    assert!(oldest.is_some(), "{work:?}");
    let expected = Work {
        campaign,
        lane: Lane::General,
        channel: Channel::Sms,
        sending: false,
        due: 5,
        oldest,
        open: 5,
        attempts: 0,
    };
    assert_eq!(work, expected);
    let released = setting.release(campaign, Channel::Sms).await;
    let work = observed().await.unwrap();
    assert_eq!((work.due, work.oldest, work.sending, work.open), (0, None, true, 5));
    assert_eq!(setting.store.observe_queued(&[campaign]).await.unwrap(), [campaign]);

    // One comes back for later, and is not due before.
    let later = setting.now().await + TimeDelta::hours(1);
    setting.store.give_back(&keys(&released[..1]), later, WaitReason::Limiter).await.unwrap();
    let granted = setting.claim(&released[1..]).await;
    assert_eq!(granted.len(), 4);
    let work = observed().await.unwrap();
    assert_eq!((work.due, work.attempts), (0, 4));
    assert_eq!(setting.store.observe_queued(&[campaign]).await.unwrap(), [], "none is queued any more");
    let work = setting.store.observe_work(later).await.unwrap();
    assert!(work.iter().any(|some| some.campaign == campaign && some.due == 1));

    setting.cancel(campaign).await;
    assert_eq!(observed().await, None, "nothing is released of it");
}

/// The due jobs of a campaign's texts, as the metrics have them, and those that workers are called for.
async fn due(setting: &Setting, campaign: CampaignId) -> (Option<i64>, i64) {
    let work = setting.store.observe_work(setting.now().await).await.unwrap();
    let of_campaign = work.iter().find(|some| some.campaign == campaign && some.channel == Channel::Sms);
    let called_for = setting.store.scaling_facts(Channel::Sms).await.unwrap().due;
    (of_campaign.map(|some| some.due), called_for.iter().map(|due| due.jobs).sum())
}

#[tokio::test]
async fn what_an_operator_stopped_is_no_work_and_calls_for_no_worker() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(5).await;
    assert_eq!(due(&setting, campaign).await, (Some(5), 5));
    for stopped in [None, Some(setting.district)] {
        assert!(setting.store.stop_sending(stopped, "ops", "wrong list").await.unwrap());
        assert_eq!(due(&setting, campaign).await, (None, 0), "stopped: {stopped:?}");
        assert!(setting.store.resume_sending(stopped, "ops").await.unwrap());
        assert_eq!(due(&setting, campaign).await, (Some(5), 5), "goes on: {stopped:?}");
    }
    let elsewhere = DistrictId(Uuid::now_v7());
    let sql = "insert into districts (id, name, created_at) values ($1, 'elsewhere', now())";
    setting.owner.execute(sql, &[&elsewhere.0]).await.unwrap();
    assert!(setting.store.stop_sending(Some(elsewhere), "ops", "theirs").await.unwrap());
    assert_eq!(due(&setting, campaign).await, (Some(5), 5), "another district's stop is none of ours");
}

#[tokio::test]
async fn what_waits_for_a_decision_after_a_restore_is_no_work_and_calls_for_no_worker() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(5).await;
    setting.run("update installation set database_oid = 1").await;
    setting.store.recover().await.unwrap();
    assert_eq!(due(&setting, campaign).await, (None, 0));
    let decided = setting.store.decide(campaign, Decision::SendAgain, "ops").await.unwrap();
    assert!(decided.is_some(), "it waited for a decision");
    assert_eq!(due(&setting, campaign).await, (Some(5), 5));
}

#[tokio::test]
async fn releases_are_told_the_latest_first_with_their_size() {
    let setting = Setting::new().await;
    let (first, second) = (setting.expanded(3).await, setting.expanded(2).await);
    setting.release(first, Channel::Sms).await;
    setting.release(second, Channel::Sms).await;
    let releases = setting.store.observe_releases().await.unwrap();
    let sizes: Vec<i64> = releases.iter().map(|batch| batch.jobs).collect();
    assert_eq!(sizes, [5, 3], "the second is to everybody by then");
    assert!(releases.is_sorted_by(|one, other| one.released_at >= other.released_at), "{releases:?}");
}

#[tokio::test]
async fn attempts_in_doubt_are_counted_by_channel_and_lane() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(4).await;
    let released = setting.release(campaign, Channel::Sms).await;
    let granted = setting.claim(&released).await;
    assert_eq!(setting.store.observe_doubt().await.unwrap(), []);
    setting.report(&attempts(&granted)[..3], ReportKind::Lost).await;
    let expected = InDoubt { channel: Channel::Sms, lane: Lane::General, attempts: 3 };
    assert_eq!(setting.store.observe_doubt().await.unwrap(), [expected]);
}

#[tokio::test]
async fn partitions_approvals_stops_and_unmatched_reports_are_counted() {
    let setting = Setting::new().await;
    let now = setting.now().await;
    let kept = setting.store.observe_kept(now).await.unwrap();
    assert_eq!((kept.unmatched, kept.waiting_approvals, kept.stops), (0, 0, 0));
    assert!((1.0..80.0).contains(&kept.partitions_ahead_days), "{kept:?}");
    let further = setting.store.observe_kept(now + TimeDelta::days(10)).await.unwrap();
    let nearer = kept.partitions_ahead_days - further.partitions_ahead_days;
    assert!((9.99..10.01).contains(&nearer), "{nearer}");
    setting
        .run(&format!(
            "insert into events (id, received_at, ordinal, outcome, account)
               select uuid7_floor(now() - n * interval '10 hours'), now(), 0, 1, 'sms' from generate_series(1, 4) n;
             insert into approvals (district_id, id, client_key, request_hash, request, subject, asked_by, asked_at, expires_at)
               select '{}', gen_random_uuid(), n::text, '', '{{}}', 'Bus 7', 'Ortiz', now(), now() + n * interval '1 hour'
               from generate_series(-1, 1) n",
            setting.district
        ))
        .await;
    for whose in [None, Some(setting.district)] {
        assert!(setting.store.stop_sending(whose, "ann", "wrong list").await.unwrap());
    }
    let kept = setting.store.observe_kept(setting.now().await).await.unwrap();
    assert_eq!((kept.unmatched, kept.waiting_approvals), (2, 1), "of a day, and what is not over");
    assert_eq!(kept.stops, 2);
}

#[tokio::test]
async fn the_server_is_observed_by_the_engine_although_it_sees_no_other_login() {
    let setting = Setting::new().await;
    let before = setting.store.observe_server().await.unwrap();
    assert!(before.database_bytes > 1_000_000, "{before:?}");
    let mut holder = crate::fixture::connect(&setting.database.url).await;
    let held =
        holder.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).start();
    let held = held.await.unwrap();
    held.query("select count(*) from campaigns", &[]).await.unwrap();
    let ages = wait_until("the snapshot to age", Duration::from_secs(20), async || {
        setting.store.observe_server().await.unwrap().oldest_snapshot_seconds > 1.0
    });
    ages.await.unwrap();
    held.commit().await.unwrap();
    let after = setting.store.observe_server().await.unwrap();
    assert!(after.oldest_snapshot_seconds < 1.0, "{after:?}");
}
