//! What people text to our numbers, from the vendor's request to the consent.

use chrono::DateTime;
use tocsin_domain::consent::ConsentState;
use tocsin_domain::{Channel, Lane, Outcome};
use tocsin_providers::twilio;
use tocsin_testkit::wait_until;

use crate::stage::{BOUND, PUBLIC_URL, Stage, form, twilio_signature};

const PATH: &str = "/inbound/sms-1";
/// The first of the fixture's guardians.
const PHONE: &str = "+13125550000";

impl Stage {
    /// A text to the number of `sms-1`, signed as Twilio signs: status, content type and body of the answer.
    async fn text(&self, sid: &str, body: &str) -> (u16, String, String) {
        self.text_with(&[("MessageSid", sid), ("From", PHONE), ("To", "+15005550006"), ("Body", body)]).await
    }

    async fn text_with(&self, fields: &[(&str, &str)]) -> (u16, String, String) {
        let signature = twilio_signature(&format!("{PUBLIC_URL}{PATH}"), fields);
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            (twilio::signature::HEADER, signature.as_str()),
        ];
        self.post_for_answer(PATH, &headers, form(fields)).await
    }

    async fn consent(&self) -> Option<ConsentState> {
        let tenant = self.fixture.store().tenant(self.fixture.district());
        tenant.consent(PHONE).await.unwrap().map(|consent| consent.state)
    }

    async fn consent_becomes(&self, expected: ConsentState) {
        let what = format!("the phone is {expected}");
        wait_until(&what, BOUND, async || self.consent().await == Some(expected)).await.unwrap();
    }

    async fn history(&self) -> usize {
        let tenant = self.fixture.store().tenant(self.fixture.district());
        tenant.consent_history(PHONE).await.unwrap().len()
    }
}

fn empty() -> (u16, String, String) {
    (200, "text/xml".to_owned(), "<Response/>".to_owned())
}

async fn an_inbound_stop_stops_texts(stage: Stage) {
    stage.fixture.guardians(2, Channel::Sms).await.unwrap();
    assert_eq!(stage.text("SM1", "Stop").await, empty());
    stage.consent_becomes(ConsentState::OptedOut).await;
    let claimed = stage.attempts(Lane::General, Channel::Sms).await;
    assert_eq!(claimed.len(), 1, "the other guardian's");
    let barred = stage.query("select outcome from jobs where state = 4", &[]).await;
    assert_eq!(barred.get::<_, i16>(0), Outcome::OptOut.number());
    assert_eq!(stage.text("SM2", "START").await, empty());
    stage.consent_becomes(ConsentState::OptedIn).await;
    assert_eq!(stage.attempts(Lane::Emergency, Channel::Sms).await.len(), 2);
    stage.events_become(0, 2).await;
    assert_eq!((stage.collector.counts.taken.get(), stage.collector.counts.consents_moved.get()), (2, 2));
    stage.leave().await;
}

#[tokio::test]
async fn an_inbound_stop_stops_the_next_text_and_a_start_lifts_it() {
    an_inbound_stop_stops_texts(Stage::memory().await.0).await;
}

#[tokio::test]
async fn an_inbound_stop_stops_the_next_text_over_rabbitmq_too() {
    an_inbound_stop_stops_texts(Stage::rabbitmq().await).await;
}

#[tokio::test]
async fn a_keyword_that_the_provider_does_not_confirm_is_confirmed_by_us() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(1, Channel::Sms).await.unwrap();
    let (status, content_type, body) = stage.text("SM1", "opt out").await;
    assert_eq!((status, content_type.as_str()), (200, "text/xml"));
    assert!(body.contains("<Message>You have opted out"), "{body}");
    stage.consent_becomes(ConsentState::OptedOut).await;
    // And what its opt-out service took it for outranks the words.
    let as_start = [("MessageSid", "SM2"), ("From", PHONE), ("Body", "bus 7"), ("OptOutType", "START")];
    assert_eq!(stage.text_with(&as_start).await, empty());
    stage.consent_becomes(ConsentState::OptedIn).await;
}

#[tokio::test]
async fn a_text_that_is_posted_twice_is_one_event_and_moves_consent_once() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(1, Channel::Sms).await.unwrap();
    stage.text("SM1", "STOP").await;
    stage.consent_becomes(ConsentState::OptedOut).await;
    stage.text("SM2", "START").await;
    stage.consent_becomes(ConsentState::OptedIn).await;
    stage.events_become(0, 2).await;
    // The vendor posts the first once more, and something after it that shows when it is through.
    stage.text("SM1", "STOP").await;
    stage.text("SM3", "thank you").await;
    stage.events_become(0, 3).await;
    assert_eq!((stage.consent().await, stage.history().await), (Some(ConsentState::OptedIn), 2));
}

#[tokio::test]
async fn what_is_no_keyword_is_kept_as_it_came_and_moves_nothing() {
    let (stage, _) = Stage::memory().await;
    stage.fixture.guardians(1, Channel::Sms).await.unwrap();
    for (sid, body) in [("SM1", "Ana is ill today"), ("SM2", "please stop texting me"), ("SM3", "")] {
        assert_eq!(stage.text(sid, body).await, empty(), "{body}");
    }
    // No text at all, and one from no phone: taken all the same.
    assert_eq!(stage.text_with(&[("Body", "STOP")]).await, empty());
    assert_eq!(stage.text_with(&[("MessageSid", "SM4"), ("From", "72345"), ("Body", "STOP")]).await, empty());
    stage.events_become(0, 5).await;
    assert_eq!(stage.consent().await, None);
    let counts = &stage.collector.counts;
    assert_eq!((counts.unparsed.get(), counts.for_review.get(), counts.consents_moved.get()), (2, 1, 0));
    // Of the rows, by day.
    stage
        .query(
            "with dated as (
               update events set received_at = case provider_id
                 when 'SM3' then timestamptz '2026-01-05 23:59:59Z' else '2026-01-06 00:00:00Z' end
               returning 1)
             select count(*) from dated",
            &[],
        )
        .await;
    let kept = stage.collector.store.kept_callbacks(DateTime::UNIX_EPOCH).await.unwrap();
    let told: Vec<[i64; 3]> = kept.iter().map(|kept| [kept.unparsed, kept.texts, kept.for_review]).collect();
    assert_eq!(told, [[0, 1, 0], [2, 2, 1]]);
    assert_eq!(
        (kept[0].day.to_string().as_str(), kept[1].day.to_string().as_str()),
        ("2026-01-05", "2026-01-06")
    );
    let second = kept[1].day.and_time(chrono::NaiveTime::MIN).and_utc();
    assert_eq!(stage.collector.store.kept_callbacks(second).await.unwrap(), kept[1..]);
    let kept = stage.query("select raw from events where provider_code = 'review'", &[]).await;
    let raw = String::from_utf8(kept.get::<_, Vec<u8>>(0)).unwrap();
    assert!(raw.contains("please+stop+texting+me"), "{raw}");
}

#[tokio::test]
async fn a_text_that_is_unsigned_or_to_an_account_that_takes_none_is_refused() {
    let (stage, _) = Stage::memory().await;
    let fields = [("MessageSid", "SM1"), ("From", PHONE), ("Body", "STOP")];
    for (path, signed_for, status) in [
        (PATH, None, 403),
        (PATH, Some("/inbound/other"), 403),
        ("/inbound/sms-9", Some("/inbound/sms-9"), 404),
        ("/inbound/voice-1", Some("/inbound/voice-1"), 404),
        ("/inbound/email-1", Some("/inbound/email-1"), 404),
    ] {
        let signature = signed_for.map(|path| twilio_signature(&format!("{PUBLIC_URL}{path}"), &fields));
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(signature.as_deref().map(|signature| (twilio::signature::HEADER, signature)));
        assert_eq!(stage.post(path, &headers, form(&fields)).await, status, "{path} {signed_for:?}");
    }
    assert_eq!(
        (stage.collector.counts.unverified.get(), stage.collector.counts.unknown_account.get()),
        (2, 3)
    );
    assert_eq!(stage.events().await, (0, 0));
}

#[tokio::test]
async fn a_stop_that_was_taken_while_nobody_applies_is_applied_afterwards() {
    let stage = Stage::rabbitmq().await;
    stage.fixture.guardians(1, Channel::Sms).await.unwrap();
    stage.pause_applying().await;
    assert_eq!(stage.text("SM1", "STOP").await, empty());
    assert_eq!(stage.consent().await, None);
    stage.resume_applying();
    stage.consent_becomes(ConsentState::OptedOut).await;
}

#[tokio::test]
async fn reports_about_the_address_suppress_it_with_their_reason() {
    let (stage, _) = Stage::memory().await;
    let mail = |event: &str, more: serde_json::Value| (Channel::Email, event.to_owned(), more);
    let bounce = |reason: &str| serde_json::json!({ "severity": "permanent", "reason": reason });
    let cases = [
        (mail("failed", bounce("bounce")), Some("hard_bounce")),
        (mail("failed", bounce("suppress-unsubscribe")), Some("unsubscribe")),
        (mail("complained", serde_json::json!({})), Some("complaint")),
        (mail("unsubscribed", serde_json::json!({})), Some("unsubscribe")),
        (mail("failed", bounce("espblock")), None),
        ((Channel::Sms, "undelivered".to_owned(), serde_json::json!("30006")), Some("not_text_capable")),
        ((Channel::Sms, "undelivered".to_owned(), serde_json::json!("30003")), None),
    ];
    for (kept, ((channel, word, more), reason)) in (1..).zip(cases) {
        let address = format!("{word}{kept}@example.org");
        let phone = format!("+1312555{kept:04}");
        let device = if channel == Channel::Email { address.as_str() } else { phone.as_str() };
        stage.fixture.guardian(&[(channel, device)]).await.unwrap();
        let attempt = stage.attempts(Lane::General, channel).await.pop().unwrap();
        if channel == Channel::Email {
            let mut event = serde_json::json!({
                "event": word, "id": "e1", "user-variables": { "tocsin-token": stage.token(attempt, Lane::General) },
            });
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(stage.mailgun(event, 0).await, 200);
        } else {
            let code = more.as_str().unwrap();
            let fields = [("MessageSid", "SM1"), ("MessageStatus", word.as_str()), ("ErrorCode", code)];
            assert_eq!(stage.twilio(channel, Lane::General, attempt, &fields).await, 200);
        }
        stage.events_become(kept, 0).await;
        let tenant = stage.fixture.store().tenant(stage.fixture.district());
        let found = tenant.suppressions(None, 100).await.unwrap();
        let of_device = found.iter().find(|one| one.channel == channel && one.address == device);
        let told = of_device.map(|one| (one.reason.as_str(), one.source.as_str()));
        assert_eq!(told, reason.map(|reason| (reason, "provider")), "{word} {more}");
    }
}

#[tokio::test]
async fn a_report_that_the_person_opted_out_is_the_same_as_a_stop() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Sms).await;
    let refused = [("MessageSid", "SM1"), ("MessageStatus", "failed"), ("ErrorCode", "21610")];
    assert_eq!(stage.twilio(Channel::Sms, Lane::General, attempt, &refused).await, 200);
    stage.consent_becomes(ConsentState::OptedOut).await;
    assert_eq!(stage.standing(attempt).await.outcome, Some(Outcome::OptOut));
    assert_eq!(stage.history().await, 1);
}
