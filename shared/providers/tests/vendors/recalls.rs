//! Stopping what was accepted, and finding what was lost.

use std::collections::BTreeMap;

use tocsin_domain::{Channel, Outcome};
use tocsin_providers::{Answer, LookUpAnswer, Provider, RawRequest, RecallAnswer};
use tocsin_testkit::simulator::{Delay, Fate, Faults, Kind, Scenario};

use crate::stage::{CHANNELS, LIMIT, Stage};

/// Calls that stay where they are until someone ends them.
fn slow() -> Scenario {
    let mut scenario = Scenario::default();
    scenario.voice.fates = vec![BTreeMap::from([(Fate::Silent, 1.0)])];
    scenario
}

async fn accepted(stage: &Stage, channel: Channel, job: i32) -> String {
    match stage.provider(channel).send(&stage.request(channel, job)).await {
        Answer::Accepted { provider_id: Some(id), .. } => id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_waiting_call_is_stopped_and_says_so() {
    let stage = Stage::set(slow()).await;
    let provider = stage.provider(Channel::Voice);
    let id = accepted(&stage, Channel::Voice, 1).await;
    assert_eq!(provider.recall(&id).await, RecallAnswer::Stopped);
    stage.simulator.callbacks_done(LIMIT).await.unwrap();
    let raw = stage.receiver.received().pop().unwrap();
    assert_eq!(provider.parse(&raw).unwrap().remove(0).outcome, Outcome::Canceled);
    assert_eq!(provider.recall(&id).await, RecallAnswer::TooLate, "recalling twice finds it ended");
}

#[tokio::test]
async fn a_call_in_progress_is_hung_up_and_counts_as_answered() {
    let mut scenario = Scenario::default();
    // Initiated, ringing, answered, ended: a second each, so that it can be recalled between the last two.
    scenario.voice.callbacks.delay = Delay::Fixed(1_000);
    let stage = Stage::set(scenario).await;
    let provider = stage.provider(Channel::Voice);
    let id = accepted(&stage, Channel::Voice, 1).await;
    let mut reports = 0;
    let said = |raw: &RawRequest| provider.parse(raw).unwrap().remove(0).provider_code;
    while stage.receiver.received().iter().all(|raw| said(raw).as_deref() != Some("in-progress")) {
        reports += 1;
        stage.receiver.received_at_least(reports, LIMIT).await.unwrap();
    }
    assert_eq!(provider.recall(&id).await, RecallAnswer::TooLate);
    let recalls = stage.simulator.records().into_iter().filter(|record| record.kind == Kind::Recall);
    assert_eq!(recalls.map(|record| record.answered).collect::<Vec<_>>(), [200, 200], "asked, then hung up");
    assert_eq!(outcomes(&stage, Channel::Voice, 1, Some(id)).await, [Outcome::Completed], "at once");
    stage.simulator.callbacks_done(LIMIT).await.unwrap();
    let raw = stage.receiver.received().pop().unwrap();
    assert_eq!(provider.parse(&raw).unwrap().remove(0).outcome, Outcome::Completed);
}

#[tokio::test]
async fn an_ended_or_unknown_call_is_too_late() {
    let stage = Stage::set(Scenario::default()).await;
    let provider = stage.provider(Channel::Voice);
    let id = accepted(&stage, Channel::Voice, 1).await;
    stage.simulator.callbacks_done(LIMIT).await.unwrap();
    assert_eq!(provider.recall(&id).await, RecallAnswer::TooLate);
    assert_eq!(provider.recall(&format!("CA{:032x}", 1)).await, RecallAnswer::TooLate);
    let recalls = stage.simulator.records().into_iter().filter(|record| record.kind == Kind::Recall);
    assert_eq!(recalls.map(|record| record.answered).collect::<Vec<_>>(), [400, 404]);
}

#[tokio::test]
async fn an_id_that_is_none_is_never_put_into_a_url() {
    let stage = Stage::set(Scenario::default()).await;
    for id in ["", "SM1", "../../x", "CA/../Messages"] {
        let answer = stage.provider(Channel::Voice).recall(id).await;
        assert!(matches!(answer, RecallAnswer::Unknown(_)), "{id:?}: {answer:?}");
    }
    assert_eq!(stage.simulator.records(), []);
}

#[tokio::test]
async fn a_recall_without_a_usable_answer_is_unknown() {
    let mut scenario = slow();
    for faults in
        [Faults { server_error: 1.0, ..Faults::default() }, Faults { dropped: 1.0, ..Faults::default() }]
    {
        scenario.voice.recall_faults = faults;
        let stage = Stage::set(scenario.clone()).await;
        let id = accepted(&stage, Channel::Voice, 1).await;
        let answer = stage.provider(Channel::Voice).recall(&id).await;
        assert!(matches!(answer, RecallAnswer::Unknown(_)), "{answer:?}");
    }
}

#[tokio::test]
async fn texts_and_mails_cannot_be_recalled_and_nobody_is_asked() {
    let stage = Stage::set(Scenario::default()).await;
    for channel in [Channel::Sms, Channel::Email] {
        let provider = stage.provider(channel);
        let id = accepted(&stage, channel, 1).await;
        assert!(!provider.capabilities().recall);
        assert_eq!(provider.recall(&id).await, RecallAnswer::Unsupported);
    }
    assert!(stage.simulator.records().iter().all(|record| record.kind == Kind::Send));
}

async fn outcomes(stage: &Stage, channel: Channel, job: i32, id: Option<String>) -> Vec<Outcome> {
    let query = stage.query(channel, job, id);
    let provider: &dyn Provider = &*stage.provider(channel);
    match provider.look_up(&query).await {
        LookUpAnswer::Found(reports) => {
            assert!(reports.iter().all(|report| report.attempt == Some(query.attempt)));
            reports.into_iter().map(|report| report.outcome).collect()
        }
        other => panic!("{channel}: {other:?}"),
    }
}

#[tokio::test]
async fn a_lost_attempt_is_found_by_id_and_without() {
    let stage = Stage::set(Scenario::default()).await;
    for channel in CHANNELS {
        let id = accepted(&stage, channel, 1).await;
        stage.simulator.callbacks_done(LIMIT).await.unwrap();
        let expected = match channel {
            Channel::Voice => vec![Outcome::Completed],
            Channel::Sms | Channel::Inbox => vec![Outcome::Delivered],
            Channel::Email => vec![Outcome::EmailSent, Outcome::Delivered],
        };
        for id in [Some(id), None] {
            assert_eq!(outcomes(&stage, channel, 1, id).await, expected, "{channel}");
        }
    }
}

#[tokio::test]
async fn what_the_vendor_never_took_is_not_found() {
    let stage = Stage::set(Scenario::default()).await;
    for channel in CHANNELS {
        let provider = stage.provider(channel);
        assert_eq!(
            provider.look_up(&stage.query(channel, 1, None)).await,
            LookUpAnswer::NotFound,
            "{channel}"
        );
    }
    let absent = Some(format!("SM{:032x}", 1));
    let query = stage.query(Channel::Sms, 1, absent);
    assert_eq!(stage.provider(Channel::Sms).look_up(&query).await, LookUpAnswer::NotFound);
}

#[tokio::test]
async fn another_campaigns_message_to_the_same_person_is_not_taken_for_ours() {
    let stage = Stage::set(Scenario::default()).await;
    let mut other = stage.request(Channel::Sms, 1);
    other.body = "Bus 7 is late.".to_owned();
    stage.provider(Channel::Sms).send(&other).await;
    let query = stage.query(Channel::Sms, 2, None);
    assert_eq!(stage.provider(Channel::Sms).look_up(&query).await, LookUpAnswer::NotFound);

    accepted(&stage, Channel::Email, 1).await;
    let query = stage.query(Channel::Email, 2, None);
    assert_eq!(stage.provider(Channel::Email).look_up(&query).await, LookUpAnswer::NotFound);

    for job in [1, 2] {
        accepted(&stage, Channel::Voice, job).await;
    }
    let query = stage.query(Channel::Voice, 1, None);
    let answer = stage.provider(Channel::Voice).look_up(&query).await;
    assert_eq!(answer, LookUpAnswer::Unknown("several candidates".to_owned()));
}

#[tokio::test]
async fn a_call_that_is_known_to_be_another_attempts_is_passed_over() {
    let stage = Stage::set(Scenario::default()).await;
    let provider = stage.provider(Channel::Voice);
    let other = accepted(&stage, Channel::Voice, 1).await;
    let mut query = stage.query(Channel::Voice, 2, None);
    query.others = vec![other.clone()];
    assert_eq!(provider.look_up(&query).await, LookUpAnswer::NotFound);

    let ours = accepted(&stage, Channel::Voice, 2).await;
    match provider.look_up(&query).await {
        LookUpAnswer::Found(reports) => assert_eq!(reports[0].provider_id.as_ref(), Some(&ours)),
        answer => panic!("{answer:?}"),
    }
    query.rival_without_id = true;
    assert!(matches!(provider.look_up(&query).await, LookUpAnswer::Unknown(_)));
}

#[tokio::test]
async fn an_attempt_of_another_time_is_not_taken_for_ours() {
    let mut scenario = Scenario::default();
    scenario.sms.latency = Delay::Fixed(1);
    let stage = Stage::set(scenario).await;
    accepted(&stage, Channel::Sms, 1).await;
    let mut query = stage.query(Channel::Sms, 1, None);
    query.asked_at += chrono::TimeDelta::minutes(10);
    assert_eq!(stage.provider(Channel::Sms).look_up(&query).await, LookUpAnswer::NotFound);
}
