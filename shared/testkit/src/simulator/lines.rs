//! Waiting at the vendor: what was accepted is worked off at a channel's own rate, as calls by an account's calls per
//! second (wire A.2).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_domain::Channel;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Shared;
use super::callbacks::Plan;
use super::record::MessageId;
use super::scenario::{ChannelScenario, Scenario};

/// A line for each channel.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Mutex<BTreeMap<Channel, Line>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Line {
    /// Places that are taken: by those who wait, and by those who are about to.
    taken: usize,
    /// In order of arrival, which is the order of their numbers.
    waiting: BTreeMap<MessageId, Plan>,
    next_turn: Option<Instant>,
}

/// The line has no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Lines {
    /// A place in the channel's line, if the scenario has one; whoever takes it must enter.
    pub(super) fn take_place(&self, channel: Channel, behaviour: &ChannelScenario) -> Result<(), Full> {
        self.take_places(channel, behaviour, 1)
    }

    /// So many places, or none.
    pub(super) fn take_places(
        &self,
        channel: Channel,
        behaviour: &ChannelScenario,
        places: usize,
    ) -> Result<(), Full> {
        if behaviour.drain_per_second.is_none() {
            return Ok(());
        }
        let mut lines = self.lock();
        let line = lines.entry(channel).or_default();
        if line.taken.saturating_add(places) > behaviour.queue_max.unwrap_or(usize::MAX) {
            return Err(Full);
        }
        line.taken += places;
        Ok(())
    }

    /// What happens to the message happens from its turn on.
    pub(super) fn enter(&self, channel: Channel, message: MessageId, plan: Plan) {
        let mut lines = self.lock();
        let line = lines.entry(channel).or_default();
        if line.waiting.is_empty() {
            // A line that was empty has saved up no turns.
            line.next_turn = line.next_turn.max(Some(plan.made_at));
        }
        line.waiting.insert(message, plan);
        drop(lines);
        self.changed.notify_one();
    }

    /// Gives up the place of a message that waits. None: it does not.
    pub(super) fn leave(&self, channel: Channel, message: MessageId) -> Option<Plan> {
        let mut lines = self.lock();
        let line = lines.get_mut(&channel)?;
        let left = line.waiting.remove(&message)?;
        line.taken = line.taken.saturating_sub(1);
        Some(left)
    }

    /// How many wait on each channel.
    pub(super) fn waiting(&self) -> BTreeMap<Channel, usize> {
        let lines = self.lock();
        let lengths = lines.iter().map(|(channel, line)| (*channel, line.waiting.len()));
        lengths.filter(|(_, waiting)| *waiting > 0).collect()
    }

    /// The scenario has changed, and with it perhaps the rates.
    pub(super) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Those whose turn has come, and when the next one's will.
    fn turns(&self, scenario: &Scenario, now: Instant) -> (Vec<Plan>, Option<Instant>) {
        let mut turns = Vec::new();
        let mut next: Option<Instant> = None;
        for (channel, line) in self.lock().iter_mut() {
            line.turns(scenario.channel(*channel).drain_per_second, now, &mut turns);
            let line_next = line.next_turn.filter(|_| !line.waiting.is_empty());
            next = [next, line_next].into_iter().flatten().min();
        }
        (turns, next)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Channel, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn turns(&mut self, per_second: Option<f64>, now: Instant, turns: &mut Vec<Plan>) {
        // Without a rate there is no line any more: whoever still waits is let go.
        let pause = per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        while self.next_turn.is_none_or(|turn| turn <= now || per_second.is_none()) {
            let Some((_, plan)) = self.waiting.pop_first() else { return };
            self.taken = self.taken.saturating_sub(1);
            let turn = self.next_turn.unwrap_or(now).min(now);
            self.next_turn = Some(turn + pause);
            turns.push(plan.begun_at(turn));
        }
    }
}

/// Gives every turn, until the simulator stops.
pub(super) async fn work_off(shared: Arc<Shared>) {
    let working = async {
        loop {
            let (turns, next) = shared.lines.turns(&shared.scenario(), Instant::now());
            for plan in turns {
                shared.callbacks.begin(plan);
            }
            match next {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = shared.lines.changed.notified() => {}
                },
                None => shared.lines.changed.notified().await,
            }
        }
    };
    shared.stop.run_until_cancelled(working).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn plan(made_at: Instant) -> Plan {
        Plan { made_at, steps: vec![] }
    }

    fn draining(per_second: f64, queue_max: Option<usize>) -> Scenario {
        let mut scenario = Scenario::default();
        scenario.voice.drain_per_second = Some(per_second);
        scenario.voice.queue_max = queue_max;
        scenario
    }

    fn let_in(lines: &Lines, scenario: &Scenario, numbers: std::ops::Range<u32>, at: Instant) {
        for number in numbers {
            lines.take_place(Channel::Voice, &scenario.voice).unwrap();
            lines.enter(Channel::Voice, MessageId(number), plan(at));
        }
    }

    #[test]
    fn turns_come_at_the_rate_and_an_empty_line_saves_none_up() {
        let (lines, scenario, start) = (Lines::default(), draining(2.0, None), Instant::now());
        let_in(&lines, &scenario, 0..6, start);
        let turns = |seconds: f64| lines.turns(&scenario, start + Duration::from_secs_f64(seconds)).0.len();
        let table = [(0.0, 1), (0.4, 0), (0.5, 1), (1.9, 2), (30.0, 2)];
        for (seconds, expected) in table {
            assert_eq!(turns(seconds), expected, "{seconds} s");
        }
        let_in(&lines, &scenario, 6..9, start + 60 * SECOND);
        assert_eq!((turns(60.0), turns(60.4), turns(60.5)), (1, 0, 1));
    }

    #[test]
    fn a_full_line_takes_nobody_until_somebody_has_left_or_had_a_turn() {
        let (lines, scenario, start) = (Lines::default(), draining(1.0, Some(2)), Instant::now());
        let full = || lines.take_place(Channel::Voice, &scenario.voice) == Err(Full);
        let_in(&lines, &scenario, 0..2, start);
        assert!(full());
        assert!(lines.leave(Channel::Voice, MessageId(1)).is_some());
        assert!(lines.leave(Channel::Voice, MessageId(1)).is_none());
        let_in(&lines, &scenario, 2..3, start);
        assert!(full());
        assert_eq!(lines.turns(&scenario, start).0.len(), 1);
        assert!(!full());
        assert_eq!(lines.waiting(), BTreeMap::from([(Channel::Voice, 1)]));
    }

    #[test]
    fn a_line_without_a_rate_lets_everybody_go() {
        let (lines, start) = (Lines::default(), Instant::now());
        let_in(&lines, &draining(0.001, None), 0..5, start);
        assert_eq!(lines.turns(&Scenario::default(), start).0.len(), 5);
    }
}
