//! Calls that ask back: what they are told to say, and what comes of a key.

use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::{AttemptKey, AttemptState, Channel, JobState, Lane, Outcome, WorkerId};
use tocsin_providers::{call_url, twilio};
use tocsin_testkit::wait_until;
use uuid::Uuid;

use crate::stage::{BOUND, PUBLIC_URL, Stage, form, twilio_signature};

const CALL: [(&str, &str); 2] = [("CallSid", "CA1"), ("CallStatus", "in-progress")];

impl Stage {
    /// A call of a campaign that asks to be confirmed.
    async fn asking_call(&self, confirm: bool) -> AttemptKey {
        self.fixture.guardians(1, Channel::Voice).await.unwrap();
        let redial = RedialPolicy { confirm, ..RedialPolicy::default_for(Lane::General) };
        self.fixture.campaign_with(Lane::General, &[Channel::Voice], redial).await.unwrap();
        self.fixture.expand_all().await.unwrap();
        let released = self.fixture.release_all().await.unwrap();
        self.fixture.claim(WorkerId(Uuid::now_v7()), &released).await.unwrap().remove(0).attempt
    }

    fn address_of(&self, call: AttemptKey) -> String {
        call_url(PUBLIC_URL, "voice-1", &self.token(call, Lane::General))
    }

    /// Posted signed, as Twilio does.
    async fn by_call(&self, url: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let signature = twilio_signature(url, fields);
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            (twilio::signature::HEADER, signature.as_str()),
        ];
        self.post_for_answer(&url[PUBLIC_URL.len()..], &headers, form(fields)).await
    }

    async fn press(&self, call: AttemptKey, digits: &str) -> (u16, String) {
        let url = format!("{}/keys?language=es-MX", self.address_of(call));
        let (status, _, body) = self.by_call(&url, &[&CALL[..], &[("Digits", digits)]].concat()).await;
        (status, body)
    }
}

#[tokio::test]
async fn pressing_0_is_thanked_for_and_confirms_the_call_when_it_is_over() {
    let (stage, _) = Stage::memory().await;
    let call = stage.asking_call(true).await;
    let (status, said) = stage.press(call, "0").await;
    assert_eq!(status, 200);
    assert!(said.contains("Gracias") && said.contains("<Hangup/>"), "{said}");
    stage.events_become(1, 0).await;
    let standing = stage.standing(call).await;
    assert_eq!(
        (standing.attempt, standing.outcome),
        (AttemptState::Accepted, Some(Outcome::PressedToConfirm))
    );
    let over = [("CallSid", "CA1"), ("CallStatus", "completed"), ("SequenceNumber", "2")];
    assert_eq!(stage.twilio(Channel::Voice, Lane::General, call, &over).await, 200);
    wait_until("the call to be settled", BOUND, async || {
        stage.standing(call).await.attempt == AttemptState::Settled
    })
    .await
    .unwrap();
    let standing = stage.standing(call).await;
    assert_eq!((standing.job, standing.job_outcome), (JobState::Ended, Some(Outcome::Confirmed)));
    stage.leave().await;
}

#[tokio::test]
async fn a_star_says_the_message_again_and_without_the_store_asks_again() {
    let (stage, _) = Stage::memory().await;
    let call = stage.asking_call(true).await;
    let (_, again) = stage.press(call, "*").await;
    assert!(again.contains("School is closed today.") && again.contains("<Gather"), "{again}");
    assert!(again.contains(&format!("{}/keys?language=en-US", stage.address_of(call))), "{again}");
    let (_, asked) = stage.press(call, "7").await;
    assert!(asked.contains("<Gather") && !asked.contains("School is closed"), "{asked}");
    stage.events_become(2, 0).await;
    stage.store_goes_away().await;
    assert_eq!(stage.press(call, "*").await, (200, asked));
}

#[tokio::test]
async fn a_call_fetches_its_message_and_asks_only_where_its_policy_says_so() {
    let (stage, _) = Stage::memory().await;
    for confirm in [false, true] {
        let call = stage.asking_call(confirm).await;
        let (status, content_type, says) = stage.by_call(&stage.address_of(call), &CALL).await;
        assert_eq!((status, content_type.as_str()), (200, "text/xml"));
        assert!(says.contains("School is closed today."), "{says}");
        assert_eq!(says.contains("<Gather"), confirm, "{says}");
    }
    stage.events_become(0, 0).await;
}

#[tokio::test]
async fn whoever_is_not_the_provider_hears_nothing_and_confirms_nothing() {
    let (stage, _) = Stage::memory().await;
    let call = stage.asking_call(true).await;
    let url = stage.address_of(call);
    let path = &url[PUBLIC_URL.len()..];
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let pressed = form(&[&CALL[..], &[("Digits", "0")]].concat());
    for (path, signature, expected) in [
        (path.to_owned(), None, 403),
        (format!("{path}/keys?language=en-US"), None, 403),
        // Signed for another address.
        (format!("{path}/keys?language=en-US"), Some(twilio_signature(&url, &CALL)), 403),
        (path.replace("voice-1", "voice-2"), None, 404),
        ("/calls/voice-1/nonsense".to_owned(), None, 404),
    ] {
        let mut headers = vec![kind];
        headers.extend(signature.as_deref().map(|signature| (twilio::signature::HEADER, signature)));
        assert_eq!(stage.post(&path, &headers, pressed.clone()).await, expected, "{path}");
    }
    // A vendor whose calls ask for no keys.
    let text = call_url(PUBLIC_URL, "sms-1", &stage.token(call, Lane::General)) + "/keys";
    let fields = [("Digits", "0")];
    let signature = twilio_signature(&text, &fields);
    let headers = [kind, (twilio::signature::HEADER, signature.as_str())];
    assert_eq!(stage.post(&text[PUBLIC_URL.len()..], &headers, form(&fields)).await, 404);
    stage.events_become(0, 0).await;
}
