//! From waiting to queued and back.

use std::collections::HashSet;

use chrono::TimeDelta;
use tocsin_domain::window::{CallingWindow, Zone};
use tocsin_domain::{CampaignState, Channel, WaitReason};
use tocsin_store::leadership::DUTY_TERM;
use tocsin_store::release::{Draw, Hold, Persons, Position};
use uuid::Uuid;

use crate::fixture::{Setting, keys};

#[tokio::test]
async fn release_continues_from_its_position() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(5).await;
    let mut after = Position::HEAD;
    let mut seen = Vec::new();
    loop {
        let draws = [Draw { campaign, after, jobs_max: 2 }];
        let due =
            setting.store.due_jobs(Channel::Sms, &draws, Persons::Unread, setting.now().await).await.unwrap();
        let Some(last) = due.last() else { break };
        after = Position { due_at: last.due_at, job: last.key.job };
        seen.extend(due.iter().map(|job| job.key.job));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let before = setting.now().await - TimeDelta::days(1);
    let draws = [Draw { campaign, after: Position::HEAD, jobs_max: 9 }];
    assert_eq!(setting.store.due_jobs(Channel::Sms, &draws, Persons::Unread, before).await.unwrap(), []);
    assert_eq!(
        setting.store.due_jobs(Channel::Voice, &draws, Persons::Unread, setting.now().await).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn the_first_release_turns_a_campaign_to_sending_and_each_one_raises_the_generation() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(3).await;
    assert_eq!(setting.campaign_state(campaign).await, i64::from(CampaignState::Processing.number()));
    let due = setting.due(campaign, Channel::Sms).await;
    let releases = setting.releases(&due, Channel::Sms).await;
    let first = setting.release(campaign, Channel::Sms).await;
    assert_eq!(setting.campaign_state(campaign).await, i64::from(CampaignState::Sending.number()));
    assert!(first.iter().all(|job| job.generation.0 == 1));
    // The same decision again finds the jobs at another generation.
    let now = setting.now().await;
    assert_eq!(setting.store.release(&setting.duty().await, &releases, now, now).await.unwrap(), []);
    setting.store.give_back(&keys(&first), now, WaitReason::Limiter).await.unwrap();
    assert_eq!(setting.store.release(&setting.duty().await, &releases, now, now).await.unwrap(), []);
    let second = setting.release(campaign, Channel::Sms).await;
    assert!(second.len() == 3 && second.iter().all(|job| job.generation.0 == 2));
}

#[tokio::test]
async fn a_planner_that_lost_its_duty_releases_nothing() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(3).await;
    let lost = setting.duty().await;
    let releases = setting.releases(&setting.due(campaign, Channel::Sms).await, Channel::Sms).await;
    let now = setting.now().await;
    setting.shift_clock(TimeDelta::from_std(DUTY_TERM).unwrap()).await;
    assert_eq!(setting.store.release(&lost, &releases, now, now).await.unwrap(), [], "its term is over");
    let names = [lost.name.clone()];
    let taken = setting.store.hold_duties(Uuid::from_u128(8), &names).await.unwrap();
    assert!(taken[0].epoch > lost.epoch);
    assert_eq!(setting.store.hold_duties(lost.holder, &names).await.unwrap(), [], "another holds it");
    setting.store.drop_duties(Uuid::from_u128(8)).await.unwrap();
    let regained = setting.store.hold_duties(lost.holder, &names).await.unwrap().remove(0);
    assert_eq!(setting.store.release(&lost, &releases, now, now).await.unwrap(), [], "an old epoch");
    assert_eq!(setting.store.release(&regained, &releases, now, now).await.unwrap().len(), 3);
}

#[tokio::test]
async fn jobs_given_back_wait_again_once() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(4).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    let now = setting.now().await;
    let returned = keys(&jobs[..2]);
    assert_eq!(setting.store.give_back(&returned, now, WaitReason::Limiter).await.unwrap(), 2);
    assert_eq!(setting.store.give_back(&returned, now, WaitReason::Limiter).await.unwrap(), 0);
    setting.claim(&jobs[2..]).await;
    assert_eq!(setting.store.give_back(&keys(&jobs), now, WaitReason::Limiter).await.unwrap(), 0);
    assert_eq!((setting.jobs_in(campaign, 1).await, setting.jobs_in(campaign, 3).await), (2, 2));
    assert_eq!(setting.store.queued_counts().await.unwrap().iter().map(|count| count.queued).sum::<i64>(), 0);
}

#[tokio::test]
async fn jobs_whose_message_was_lost_are_due_again_at_their_time() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(4).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    setting.claim(&jobs[..1]).await;
    let now = setting.now().await;
    assert_eq!(setting.store.requeue_overdue(now, 10).await.unwrap(), 0, "not yet");
    let later = now + TimeDelta::minutes(2);
    assert_eq!(setting.store.requeue_overdue(later, 10).await.unwrap(), 3);
    assert_eq!(setting.store.requeue_overdue(later, 10).await.unwrap(), 0);
    let reason = setting.number("select min(wait_reason) from jobs where state = 1").await;
    assert_eq!(reason, i64::from(WaitReason::Republish.number()));

    setting.run("update jobs set due_at = tocsin_now() where state = 1").await;
    assert_eq!(setting.release(campaign, Channel::Sms).await.len(), 3);
    let lane = tocsin_domain::Lane::General;
    let emptied = setting.store.hasten_requeue(Channel::Sms, lane, later, now).await.unwrap();
    assert_eq!(emptied, 1);
    assert_eq!(setting.store.requeue_overdue(now, 10).await.unwrap(), 3, "the broker was emptied");
}

fn office_hours() -> CallingWindow {
    let written = r#"{"hours": [{"days": ["monday"], "opens": "08:00", "closes": "20:00"}]}"#;
    serde_json::from_str(written).unwrap()
}

#[tokio::test]
async fn a_due_job_comes_with_its_recipients_zone_where_there_is_a_window() {
    let setting = Setting::new().await;
    setting.staff(3).await;
    setting.run("update people set time_zone = (array[null, 'America/Denver', 'Central'])[id]").await;
    for (window, zones) in [
        (None, vec![None, None, None]),
        (Some(office_hours()), vec![Some(Zone::America__Denver), None, None]),
    ] {
        let campaign = setting.campaign(|new| new.calling_window = window.clone()).await;
        setting.expand(campaign, 100).await;
        let due = setting.due(campaign, Channel::Sms).await;
        assert_eq!(due.iter().map(|job| job.zone).collect::<Vec<_>>(), zones);
        let open = setting.store.open_campaigns().await.unwrap();
        let open = open.into_iter().find(|open| open.id == campaign).unwrap();
        assert_eq!((open.calling_window, open.zone), (window, Some(Zone::America__Chicago)));
    }
}

#[tokio::test]
async fn a_job_is_held_where_it_waits_and_nowhere_else() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(4).await;
    let due = setting.due(campaign, Channel::Sms).await;
    let opens_at = setting.now().await + TimeDelta::hours(10);
    let holds: Vec<Hold> = due
        .iter()
        .map(|job| Hold {
            key: job.key,
            generation: job.generation,
            due_at: opens_at,
            reason: WaitReason::Window,
        })
        .collect();
    let releases = setting.releases(&due, Channel::Sms).await;
    let now = setting.now().await;
    let released = setting.store.release(&setting.duty().await, &releases[..2], now, now).await.unwrap();
    assert_eq!(setting.store.hold(&holds).await.unwrap(), 2, "two were released meanwhile");
    let returned: Vec<_> = released.iter().map(|job| (job.key, job.generation)).collect();
    setting.store.give_back(&returned, now, WaitReason::Republish).await.unwrap();
    assert_eq!(setting.store.hold(&holds[..2]).await.unwrap(), 0, "of another generation");
    let returned: HashSet<_> = returned.iter().map(|(key, _)| *key).collect();
    let now_due: HashSet<_> = setting.due(campaign, Channel::Sms).await.iter().map(|job| job.key).collect();
    assert_eq!(now_due, returned, "the held are not due");
    let held = format!("select count(*) from jobs where wait_reason = 8 and due_at > '{now}' and state = 1");
    assert_eq!(setting.number(&held).await, 2);
    setting.shift_clock(TimeDelta::hours(11)).await;
    assert_eq!(setting.due(campaign, Channel::Sms).await.len(), 4, "due again by themselves");
}

#[tokio::test]
async fn a_window_that_cannot_be_read_closes_its_own_campaign_only() {
    let setting = Setting::new().await;
    let (readable, unreadable) = (setting.expanded(1).await, setting.campaign(|_| ()).await);
    setting.expand(unreadable, 100).await;
    setting
        .run(&format!("update campaigns set calling_window = '{{\"from\": 8}}' where id = '{unreadable}'"))
        .await;
    let open = setting.store.open_campaigns().await.unwrap();
    assert_eq!(open.iter().map(|open| open.id).collect::<Vec<_>>(), [readable]);
}
