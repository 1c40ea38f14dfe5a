//! When an open attempt is looked up, when again, and when its deadline decides.

use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::settlement::{AttemptView, JobView};
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey, Lane};
use uuid::Uuid;

use super::*;

const ANSWER_BY: i64 = 20;
const EMERGENCY_END: i64 = ANSWER_BY + 30;
const GENERAL_END: i64 = ANSWER_BY + 300;
const SILENT_AT: i64 = 15 * 60;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

/// Claimed at second 0.
fn open(state: AttemptState, channel: Channel, lane: Lane, looked_up: Option<i64>) -> OpenAttempt {
    let job = JobKey { campaign: CampaignId(Uuid::nil()), job: 1 };
    let claimed = JobView {
        state: JobState::Claimed,
        attempt: 1,
        tries: 1,
        outcome: None,
        channel,
        lane,
        redial: RedialPolicy::default_for(lane),
        expires_at: at(86_400),
        canceled: false,
        asks_opt_in: false,
    };
    let view = AttemptView { state, ..AttemptView::claimed(AttemptKey { job, number: 1 }, claimed) };
    OpenAttempt { view, claimed_at: at(0), looked_up_at: looked_up.map(at), undecided: false }
}

#[test]
fn an_unknown_attempt_is_looked_up_soon_and_once_more_before_its_doubt_is_over() {
    let ask = || Look::AskProvider;
    let again = |second| Look::Again(at(second));
    let over = || Look::Report(ReportKind::DoubtOver);
    let table = [
        (Lane::Emergency, None, 5, again(ANSWER_BY)),
        (Lane::Emergency, None, ANSWER_BY, ask()),
        (Lane::Emergency, Some(21), 31, again(EMERGENCY_END - 10)),
        (Lane::Emergency, Some(21), EMERGENCY_END - 10, ask()),
        (Lane::Emergency, Some(EMERGENCY_END - 10), EMERGENCY_END - 1, again(EMERGENCY_END)),
        (Lane::Emergency, Some(EMERGENCY_END - 10), EMERGENCY_END, over()),
        (Lane::General, Some(21), 60, again(GENERAL_END - 10)),
        (Lane::General, Some(GENERAL_END - 10), GENERAL_END, over()),
        // A planner that comes late asks first, waits for the answer, and asks no third time.
        (Lane::Emergency, None, EMERGENCY_END + 100, ask()),
        (Lane::Emergency, Some(EMERGENCY_END + 100), EMERGENCY_END + 105, again(EMERGENCY_END + 110)),
        (Lane::Emergency, Some(EMERGENCY_END + 100), EMERGENCY_END + 110, over()),
    ];
    for (lane, looked_up, now, expected) in table {
        let open = open(AttemptState::Unknown, Channel::Voice, lane, looked_up);
        assert_eq!(look(&open, at(now)), expected, "{lane} {looked_up:?} {now}");
    }
}

#[test]
fn a_call_that_is_over_is_looked_up_when_its_detection_is_due_and_then_decided() {
    let until = 90;
    let table = [
        (None, until - 1, Look::Again(at(until))),
        (None, until, Look::AskProvider),
        (Some(until), until + 9, Look::Again(at(until + 10))),
        (Some(until), until + 10, Look::Report(ReportKind::Silence)),
    ];
    for (looked_up, now, expected) in table {
        let mut open = open(AttemptState::Accepted, Channel::Voice, Lane::General, looked_up);
        open.view.detect_until = Some(at(until));
        assert_eq!(look(&open, at(now)), expected, "{looked_up:?} {now}");
    }
}

#[test]
fn a_silent_accepted_attempt_is_looked_up_once_at_its_deadline() {
    let table = [
        (None, 30, Look::Again(at(SILENT_AT))),
        (None, SILENT_AT, Look::AskProvider),
        // A look-up of its time in doubt is not the one at the deadline.
        (Some(40), SILENT_AT, Look::AskProvider),
        (Some(SILENT_AT), SILENT_AT + 9, Look::Again(at(SILENT_AT + 10))),
        (Some(SILENT_AT), SILENT_AT + 10, Look::Report(ReportKind::Silence)),
    ];
    for (looked_up, now, expected) in table {
        let open = open(AttemptState::Accepted, Channel::Sms, Lane::General, looked_up);
        assert_eq!(look(&open, at(now)), expected, "{looked_up:?} {now}");
    }
}

#[test]
fn what_cannot_be_found_or_is_settled_is_not_looked_up() {
    let inbox = open(AttemptState::Unknown, Channel::Inbox, Lane::Emergency, None);
    assert_eq!(look(&inbox, at(ANSWER_BY)), Look::Again(at(EMERGENCY_END)));
    assert_eq!(look(&inbox, at(EMERGENCY_END)), Look::Report(ReportKind::DoubtOver));
    let asking = open(AttemptState::Asking, Channel::Voice, Lane::General, None);
    assert_eq!(look(&asking, at(ANSWER_BY)), Look::Report(ReportKind::Lost));
    let settled = open(AttemptState::Settled, Channel::Voice, Lane::General, None);
    assert_eq!(look(&settled, at(SILENT_AT)), Look::Forget);
    let mut tried_again = open(AttemptState::Unknown, Channel::Voice, Lane::Emergency, None);
    tried_again.view.job.attempt = 2;
    assert_eq!(look(&tried_again, at(ANSWER_BY)), Look::Forget);
}

#[test]
fn what_a_restore_left_in_doubt_waits_for_its_operator_and_not_for_its_lane() {
    let long_over = EMERGENCY_END + 1_000;
    for lane in Lane::ALL {
        let open = |provider_id: Option<&str>, looked_up| {
            let mut open = open(AttemptState::Unknown, Channel::Voice, lane, looked_up);
            open.view.provider_id = provider_id.map(str::to_owned);
            OpenAttempt { undecided: true, ..open }
        };
        let later = Look::Again(at(long_over) + UNDECIDED_WAIT);
        assert_eq!(look(&open(None, None), at(long_over)), later, "nobody knows an id to ask for");
        assert_eq!(look(&open(Some("CA1"), None), at(long_over)), Look::AskProvider);
        assert_eq!(look(&open(Some("CA1"), Some(0)), at(long_over)), later, "asked once");
        let mut canceled = open(None, Some(long_over - 20));
        canceled.view.job.canceled = true;
        let end = EMERGENCY_END.max(GENERAL_END) + 1_000;
        assert_eq!(
            look(&canceled, at(end)),
            Look::Report(ReportKind::DoubtOver),
            "{lane}: it is never tried again"
        );
    }
}
