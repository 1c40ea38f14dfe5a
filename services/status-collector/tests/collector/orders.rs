//! Promise 8: whatever order, number and time reports come in, they end in the same state.

use tocsin_domain::{AttemptKey, AttemptState, Channel, JobState, Lane, Outcome};

use crate::stage::{Stage, Standing};

/// One call's four reports, as the vendor numbers them (wire A.3).
const CALL: [&[(&str, &str)]; 4] = [
    &[("CallSid", "CA1"), ("CallStatus", "initiated"), ("SequenceNumber", "0")],
    &[("CallSid", "CA1"), ("CallStatus", "ringing"), ("SequenceNumber", "1")],
    &[("CallSid", "CA1"), ("CallStatus", "in-progress"), ("SequenceNumber", "2")],
    &[("CallSid", "CA1"), ("CallStatus", "completed"), ("SequenceNumber", "3"), ("AnsweredBy", "human")],
];

fn permutations() -> Vec<[usize; 4]> {
    let mut all = Vec::new();
    for code in 0..256_usize {
        let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3];
        if (0..4).all(|report| order.contains(&report)) {
            all.push(order);
        }
    }
    all
}

async fn call(stage: &Stage, attempt: AttemptKey, report: usize) {
    assert_eq!(stage.twilio(Channel::Voice, Lane::General, attempt, CALL[report]).await, 200);
}

fn answered() -> Standing {
    Standing {
        attempt: AttemptState::Settled,
        outcome: Some(Outcome::LivePerson),
        provider_code: Some("completed".into()),
        provider_id: Some("CA1".into()),
        job: JobState::Ended,
        job_outcome: Some(Outcome::LivePerson),
    }
}

#[tokio::test]
async fn every_permutation_of_a_calls_reports_ends_in_the_same_state() {
    let (stage, _) = Stage::memory().await;
    let orders = permutations();
    assert_eq!(orders.len(), 24);
    stage.fixture.guardians(24, Channel::Voice).await.unwrap();
    let attempts = stage.attempts(Lane::General, Channel::Voice).await;
    for position in 0..4 {
        for (attempt, order) in attempts.iter().zip(&orders) {
            call(&stage, *attempt, order[position]).await;
        }
        // Each position is applied before the next is sent, so no batch puts them in order again.
        stage.events_become(24 * (position as i64 + 1), 0).await;
    }
    for (attempt, order) in attempts.into_iter().zip(orders) {
        assert_eq!(stage.standing(attempt).await, answered(), "{order:?}");
    }
}

/// Reports of a call for which detection was asked, and was told beside it.
const DETECTED: [&[(&str, &str)]; 4] = [
    &[("CallSid", "CA1"), ("CallStatus", "in-progress"), ("SequenceNumber", "1")],
    &[("CallSid", "CA1"), ("CallStatus", "completed"), ("SequenceNumber", "2")],
    &[("CallSid", "CA1"), ("CallStatus", "completed"), ("SequenceNumber", "2"), ("Duplicate", "1")],
    &[
        ("CallSid", "CA1"),
        ("AccountSid", "AC1"),
        ("AnsweredBy", "machine_start"),
        ("MachineDetectionDuration", "9"),
    ],
];

#[tokio::test]
async fn every_permutation_of_a_detected_calls_reports_ends_in_the_same_state() {
    let (stage, _) = Stage::memory().await;
    let orders = permutations();
    stage.fixture.guardians(24, Channel::Voice).await.unwrap();
    let attempts = stage.attempts(Lane::General, Channel::Voice).await;
    for position in 0..4 {
        for (attempt, order) in attempts.iter().zip(&orders) {
            let fields = DETECTED[order[position]];
            let query = "?detection=1";
            let answer = stage.twilio_at(Channel::Voice, Lane::General, *attempt, query, fields).await;
            assert_eq!(answer, 200);
        }
        stage.events_become(24 * (position as i64 + 1), 0).await;
    }
    let machine = Some(Outcome::AnsweringMachine);
    let expected = Standing { outcome: machine, provider_code: None, job_outcome: machine, ..answered() };
    for (attempt, order) in attempts.into_iter().zip(orders) {
        assert_eq!(stage.standing(attempt).await, expected, "{order:?}");
    }
}

#[tokio::test]
async fn one_batch_of_all_reports_and_their_duplicates_ends_in_that_state_too() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Voice).await;
    stage.pause_applying().await;
    for report in [3, 1, 3, 0, 2, 1, 3, 0] {
        call(&stage, attempt, report).await;
    }
    stage.resume_applying();
    stage.events_become(8, 0).await;
    assert_eq!(stage.standing(attempt).await, answered());
    let numbered = "select count(*) filter (where sequence = 3) from events";
    assert_eq!(
        stage.query(numbered, &[]).await.get::<_, i64>(0),
        3,
        "duplicates are kept, with their number"
    );
}

#[tokio::test]
async fn a_report_before_the_workers_own_record_counts() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Voice).await;
    assert_eq!(stage.standing(attempt).await.attempt, AttemptState::Asking);
    call(&stage, attempt, 0).await;
    stage.events_become(1, 0).await;
    let early = stage.standing(attempt).await;
    assert_eq!((early.attempt, early.outcome), (AttemptState::Accepted, Some(Outcome::InProgress)));
    assert_eq!(early.job, JobState::Claimed);
}

#[tokio::test]
async fn a_late_answer_withdraws_a_redial() {
    let (stage, _) = Stage::memory().await;
    let attempt = stage.one_attempt(Lane::General, Channel::Voice).await;
    let busy = [("CallSid", "CA1"), ("CallStatus", "busy"), ("SequenceNumber", "2")];
    assert_eq!(stage.twilio(Channel::Voice, Lane::General, attempt, &busy).await, 200);
    stage.events_become(1, 0).await;
    assert_eq!(stage.standing(attempt).await.job, JobState::Waiting);
    call(&stage, attempt, 3).await;
    stage.events_become(2, 0).await;
    let standing = stage.standing(attempt).await;
    assert_eq!((standing.job, standing.job_outcome), (JobState::Ended, Some(Outcome::LivePerson)));
}
