//! What one job adds to the totals of addresses and of people, at any time of its life.

use crate::{AttemptResult, Channel, Outcome};

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Still to be tried for the first time.
    Untried,
    Tried,
    Ended,
}

impl Stage {
    pub fn of(ended: bool, tried: bool) -> Self {
        match (ended, tried) {
            (true, _) => Self::Ended,
            (false, true) => Self::Tried,
            (false, false) => Self::Untried,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Requirements 70 and 71 by decision D3: it was tried, or it is settled that it will not be; and it is not
    /// canceled, nor a text to somebody who opted out.
    pub attempted: bool,
    /// By rule 75.
    pub contacted: bool,
    /// Something came of it, for the progress of requirement 55.
    pub has_result: bool,
}

impl Standing {
    /// `outcome` is the best of the job's attempts so far.
    pub fn of(channel: Channel, stage: Stage, outcome: Option<Outcome>) -> Self {
        let canceled = outcome == Some(Outcome::Canceled);
        let opted_out = channel == Channel::Sms && outcome == Some(Outcome::OptOut);
        let result = outcome.map_or(AttemptResult::Open, Outcome::result);
        Self {
            attempted: stage != Stage::Untried && !canceled && !opted_out,
            contacted: outcome.is_some_and(Outcome::contacted),
            has_result: stage == Stage::Ended || result != AttemptResult::Open,
        }
    }

    pub fn or(self, other: Self) -> Self {
        Self {
            attempted: self.attempted || other.attempted,
            contacted: self.contacted || other.contacted,
            has_result: self.has_result || other.has_result,
        }
    }
}
