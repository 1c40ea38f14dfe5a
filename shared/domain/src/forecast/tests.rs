//! What a forecast has to come to, case by case.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::limits::DistrictLimit;
use crate::policy::Machines;
use crate::window::{WrittenHours, WrittenWindow, zone_named};
use crate::{AccountId, Outcome, OutcomeSet};

/// Monday, 06:00 in Chicago.
fn begin() -> DateTime<Utc> {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

fn at(seconds: f64) -> DateTime<Utc> {
    begin() + TimeDelta::milliseconds((seconds * 1000.0) as i64)
}

fn chicago() -> Option<Zone> {
    zone_named("America/Chicago")
}

fn account() -> AccountState {
    AccountState {
        id: AccountId(1),
        parent: None,
        name: "one".to_owned(),
        own: false,
        rate_per_second: None,
        slowed: false,
        concurrency: None,
        reserve: 0,
        depth: None,
        stopped: false,
    }
}

fn rate(per_second: f64) -> AccountState {
    AccountState { rate_per_second: Some(per_second), ..account() }
}

fn calls(places: u32) -> AccountState {
    AccountState { concurrency: Some(places), ..account() }
}

/// Jobs of an earlier campaign that all went so: the outcomes of their tries.
fn earlier(jobs: i32, per_second: f64, seconds: f64, tries: &[Outcome]) -> Earlier {
    let tried = (0..jobs).flat_map(|job| {
        tries.iter().enumerate().map(move |(number, outcome)| {
            let claimed = f64::from(job) / per_second + number as f64 * 1_000.0;
            Tried { job, outcome: *outcome, claimed_at: at(claimed), settled_at: at(claimed + seconds) }
        })
    });
    Earlier { tried: tried.collect(), scale: 1.0, limited: false }
}

struct Case {
    channel: Channel,
    accounts: Vec<AccountState>,
    district: District,
    earlier: Vec<Earlier>,
    rivals: Vec<Rival>,
    groups: Vec<Group>,
    redial: RedialPolicy,
    window: Option<CallingWindow>,
}

impl Case {
    fn new(channel: Channel, devices: u64, accounts: &[AccountState], earlier: &[Earlier]) -> Self {
        Self {
            channel,
            accounts: accounts.to_vec(),
            district: District::default(),
            earlier: earlier.to_vec(),
            rivals: Vec::new(),
            groups: vec![Group { zone: chicago(), cost: 1, devices }],
            redial: redial(1, 60),
            window: None,
        }
    }

    fn plan(&self) -> Plan {
        let capacity = Capacity::of(self.channel, Lane::General, &self.accounts, self.district);
        let devices = self.groups.iter().map(|group| group.devices).sum();
        let history = History::learn(self.channel, &self.earlier, capacity.as_ref().ok(), devices);
        let rivals = Rivals::of(Lane::General, 1, &self.rivals);
        let channel = ChannelPlan { groups: self.groups.clone(), capacity, rivals, history };
        Plan {
            dial: Dial::Hours24,
            begins_at: begin(),
            ahead_seconds: 0.0,
            expires_at: begin() + TimeDelta::hours(24),
            lane: Lane::General,
            redial: self.redial.clone(),
            calling_window: self.window.clone(),
            start: Start::learn(&[]),
            channels: [(self.channel, channel)].into(),
        }
    }

    fn forecast(&self) -> Forecast {
        forecast(&self.plan(), 1)
    }
}

fn redial(attempts_max: u8, wait_seconds: u32) -> RedialPolicy {
    RedialPolicy {
        attempts_max,
        wait_seconds,
        machines: Machines::Ignored,
        confirm: false,
        outcomes: OutcomeSet::transient(),
    }
}

fn hours(opens: &str, closes: &str) -> CallingWindow {
    let days = ["monday", "tuesday"].map(str::to_owned).to_vec();
    let hours = vec![WrittenHours { days, opens: opens.to_owned(), closes: closes.to_owned() }];
    CallingWindow::read(&WrittenWindow { hours, holidays: Vec::new() }).unwrap()
}

#[track_caller]
fn near(what: &str, found: Option<Percentiles>, seconds: f64) {
    let found = found.unwrap_or_else(|| panic!("{what}: nothing"));
    let off = (found.p50 - seconds).abs();
    assert!(off <= 0.05 * seconds + 1.5, "{what}: {found:?}, not {seconds}");
    assert!(found.p50 <= found.p90, "{what}: {found:?}");
}

#[test]
fn a_campaign_takes_what_its_slowest_limit_lets_through() {
    use Channel::{Sms, Voice};
    let delivered = [earlier(600, 1_000.0, 1.0, &[Outcome::Delivered])];
    let called = [earlier(600, 1_000.0, 10.0, &[Outcome::Completed])];
    let limit = |rate_per_second, concurrency| District {
        limit: Some(DistrictLimit { rate_per_second, concurrency, spares_emergencies: false }),
        campaign_rate_per_second: None,
    };
    let own = District { campaign_rate_per_second: Some(5.0), ..District::default() };
    let none = District::default();
    let texts = |accounts: &[AccountState]| Case::new(Sms, 1_000, accounts, &delivered);
    let voice = |accounts: &[AccountState]| Case::new(Voice, 400, accounts, &called);
    let sender =
        |id, per_second| AccountState { id: AccountId(id), parent: Some(AccountId(1)), ..rate(per_second) };
    let reserved = AccountState { reserve: 10, ..calls(30) };
    // First attempts; the last outcome comes after its own time. A call's place has another after half a second.
    let cases = [
        ("a rate", texts(&[rate(50.0)]), none, 20.0, 21.0),
        (
            "two accounts",
            texts(&[rate(50.0), AccountState { id: AccountId(2), ..rate(150.0) }]),
            none,
            5.0,
            6.0,
        ),
        ("senders", texts(&[rate(50.0), sender(2, 4.0), sender(3, 6.0)]), none, 100.0, 101.0),
        ("the district's rate", texts(&[rate(50.0)]), limit(Some(10.0), None), 100.0, 101.0),
        ("the author's rate", texts(&[rate(50.0)]), own, 200.0, 201.0),
        ("no limit: what was reached", texts(&[account()]), none, 1.0, 2.0),
        ("places", voice(&[calls(20)]), none, 199.5, 209.5),
        ("places less the reserve", voice(&[reserved]), none, 199.5, 209.5),
        ("the district's places", voice(&[calls(20)]), limit(None, Some(10)), 409.0, 420.0),
        (
            "a rate below what the places let through",
            voice(&[AccountState { rate_per_second: Some(1.0), ..calls(20) }]),
            none,
            400.0,
            410.0,
        ),
    ];
    for (what, case, district, first, all) in cases {
        let found = Case { district, ..case }.forecast();
        near(&format!("{what}, first attempts"), found.last_first_attempt, first);
        near(&format!("{what}, completion"), found.completion, all);
        assert_eq!(found.channels.len(), 1);
    }
    let three_segments =
        Case { groups: vec![Group { zone: None, cost: 3, devices: 1_000 }], ..texts(&[rate(50.0)]) };
    near("segments", three_segments.forecast().completion, 61.0);
}

#[test]
fn what_is_redialed_comes_back_after_its_wait_until_its_tries_are_used_up() {
    let busy = [earlier(600, 1_000.0, 2.0, &[Outcome::Busy; 4])];
    for (attempts_max, all) in [(1, 2.0), (2, 2.0 + 62.0), (4, 2.0 + 3.0 * 62.0)] {
        let case =
            Case { redial: redial(attempts_max, 60), ..Case::new(Channel::Voice, 50, &[rate(100.0)], &busy) };
        near(&format!("{attempts_max} attempts"), case.forecast().completion, all);
    }
    let ends = Case {
        redial: RedialPolicy { outcomes: [Outcome::NoAnswer].into_iter().collect(), ..redial(4, 60) },
        ..Case::new(Channel::Voice, 50, &[rate(100.0)], &busy)
    };
    near("busy is not redialed", ends.forecast().completion, 2.0);
    let second_answers = [earlier(600, 1_000.0, 2.0, &[Outcome::Busy, Outcome::Completed])];
    let case =
        Case { redial: redial(4, 60), ..Case::new(Channel::Voice, 50, &[rate(100.0)], &second_answers) };
    near("the second try answers", case.forecast().completion, 64.0);
}

#[test]
fn redials_share_the_limits_with_what_is_still_to_be_tried() {
    let busy = [earlier(600, 1_000.0, 1.0, &[Outcome::Busy; 2])];
    let case = Case { redial: redial(2, 10), ..Case::new(Channel::Voice, 1_000, &[rate(10.0)], &busy) };
    let found = case.forecast();
    near("first attempts, which fell due first", found.last_first_attempt, 100.0);
    near("completion", found.completion, 200.0);
}

#[test]
fn closed_windows_are_waited_for_and_told() {
    let delivered = [earlier(600, 1_000.0, 1.0, &[Outcome::Delivered])];
    let group = |zone: Option<&str>, devices| Group { zone: zone.and_then(zone_named), cost: 1, devices };
    let case = |groups: &[Group]| Case {
        groups: groups.to_vec(),
        window: Some(hours("08:00", "20:00")),
        ..Case::new(Channel::Sms, 0, &[rate(100.0)], &delivered)
    };
    // 06:00 in Chicago is 07:00 in New York and 12:00 in London.
    let found = case(&[
        group(Some("Europe/London"), 50),
        group(Some("America/New_York"), 20),
        group(Some("America/Chicago"), 12),
    ])
    .forecast();
    assert_eq!(found.waiting_for_window, 32);
    near("Chicago opens in two hours", found.completion, 7_201.0);
    for words in
        ["sms: 20 devices wait for 08:00 America/New_York", "sms: 12 devices wait for 08:00 America/Chicago"]
    {
        assert!(found.notes.iter().any(|note| note == words), "{words}: {:?}", found.notes);
    }
    // What is not through when the window closes goes on when it opens again: 7,200 until 14:00 in London.
    let slow = Case {
        window: Some(hours("08:00", "14:00")),
        accounts: vec![rate(1.0)],
        ..case(&[group(Some("Europe/London"), 7_260)])
    };
    near("the rest tomorrow", slow.forecast().completion, 20.0 * 3_600.0 + 60.0);
    let unknown = case(&[group(None, 3)]).forecast();
    assert_eq!(unknown.waiting_for_window, 3);
    near("an unknown zone fails closed", unknown.completion, 24.0 * 3_600.0);
    assert_eq!(unknown.last_first_attempt, None);
    assert!(unknown.notes[0].contains("time zone"), "{:?}", unknown.notes);
}

#[test]
fn other_messages_of_the_lane_share_and_earlier_lanes_go_first() {
    let delivered = [earlier(600, 1_000.0, 1.0, &[Outcome::Delivered])];
    let rival = |lane, own, weight, jobs| Rival { lane, own, weight, campaigns: 1, jobs };
    let cases = [
        ("an earlier lane", vec![rival(Lane::Emergency, false, 1, 1_000)], 40.0),
        ("a later lane", vec![], 20.0),
        ("an equal district", vec![rival(Lane::General, false, 1, 100_000)], 40.0),
        ("an equal district with a little", vec![rival(Lane::General, false, 1, 100)], 22.0),
        ("one of three times the weight", vec![rival(Lane::General, false, 3, 100_000)], 80.0),
        ("another message of the same district", vec![rival(Lane::General, true, 1, 100_000)], 40.0),
        ("both", vec![rival(Lane::General, true, 1, 100_000), rival(Lane::General, false, 1, 100_000)], 80.0),
    ];
    for (what, rivals, first) in cases {
        let case = Case { rivals, ..Case::new(Channel::Sms, 1_000, &[rate(50.0)], &delivered) };
        near(what, case.forecast().last_first_attempt, first);
    }
    // Until a campaign of later begins, what is waiting now is served.
    let rivals = vec![rival(Lane::Emergency, false, 1, 1_000), rival(Lane::General, false, 1, 100_000)];
    let case = Case { rivals, ..Case::new(Channel::Sms, 1_000, &[rate(50.0)], &delivered) };
    for (ahead_seconds, first) in [(0.0, 60.0), (20.0, 40.0), (5_000.0, 20.0)] {
        near("later", forecast(&Plan { ahead_seconds, ..case.plan() }, 1).last_first_attempt, first);
    }
}

#[test]
fn a_large_campaign_is_forecast_as_a_small_one_with_bounded_work() {
    let called = [earlier(600, 1_000.0, 10.0, &[Outcome::Busy, Outcome::Completed])];
    for (devices, places) in
        [(3_000, 20), (1_000_000, 20), (1_000_000, 1_000), (1_000_000, 20_000), (400, 3_000)]
    {
        let case = Case {
            redial: redial(2, 60),
            accounts: vec![calls(places)],
            ..Case::new(Channel::Voice, devices, &[], &called)
        };
        // The engine itself is taken to make a thousand a second.
        let by_places = 2.0 * devices as f64 / f64::from(places) * 10.5;
        let all = by_places.max(2.0 * devices as f64 / 1_000.0).max(10.0 + 60.0 + 10.0);
        near(&format!("{devices} over {places}"), case.forecast_until(at(1e8)).completion, all);
    }
}

impl Case {
    fn forecast_until(&self, expires_at: DateTime<Utc>) -> Forecast {
        forecast(&Plan { expires_at, ..self.plan() }, 1)
    }
}

#[test]
fn what_cannot_be_sent_has_no_forecast_and_says_why() {
    let stopped = AccountState { stopped: true, ..account() };
    let cases = [
        (vec![], "no provider account serves the channel"),
        (vec![stopped.clone()], "stopped, so that nothing will be sent until they are resumed: one"),
        (
            vec![account(), AccountState { id: AccountId(2), parent: Some(AccountId(1)), ..stopped.clone() }],
            "stopped",
        ),
    ];
    for (accounts, words) in cases {
        let found = Case::new(Channel::Voice, 10, &accounts, &[]).forecast();
        assert_eq!((found.last_first_attempt, found.completion), (None, None), "{words}");
        assert!(found.notes.iter().any(|note| note.contains(words)), "{words}: {:?}", found.notes);
    }
    let nobody = Case::new(Channel::Voice, 0, &[account()], &[]).forecast();
    assert_eq!((nobody.completion, nobody.notes.len()), (None, 0));
    let beside =
        Case::new(Channel::Sms, 10, &[rate(10.0), AccountState { id: AccountId(2), ..stopped }], &[]);
    assert!(beside.forecast().completion.is_some());
    let own = AccountState { own: true, ..rate(1.0) };
    let of_its_own =
        Case::new(Channel::Sms, 100, &[AccountState { id: AccountId(2), ..rate(99.0) }, own], &[]);
    near(
        "a district with an account of its own uses no other",
        of_its_own.forecast().last_first_attempt,
        100.0,
    );
}

#[test]
fn a_campaign_that_expires_before_its_end_ends_then() {
    let case = Case::new(Channel::Sms, 10_000, &[rate(1.0)], &[]);
    near("two hours", case.forecast_until(at(7_200.0)).completion, 7_200.0);
}

#[test]
fn the_newest_campaigns_say_what_becomes_of_attempts() {
    let [old, new] =
        [Outcome::Busy, Outcome::Completed].map(|outcome| earlier(600, 1_000.0, 2.0, &[outcome; 2]));
    let of = |all: &[Earlier]| {
        let case = Case { redial: redial(2, 60), ..Case::new(Channel::Voice, 50, &[rate(100.0)], all) };
        case.forecast()
    };
    near("all busy", of(std::slice::from_ref(&old)).completion, 64.0);
    near("now all are answered", of(&[new.clone(), old.clone()]).completion, 2.0);
    let few = earlier(30, 1_000.0, 2.0, &[Outcome::Completed]);
    near("too few to forget the others", of(&[few, old]).completion, 64.0);
    let nothing = of(&[]);
    assert!(nothing.notes[0].contains("no earlier campaign"), "{:?}", nothing.notes);
    assert!(nothing.completion.is_some());
}

#[test]
fn the_speed_is_learnt_from_what_was_in_the_way() {
    let voice = |earlier: Earlier, accounts: &[AccountState]| {
        Case::new(Channel::Voice, 400, accounts, &[earlier]).forecast().last_first_attempt
    };
    // Twenty places that made eight calls of two seconds a second: each place stood idle for half a second.
    let slow = earlier(400, 8.0, 2.0, &[Outcome::Completed]);
    near("the same places", voice(slow.clone(), &[calls(20)]), 50.0);
    near("half of them", voice(earlier(400, 4.0, 2.0, &[Outcome::Completed]), &[calls(10)]), 100.0);
    // 95 of 100 a second: so much of the rate is made.
    near("a rate", voice(earlier(400, 95.0, 1.0, &[Outcome::Completed]), &[rate(100.0)]), 4.2);
    // Far below the rate, with nothing else in the way: that is what the engine does.
    near("the engine", voice(earlier(400, 20.0, 1.0, &[Outcome::Completed]), &[rate(100.0)]), 20.0);
    let limited = Earlier { limited: true, ..earlier(400, 5.0, 1.0, &[Outcome::Completed]) };
    near("not what an author slowed", voice(limited, &[rate(100.0)]), 4.0);
    // A short campaign was still gathering speed: it tells of small ones only.
    let short = earlier(60, 20.0, 1.0, &[Outcome::Completed]);
    for (devices, first) in [(240, 12.0), (2_400, 24.0)] {
        let case = Case::new(Channel::Voice, devices, &[rate(100.0)], std::slice::from_ref(&short));
        near("a short one", case.forecast().last_first_attempt, first);
    }
    let sampled = Earlier { scale: 10.0, ..earlier(400, 2.0, 1.0, &[Outcome::Completed]) };
    near("each of a sample stands for ten", voice(sampled, &[account()]), 20.0);
}

#[test]
fn a_start_is_as_long_as_the_audience_is_large() {
    let started = |jobs, expansion_seconds| Started { jobs, expansion_seconds, release_seconds: 0.2 };
    let start = Start::learn(&[started(10_000, 2.0), started(100, 0.3)]);
    assert_eq!((start.seconds(0), start.seconds(50_000)), (0.5, 10.5));
    assert!(Start::learn(&[]).seconds(1_000_000) < 120.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn percentiles_are_ordered_and_the_same_facts_give_the_same_forecast(
        devices in 1_u64..300, places in 1_u32..400, per_second in 1.0..500.0_f64, tries in 1_u8..5, seed: u64,
    ) {
        let mix = [Outcome::Busy, Outcome::NoAnswer, Outcome::Completed].map(|outcome| earlier(200, 50.0, 3.0, &[outcome]));
        let account = AccountState { rate_per_second: Some(per_second), ..calls(places) };
        let case = Case { redial: redial(tries, 30), ..Case::new(Channel::Voice, devices, &[account], &mix) };
        let found = forecast(&case.plan(), seed);
        let (first, all) = (found.last_first_attempt.unwrap(), found.completion.unwrap());
        prop_assert!(0.0 < first.p50 && first.p50 <= first.p90 && first.p50 <= all.p50 && all.p50 <= all.p90, "{found:?}");
        prop_assert!(first.p50 + 1.0 >= devices as f64 / per_second, "{found:?}");
        prop_assert_eq!(found, forecast(&case.plan(), seed));
    }
}
