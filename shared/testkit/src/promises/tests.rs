//! Each violation is planted and found, and what only looks like one is not.

use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::{Channel, Outcome};
use tocsin_providers::Secret;
use uuid::Uuid;

use super::*;

const JOB: i32 = 1;

fn id() -> CampaignId {
    CampaignId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

/// Milliseconds into the run.
fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + ms).unwrap()
}

fn send(number: i16, ms: i64, effect: Effect) -> Send {
    let attempt = AttemptKey { job: JobKey { campaign: id(), job: JOB }, number };
    Send { attempt, arrived_at: at(ms), effect }
}

fn attempt(number: i16, outcome: Option<Outcome>) -> AttemptFact {
    let claimed = i64::from(number) * 10_000;
    let state = if outcome.is_some() { AttemptState::Settled } else { AttemptState::Unknown };
    let settled_at = outcome.map(|_| at(claimed + 1_000));
    AttemptFact { job: JOB, number, state, outcome, claimed_at: at(claimed), settled_at }
}

/// A closed campaign with one recipient, one device and these attempts.
fn facts(attempts: Vec<AttemptFact>) -> Facts {
    Facts {
        campaign: CampaignFacts {
            id: id(),
            lane: Lane::General,
            redial: RedialPolicy::default_for(Lane::General),
            recipients_made: 1,
            jobs_made: 1,
            closed_at: Some(at(100_000)),
            canceled_at: None,
        },
        recipients: vec![RecipientFact { recipient: 1, no_device: false }],
        jobs: vec![JobFact {
            job: JOB,
            recipient: 1,
            channel: Channel::Voice,
            duplicate: false,
            state: JobState::Ended,
            outcome: Some(Outcome::LivePerson),
            attempts: attempts.len() as i16,
        }],
        attempts,
    }
}

/// Two tries, the first of them busy.
fn redialed() -> (Facts, Vec<Send>) {
    let attempts = vec![attempt(1, Some(Outcome::Busy)), attempt(2, Some(Outcome::LivePerson))];
    (facts(attempts), vec![send(1, 10_050, Effect::Accepted), send(2, 20_050, Effect::Accepted)])
}

#[test]
fn a_run_that_kept_its_promises_has_no_violation() {
    let (facts, sends) = redialed();
    assert_eq!(compare(&facts, &sends), Violations::default());
}

#[test]
fn what_is_missing_or_not_final_is_lost() {
    type Change = fn(&mut Facts);
    let table: [(&str, Change); 8] = [
        ("is not closed", |facts| facts.campaign.closed_at = None),
        ("made 2 recipients and has 1", |facts| facts.campaign.recipients_made = 2),
        ("made 2 jobs and has 1", |facts| facts.campaign.jobs_made = 2),
        ("recipient 1: has devices and no job", |facts| facts.jobs[0].recipient = 7),
        ("/1: claimed without a final outcome", |facts| facts.jobs[0].state = JobState::Claimed),
        ("/1: waiting without a final outcome", |facts| facts.jobs[0].state = JobState::Waiting),
        ("/1: ended without a final outcome", |facts| facts.jobs[0].outcome = None),
        ("/1/2: a request arrived", |facts| facts.attempts.truncate(1)),
    ];
    for (expected, change) in table {
        let (mut facts, sends) = redialed();
        change(&mut facts);
        let violations = compare(&facts, &sends);
        assert_eq!(violations.lost.len(), 1, "{expected}: {violations:?}");
        assert!(violations.lost[0].contains(expected), "{expected}: {violations:?}");
        assert!(violations.lost[0].contains(&id().to_string()), "{violations:?}");
    }
}

#[test]
fn a_recipient_without_device_needs_no_job() {
    let (mut facts, sends) = redialed();
    facts.campaign.recipients_made = 2;
    facts.recipients.push(RecipientFact { recipient: 2, no_device: true });
    assert!(compare(&facts, &sends).is_empty());
}

#[test]
fn a_second_request_needs_a_finished_redialable_outcome_before_it() {
    use Effect::{Accepted, None as Nobody, Unanswered};
    use Lane::{Emergency, General};
    let settled = |outcome| attempt(1, Some(outcome));
    let late = AttemptFact { settled_at: Some(at(20_500)), ..settled(Outcome::Busy) };
    let accepted = AttemptFact { state: AttemptState::Accepted, ..settled(Outcome::Busy) };
    let table = [
        ("busy", General, settled(Outcome::Busy), Accepted, None),
        ("busy, told too late", General, late, Accepted, Some("settled only afterwards")),
        ("busy so far", General, accepted, Accepted, Some("the first is accepted")),
        ("answered", General, settled(Outcome::LivePerson), Accepted, Some("came to live_person")),
        ("answered emergency", Emergency, settled(Outcome::LivePerson), Accepted, Some("live_person")),
        ("doubt", General, attempt(1, None), Accepted, Some("the first is unknown")),
        ("silence", General, settled(Outcome::NoCallStatus), Accepted, Some("came to no_call_status")),
        ("doubt of an emergency", Emergency, attempt(1, None), Accepted, None),
        ("silence of an emergency", Emergency, settled(Outcome::NoCallStatus), Accepted, None),
        ("no answer at all", General, settled(Outcome::NoCallStatus), Unanswered, Some("no_call_status")),
        ("doubt cleared up afterwards", Emergency, settled(Outcome::LivePerson), Unanswered, None),
        ("throttled", General, settled(Outcome::Throttled), Nobody, None),
        ("refused", General, settled(Outcome::InvalidNumber), Nobody, None),
    ];
    for (case, lane, first, effect, expected) in table {
        let mut facts = facts(vec![first, attempt(2, Some(Outcome::LivePerson))]);
        facts.campaign.lane = lane;
        // In any order: the arrival counts.
        let sends = [send(2, 20_050, Accepted), send(1, 10_050, effect)];
        let found = compare(&facts, &sends).sent_twice;
        assert_eq!(found.len(), usize::from(expected.is_some()), "{case}: {found:?}");
        assert!(expected.is_none_or(|text| found[0].contains(text)), "{case}: {found:?}");
    }
}

#[test]
fn two_requests_of_one_attempt_are_twice_in_every_lane() {
    for lane in Lane::ALL {
        let mut facts = facts(vec![attempt(1, Some(Outcome::Busy))]);
        facts.campaign.lane = lane;
        let sends = [send(1, 10_050, Effect::Unanswered), send(1, 10_900, Effect::Accepted)];
        let found = compare(&facts, &sends).sent_twice;
        assert!(matches!(&found[..], [only] if only.contains("two requests")), "{lane}: {found:?}");
    }
}

#[test]
fn a_request_long_after_the_cancel_or_of_a_later_claim_is_found() {
    // The claim was at 10.000, its request arrived at 10.050.
    let table = [
        ("never canceled", None, 10_050, None),
        ("canceled later", Some(11_000), 10_050, None),
        ("claimed before, sent within its time", Some(9_990), 12_490, None),
        ("claimed before, sent too late", Some(9_990), 12_491, Some("arrived 2.501 s after")),
        ("claimed within the margin of the commit", Some(9_500), 10_050, None),
        ("claimed after", Some(9_499), 10_050, Some("claimed 0.501 s after")),
    ];
    for (case, canceled, arrived, expected) in table {
        let mut facts = facts(vec![attempt(1, Some(Outcome::LivePerson))]);
        facts.campaign.canceled_at = canceled.map(at);
        // Whatever it was answered: it should not have been asked.
        let found = compare(&facts, &[send(1, arrived, Effect::None)]).sent_after_cancel;
        assert_eq!(found.len(), usize::from(expected.is_some()), "{case}: {found:?}");
        assert!(expected.is_none_or(|text| found[0].contains(text)), "{case}: {found:?}");
    }
}

#[test]
fn records_are_read_as_sends_by_their_token() {
    let keys = TokenKeys::new(&Secret::new("k"), None);
    let key = send(1, 0, Effect::None).attempt;
    let record = |kind, token: Option<String>, answered, provider_id: Option<&str>| Record {
        arrived_at: at(0),
        channel: Channel::Sms,
        kind,
        token,
        to: None,
        from: None,
        provider_id: provider_id.map(str::to_owned),
        answered,
    };
    let token = Some(keys.mint(key, Lane::General));
    let records = [
        record(Kind::Send, token.clone(), 201, Some("SM1")),
        record(Kind::Send, token.clone(), 0, Some("SM2")),
        record(Kind::Send, token.clone(), 0, None),
        record(Kind::Send, token.clone(), 429, None),
        record(Kind::Recall, None, 200, Some("SM1")),
        record(Kind::Send, None, 201, Some("SM3")),
        record(Kind::Send, Some("made-up".to_owned()), 201, Some("SM4")),
    ];
    let mut seen = Seen::default();
    // In pages or at once: it makes no difference.
    records.chunks(3).for_each(|page| seen.read(page, &keys));
    let effects: Vec<Effect> = seen.sends[&id()].iter().map(|send| send.effect).collect();
    assert_eq!(effects, [Effect::Accepted, Effect::Unanswered, Effect::Unanswered, Effect::None]);
    assert_eq!(seen.strange.len(), 2, "{seen:?}");
}

#[test]
fn a_repeated_emergency_is_told_by_its_cause_and_a_found_one_is_no_doubt() {
    use Effect::{Accepted, Unanswered};
    use Outcome::{Busy, LivePerson};
    let key = |number| send(number, 0, Accepted).attempt;
    let none = || vec![];
    // The lane, the first attempt and its effect, when the person was looked up, and the cause.
    let table = [
        (Lane::Emergency, None, Unanswered, none(), Some(Cause::AnswerNotGiven)),
        (Lane::Emergency, None, Accepted, none(), Some(Cause::AnswerNotKept)),
        (Lane::Emergency, None, Unanswered, vec![15_000], Some(Cause::Found)),
        (Lane::Emergency, None, Unanswered, vec![9_000, 25_000], Some(Cause::AnswerNotGiven)),
        (Lane::Emergency, Some(LivePerson), Unanswered, none(), Some(Cause::AnswerNotGiven)),
        (Lane::Emergency, Some(Busy), Accepted, none(), None),
        (Lane::General, None, Unanswered, none(), None),
    ];
    for (lane, outcome, effect, looked_up, expected) in table {
        let mut facts = facts(vec![attempt(1, outcome), attempt(2, Some(LivePerson))]);
        facts.campaign.lane = lane;
        let sends = [send(1, 10_050, effect), send(2, 20_050, Accepted)];
        let people = repeats::People {
            to: [1, 2].map(|number| (key(number), "+1")).into(),
            looked_up: [("+1", looked_up.into_iter().map(at).collect())].into(),
        };
        let found = repeats::repeats_of(&facts, &sends, &people);
        let causes: Vec<Cause> = found.iter().map(|repeat| repeat.cause).collect();
        assert_eq!(causes, Vec::from_iter(expected), "{lane} {outcome:?} {effect:?}");
        // Whoever the first request did not reach is reached once.
        let unreached = repeats::People { to: [(key(2), "+1")].into(), ..people };
        assert_eq!(repeats::repeats_of(&facts, &sends, &unreached), []);
    }
    assert!(Cause::AnswerNotGiven.is_doubt() && Cause::AnswerNotKept.is_doubt() && !Cause::Found.is_doubt());
}
