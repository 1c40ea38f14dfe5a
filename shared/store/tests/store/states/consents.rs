//! Consent: what the domain allows, and what the statement makes of it.

use tocsin_domain::consent::{ConsentChange, ConsentState};

use super::{NONE, Transitions, assert_documented, transition};
use crate::fixture::Setting;

const PHONE: &str = "+13125550199";

fn state_name(state: Option<ConsentState>) -> &'static str {
    match state {
        None => NONE,
        Some(ConsentState::Pending) => "Pending",
        Some(ConsentState::OptedIn) => "OptedIn",
        Some(ConsentState::OptedOut) => "OptedOut",
    }
}

fn change_name(change: ConsentChange) -> &'static str {
    match change {
        ConsentChange::Ask => "ask",
        ConsentChange::Start => "start",
        ConsentChange::StartShared => "shared start",
        ConsentChange::Stop => "stop",
    }
}

#[tokio::test]
async fn the_transitions_of_consent_are_those_of_the_document() {
    let setting = Setting::new().await;
    let tenant = setting.tenant();
    let states = [None].into_iter().chain(ConsentState::ALL.iter().copied().map(Some));
    let mut found = Transitions::new();
    for from in states {
        for change in ConsentChange::ALL {
            setting.run("delete from consents").await;
            if let Some(state) = from {
                let row = format!(
                    "insert into consents (district_id, phone, state, changed_at, source)
                     values ('{}', '{PHONE}', {}, now(), 'test')",
                    setting.district,
                    state.number()
                );
                setting.run(&row).await;
            }
            let moved = tenant.change_consent(PHONE, change, "test", setting.now().await).await.unwrap();
            let to = tenant.consent(PHONE).await.unwrap().map(|consent| consent.state);
            assert_eq!(moved, from != to, "{from:?} {change:?}");
            if moved {
                found.insert(transition(state_name(from), state_name(to), change_name(change)));
            }
        }
    }
    let allowed: Transitions = ConsentChange::ALL
        .into_iter()
        .flat_map(|change| change.from().iter().map(move |from| (*from, change)))
        .map(|(from, change)| {
            transition(state_name(from), state_name(Some(change.to())), change_name(change))
        })
        .collect();
    assert_eq!(found, allowed, "the statement does what the domain allows");
    assert_documented("Consent", &found);
}
