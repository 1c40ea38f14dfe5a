//! A call that is over and waits for the word who answered it: what it holds, and when it is looked after.

use chrono::TimeDelta;
use tocsin_domain::policy::DETECTION_WAIT;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AttemptKey, CampaignId, Channel, Outcome};
use tocsin_store::sweep::ToSweep;

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts};

fn status(outcome: Outcome) -> ReportKind {
    ReportKind::Status { outcome, provider_code: None, provider_id: Some("CA1".to_owned()) }
}

/// A call that was accepted.
async fn accepted(setting: &Setting) -> (CampaignId, AttemptKey) {
    setting.person(tocsin_domain::audience::Role::Staff, &[(Channel::Voice, "+13125550142")]).await;
    let campaign = setting.campaign(|new| new.channels = vec![Channel::Voice]).await;
    setting.expand(campaign, 100).await;
    let call = attempts(&setting.claim(&setting.release(campaign, Channel::Voice).await).await)[0];
    setting.report(&[call], status(Outcome::InProgress)).await;
    (campaign, call)
}

async fn held(setting: &Setting) -> i64 {
    setting.number("select coalesce(sum(attempts), 0) from held").await
}

#[tokio::test]
async fn a_call_that_is_over_is_looked_after_at_its_deadline_and_holds_no_place() {
    let setting = Setting::new().await;
    let (campaign, call) = accepted(&setting).await;
    assert_eq!(held(&setting).await, 1);
    setting.report(&[call], status(Outcome::CallEnded)).await;
    assert_eq!(held(&setting).await, 0, "its line is free");
    assert_eq!(setting.store.recount_held().await.unwrap(), 0, "and counted so");

    let view = setting.store.attempt_views(&[call]).await.unwrap().remove(0);
    let until = view.detect_until.unwrap();
    let wait = TimeDelta::from_std(DETECTION_WAIT).unwrap();
    assert!(until > setting.now().await && until <= setting.now().await + wait);
    // Long before the time at which an accepted call would be looked after.
    let due = setting.store.due_claim_batches(until, 10).await.unwrap();
    let looked_at: Vec<AttemptKey> =
        due.iter().flat_map(|batch| &batch.open).map(|open| open.view.key).collect();
    assert!(looked_at.contains(&call));

    setting.report(&[call], status(Outcome::PersonAnswered)).await;
    let view = setting.store.attempt_views(&[call]).await.unwrap().remove(0);
    assert_eq!((view.outcome, view.detect_until), (Some(Outcome::LivePerson), None));
    assert_eq!((held(&setting).await, setting.store.recount_held().await.unwrap()), (0, 0));
    assert_counters(&setting, campaign, "a detected call").await;
}

#[tokio::test]
async fn a_call_that_is_over_is_not_recalled_and_holds_up_no_cancel() {
    let setting = Setting::new().await;
    let (campaign, call) = accepted(&setting).await;
    setting.report(&[call], status(Outcome::CallEnded)).await;
    setting.cancel(campaign).await;
    setting.sweep(ToSweep { campaign, outcome: Outcome::Canceled }).await;
    let now = setting.now().await;
    let voice = [Channel::Voice];
    let until = now + TimeDelta::seconds(30);
    assert_eq!(setting.store.order_recalls(campaign, &voice, until).await.unwrap(), []);
    assert_eq!(setting.store.finish_cancels(now, &voice).await.unwrap().len(), 1);
    setting.report(&[call], status(Outcome::MachineAnswered)).await;
    let view = setting.store.attempt_views(&[call]).await.unwrap().remove(0);
    assert_eq!(view.job.outcome, Some(Outcome::AnsweringMachine));
}

#[tokio::test]
async fn a_confirmed_call_is_counted_once_and_keeps_its_place_until_it_is_over() {
    let setting = Setting::new().await;
    let (campaign, call) = accepted(&setting).await;
    let confirmed = async || setting.tenant().counts(campaign).await.unwrap().channels[0].confirmed;
    for _ in 0..2 {
        setting.report(&[call], status(Outcome::PressedToConfirm)).await;
        assert_eq!((held(&setting).await, confirmed().await), (1, 0), "the call goes on");
    }
    setting.report(&[call], status(Outcome::Completed)).await;
    assert_eq!((held(&setting).await, confirmed().await), (0, 1));
    setting.report(&[call], status(Outcome::LivePerson)).await;
    assert_eq!(confirmed().await, 1);
    setting.store.fold().await.unwrap();
    assert_eq!(confirmed().await, 1, "folded");
    assert_counters(&setting, campaign, "a confirmed call").await;
}
