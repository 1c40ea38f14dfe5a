//! Messages that ask for an opt-in: whose consent they move, and when.

use chrono::TimeDelta;
use tocsin_domain::audience::Role;
use tocsin_domain::consent::{ConsentChange, ConsentClass, ConsentState};
use tocsin_domain::settlement::ReportKind::{Accepted, Lost, NotAsked, Status};
use tocsin_domain::{AttemptKey, Channel, Outcome};
use tocsin_store::consents::Said;

use crate::consents::{PHONE, SHARED, state_in, text};
use crate::fixture::{Setting, attempts};

/// A campaign of opt-in texts to [`PHONE`], claimed.
async fn asked_to_opt_in(setting: &Setting) -> AttemptKey {
    setting.person(Role::Staff, &[(Channel::Sms, PHONE)]).await;
    let campaign = setting.campaign(|new| new.consent_class = ConsentClass::AsksOptIn.number()).await;
    setting.expand(campaign, 100).await;
    let claimed = setting.claim(&setting.release(campaign, Channel::Sms).await).await;
    attempts(&claimed)[0]
}

#[tokio::test]
async fn an_opt_in_message_makes_a_phone_pending_when_it_was_sent_and_a_yes_opts_it_in() {
    let setting = Setting::new().await;
    let attempt = asked_to_opt_in(&setting).await;
    let district = setting.district;
    setting.report(&[attempt], Lost).await;
    assert_eq!(state_in(&setting, district).await, None, "nobody knows whether it was sent");
    setting.report(&[attempt], Accepted { provider_id: None }).await;
    assert_eq!(state_in(&setting, district).await, Some(ConsentState::Pending));
    let history = setting.tenant().consent_history(PHONE).await.unwrap();
    assert_eq!((history.len(), history[0].source.as_str()), (1, "opt-in message"));
    let delivered = Status { outcome: Outcome::Delivered, provider_code: None, provider_id: None };
    setting.report(&[attempt], delivered).await;
    assert_eq!(setting.tenant().consent_history(PHONE).await.unwrap().len(), 1, "asked once");
    // To a number that several districts share it is an answer to those who asked.
    let yes = text(SHARED, Said::Start, setting.now().await + TimeDelta::seconds(1));
    assert_eq!(setting.store.hear(&[yes]).await.unwrap(), 1);
    assert_eq!(state_in(&setting, district).await, Some(ConsentState::OptedIn));
}

#[tokio::test]
async fn an_opt_in_message_that_was_not_sent_or_came_late_changes_no_consent() {
    let refused = Status { outcome: Outcome::ProviderRejected, provider_code: None, provider_id: None };
    let sent = Status { outcome: Outcome::Sent, provider_code: None, provider_id: None };
    for (known, kind, expected) in [
        (None, refused, None),
        (None, NotAsked, None),
        (Some(ConsentChange::Start), sent.clone(), Some(ConsentState::OptedIn)),
        (None, sent, Some(ConsentState::Pending)),
    ] {
        let setting = Setting::new().await;
        let attempt = asked_to_opt_in(&setting).await;
        if let Some(change) = known {
            setting.tenant().change_consent(PHONE, change, "office", setting.now().await).await.unwrap();
        }
        setting.report(&[attempt], kind.clone()).await;
        assert_eq!(state_in(&setting, setting.district).await, expected, "{known:?} {kind:?}");
    }
}
