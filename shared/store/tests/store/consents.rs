//! What moves consent and what suppresses an address, and that no barred text leaves without its outcome.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::audience::Role;
use tocsin_domain::consent::{ConsentChange, ConsentClass, ConsentState, EmergencyPolicy};
use tocsin_domain::suppression::{AddressFact, SuppressionReason};
use tocsin_domain::{CampaignId, Channel, DistrictId, Outcome};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::claim::Denied;
use tocsin_store::consents::{Heard, Said};
use tocsin_store::events::Event;
use tocsin_store::suppressions::Learned;
use tocsin_store::tenant::consents::ConsentPolicy;
use tocsin_testkit::fixture::Fixture;
use uuid::Uuid;

use crate::counters::assert_counters;
use crate::fixture::{Setting, attempts, denials};

pub const PHONE: &str = "+13125550100";
/// The fixture's account, whose number every district shares.
pub const SHARED: &str = "sms-1";

pub fn text(account: &str, said: Said, at: DateTime<Utc>) -> Heard {
    Heard { account: account.to_owned(), phone: PHONE.to_owned(), said, at, event: Uuid::new_v4() }
}

pub async fn state_in(setting: &Setting, district: DistrictId) -> Option<ConsentState> {
    setting.store.tenant(district).consent(PHONE).await.unwrap().map(|consent| consent.state)
}

async fn state(setting: &Setting) -> Option<ConsentState> {
    state_in(setting, setting.district).await
}

/// From, to and source of each change, oldest first.
async fn history(setting: &Setting) -> Vec<(Option<ConsentState>, ConsentState, String)> {
    let changes = setting.tenant().consent_history(PHONE).await.unwrap();
    changes.into_iter().rev().map(|change| (change.from, change.to, change.source)).collect()
}

/// Gives the district a number of its own.
async fn own_number(setting: &Setting) -> &'static str {
    let limits = AccountLimits {
        name: "own-sms".to_owned(),
        district: Some(setting.district),
        channel: Channel::Sms,
        rate_per_second: None,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    };
    setting.store.configure_accounts(&[limits], setting.now().await).await.unwrap();
    "own-sms"
}

/// Another district, whose guardian has the phone.
async fn neighbour(setting: &Setting) -> DistrictId {
    let other = Fixture::new(&setting.database).await.unwrap();
    other.guardian(&[(Channel::Sms, PHONE)]).await.unwrap();
    other.district()
}

#[tokio::test]
async fn every_move_of_consent_is_in_its_history_with_its_source() {
    use ConsentState::{OptedIn, OptedOut, Pending};
    let setting = Setting::new().await;
    let account = own_number(&setting).await;
    let (tenant, now) = (setting.tenant(), setting.now().await);
    assert!(tenant.change_consent(PHONE, ConsentChange::Ask, "office", now).await.unwrap());
    assert!(!tenant.change_consent(PHONE, ConsentChange::Ask, "office", now).await.unwrap(), "asked already");
    let later = |seconds| now + TimeDelta::seconds(seconds);
    assert_eq!(setting.store.hear(&[text(account, Said::Start, later(10))]).await.unwrap(), 1);
    assert_eq!(setting.store.hear(&[text(account, Said::Stop, later(20))]).await.unwrap(), 1);
    assert!(!tenant.change_consent(PHONE, ConsentChange::Ask, "office", later(30)).await.unwrap(), "said no");
    setting.store.opt_out(setting.district, PHONE, "provider", later(40)).await.unwrap();
    assert_eq!(setting.store.hear(&[text(account, Said::Start, later(50))]).await.unwrap(), 1);
    setting.store.opt_out(setting.district, PHONE, "provider", later(60)).await.unwrap();
    let expected = [
        (None, Pending, "office"),
        (Some(Pending), OptedIn, "text"),
        (Some(OptedIn), OptedOut, "text"),
        (Some(OptedOut), OptedIn, "text"),
        (Some(OptedIn), OptedOut, "provider"),
    ]
    .map(|(from, to, source)| (from, to, source.to_owned()));
    assert_eq!(history(&setting).await, expected);
    assert_eq!(state(&setting).await, Some(OptedOut));
    let changed = tenant.consent(PHONE).await.unwrap().unwrap();
    assert_eq!((changed.source.as_str(), changed.changed_at), ("provider", later(60)));
}

#[tokio::test]
async fn the_history_can_only_be_added_to() {
    let setting = Setting::new().await;
    setting.store.opt_out(setting.district, PHONE, "provider", setting.now().await).await.unwrap();
    for role in ["tocsin_engine", "tocsin_app"] {
        for change in ["update consent_history set to_state = 2", "delete from consent_history"] {
            let refused =
                setting.owner.batch_execute(&format!("set role {role}; {change}")).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "42501", "{change} as {role}");
            setting.run("reset role").await;
        }
    }
}

#[tokio::test]
async fn a_stop_to_a_shared_number_counts_in_every_district_that_knows_the_phone() {
    let setting = Setting::new().await;
    setting.person(Role::Staff, &[(Channel::Sms, PHONE)]).await;
    let knows = neighbour(&setting).await;
    let does_not = Fixture::new(&setting.database).await.unwrap().district();
    let now = setting.now().await;
    assert_eq!(setting.store.hear(&[text(SHARED, Said::Stop, now)]).await.unwrap(), 2);
    for (district, expected) in [
        (setting.district, Some(ConsentState::OptedOut)),
        (knows, Some(ConsentState::OptedOut)),
        (does_not, None),
    ] {
        assert_eq!(state_in(&setting, district).await, expected);
    }
}

#[tokio::test]
async fn a_stop_is_never_lost_though_nobody_knows_the_phone_or_the_account() {
    for account in [SHARED, "not-configured-here"] {
        let setting = Setting::new().await;
        let other = Fixture::new(&setting.database).await.unwrap().district();
        let now = setting.now().await;
        assert_eq!(setting.store.hear(&[text(account, Said::Stop, now)]).await.unwrap(), 2, "{account}");
        // The phone is imported the day after.
        setting.person(Role::Staff, &[(Channel::Sms, PHONE)]).await;
        let campaign = setting.campaign(|_| ()).await;
        setting.expand(campaign, 10).await;
        assert_eq!(outcomes(&setting, campaign).await, [Some(Outcome::OptOut)]);
        assert_eq!(state_in(&setting, other).await, Some(ConsentState::OptedOut));
    }
}

#[tokio::test]
async fn a_start_to_a_shared_number_counts_only_where_it_answers_something() {
    let setting = Setting::new().await;
    setting.person(Role::Staff, &[(Channel::Sms, PHONE)]).await;
    let (asked, never_asked) = (neighbour(&setting).await, neighbour(&setting).await);
    let now = setting.now().await;
    setting.store.opt_out(setting.district, PHONE, "provider", now).await.unwrap();
    let tenant = setting.store.tenant(asked);
    assert!(tenant.change_consent(PHONE, ConsentChange::Ask, "office", now).await.unwrap());
    let later = now + TimeDelta::seconds(5);
    assert_eq!(setting.store.hear(&[text(SHARED, Said::Start, later)]).await.unwrap(), 2);
    for (district, expected) in [
        (setting.district, Some(ConsentState::OptedIn)),
        (asked, Some(ConsentState::OptedIn)),
        (never_asked, None),
    ] {
        assert_eq!(state_in(&setting, district).await, expected);
    }
}

#[tokio::test]
async fn a_text_to_a_districts_own_number_is_no_other_districts_business() {
    let setting = Setting::new().await;
    let account = own_number(&setting).await;
    let other = neighbour(&setting).await;
    let now = setting.now().await;
    assert_eq!(setting.store.hear(&[text(account, Said::Stop, now)]).await.unwrap(), 1);
    assert_eq!(
        (state(&setting).await, state_in(&setting, other).await),
        (Some(ConsentState::OptedOut), None)
    );
    // And the shared number is none of the district with one of its own, where another knows the phone.
    let start = text(account, Said::Start, now + TimeDelta::seconds(5));
    setting.person(Role::Staff, &[(Channel::Sms, PHONE)]).await;
    assert_eq!(setting.store.hear(&[start]).await.unwrap(), 1);
    let shared = text(SHARED, Said::Stop, now + TimeDelta::seconds(9));
    assert_eq!(setting.store.hear(&[shared]).await.unwrap(), 1);
    let expected = (Some(ConsentState::OptedIn), Some(ConsentState::OptedOut));
    assert_eq!((state(&setting).await, state_in(&setting, other).await), expected);
}

#[tokio::test]
async fn what_is_delivered_late_or_again_does_not_undo_what_was_said_since() {
    let setting = Setting::new().await;
    let account = own_number(&setting).await;
    let now = setting.now().await;
    let stop = text(account, Said::Stop, now);
    let start = text(account, Said::Start, now + TimeDelta::seconds(10));
    let stop_again = text(account, Said::Stop, now + TimeDelta::seconds(20));
    // In one batch and in their order.
    assert_eq!(setting.store.hear(&[stop.clone(), start.clone(), stop_again]).await.unwrap(), 3);
    for redelivered in [&stop, &start] {
        assert_eq!(setting.store.hear(std::slice::from_ref(redelivered)).await.unwrap(), 0);
    }
    assert_eq!(state(&setting).await, Some(ConsentState::OptedOut));
    let lifted = text(account, Said::Start, now + TimeDelta::seconds(30));
    assert_eq!(setting.store.hear(&[lifted]).await.unwrap(), 1);
    assert_eq!(setting.store.hear(std::slice::from_ref(&stop)).await.unwrap(), 0);
    // A copy that the provider posts later is known by its event, not by its time.
    let event = Event {
        id: stop.event,
        ordinal: 0,
        about: tocsin_store::events::About::Nothing,
        received_at: now,
        reported_at: None,
        sequence: None,
        outcome: None,
        account: account.to_owned(),
        provider_id: None,
        provider_code: None,
        raw: None,
    };
    setting.store.record_events(&[event]).await.unwrap();
    let copy = Heard { at: now + TimeDelta::seconds(60), ..stop };
    assert_eq!(setting.store.hear(&[copy]).await.unwrap(), 0);
    assert_eq!(state(&setting).await, Some(ConsentState::OptedIn));
}

#[tokio::test]
async fn a_stop_counts_though_the_clock_that_timed_the_start_is_ahead() {
    let setting = Setting::new().await;
    let account = own_number(&setting).await;
    let now = setting.now().await;
    setting.store.hear(&[text(account, Said::Start, now + TimeDelta::milliseconds(1_900))]).await.unwrap();
    assert_eq!(setting.store.hear(&[text(account, Said::Stop, now)]).await.unwrap(), 1);
    assert_eq!(state(&setting).await, Some(ConsentState::OptedOut));
}

#[tokio::test]
async fn many_stops_at_once_are_one_change() {
    let setting = Setting::new().await;
    let account = own_number(&setting).await;
    let now = setting.now().await;
    // Of a phone that nobody asked, and of one that opted in: there is a row to lock, or none.
    let opted_in = format!(
        "insert into consents (district_id, phone, state, changed_at, source)
         values ('{}', '{PHONE}', 2, tocsin_now() - interval '1 hour', 'test')",
        setting.district
    );
    for round in 0..30 {
        let before = if round % 2 == 0 { "" } else { opted_in.as_str() };
        setting.run(&format!("truncate consents, consent_history; {before}")).await;
        let stops = [(); 4].map(|()| [text(account, Said::Stop, now)]);
        let [a, b, c, d] = &stops;
        let store = &setting.store;
        let heard = tokio::join!(store.hear(a), store.hear(b), store.hear(c), store.hear(d));
        let moved = heard.0.unwrap() + heard.1.unwrap() + heard.2.unwrap() + heard.3.unwrap();
        assert_eq!(moved, 1, "{before:?}");
        assert_eq!(history(&setting).await.len(), 1, "{before:?}");
    }
}

/// Outcomes of the campaign's jobs, in their order.
async fn outcomes(setting: &Setting, campaign: CampaignId) -> Vec<Option<Outcome>> {
    let rows = setting
        .owner
        .query("select outcome from jobs where campaign_id = $1 order by id", &[&campaign.0])
        .await
        .unwrap();
    rows.iter().map(|row| row.get::<_, Option<i16>>(0).and_then(Outcome::from_number)).collect()
}

/// A campaign by `channel` of which one attempt was made, and its address.
async fn tried(setting: &Setting, channel: Channel) -> (tocsin_domain::AttemptKey, String) {
    setting.fixture.guardians(1, channel).await.unwrap();
    let granted = setting.fixture.claimed(tocsin_domain::Lane::General, channel).await.unwrap();
    (granted[0].attempt, granted[0].address.clone())
}

#[tokio::test]
async fn what_providers_tell_of_an_address_bars_it_with_an_outcome_of_its_own() {
    use SuppressionReason::{Complaint, HardBounce, NotTextCapable, Unsubscribe};
    let cases = [
        (Channel::Sms, AddressFact::OptedOut, Outcome::OptOut),
        (Channel::Sms, AddressFact::Suppress(NotTextCapable), Outcome::Ineligible),
        (Channel::Email, AddressFact::Suppress(HardBounce), Outcome::Dropped),
        (Channel::Email, AddressFact::Suppress(Complaint), Outcome::Suppressed),
        (Channel::Email, AddressFact::Suppress(Unsubscribe), Outcome::Suppressed),
    ];
    for (channel, fact, outcome) in cases {
        let setting = Setting::new().await;
        let now = setting.now().await;
        let (attempt, _) = tried(&setting, channel).await;
        // One campaign is expanded before it is known, and one after.
        let to_guardians = |new: &mut tocsin_store::tenant::campaigns::NewCampaign| {
            new.channels = vec![channel];
            new.audience.roles = vec![Role::Guardian];
        };
        let expanded = setting.campaign(to_guardians).await;
        setting.expand(expanded, 10).await;
        let queued = setting.fixture.release_all().await.unwrap();
        let learned = Learned { attempt, fact, at: now, event: None };
        assert_eq!(setting.store.learn(&[learned, learned]).await.unwrap(), 1, "{fact:?}");
        assert_eq!(setting.store.learn(&[learned]).await.unwrap(), 0, "{fact:?} again");
        let queued: Vec<_> = crate::fixture::asked(&queued);
        let answers = setting.store.claim(setting.worker().await, &queued).await.unwrap();
        assert_eq!(denials(&answers), [Denied::Barred(outcome)], "{fact:?}");
        let later = setting.campaign(to_guardians).await;
        setting.expand(later, 10).await;
        for campaign in [expanded, later] {
            assert_eq!(outcomes(&setting, campaign).await, [Some(outcome)], "{fact:?}");
            assert_eq!(setting.jobs_in(campaign, 4).await, 1, "{fact:?}");
            assert_counters(&setting, campaign, &format!("{fact:?}")).await;
        }
    }
}

#[tokio::test]
async fn a_suppression_by_hand_bars_every_channel_with_its_reasons_outcome_and_is_lifted() {
    let setting = Setting::new().await;
    let (tenant, now) = (setting.tenant(), setting.now().await);
    let addresses = ["+13125550101", "+13125550102", "ann@example.org", "ann"];
    let devices: Vec<(Channel, &str)> = Channel::ALL.into_iter().zip(addresses).collect();
    setting.person(Role::Staff, &devices).await;
    let reasons = [
        SuppressionReason::DoNotCall,
        SuppressionReason::Requested,
        SuppressionReason::Requested,
        SuppressionReason::Requested,
    ];
    for ((channel, address), reason) in devices.iter().zip(reasons) {
        assert!(tenant.suppress(*channel, address, reason, "office", now).await.unwrap());
        assert!(!tenant.suppress(*channel, address, reason, "office", now).await.unwrap(), "once is enough");
    }
    let barred =
        [Outcome::DoNotCall, Outcome::Suppressed, Outcome::Suppressed, Outcome::Suppressed].map(Some);
    for expected in [barred, [None; 4]] {
        let campaign = setting.campaign(|new| new.channels = Channel::ALL.to_vec()).await;
        setting.expand(campaign, 10).await;
        assert_eq!(outcomes(&setting, campaign).await, expected);
        assert_counters(&setting, campaign, "by hand").await;
        for (channel, address) in &devices {
            let lifted = tenant.lift_suppression(*channel, address, "office", now).await.unwrap();
            assert_eq!(lifted, expected == barred, "{channel}");
        }
    }
    let audited = "select count(*) from audit where action like 'suppression.%' and actor = 'office'";
    assert_eq!(setting.number(audited).await, 8);
}

#[tokio::test]
async fn a_stop_between_expansion_and_claim_bars_the_claim_and_a_start_lifts_it() {
    let setting = Setting::new().await;
    let account = own_number(&setting).await;
    setting.person(Role::Staff, &[(Channel::Sms, PHONE), (Channel::Voice, PHONE)]).await;
    let now = setting.now().await;
    let campaign = setting.campaign(|new| new.channels = vec![Channel::Sms, Channel::Voice]).await;
    setting.expand(campaign, 10).await;
    let texts = setting.release(campaign, Channel::Sms).await;
    let calls = setting.release(campaign, Channel::Voice).await;
    setting.store.hear(&[text(account, Said::Stop, now)]).await.unwrap();
    let answers = setting.store.claim(setting.worker().await, &texts).await.unwrap();
    assert_eq!(denials(&answers), [Denied::Barred(Outcome::OptOut)]);
    assert_eq!(setting.claim(&calls).await.len(), 1, "a STOP is about texts");
    setting.store.hear(&[text(account, Said::Start, now + TimeDelta::seconds(5))]).await.unwrap();
    let campaign = setting.campaign(|_| ()).await;
    setting.expand(campaign, 10).await;
    assert_eq!(setting.claim(&setting.release(campaign, Channel::Sms).await).await.len(), 1);
}

/// Expansion and claim decide as the domain does, for every class, state and setting.
#[tokio::test]
async fn consent_classes_and_the_districts_setting_bar_what_the_domain_bars() {
    let setting = Setting::new().await;
    let states =
        [None, Some(ConsentState::Pending), Some(ConsentState::OptedIn), Some(ConsentState::OptedOut)];
    for (number, state) in (0..).zip(states) {
        let phone = format!("+1312555020{number}");
        setting.person(Role::Staff, &[(Channel::Sms, &phone)]).await;
        let Some(state) = state else { continue };
        setting
            .run(&format!(
                "insert into consents (district_id, phone, state, changed_at, source)
                 values ('{}', '{phone}', {}, tocsin_now(), 'test')",
                setting.district,
                state.number()
            ))
            .await;
    }
    for policy in [EmergencyPolicy::HonourStop, EmergencyPolicy::OverrideStop] {
        let whole = ConsentPolicy { emergencies: policy, ..ConsentPolicy::default() };
        setting.tenant().set_consent_policy(&whole, "office", setting.now().await).await.unwrap();
        assert_eq!(setting.tenant().consent_policy().await.unwrap(), whole);
        for class in ConsentClass::ALL {
            let campaign = setting.campaign(|new| new.consent_class = class.number()).await;
            setting.expand(campaign, 10).await;
            let context = format!("{class}, {policy:?}");
            let expected = states.map(|state| class.bars(state, policy));
            assert_eq!(outcomes(&setting, campaign).await, expected, "{context}");
            assert_counters(&setting, campaign, &context).await;

            // What the claim is told: all opted out since.
            let queued = setting.release(campaign, Channel::Sms).await;
            setting.run("create table kept as table consents; update consents set state = 3").await;
            setting
                .run(
                    "insert into consents (district_id, phone, state, changed_at, source)
                     select district_id, address, 3, tocsin_now(), 'test' from devices on conflict do nothing",
                )
                .await;
            let answers = setting.store.claim(setting.worker().await, &queued).await.unwrap();
            let barred = class.bars(Some(ConsentState::OptedOut), policy).map(Denied::Barred);
            let expected: Vec<Denied> = queued.iter().filter_map(|_| barred).collect();
            assert_eq!(denials(&answers), expected, "{context}");
            assert_eq!(
                attempts(&crate::fixture::granted(answers)).len(),
                queued.len() - expected.len(),
                "{context}"
            );
            setting.run("truncate consents; insert into consents table kept; drop table kept").await;
        }
    }
}
