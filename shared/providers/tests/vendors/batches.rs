//! Many mails in one request: what each of them comes to.

use std::collections::BTreeSet;

use tocsin_domain::{Channel, Lane};
use tocsin_providers::{Answer, RefusalClass, SendRequest};
use tocsin_testkit::simulator::{Faults, Scenario};

use crate::stage::{LIMIT, Stage, attempt};

const MAILS: i32 = 120;

fn mails(stage: &Stage, body: impl Fn(i32) -> String) -> Vec<SendRequest> {
    (1..=MAILS)
        .map(|job| SendRequest {
            attempt: attempt(job),
            to: format!("reader{job}@example.org"),
            body: body(job),
            ..stage.request(Channel::Email, job)
        })
        .collect()
}

fn scenario(faults: Faults) -> Scenario {
    let mut scenario = Scenario::default();
    scenario.email.faults = faults;
    scenario
}

#[tokio::test]
async fn one_request_gives_every_mail_its_id_and_every_report_finds_its_mail() {
    let stage = Stage::set(Scenario::default()).await;
    let mailgun = stage.provider(Channel::Email);
    let asked = mails(&stage, |job| format!("Dear parent of pupil {job}"));
    let answers = mailgun.send_batch(&asked).await;
    let ids: BTreeSet<String> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Accepted { provider_id: Some(id), .. } => id.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), asked.len(), "each mail has an id of its own");
    assert_eq!(stage.simulator.requests(), 1, "asked for as one");
    let sent = stage.simulator.sends();
    let sent_to: BTreeSet<(String, String)> =
        sent.into_iter().map(|send| (send.to.unwrap(), send.token.unwrap())).collect();
    let expected: BTreeSet<(String, String)> = asked
        .iter()
        .map(|request| (request.to.clone(), stage.tokens.mint(request.attempt, Lane::General)))
        .collect();
    assert_eq!(sent_to, expected, "each with his own token");

    let reports = stage.receiver.received_at_least(asked.len(), LIMIT).await.unwrap();
    for raw in &reports {
        let token = mailgun.token(raw).unwrap();
        let (attempt, _) = stage.tokens.read(&token).unwrap();
        let report = mailgun.parse(raw).unwrap().remove(0);
        let place = asked.iter().position(|request| request.attempt == attempt).unwrap();
        let Answer::Accepted { provider_id, .. } = &answers[place] else { panic!() };
        assert_eq!(&report.provider_id, provider_id);
    }
}

#[tokio::test]
async fn silence_refusal_and_limit_are_everybodys() {
    type Expected = fn(&Answer) -> bool;
    let table: [(Faults, Expected); 3] = [
        (Faults { dropped: 1.0, ..Faults::default() }, |answer| matches!(answer, Answer::Lost { .. })),
        (Faults { throttled: 1.0, ..Faults::default() }, |answer| matches!(answer, Answer::Throttled { .. })),
        (Faults { server_error: 1.0, ..Faults::default() }, |answer| matches!(answer, Answer::Lost { .. })),
    ];
    for (faults, expected) in table {
        let stage = Stage::set(scenario(faults.clone())).await;
        let answers = stage.provider(Channel::Email).send_batch(&mails(&stage, |_| "x".into())).await;
        assert_eq!(answers.len(), MAILS as usize);
        assert!(answers.iter().all(expected), "{faults:?}: {:?}", answers[0]);
    }
    let stage = Stage::set(Scenario::default()).await;
    let stranger = stage
        .provider_with(Channel::Email, |account| account.secret = tocsin_providers::Secret::new("other"));
    for answer in stranger.send_batch(&mails(&stage, |_| "x".into())).await {
        assert!(matches!(answer, Answer::Refused { class: RefusalClass::Configuration, .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn one_bad_address_refuses_all_and_says_that_it_may_be_anybodys() {
    let stage = Stage::set(Scenario::default()).await;
    let mailgun = stage.provider(Channel::Email);
    let mut asked = mails(&stage, |_| "x".into());
    asked[7].to = "nobody".into();
    let answers = mailgun.send_batch(&asked).await;
    assert!(
        answers.iter().all(|answer| matches!(answer, Answer::RefusedTogether { .. })),
        "{:?}",
        answers[0]
    );
    assert!(stage.simulator.sends().iter().all(|send| send.provider_id.is_none()), "nobody was mailed");
    let alone = [mailgun.send(&asked[7]).await, mailgun.send(&asked[8]).await];
    assert!(matches!(alone[0], Answer::Refused { class: RefusalClass::Permanent, .. }), "{alone:?}");
    assert!(matches!(alone[1], Answer::Accepted { .. }), "{alone:?}");
}
