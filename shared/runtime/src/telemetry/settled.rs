//! What the change of an attempt writes into its trace: the step itself, and, with the last one, the root.
//!
//! Of attempts that nobody kept as they went, errors and slow ones are kept here after all: what the row tells is written
//! down, with the ids that it would have had.

use chrono::{DateTime, Utc};
use tocsin_domain::settlement::{AttemptView, Change, JobAction};
use tocsin_domain::trace::{Context, TraceId};
use tocsin_domain::{AttemptKey, AttemptState, CampaignId, Channel, JobState, Lane, Outcome, WaitReason};

use super::attempt::moment;
use super::{Kind, Part, Span, Spans, Subject, names};

/// Who changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// The worker that asked.
    Record,
    /// A callback, from a queue, by its destination.
    Apply(&'a str),
    /// A callback that was kept until its attempt was there.
    Rematch,
    /// The deadline for an answer.
    Expire,
    Recall,
    LookUp,
}

/// A batch of changes that are committed.
#[derive(Debug)]
pub struct Settling<'a> {
    pub spans: &'a Spans,
    pub by: By<'a>,
    pub begun: DateTime<Utc>,
    pub ended: DateTime<Utc>,
}

impl Settling<'_> {
    /// Writes what one change was. `more` says what only its caller knows: links, the account, and, for what was not
    /// kept until now, further spans of it.
    pub fn tell(
        &self,
        view: &AttemptView,
        change: &Change,
        decided: Decided,
        more: impl FnOnce(&Subject, Kept) -> Told,
    ) {
        let Some(kept) = self.kept(view, change, decided) else { return };
        let subject = subject(view);
        let Told { account, links, spans } = more(&subject, kept);
        let step = self.step(&subject);
        let step = step
            .between(self.begun, self.ended)
            .with(names::ATTEMPT_STATE, change.state.as_str())
            .with_some(names::OUTCOME, change.outcome.map(Outcome::code));
        let step = links.into_iter().fold(step, |step, (to, relation)| step.linked(to, relation));
        self.spans.emit_all(spans);
        self.spans.emit(mark(step, kept));
        if kept == Kept::Reconstructed
            && let Some(claimed_at) = view.background.claimed_at
        {
            let claim = subject.span(Part::Claim, 0, names::span::CLAIM).between(claimed_at, claimed_at);
            self.spans.emit(mark(claim, kept));
        }
        if is_last(view, change) {
            self.spans.emit(mark(self.root(view, change, &subject, account.as_deref(), kept), kept));
        }
        self.next_attempt(view, change, &subject, kept);
    }

    /// None: nobody reads it.
    fn kept(&self, view: &AttemptView, change: &Change, decided: Decided) -> Option<Kept> {
        if !self.spans.on() {
            return None;
        }
        if decided.keeps(self.spans, view.key, view.job.lane) {
            return Some(Kept::AsItGoes);
        }
        let last = is_last(view, change);
        let slow = || view.background.claimed_at.is_some_and(|at| self.spans.is_slow(self.ended - at));
        let late = || self.waited_long(view);
        (last && (is_fault(change) || slow() || late())).then_some(Kept::Reconstructed)
    }

    fn waited_long(&self, view: &AttemptView) -> bool {
        let (released, claimed) = (view.background.released_at, view.background.claimed_at);
        released.zip(claimed).is_some_and(|(released, claimed)| self.spans.is_slow(claimed - released))
    }

    fn step(&self, subject: &Subject) -> Span {
        let which = moment(self.begun);
        match self.by {
            By::Record => subject.span(Part::Record, which, names::span::RECORD),
            By::Apply(queue) => subject.processes(Part::Apply, which, queue),
            By::Rematch => subject.span(Part::Apply, which, names::span::REMATCH),
            By::Expire => subject.span(Part::Expire, which, names::span::EXPIRE),
            By::Recall => subject.span(Part::Recall, which, names::span::RECALL),
            By::LookUp => subject.span(Part::LookUp, which, names::span::LOOK_UP),
        }
    }

    fn root(
        &self,
        view: &AttemptView,
        change: &Change,
        subject: &Subject,
        account: Option<&str>,
        kept: Kept,
    ) -> Span {
        let background = view.background;
        let begun = background.released_at.or(background.claimed_at).unwrap_or(self.begun);
        let root = root(subject)
            .between(begun, self.ended)
            .with(names::ATTEMPT_STATE, change.state.as_str())
            .with_some(names::OUTCOME, change.outcome.map(Outcome::code))
            .with_some(names::ACCOUNT, account.map(str::to_owned));
        // Where this one was kept for its own sake, nobody knows whether an earlier one was.
        let root = match earlier(view.key) {
            Some(earlier) if kept == Kept::AsItGoes => root.linked(earlier, names::link::EARLIER_ATTEMPT),
            _ => root,
        };
        match change.outcome {
            Some(outcome) if is_fault(change) => root.failed(outcome.code()),
            None if is_fault(change) => root.failed(change.state.as_str()),
            _ => root,
        }
    }

    /// The job waits for another try, which has a trace of its own; or it does not wait any more, and the try that was
    /// planned is over before it began.
    fn next_attempt(&self, view: &AttemptView, change: &Change, subject: &Subject, kept: Kept) {
        if kept != Kept::AsItGoes {
            return;
        }
        match change.job {
            JobAction::Wait { due_at, reason, .. } => {
                let next = Subject { attempt: after(view.key, view.job.attempt), ..*subject };
                let plan = plan(&next, self.ended, reason, due_at);
                self.spans.emit(plan.linked(subject.context(Part::Root, 0), names::link::EARLIER_ATTEMPT));
            }
            JobAction::End { outcome } if matches!(view.job.state, JobState::Waiting | JobState::Queued) => {
                let next = Subject { attempt: after(view.key, view.job.attempt), ..*subject };
                withdrawn(self.spans, &next, self.ended, outcome.code());
            }
            JobAction::Keep | JobAction::Raise { .. } | JobAction::End { .. } => {}
        }
    }
}

/// Who decided whether the trace of an attempt is kept as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// Nobody that this process heard of: it is decided by the id, which comes to the same wherever the ratio is the same.
    ById,
    /// Whoever made the message that brought it here. This process's own ratio is not asked.
    ByMessage { kept: bool },
}

impl Decided {
    /// As a message's context says. One without a context is of somebody who keeps nothing of it.
    pub fn by_message(context: Option<Context>) -> Self {
        Self::ByMessage { kept: context.is_some_and(|context| context.sampled) }
    }

    /// Emergencies are kept whoever decides.
    pub fn keeps(self, spans: &Spans, attempt: AttemptKey, lane: Lane) -> bool {
        match self {
            Self::ById => spans.keeps(attempt, lane),
            Self::ByMessage { kept } => spans.on() && (kept || lane == Lane::Emergency),
        }
    }
}

/// Why a trace is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    AsItGoes,
    /// An error, or slow: at its end only.
    Reconstructed,
}

/// What a caller adds.
#[derive(Debug, Default)]
pub struct Told {
    pub account: Option<String>,
    /// What led to the change, and how: one of [`names::link`].
    pub links: Vec<(Context, &'static str)>,
    pub spans: Vec<Span>,
}

/// Marks what is written after the fact.
pub fn mark(span: Span, kept: Kept) -> Span {
    match kept {
        Kept::AsItGoes => span,
        Kept::Reconstructed => span.with(names::RECONSTRUCTED, true),
    }
}

/// The attempt of a view.
pub fn subject(view: &AttemptView) -> Subject {
    Subject {
        attempt: view.key,
        channel: Some(view.job.channel),
        lane: view.job.lane,
        district: view.background.district,
    }
}

/// That another try was decided upon.
pub fn plan(next: &Subject, at: DateTime<Utc>, reason: WaitReason, until: DateTime<Utc>) -> Span {
    next.span(Part::Plan, moment(at), names::span::PLAN)
        .between(at, at)
        .with(names::WAIT_REASON, reason.as_str())
        .with(names::WAIT_UNTIL, until.to_rfc3339())
}

/// A try that was planned, maybe released, and never began: its trace ends with why.
pub fn untried(spans: &Spans, subject: &Subject, at: DateTime<Utc>, outcome: &'static str) {
    if spans.keeps(subject.attempt, subject.lane) {
        withdrawn(spans, subject, at, outcome);
    }
}

fn withdrawn(spans: &Spans, subject: &Subject, at: DateTime<Utc>, outcome: &'static str) {
    let withdraw = subject.span(Part::Withdraw, 0, names::span::WITHDRAW);
    spans.emit(withdraw.between(at, at).with(names::OUTCOME, outcome));
    spans.emit(root(subject).between(at, at).with(names::OUTCOME, outcome));
}

/// A root without its times: it leads to the campaign.
fn root(subject: &Subject) -> Span {
    let campaign = campaign_root(subject.attempt.job.campaign);
    subject
        .span(Part::Root, 0, attempt_name(subject.channel))
        .kind(Kind::Internal)
        .linked(campaign, names::link::CAMPAIGN)
}

/// What the root of an attempt's trace is called.
pub fn attempt_name(channel: Option<Channel>) -> String {
    let channel = channel.map(Channel::as_str).unwrap_or_default();
    format!("{} {channel}", names::span::ATTEMPT)
}

pub fn campaign_root(campaign: CampaignId) -> Context {
    let trace = TraceId::of_campaign(campaign);
    Context { trace, span: trace.root(), sampled: true }
}

fn earlier(attempt: AttemptKey) -> Option<Context> {
    let number = attempt.number.checked_sub(1).filter(|number| *number > 0)?;
    let trace = TraceId::of_attempt(AttemptKey { number, ..attempt });
    Some(Context { trace, span: trace.root(), sampled: true })
}

/// The attempt that the job's next claim makes.
fn after(attempt: AttemptKey, latest: i16) -> AttemptKey {
    AttemptKey { number: latest.saturating_add(1), ..attempt }
}

/// Does the attempt's trace end with this change? It does once: what comes later raises an outcome, and writes no new root.
fn is_last(view: &AttemptView, change: &Change) -> bool {
    change.state == AttemptState::Settled && view.state != AttemptState::Settled
}

/// Is it a failure of ours or of the provider's, and not of the person's phone?
fn is_fault(change: &Change) -> bool {
    change.state == AttemptState::Unknown
        || change.outcome.is_some_and(|outcome| {
            matches!(
                outcome,
                Outcome::ProviderRejected
                    | Outcome::ProviderUnavailable
                    | Outcome::CallNotInitiated
                    | Outcome::TextNotInitiated
                    | Outcome::FailedToSend
                    | Outcome::UnknownError
                    | Outcome::SubsystemError
                    | Outcome::LowResources
                    | Outcome::CallError
                    | Outcome::NoCallStatus
                    | Outcome::NoStatus
                    | Outcome::ProgressUnknown
                    | Outcome::DialerNoResponse
                    | Outcome::Expired
            )
        })
}

#[cfg(test)]
mod tests {
    use tocsin_domain::JobKey;
    use tocsin_domain::policy::RedialPolicy;
    use tocsin_domain::settlement::JobView;
    use uuid::Uuid;

    use super::*;
    use crate::config::{OtlpProtocol, TraceConfig};

    fn view(state: AttemptState) -> AttemptView {
        let key = AttemptKey { job: JobKey { campaign: CampaignId(Uuid::nil()), job: 1 }, number: 1 };
        let job = JobView {
            state: JobState::Claimed,
            attempt: 1,
            tries: 1,
            outcome: None,
            channel: Channel::Voice,
            lane: Lane::General,
            redial: RedialPolicy::default_for(Lane::General),
            expires_at: DateTime::UNIX_EPOCH,
            canceled: false,
            asks_opt_in: false,
        };
        AttemptView { state, ..AttemptView::claimed(key, job) }
    }

    fn change(state: AttemptState, outcome: Option<Outcome>) -> Change {
        Change {
            state,
            outcome,
            sequence: None,
            provider_code: None,
            provider_id: None,
            answered: None,
            detect_until: None,
            job: JobAction::Keep,
        }
    }

    #[test]
    fn a_trace_has_one_root_however_often_its_attempt_changes() {
        use AttemptState::{Accepted, Asking, Settled, Unknown};
        let table = [
            (Asking, Accepted, false),
            (Asking, Unknown, false),
            (Unknown, Accepted, false),
            (Asking, Settled, true),
            (Accepted, Settled, true),
            (Unknown, Settled, true),
            // A bounce after the delivery.
            (Settled, Settled, false),
        ];
        for (from, to, last) in table {
            assert_eq!(is_last(&view(from), &change(to, None)), last, "{from} to {to}");
        }
    }

    #[test]
    fn a_fault_is_ours_or_the_providers_and_not_the_phones() {
        let settled = |outcome| change(AttemptState::Settled, Some(outcome));
        for outcome in [Outcome::ProviderUnavailable, Outcome::ProviderRejected, Outcome::NoCallStatus] {
            assert!(is_fault(&settled(outcome)), "{outcome:?}");
        }
        for outcome in [Outcome::Busy, Outcome::InvalidNumber, Outcome::LivePerson, Outcome::OptOut] {
            assert!(!is_fault(&settled(outcome)), "{outcome:?}");
        }
        assert!(is_fault(&change(AttemptState::Unknown, None)));
    }

    /// Nobody listens there, and it makes no difference to what is kept.
    fn spans(sample_ratio: f64) -> Spans {
        let endpoint = Some("http://127.0.0.1:9".to_owned());
        let slow = std::time::Duration::from_secs(5);
        Spans::start(&TraceConfig { endpoint, protocol: OtlpProtocol::Http, sample_ratio, slow }, "test")
            .unwrap()
    }

    #[tokio::test]
    async fn what_took_long_is_kept_be_it_before_the_claim_or_after_it() {
        let spans = spans(0.0);
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        // When it was released and claimed, and when its last word came.
        let table = [
            (Some(0), 4, 8, None),
            (Some(0), 5, 6, Some(Kept::Reconstructed)),
            (Some(0), 1, 6, Some(Kept::Reconstructed)),
            (None, 1, 5, None),
        ];
        for (released, claimed, ended, expected) in table {
            let mut view = view(AttemptState::Accepted);
            view.background.released_at = released.map(at);
            view.background.claimed_at = Some(at(claimed));
            let settling = Settling { spans: &spans, by: By::Record, begun: at(ended), ended: at(ended) };
            let change = change(AttemptState::Settled, Some(Outcome::LivePerson));
            let kept = settling.kept(&view, &change, Decided::ById);
            assert_eq!(kept, expected, "{released:?} {claimed} {ended}");
        }
    }

    #[tokio::test]
    async fn what_a_message_says_is_kept_whatever_this_process_would_keep() {
        let change = change(AttemptState::Settled, Some(Outcome::LivePerson));
        let [kept, left_out] = [true, false].map(|kept| Decided::ByMessage { kept });
        let table = [
            (0.0, Lane::General, Decided::ById, None),
            (0.0, Lane::General, kept, Some(Kept::AsItGoes)),
            (1.0, Lane::General, Decided::ById, Some(Kept::AsItGoes)),
            (1.0, Lane::General, left_out, None),
            (0.0, Lane::Emergency, Decided::ById, Some(Kept::AsItGoes)),
            (0.0, Lane::Emergency, left_out, Some(Kept::AsItGoes)),
        ];
        for (ratio, lane, decided, expected) in table {
            let spans = spans(ratio);
            let now = DateTime::UNIX_EPOCH;
            let settling = Settling { spans: &spans, by: By::Record, begun: now, ended: now };
            let mut view = view(AttemptState::Accepted);
            view.job.lane = lane;
            assert_eq!(settling.kept(&view, &change, decided), expected, "{ratio} {lane} {decided:?}");
        }
        let context = campaign_root(CampaignId(Uuid::nil()));
        assert_eq!(Decided::by_message(Some(context)), kept);
        assert_eq!(Decided::by_message(Some(Context { sampled: false, ..context })), left_out);
        assert_eq!(Decided::by_message(None), left_out);
    }
}
