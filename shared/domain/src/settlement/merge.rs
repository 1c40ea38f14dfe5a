//! What reports make of an attempt, whatever order they come in: of each kind of fact the highest one stands.

use std::cmp::Reverse;

use super::{AttemptView, ReportKind};
use crate::{AttemptResult, AttemptState, Channel, Outcome};

pub(super) struct Merged {
    pub(super) state: AttemptState,
    pub(super) outcome: Option<Outcome>,
    pub(super) sequence: Option<i64>,
    pub(super) provider_code: Option<String>,
    pub(super) provider_id: Option<String>,
    pub(super) answered: Option<Outcome>,
    /// The doubt period ended this attempt: its lane decides whether the job is tried again.
    pub(super) doubt_over: bool,
}

impl Merged {
    pub(super) fn of(view: &AttemptView) -> Self {
        Self {
            state: view.state,
            outcome: view.outcome,
            sequence: view.sequence,
            provider_code: view.provider_code.clone(),
            provider_id: view.provider_id.clone(),
            answered: view.answered,
            doubt_over: false,
        }
    }

    pub(super) fn take(&mut self, kind: &ReportKind, sequence: Option<i64>, channel: Channel) {
        match kind {
            ReportKind::Accepted { provider_id } => {
                self.learn_id(provider_id);
                if matches!(self.state, AttemptState::Asking | AttemptState::Unknown) {
                    self.state = AttemptState::Accepted;
                }
            }
            ReportKind::Status { outcome, provider_code, provider_id } => {
                self.learn_id(provider_id);
                if outcome.once_over().is_some() {
                    self.answered = self.answered.max(Some(*outcome));
                }
                self.raise(*outcome, sequence, provider_code);
            }
            ReportKind::NotAsked => self.raise(Outcome::NotAsked, sequence, &None),
            ReportKind::Throttled { provider_code, .. } => {
                self.raise(Outcome::Throttled, sequence, provider_code);
            }
            ReportKind::Recalled => self.raise(Outcome::Canceled, sequence, &None),
            ReportKind::Lost => {
                if self.state == AttemptState::Asking {
                    self.state = AttemptState::Unknown;
                }
            }
            ReportKind::DoubtOver => {
                if self.state == AttemptState::Unknown {
                    self.doubt_over = true;
                    self.end_in_silence(channel);
                }
            }
            ReportKind::Silence => {
                if self.state == AttemptState::Accepted {
                    self.end_in_silence(channel);
                }
            }
        }
        self.conclude();
    }

    /// Does the attempt wait for nothing but the word who answered its call?
    pub(super) fn awaits_detection(&self) -> bool {
        self.state == AttemptState::Accepted && self.outcome == Some(Outcome::CallEnded)
    }

    /// Who answered decides as soon as the call is over, whichever of the two was told first.
    fn conclude(&mut self) {
        let over = self.state == AttemptState::Settled || self.outcome == Some(Outcome::CallEnded);
        if let Some(outcome) = self.answered.and_then(Outcome::once_over).filter(|_| over) {
            self.raise(outcome, None, &None);
        }
    }

    /// The best status known stands. Mere progress is none: it would read "in progress" for ever. A call that was
    /// over counts as heard though nobody said by whom. A word that nobody mapped stands, too, and is shown as N/S
    /// (decision D8).
    fn end_in_silence(&mut self, channel: Channel) {
        match self.outcome {
            Some(Outcome::CallEnded) => {
                let code = self.provider_code.take();
                self.raise(Outcome::Completed, self.sequence, &code);
            }
            Some(known) if known.result() != AttemptResult::Open => {}
            Some(_) | None => self.raise(Outcome::silent(channel), None, &None),
        }
        self.state = AttemptState::Settled;
    }

    /// The first id stays: recalls and look-ups may already have used it.
    fn learn_id(&mut self, provider_id: &Option<String>) {
        if self.provider_id.is_none() {
            self.provider_id.clone_from(provider_id);
        }
    }

    /// Takes `outcome` if it outranks what is known. The provider's word is kept with its outcome; of several words
    /// for one outcome the provider's latest stands, by its own numbers, and of those without a number the smallest,
    /// so that the order of reports does not matter.
    fn raise(&mut self, outcome: Outcome, sequence: Option<i64>, provider_code: &Option<String>) {
        let same = self.outcome == Some(outcome);
        let newer = weight(sequence, provider_code) > weight(self.sequence, &self.provider_code);
        if self.outcome.is_none_or(|known| outcome.outranks(known)) || (same && newer) {
            self.outcome = Some(outcome);
            self.sequence = sequence;
            self.provider_code.clone_from(provider_code);
        }
        if outcome.terminal() {
            self.state = AttemptState::Settled;
        } else if self.state != AttemptState::Settled {
            self.state = AttemptState::Accepted;
        }
    }
}

fn weight(sequence: Option<i64>, code: &Option<String>) -> (bool, Option<i64>, Reverse<&Option<String>>) {
    (code.is_some(), sequence, Reverse(code))
}
