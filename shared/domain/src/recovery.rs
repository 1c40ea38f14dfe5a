//! What an operator decides of attempts that a restore from a backup left in doubt: nobody knows whether they were sent
//! between the backup and the restore. It stands in place of what their lane would decide (promise 2).

use crate::Lane;
use crate::settlement::AttemptView;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A second message is better than none: the job is due again.
    SendAgain,
    /// None is better than a second one: the job ends as unknown.
    Leave,
}

impl Decision {
    /// The attempt as [`crate::settlement::settle`] is to see it, so that the end of its doubt comes to this decision. An
    /// attempt in doubt uses up a try, and must not use up the last one where it is to be sent again.
    pub fn of(self, mut view: AttemptView) -> AttemptView {
        match self {
            Self::SendAgain => {
                view.job.lane = Lane::Emergency;
                view.job.tries = view.job.tries.min(i16::from(view.job.redial.attempts_max) - 1);
            }
            Self::Leave => view.job.lane = Lane::General,
        }
        view
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendAgain => "send_again",
            Self::Leave => "leave",
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use uuid::Uuid;

    use super::*;
    use crate::policy::RedialPolicy;
    use crate::settlement::{JobAction, JobView, Report, ReportKind, settle};
    use crate::{AttemptKey, AttemptState, CampaignId, Channel, JobKey, JobState, WaitReason};

    fn in_doubt(lane: Lane, attempts_max: u8, tries: i16, now: DateTime<Utc>) -> AttemptView {
        let key = AttemptKey { job: JobKey { campaign: CampaignId(Uuid::nil()), job: 1 }, number: tries };
        let job = JobView {
            state: JobState::Claimed,
            attempt: tries,
            tries,
            outcome: None,
            channel: Channel::Sms,
            lane,
            redial: RedialPolicy { attempts_max, ..RedialPolicy::default_for(lane) },
            expires_at: now + TimeDelta::hours(1),
            canceled: false,
            asks_opt_in: false,
        };
        AttemptView { state: AttemptState::Unknown, ..AttemptView::claimed(key, job) }
    }

    fn decided(decision: Decision, view: AttemptView, now: DateTime<Utc>) -> JobAction {
        let view = decision.of(view);
        let over = Report { attempt: view.key, at: now, sequence: None, kind: ReportKind::DoubtOver };
        settle(&view, &[over], now).unwrap().job
    }

    #[test]
    fn an_operators_decision_stands_in_place_of_the_lanes() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for lane in Lane::ALL {
            for (attempts_max, tries) in [(1, 1), (3, 1), (3, 3)] {
                let view = in_doubt(lane, attempts_max, tries, now);
                let again = decided(Decision::SendAgain, view.clone(), now);
                assert!(
                    matches!(again, JobAction::Wait { due_at, reason: WaitReason::Doubt, .. } if due_at == now),
                    "{lane} {tries} of {attempts_max}: {again:?}"
                );
                let left = decided(Decision::Leave, view.clone(), now);
                assert!(matches!(left, JobAction::End { .. }), "{lane}: {left:?}");
                let expired = AttemptView { job: JobView { expires_at: now, ..view.job }, ..view };
                let late = decided(Decision::SendAgain, expired, now);
                assert!(matches!(late, JobAction::End { .. }), "nothing is sent after its expiry: {late:?}");
            }
        }
    }
}
