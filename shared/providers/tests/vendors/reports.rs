//! What the vendors report is verified, attributed to its attempt and understood.

use std::collections::BTreeMap;

use tocsin_domain::{Channel, Lane, Outcome};
use tocsin_providers::{Answer, VerifyFault, token_of_url};
use tocsin_testkit::simulator::{Fate, Scenario};

use crate::stage::{CHANNELS, LIMIT, Stage, attempt, now};

fn always(channel: Channel, fate: Fate) -> Scenario {
    let mut scenario = Scenario::default();
    let fates = vec![BTreeMap::from([(fate, 1.0)])];
    match channel {
        Channel::Voice => scenario.voice.fates = fates,
        Channel::Sms | Channel::Inbox => scenario.sms.fates = fates,
        Channel::Email => scenario.email.fates = fates,
    }
    scenario
}

#[tokio::test]
async fn every_fate_is_reported_step_by_step() {
    use Outcome::{
        AnsweringMachine, Busy, Complained, Completed, Delivered, Dropped, Failed, FailedToSend, Fax,
        HardBounce, InProgress, LivePerson, NoAnswer, Opened, Sent, SoftBounce, Undelivered,
    };
    let table: [(Channel, Fate, &[Outcome]); 18] = [
        (Channel::Voice, Fate::Completed, &[InProgress, InProgress, Completed]),
        (Channel::Voice, Fate::Human, &[InProgress, InProgress, LivePerson]),
        (Channel::Voice, Fate::Machine, &[InProgress, InProgress, AnsweringMachine]),
        (Channel::Voice, Fate::Fax, &[InProgress, InProgress, Fax]),
        (Channel::Voice, Fate::Busy, &[InProgress, Busy]),
        (Channel::Voice, Fate::NoAnswer, &[InProgress, NoAnswer]),
        (Channel::Voice, Fate::Failed, &[InProgress, Failed]),
        (Channel::Voice, Fate::Silent, &[]),
        (Channel::Sms, Fate::Delivered, &[Sent, Delivered]),
        (Channel::Sms, Fate::Sent, &[Sent]),
        (Channel::Sms, Fate::Undelivered, &[Sent, Undelivered]),
        (Channel::Sms, Fate::Failed, &[FailedToSend]),
        (Channel::Email, Fate::Delivered, &[Delivered]),
        (Channel::Email, Fate::Bounced, &[HardBounce]),
        (Channel::Email, Fate::SoftBounced, &[SoftBounce, Delivered]),
        (Channel::Email, Fate::Dropped, &[Dropped]),
        (Channel::Email, Fate::Opened, &[Delivered, Opened]),
        (Channel::Email, Fate::Complained, &[Delivered, Complained]),
    ];
    for (channel, fate, expected) in table {
        let stage = Stage::set(always(channel, fate)).await;
        let provider = stage.provider(channel);
        let answer = provider.send(&stage.request(channel, 5)).await;
        let Answer::Accepted { provider_id, .. } = answer else { panic!("{fate:?}: {answer:?}") };
        stage.simulator.callbacks_done(LIMIT).await.unwrap();
        let mut outcomes = Vec::new();
        for raw in stage.receiver.received() {
            assert_eq!(provider.verify(&raw, now()), Ok(()), "{fate:?}");
            let token = provider.token(&raw).unwrap_or_else(|| token_of_url(&raw.url).to_owned());
            assert_eq!(stage.tokens.read(&token), Ok((attempt(5), Lane::General)));
            let report = provider.parse(&raw).unwrap().remove(0);
            assert_eq!((report.attempt, &report.provider_id), (None, &provider_id));
            assert!(report.event_id.is_some() && report.provider_code.is_some());
            outcomes.push((report.sequence, report.outcome));
        }
        // Posts may overtake each other on their way; only calls number theirs.
        if channel == Channel::Voice {
            outcomes.sort_by_key(|(sequence, _)| *sequence);
            assert!(
                outcomes.iter().enumerate().all(|(index, (sequence, _))| *sequence == Some(index as i64))
            );
        }
        let mut found: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        let mut expected = expected.to_vec();
        if channel != Channel::Voice {
            found.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(found, expected, "{channel} {fate:?}");
    }
}

/// What a vendor reports of a call to a machine, by whether and how it was asked who answers.
#[tokio::test]
async fn who_answered_is_told_with_the_calls_end_or_beside_it_as_it_was_asked() {
    use Outcome::{AnsweringMachine, CallEnded, InProgress, MachineAnswered};
    use tocsin_domain::policy::Detection::{AfterGreeting, Meanwhile};
    let in_the_end: &[Outcome] = &[InProgress, MachineAnswered, AnsweringMachine];
    let beside: &[Outcome] = &[InProgress, InProgress, MachineAnswered, CallEnded];
    let ignored: &[Outcome] = &[InProgress, InProgress, AnsweringMachine];
    for (detection, extension, expected) in [
        (Some(AfterGreeting), None, in_the_end),
        (Some(Meanwhile), None, beside),
        (Some(Meanwhile), Some("12"), ignored),
    ] {
        let stage = Stage::set(always(Channel::Voice, Fate::Machine)).await;
        let provider = stage.provider(Channel::Voice);
        let mut request = stage.request(Channel::Voice, 5);
        request.detection = detection;
        request.extension = extension.map(str::to_owned);
        assert!(matches!(provider.send(&request).await, Answer::Accepted { .. }));
        stage.simulator.callbacks_done(LIMIT).await.unwrap();
        let mut found = Vec::new();
        for raw in stage.receiver.received() {
            assert_eq!(provider.verify(&raw, now()), Ok(()));
            assert_eq!(stage.tokens.read(token_of_url(&raw.url)), Ok((attempt(5), Lane::General)));
            found.push(provider.parse(&raw).unwrap().remove(0).outcome);
        }
        found.sort_unstable();
        assert_eq!(found, expected, "{detection:?} {extension:?}");
    }
}

#[tokio::test]
async fn a_report_changed_on_the_way_or_of_another_account_is_refused() {
    let stage = Stage::set(Scenario::default()).await;
    for channel in [Channel::Voice, Channel::Sms] {
        let provider = stage.provider(channel);
        provider.send(&stage.request(channel, 1)).await;
        stage.simulator.callbacks_done(LIMIT).await.unwrap();
        let raw = stage.receiver.received().pop().unwrap();
        let mut other_url = raw.clone();
        other_url.url.push('x');
        let mut other_body = raw.clone();
        other_body.body = [&raw.body[..], b"&Extra=1"].concat().into();
        let mut unsigned = raw.clone();
        unsigned.headers.clear();
        for (changed, fault) in [
            (other_url, VerifyFault::Mismatch),
            (other_body, VerifyFault::Mismatch),
            (unsigned, VerifyFault::Missing),
        ] {
            let error = provider.verify(&changed, now()).unwrap_err();
            assert_eq!((error.fault, error.http_status), (fault, 403), "{channel}");
        }
        let other = stage.provider_with(channel, |account| {
            account.signing_keys = vec![tocsin_providers::Secret::new("another")];
        });
        assert_eq!(other.verify(&raw, now()).map_err(|error| error.fault), Err(VerifyFault::Mismatch));
    }
}

#[tokio::test]
async fn a_shown_report_names_nobody() {
    let stage = Stage::set(Scenario::default()).await;
    for channel in CHANNELS {
        let request = stage.request(channel, 1);
        stage.provider(channel).send(&request).await;
        stage.simulator.callbacks_done(LIMIT).await.unwrap();
        let raw = stage.receiver.received().pop().unwrap();
        let token = token_of_url(&request.callback_url);
        let shown = [stage.provider(channel).redact(&raw), format!("{raw:?}"), format!("{request:?}")];
        for text in &shown {
            let number = request.to.trim_start_matches('+');
            assert!(!text.contains(number) && !text.contains(token) && !text.contains("school"), "{text}");
        }
    }
}
