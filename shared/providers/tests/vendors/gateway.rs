//! An account at a gateway over real HTTP, as the profile `call-codes` describes it.

use std::sync::Arc;

use serde_json::{Value, json};
use tocsin_domain::{Channel, Lane, Outcome};
use tocsin_providers::{
    Answer, LookUpAnswer, Provider, RecallAnswer, RefusalClass, Registry, Secret, TokenKeys, VerifyFault,
    callback_url, token_of_url,
};
use tocsin_testkit::simulator::{CallbackReceiver, GatewayServer};

use crate::stage::{LIMIT, Stage, attempt, now};

struct Setting {
    gateway: GatewayServer,
    receiver: CallbackReceiver,
    provider: Arc<dyn Provider>,
    stage: Stage,
}

impl Setting {
    async fn of(statuses: &[&[Value]]) -> Self {
        let statuses = statuses.iter().map(|statuses| statuses.to_vec()).collect();
        let gateway = GatewayServer::start(statuses).await.unwrap();
        let registry = Registry::build(vec![gateway.account(Channel::Voice)]).unwrap();
        let (provider, stage) = (registry.get("voice").unwrap(), Stage::set(Default::default()).await);
        Self { receiver: CallbackReceiver::start().await.unwrap(), gateway, provider, stage }
    }

    fn request(&self, job: i32) -> tocsin_providers::SendRequest {
        let mut request = self.stage.request(Channel::Voice, job);
        let token = token_of_url(&request.callback_url).to_owned();
        request.callback_url = callback_url(&self.receiver.base_url, "voice", &token);
        request
    }
}

#[tokio::test]
async fn a_call_is_placed_and_its_signed_reports_are_understood() {
    let setting = Setting::of(&[&[json!("Sent"), json!(5), json!("new word")]]).await;
    let answer = setting.provider.send(&setting.request(1)).await;
    let accepted = Answer::Accepted { provider_id: Some("g-1".into()), outcome: Some(Outcome::InProgress) };
    assert_eq!(answer, accepted);
    setting.gateway.reports_done(LIMIT).await.unwrap();
    let said = &setting.gateway.messages()[0].said;
    let expected = ("voice", "+14155550100", "No school today & tomorrow.", 3600);
    let found = (&said["channel"], &said["to"], &said["text"], &said["expires_in_seconds"]);
    assert_eq!(found, (&expected.0.into(), &expected.1.into(), &expected.2.into(), &expected.3.into()));
    assert!(said.get("extension").is_none(), "{said}");

    let received = setting.receiver.received();
    let mut outcomes = Vec::new();
    for (raw, sequence) in received.iter().zip(0..) {
        assert_eq!(setting.provider.verify(raw, now()), Ok(()));
        assert_eq!(setting.stage.tokens.read(token_of_url(&raw.url)), Ok((attempt(1), Lane::General)));
        let report = setting.provider.parse(raw).unwrap().remove(0);
        assert_eq!((report.sequence, report.provider_id.as_deref()), (Some(sequence), Some("g-1")));
        assert!(report.at.is_some());
        outcomes.push((report.outcome, report.provider_code.unwrap()));
    }
    let expected = [
        (Outcome::Sent, "Sent".to_owned()),
        (Outcome::LivePerson, "5".to_owned()),
        (Outcome::Unknown, "new word".to_owned()),
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn a_report_changed_on_the_way_or_of_another_key_is_refused() {
    let setting = Setting::of(&[&[json!(5)]]).await;
    setting.provider.send(&setting.request(1)).await;
    let raw = setting.receiver.received_at_least(1, LIMIT).await.unwrap().remove(0);
    let mut other_url = raw.clone();
    other_url.url.push('x');
    let mut other_body = raw.clone();
    other_body.body = [&raw.body[..], b" "].concat().into();
    let mut unsigned = raw.clone();
    unsigned.headers.retain(|(name, _)| name != "x-signature");
    for (changed, fault) in [
        (other_url, VerifyFault::Mismatch),
        (other_body, VerifyFault::Mismatch),
        (unsigned, VerifyFault::Missing),
    ] {
        assert_eq!(setting.provider.verify(&changed, now()).unwrap_err().fault, fault);
    }
    let stale = setting.provider.verify(&raw, now() + chrono::TimeDelta::hours(2));
    assert_eq!(stale.unwrap_err().fault, VerifyFault::Stale);
    let mut account = setting.gateway.account(Channel::Voice);
    account.signing_keys = vec![Secret::new("another")];
    let other = Registry::build(vec![account]).unwrap().get("voice").unwrap();
    assert_eq!(other.verify(&raw, now()).unwrap_err().fault, VerifyFault::Mismatch);
}

#[tokio::test]
async fn a_refusal_ends_the_message_or_stops_the_account() {
    let setting = Setting::of(&[&[]]).await;
    let mut request = setting.request(1);
    request.to = "14155550100".into();
    let refused = Answer::Refused {
        outcome: Outcome::InvalidNumber,
        provider_code: Some("-2".into()),
        class: RefusalClass::Permanent,
    };
    assert_eq!(setting.provider.send(&request).await, refused);
    let mut account = setting.gateway.account(Channel::Voice);
    account.secret = Secret::new("wrong");
    let stranger = Registry::build(vec![account]).unwrap().get("voice").unwrap();
    let answer = stranger.send(&setting.request(1)).await;
    assert!(matches!(answer, Answer::Refused { class: RefusalClass::Configuration, .. }), "{answer:?}");
}

#[tokio::test]
async fn a_call_is_recalled_once_and_not_after_its_end() {
    let setting = Setting::of(&[&[], &[json!(1)]]).await;
    setting.provider.send(&setting.request(1)).await;
    assert_eq!(setting.provider.recall("g-1").await, RecallAnswer::Stopped);
    assert_eq!(setting.provider.recall("g-1").await, RecallAnswer::Stopped);
    setting.provider.send(&setting.request(2)).await;
    setting.receiver.received_at_least(1, LIMIT).await.unwrap();
    assert_eq!(setting.provider.recall("g-2").await, RecallAnswer::TooLate);
    assert_eq!(setting.provider.recall("g-3").await, RecallAnswer::TooLate);
    let why = RecallAnswer::Unknown("a value does not fit the request's path".into());
    assert_eq!(setting.provider.recall("..").await, why);
}

#[tokio::test]
async fn an_attempt_is_found_by_its_token_alone() {
    let setting = Setting::of(&[&[json!(1)]]).await;
    for job in [1, 2] {
        setting.provider.send(&setting.request(job)).await;
    }
    setting.gateway.reports_done(LIMIT).await.unwrap();
    let mut query = setting.stage.query(Channel::Voice, 2, None);
    query.callback_url = setting.request(2).callback_url;
    let LookUpAnswer::Found(found) = setting.provider.look_up(&query).await else { panic!("not found") };
    let only = (found.len(), found[0].attempt, found[0].provider_id.as_deref(), found[0].outcome);
    assert_eq!(only, (1, Some(attempt(2)), Some("g-2"), Outcome::Busy));
    let nobody = TokenKeys::new(&Secret::new("callback key"), None).mint(attempt(3), Lane::General);
    query.callback_url = callback_url("https://bell.example", "voice", &nobody);
    assert_eq!(setting.provider.look_up(&query).await, LookUpAnswer::NotFound);
}
