//! The simulator's own behaviour: a test that trusts it must be able to.

use std::collections::BTreeMap;
use std::time::Duration;

use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey, Lane, Outcome};
use tocsin_providers::{Answer, Provider, Registry, Secret, SendRequest, TokenKeys, callback_url};
use uuid::Uuid;

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

struct Stage {
    simulator: Simulator,
    receiver: CallbackReceiver,
    sms: Arc<dyn Provider>,
    voice: Arc<dyn Provider>,
    tokens: TokenKeys,
}

impl Stage {
    async fn set(scenario: Scenario) -> Self {
        let receiver = CallbackReceiver::start().await.unwrap();
        let simulator = Simulator::start(SimulatorConfig { listen: None, scenario }).await.unwrap();
        let accounts =
            [Channel::Voice, Channel::Sms].iter().filter_map(|&channel| simulator.account(channel));
        let registry = Registry::build(accounts.collect()).unwrap();
        let (sms, voice) = (registry.get("sms").unwrap(), registry.get("voice").unwrap());
        Self { simulator, receiver, sms, voice, tokens: TokenKeys::new(&Secret::new("k"), None) }
    }

    fn request(&self, job: i32) -> SendRequest {
        let campaign = CampaignId(Uuid::from_u128(7 << 76));
        let attempt = AttemptKey { job: JobKey { campaign, job }, number: 1 };
        SendRequest {
            attempt,
            from: None,
            to: format!("+1415{:07}", 5_550_000 + job),
            extension: None,
            language: None,
            subject: None,
            body: "Hi".to_owned(),
            files: Default::default(),
            detection: None,
            audio_url: None,
            call_url: None,
            confirm: false,
            unsubscribe_url: None,
            tag: None,
            callback_url: callback_url(
                &self.receiver.base_url,
                "x",
                &self.tokens.mint(attempt, Lane::General),
            ),
            valid_for: Duration::from_secs(600),
            start_within: Duration::from_secs(2),
            deadline: Duration::from_secs(10),
        }
    }

    async fn send_all(&self, provider: &dyn Provider, jobs: i32) -> Vec<Answer> {
        let requests: Vec<SendRequest> = (1..=jobs).map(|job| self.request(job)).collect();
        let mut answers = Vec::with_capacity(requests.len());
        for some in requests.chunks(200) {
            answers.extend(provider.send_batch(some).await);
        }
        answers
    }

    fn outcomes(&self, provider: &dyn Provider) -> Vec<Outcome> {
        let reports = self.receiver.received();
        reports.iter().flat_map(|raw| provider.parse(raw).unwrap()).map(|report| report.outcome).collect()
    }
}

fn sms(channel: ChannelScenario) -> Scenario {
    Scenario { sms: channel, ..Scenario::default() }
}

fn callbacks(callbacks: Callbacks) -> Scenario {
    sms(ChannelScenario { callbacks, ..ChannelScenario::default() })
}

#[tokio::test]
async fn every_request_is_recorded_once_and_the_counts_are_those_of_the_records() {
    let fates = vec![BTreeMap::from([(Fate::Delivered, 4.0), (Fate::OptedOut, 1.0)])];
    let faults = Faults { throttled: 0.2, server_error: 0.1, dropped: 0.1, ..Faults::default() };
    let stage = Stage::set(sms(ChannelScenario { fates, faults, ..ChannelScenario::default() })).await;
    let answers = stage.send_all(&*stage.sms, 400).await;
    let sends = stage.simulator.sends();
    assert_eq!(sends.len(), 400);
    let stats = stage.simulator.stats();
    let count = |status| stats.answered(Channel::Sms, Kind::Send, status);
    let answered =
        |wanted: fn(&Answer) -> bool| answers.iter().filter(|answer| wanted(answer)).count() as u64;
    assert_eq!(count(201), answered(|answer| matches!(answer, Answer::Accepted { .. })));
    assert_eq!(count(400), answered(|answer| matches!(answer, Answer::Refused { .. })));
    assert_eq!(count(429), answered(|answer| matches!(answer, Answer::Throttled { .. })));
    assert_eq!(count(503) + count(0), answered(|answer| matches!(answer, Answer::Lost { .. })));
    for status in [0, 201, 400, 429, 503] {
        assert!(count(status) > 0, "no request was answered {status}");
        assert_eq!(count(status), sends.iter().filter(|send| send.answered == status).count() as u64);
    }
    assert!(sends.iter().all(|send| send.provider_id.is_some() == matches!(send.answered, 0 | 201)));
    assert!(sends.is_sorted_by_key(|send| send.arrived_at));
}

#[tokio::test]
async fn another_process_reads_the_same_and_changes_the_scenario() {
    let stage = Stage::set(Scenario::default()).await;
    stage.send_all(&*stage.sms, 25).await;
    let client = tocsin_providers::http_client().unwrap();
    let url = |path: &str| format!("{}/sim/{path}", stage.simulator.base_url);
    let get = async |path: &str| client.get(url(path)).send().await.unwrap().text().await.unwrap();
    let mut read = Vec::new();
    for after in ["0", "10", "20", "30"] {
        let lines = get(&format!("records?after={after}&limit=10")).await;
        read.extend(lines.lines().map(|line| serde_json::from_str::<Record>(line).unwrap()));
    }
    assert_eq!(read, stage.simulator.records());
    let mut exported = Vec::new();
    stage.simulator.export(&mut exported).unwrap();
    assert_eq!(String::from_utf8(exported).unwrap(), get("records").await);
    stage.simulator.callbacks_done(LIMIT).await.unwrap();
    let stats: Stats = serde_json::from_str(&get("stats").await).unwrap();
    assert_eq!(stats, stage.simulator.stats());

    let post = async |body: &'static str| {
        let request = client.post(url("scenario")).header("content-type", "application/json").body(body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(post(r#"{"sms":{"faults":{"throttled":1.0}}}"#).await, 204);
    assert!(matches!(stage.sms.send(&stage.request(99)).await, Answer::Throttled { .. }));
    assert_eq!(post(r#"{"sms":{"faults":{"throttled":2.0}}}"#).await, 422);
    assert_eq!(post(r#"{"smms":{}}"#).await, 422);
}

#[tokio::test]
async fn a_report_that_is_not_taken_is_posted_again_and_one_refused_is_not() {
    let stage =
        Stage::set(callbacks(Callbacks { events: CallbackEvents::Final, ..Callbacks::default() })).await;
    stage.receiver.answer_next(&[500, 503, 200]);
    stage.send_all(&*stage.sms, 1).await;
    stage.simulator.callbacks_done(LIMIT).await.unwrap();
    let posts = stage.receiver.received();
    assert_eq!(posts.len(), 3);
    let event = |index: usize| posts[index].header("I-Twilio-Idempotency-Token");
    assert!(event(0).is_some() && event(0) == event(1) && event(1) == event(2));

    stage.receiver.answer_next(&[404]);
    stage.send_all(&*stage.sms, 1).await;
    stage.simulator.callbacks_done(LIMIT).await.unwrap();
    let counts = stage.simulator.stats().callbacks;
    assert_eq!((counts.taken, counts.failed, counts.retried, counts.pending), (1, 1, 2, 0));
}

#[tokio::test]
async fn reports_are_duplicated_and_lost_as_the_scenario_says() {
    let duplicated = Stage::set(callbacks(Callbacks { duplicate: 1.0, ..Callbacks::default() })).await;
    duplicated.send_all(&*duplicated.sms, 10).await;
    duplicated.simulator.callbacks_done(LIMIT).await.unwrap();
    assert_eq!(duplicated.receiver.received().len(), 40, "sent and delivered, twice each");

    let lost = Stage::set(callbacks(Callbacks { lost: 1.0, ..Callbacks::default() })).await;
    lost.send_all(&*lost.sms, 10).await;
    lost.simulator.callbacks_done(LIMIT).await.unwrap();
    assert_eq!(lost.receiver.received().len(), 0);
    assert_eq!(lost.simulator.stats().callbacks.lost, 20);
}

#[tokio::test]
async fn an_early_report_comes_before_the_answer_and_others_after() {
    let early = Stage::set(callbacks(Callbacks { early: 1.0, ..Callbacks::default() })).await;
    early.sms.send(&early.request(1)).await;
    assert!(!early.receiver.received().is_empty());

    let late = Callbacks { delay: Delay::Fixed(3_600_000), ..Callbacks::default() };
    let late = Stage::set(callbacks(late)).await;
    late.sms.send(&late.request(1)).await;
    assert_eq!(late.receiver.received().len(), 0);
    assert_eq!(late.simulator.stats().callbacks.pending, 2);
}

#[tokio::test]
async fn a_call_reports_only_what_it_subscribed_to() {
    let stage = Stage::set(Scenario::default()).await;
    let account = stage.simulator.account(Channel::Voice).unwrap();
    let client = tocsin_providers::http_client().unwrap();
    let url = format!("{}/2010-04-01/Accounts/{}/Calls.json", stage.simulator.base_url, account.user);
    for (events, expected) in [("", vec!["completed"]), ("&StatusCallbackEvent=ringing", vec!["ringing"])] {
        let seen = stage.receiver.received().len();
        let body = format!(
            "To=%2B14155550100&From=%2B15005550006&Url=http%3A%2F%2Fx%2F&StatusCallback={}{events}",
            stage.receiver.base_url.replace(':', "%3A").replace('/', "%2F"),
        );
        let request = client.post(&url).basic_auth(&account.user, Some(account.secret.reveal())).body(body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 201);
        stage.simulator.callbacks_done(LIMIT).await.unwrap();
        let posts = stage.receiver.received().split_off(seen);
        let words: Vec<String> = posts
            .iter()
            .map(|raw| stage.voice.parse(raw).unwrap().remove(0).provider_code.unwrap_or_default())
            .collect();
        assert_eq!(words, expected);
        assert!(posts.iter().all(|raw| stage.voice.parse(raw).unwrap()[0].sequence == Some(0)));
    }
}

#[tokio::test]
async fn a_canceled_call_reports_its_cancel() {
    let mut scenario = Scenario::default();
    scenario.voice.callbacks.delay = Delay::Fixed(3_600_000);
    let stage = Stage::set(scenario).await;
    let Answer::Accepted { provider_id: Some(id), .. } = stage.voice.send(&stage.request(1)).await else {
        panic!("not accepted");
    };
    assert_eq!(stage.voice.recall(&id).await, tocsin_providers::RecallAnswer::Stopped);
    stage.receiver.received_at_least(1, LIMIT).await.unwrap();
    assert_eq!(stage.outcomes(&*stage.voice), [Outcome::Canceled]);
}

#[tokio::test]
async fn the_same_seed_gives_every_person_the_same_fate() {
    let fates =
        vec![BTreeMap::from([(Fate::Delivered, 1.0), (Fate::Undelivered, 1.0), (Fate::OptedOut, 1.0)])];
    let channel = ChannelScenario { fates, ..ChannelScenario::default() };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let stage = Stage::set(sms(channel.clone())).await;
        let answers = stage.send_all(&*stage.sms, 60).await;
        runs.push(answers.iter().map(|answer| matches!(answer, Answer::Refused { .. })).collect::<Vec<_>>());
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&true) && runs[0].contains(&false));
}

#[tokio::test]
async fn a_stopped_simulator_answers_nobody_even_while_requests_hang() {
    let hang = Faults { hang: 1.0, ..Faults::default() };
    let stage = Stage::set(sms(ChannelScenario { faults: hang, ..ChannelScenario::default() })).await;
    let mut hanging = stage.request(1);
    hanging.deadline = Duration::from_millis(100);
    assert!(matches!(stage.sms.send(&hanging).await, Answer::Lost { .. }));
    let Stage { simulator, sms, .. } = stage;
    simulator.stop().await;
    let answer = sms.send(&hanging).await;
    assert!(matches!(answer, Answer::NotSent { .. } | Answer::Lost { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_text_to_a_landline_fails_with_the_code_that_says_so_and_others_with_theirs() {
    for (fate, codes) in [(Fate::Landline, vec!["30006"]), (Fate::Undelivered, vec!["sent", "30005"])] {
        let fates = vec![BTreeMap::from([(fate, 1.0)])];
        let stage = Stage::set(sms(ChannelScenario { fates, ..ChannelScenario::default() })).await;
        stage.send_all(&*stage.sms, 1).await;
        stage.simulator.callbacks_done(LIMIT).await.unwrap();
        let told: Vec<Option<String>> = stage
            .receiver
            .received()
            .iter()
            .flat_map(|raw| stage.sms.parse(raw).unwrap())
            .map(|report| report.provider_code)
            .collect();
        assert_eq!(told, codes.into_iter().map(|code| Some(code.to_owned())).collect::<Vec<_>>(), "{fate:?}");
    }
}

/// That it rang, that it was answered, that it ended.
const REPORTS_OF_A_CALL: usize = 3;

/// Calls of which one is worked on, and the next one's turn comes in an hour.
fn one_call_an_hour(queue_max: Option<usize>) -> Scenario {
    let mut scenario = Scenario::default();
    scenario.voice.drain_per_second = Some(1.0 / 3_600.0);
    scenario.voice.queue_max = queue_max;
    scenario
}

#[tokio::test]
async fn a_queued_call_reports_nothing_before_its_turn_and_can_be_recalled() {
    let stage = Stage::set(one_call_an_hour(None)).await;
    let mut answers = Vec::new();
    for job in 1..=3 {
        answers.push(stage.voice.send(&stage.request(job)).await);
    }
    let id = |answer: &Answer| match answer {
        Answer::Accepted { provider_id, .. } => provider_id.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    let [first, second, third] = [0, 1, 2].map(|index| id(&answers[index]));
    // The first call's turn is at once, and it ends; the others wait.
    stage.receiver.received_at_least(REPORTS_OF_A_CALL, LIMIT).await.unwrap();
    assert_eq!(stage.simulator.stats().waiting, BTreeMap::from([(Channel::Voice, 2)]));
    assert_eq!(stage.voice.recall(&first).await, tocsin_providers::RecallAnswer::TooLate);
    for queued in [&second, &third] {
        assert_eq!(stage.voice.recall(queued).await, tocsin_providers::RecallAnswer::Stopped);
    }
    // Nothing is pending any more but the reports of the two cancels.
    stage.simulator.callbacks_done(LIMIT).await.unwrap();
    assert_eq!(stage.simulator.stats().waiting, BTreeMap::new());
    let mut told: Vec<Outcome> = stage.outcomes(&*stage.voice).split_off(3);
    told.retain(|outcome| *outcome == Outcome::Canceled);
    assert_eq!(told.len(), 2);
}

#[tokio::test]
async fn what_waits_is_let_go_when_the_scenario_has_no_rate_any_more() {
    let stage = Stage::set(one_call_an_hour(None)).await;
    stage.send_all(&*stage.voice, 5).await;
    stage.receiver.received_at_least(REPORTS_OF_A_CALL, LIMIT).await.unwrap();
    stage.simulator.set_scenario(Scenario::default()).unwrap();
    stage.simulator.callbacks_done(LIMIT).await.unwrap();
    assert_eq!(stage.receiver.received().len(), 5 * REPORTS_OF_A_CALL);
}

#[tokio::test]
async fn a_full_queue_is_refused_with_the_vendors_own_words() {
    let full = |channel: &mut ChannelScenario| {
        channel.drain_per_second = Some(1.0 / 3_600.0);
        channel.queue_max = Some(0);
    };
    let mut scenario = Scenario::default();
    full(&mut scenario.voice);
    full(&mut scenario.sms);
    let stage = Stage::set(scenario).await;
    for (provider, code) in [(&stage.voice, "10004"), (&stage.sms, "21611")] {
        let answer = provider.send(&stage.request(1)).await;
        assert!(
            matches!(&answer, Answer::Throttled { provider_code: Some(word), .. } if word == code),
            "{answer:?}"
        );
    }
    // One call has its turn at once and one waits; the third is too many.
    let stage = Stage::set(one_call_an_hour(Some(1))).await;
    stage.send_all(&*stage.voice, 1).await;
    stage.receiver.received_at_least(REPORTS_OF_A_CALL, LIMIT).await.unwrap();
    let answers = stage.send_all(&*stage.voice, 2).await;
    let accepted = answers.iter().filter(|answer| matches!(answer, Answer::Accepted { .. })).count();
    assert_eq!(accepted, 1, "{answers:?}");
}
