//! What every answer of a vendor, and every lack of one, is taken to mean.

use std::net::Ipv4Addr;
use std::time::Duration;

use tocsin_domain::{Channel, Outcome};
use tocsin_providers::{Answer, RefusalClass, Secret, Whose};
use tocsin_testkit::simulator::{ChannelScenario, Faults, Kind, Scenario};

use crate::stage::{CHANNELS, Stage};

fn with_faults(faults: Faults) -> Scenario {
    let channel = ChannelScenario { faults, ..ChannelScenario::default() };
    Scenario { voice: channel.clone(), sms: channel.clone(), email: channel, ..Scenario::default() }
}

#[tokio::test]
async fn an_accepted_send_returns_the_vendors_id() {
    let stage = Stage::set(Scenario::default()).await;
    let table = [
        (Channel::Voice, Some(Outcome::InProgress), "CA"),
        (Channel::Sms, Some(Outcome::SmsQueued), "SM"),
        (Channel::Email, None, ""),
    ];
    for (index, (channel, expected, prefix)) in table.into_iter().enumerate() {
        let request = stage.request(channel, 1);
        let Answer::Accepted { provider_id: Some(id), outcome } =
            stage.provider(channel).send(&request).await
        else {
            panic!("{channel} was not accepted");
        };
        let record = stage.simulator.sends().remove(index);
        assert_eq!(outcome, expected);
        assert!(id.starts_with(prefix) && !id.contains(['<', '>']), "{id}");
        // Of mails, which share the id of their request, with a part for each.
        let of_request = id.split('#').next().unwrap_or_default().to_owned();
        assert_eq!((record.provider_id, record.to), (Some(of_request), Some(request.to)));
        assert_eq!(record.token.as_deref(), request.callback_url.rsplit('/').next());
    }
}

#[tokio::test]
async fn refusals_are_told_apart_by_whom_they_concern() {
    use RefusalClass::{Configuration, OptOut, Permanent};
    let stage = Stage::set(Scenario::default()).await;
    let table = [
        (Channel::Voice, "+15005550001", "21217", Permanent, Outcome::InvalidNumber),
        (Channel::Voice, "+15005550002", "21214", Permanent, Outcome::RouteUnavailable),
        (Channel::Voice, "+15005550003", "21215", Configuration, Outcome::ProviderRejected),
        (Channel::Sms, "+15005550001", "21211", Permanent, Outcome::InvalidNumber),
        (Channel::Sms, "+15005550004", "21610", OptOut, Outcome::OptOut),
        (Channel::Sms, "+15005550009", "21614", Permanent, Outcome::Ineligible),
        (Channel::Email, "nobody", "HTTP 400", Permanent, Outcome::InvalidAddress),
    ];
    for (channel, to, code, class, outcome) in table {
        let mut request = stage.request(channel, 1);
        request.to = to.to_owned();
        let answer = stage.provider(channel).send(&request).await;
        assert_eq!(answer, Answer::Refused { outcome, provider_code: Some(code.to_owned()), class }, "{to}");
    }
}

#[tokio::test]
async fn the_number_that_is_asked_for_is_sent_from_and_alone_at_fault() {
    let stage = Stage::set(Scenario::default()).await;
    for (channel, from, code) in
        [(Channel::Voice, "+15005550001", "21212"), (Channel::Sms, "+15005550007", "21606")]
    {
        let mut request = stage.request(channel, 1);
        request.from = Some(from.to_owned());
        let refused = Answer::Refused {
            outcome: Outcome::ProviderRejected,
            provider_code: Some(code.to_owned()),
            class: RefusalClass::Sender,
        };
        assert_eq!(stage.provider(channel).send(&request).await, refused, "{channel}");
    }
    let mut busy = stage.request(Channel::Sms, 1);
    busy.from = Some("+15005550008".to_owned());
    let answer = stage.provider(Channel::Sms).send(&busy).await;
    assert!(matches!(answer, Answer::Throttled { whose: Whose::Sender, .. }), "{answer:?}");
}

#[tokio::test]
async fn a_wrong_key_is_a_fault_of_the_account() {
    let stage = Stage::set(Scenario::default()).await;
    for (channel, code) in [(Channel::Voice, "20003"), (Channel::Sms, "20003"), (Channel::Email, "HTTP 401")]
    {
        let provider = stage.provider_with(channel, |account| account.secret = Secret::new("wrong"));
        let answer = provider.send(&stage.request(channel, 1)).await;
        let refused = Answer::Refused {
            outcome: Outcome::ProviderRejected,
            provider_code: Some(code.to_owned()),
            class: RefusalClass::Configuration,
        };
        assert_eq!(answer, refused, "{channel}");
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_placed_is_refused_without_a_request() {
    let stage = Stage::set(Scenario::default()).await;
    let mut long = stage.request(Channel::Voice, 1);
    long.body = "x".repeat(4000);
    let mut extension = stage.request(Channel::Voice, 2);
    extension.extension = Some("front desk".to_owned());
    for (request, expected) in [(long, Outcome::CallNotInitiated), (extension, Outcome::InvalidNumber)] {
        let answer = stage.provider(Channel::Voice).send(&request).await;
        assert!(matches!(answer, Answer::Refused { outcome, .. } if outcome == expected), "{answer:?}");
    }
    assert_eq!(stage.simulator.sends(), []);
}

#[tokio::test]
async fn a_429_is_throttled_for_as_long_as_the_vendor_says() {
    for retry_after_seconds in [None, Some(7)] {
        let faults = Faults { throttled: 1.0, retry_after_seconds, ..Faults::default() };
        let stage = Stage::set(with_faults(faults)).await;
        for channel in CHANNELS {
            let answer = stage.provider(channel).send(&stage.request(channel, 1)).await;
            let expected = retry_after_seconds.map(Duration::from_secs);
            assert!(
                matches!(&answer, Answer::Throttled { retry_after, .. } if *retry_after == expected),
                "{channel}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_error_a_silence_and_a_broken_connection_leave_the_attempt_unknown() {
    let server_error = Faults { server_error: 1.0, ..Faults::default() };
    let hang = Faults { hang: 1.0, ..Faults::default() };
    let dropped = Faults { dropped: 1.0, ..Faults::default() };
    for (faults, processed) in [(server_error, false), (hang, false), (dropped, true)] {
        let hangs = faults.hang > 0.0;
        let stage = Stage::set(with_faults(faults)).await;
        for channel in CHANNELS {
            let mut request = stage.request(channel, 1);
            if hangs {
                request.deadline = Duration::from_secs(1);
            }
            let answer = stage.provider(channel).send(&request).await;
            assert!(matches!(answer, Answer::Lost { .. }), "{channel}: {answer:?}");
        }
        let sends = stage.simulator.sends();
        assert_eq!(sends.len(), CHANNELS.len(), "asked once each, never again by itself");
        assert!(sends.iter().all(|send| send.provider_id.is_some() == processed));
    }
}

#[tokio::test]
async fn a_request_that_found_no_connection_was_not_sent() {
    let stage = Stage::set(Scenario::default()).await;
    // Bound and given back: nobody listens there.
    let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for channel in CHANNELS {
        let base_url = format!("http://127.0.0.1:{port}");
        let provider = stage.provider_with(channel, |account| account.base_url = base_url);
        let request = stage.request(channel, 1);
        let answer = provider.send(&request).await;
        let Answer::NotSent { why } = answer else { panic!("{channel}: {answer:?}") };
        assert!(!why.contains("127.0.0.1") && !why.contains(&request.to), "{why}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let stage = Stage::set(Scenario::default()).await;
    let requests: Vec<_> = (1..=20).map(|job| stage.request(Channel::Sms, job)).collect();
    let answers = stage.provider(Channel::Sms).send_batch(&requests).await;
    let sends = stage.simulator.sends();
    assert_eq!(answers.len(), requests.len());
    for (request, answer) in requests.iter().zip(answers) {
        let Answer::Accepted { provider_id, .. } = answer else { panic!("{answer:?}") };
        let record = sends.iter().find(|record| record.provider_id == provider_id).unwrap();
        assert!(request.callback_url.ends_with(record.token.as_deref().unwrap()));
        assert_eq!(record.kind, Kind::Send);
    }
}
