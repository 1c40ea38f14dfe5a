//! How many requests may be open at once: in the process, and per account by the worker's share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tocsin_domain::Lane;
use tokio::sync::watch;

/// A counted limit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    freed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    taken: usize,
    /// Of those.
    emergencies: usize,
    most: usize,
    /// How many lines wait for a place, by the earliest lane that each waits in.
    waiting: [usize; Lane::ALL.len()],
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    inner: Arc<Inner>,
    lane: Lane,
    used: bool,
}

/// One of several who take places of one limit for jobs of all lanes. A place that is freed goes to the earliest
/// lane that waits in any of them: no number of general jobs of another channel holds up an emergency.
#[derive(Debug)]
pub struct Line {
    slots: Slots,
    freed: watch::Receiver<()>,
    /// The earliest lane in which it waits for a place, as `State::waiting` counts it.
    waits: Option<Lane>,
    /// The same, as far as this look has come.
    seen: Option<Lane>,
    /// Places beyond the limit that it may take: those that are about to be free.
    ahead: usize,
}

impl Slots {
    pub fn new(most: usize) -> Self {
        let state = Mutex::new(State { taken: 0, emergencies: 0, most, waiting: [0; Lane::ALL.len()] });
        Self { inner: Arc::new(Inner { state, freed: watch::Sender::new(()) }) }
    }

    /// Changes the limit. Slots taken beyond a smaller one are not recalled.
    pub fn set_most(&self, most: usize) {
        self.inner.state().most = most;
    }

    /// Are more taken than a limit that was made smaller allows?
    pub fn overfull(&self) -> bool {
        let state = self.inner.state();
        state.taken > state.most
    }

    pub fn any_taken(&self) -> bool {
        self.inner.state().taken > 0
    }

    /// Takes a slot only while fewer than `within` are taken.
    pub fn take_within(&self, within: usize) -> Option<Slot> {
        let mut state = self.inner.state();
        (state.taken < within && state.take(0, Lane::General)).then(|| self.slot(Lane::General))
    }

    pub fn line(&self) -> Line {
        Line { slots: self.clone(), freed: self.inner.freed.subscribe(), waits: None, seen: None, ahead: 0 }
    }

    fn slot(&self, lane: Lane) -> Slot {
        Slot { inner: Arc::clone(&self.inner), lane, used: true }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What others took ahead does not hold up emergencies: a quarter of the limit more is theirs.
    fn take(&mut self, ahead: usize, lane: Lane) -> bool {
        let most_ahead = self.most / 2;
        let expected = self.most.saturating_add(ahead.min(most_ahead));
        let free = match lane {
            Lane::Emergency => {
                let in_all = self.most.saturating_add(most_ahead + self.most / 4);
                self.emergencies < expected && self.taken < in_all
            }
            Lane::Priority | Lane::General => self.taken < expected,
        };
        self.taken += usize::from(free);
        self.emergencies += usize::from(free && lane == Lane::Emergency);
        free
    }

    fn waits_before(&self, lane: Lane) -> bool {
        Lane::ALL.iter().zip(self.waiting).any(|(earlier, lines)| *earlier < lane && lines > 0)
    }

    fn count(&mut self, waits: Option<Lane>) -> Option<&mut usize> {
        let position = Lane::ALL.iter().position(|lane| Some(*lane) == waits)?;
        self.waiting.get_mut(position)
    }
}

impl Line {
    /// So many places will be free by the time that who takes them has use for them. Of at most half the limit that is
    /// believed.
    pub fn expect(&mut self, free_soon: usize) {
        self.ahead = free_soon;
    }

    /// Takes a place for a job of `lane`, unless one of an earlier lane waits in this line or another. Without
    /// one, the line waits in this lane. Within one look the lanes come in order.
    pub fn take(&mut self, lane: Lane) -> Option<Slot> {
        let inner = Arc::clone(&self.slots.inner);
        let mut state = inner.state();
        // Whoever of this line waited in an earlier lane was served in this look, or is gone.
        if self.waits < Some(lane) && self.waits != self.seen {
            self.wait_in(&mut state, self.seen);
        }
        if !state.waits_before(lane) && state.take(self.ahead, lane) {
            return Some(self.slots.slot(lane));
        }
        if self.seen.is_none() {
            self.seen = Some(lane);
        }
        if self.waits.is_none_or(|waits| lane < waits) {
            self.wait_in(&mut state, Some(lane));
        }
        None
    }

    /// Ends a look: the line waits where places were missing in it, and nowhere else.
    pub fn looked(&mut self) {
        let inner = Arc::clone(&self.slots.inner);
        let seen = self.seen.take();
        if self.waits != seen {
            self.wait_in(&mut inner.state(), seen);
        }
    }

    /// Gives back a place that this line took and has no use for. Who was refused it meanwhile is woken, this line
    /// is not: it has just looked, and would look again for ever.
    pub fn put_back(&mut self, slot: Slot) {
        slot.put_back();
        self.freed.mark_unchanged();
    }

    /// Resolves when a place was freed since it did so last.
    pub async fn freed(&mut self) {
        // The sender lives as long as `slots`.
        let _ = self.freed.changed().await;
    }

    fn wait_in(&mut self, state: &mut State, lane: Option<Lane>) {
        if let Some(lines) = state.count(self.waits) {
            *lines -= 1;
        }
        if let Some(lines) = state.count(lane) {
            *lines += 1;
        }
        let before = std::mem::replace(&mut self.waits, lane);
        if before.is_some() && lane.is_none_or(|lane| Some(lane) > before) {
            // Others may have been refused for its sake.
            self.slots.inner.freed.send_replace(());
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.seen = None;
        self.looked();
    }
}

impl Slot {
    /// Gives back a place that was not used. Wakes only who was refused a place meanwhile: whoever held it has
    /// just looked, and would look again for ever.
    pub fn put_back(mut self) {
        self.used = false;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let missed = {
            let mut state = self.inner.state();
            state.taken -= 1;
            state.emergencies -= usize::from(self.lane == Lane::Emergency);
            state.waiting.iter().any(|lines| *lines > 0)
        };
        if self.used || missed {
            self.inner.freed.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    impl Slots {
        fn take(&self) -> Option<Slot> {
            self.take_within(usize::MAX)
        }
    }

    fn is_woken(line: &mut Line) -> bool {
        line.freed().now_or_never().is_some()
    }

    #[test]
    fn only_a_place_that_was_used_wakes_who_waits_when_it_is_free_again() {
        let slots = Slots::new(1);
        let mut line = slots.line();
        slots.take().unwrap().put_back();
        assert!(!is_woken(&mut line));
        drop(slots.take().unwrap());
        assert!(is_woken(&mut line) && !is_woken(&mut line));
        assert!(slots.take().is_some());
    }

    #[test]
    fn a_place_that_was_not_used_wakes_who_was_refused_it() {
        let slots = Slots::new(1);
        let mut line = slots.line();
        let held = slots.take().unwrap();
        assert!(line.take(Lane::General).is_none());
        line.looked();
        assert!(!is_woken(&mut line));
        held.put_back();
        assert!(is_woken(&mut line));
    }

    #[test]
    fn a_slot_is_free_again_when_it_is_dropped() {
        let slots = Slots::new(2);
        let first = slots.take().unwrap();
        let _second = slots.take().unwrap();
        assert!(slots.take().is_none());
        drop(first);
        assert!(slots.take().is_some());
    }

    #[test]
    fn places_that_will_be_free_are_taken_before_they_are_and_at_most_half_as_many_again() {
        let slots = Slots::new(4);
        let mut line = slots.line();
        let mut held: Vec<Slot> = (0..4).map(|_| line.take(Lane::General).unwrap()).collect();
        assert!(line.take(Lane::General).is_none());
        line.expect(1);
        held.push(line.take(Lane::General).unwrap());
        assert!(line.take(Lane::General).is_none());
        line.expect(usize::MAX);
        held.push(line.take(Lane::General).unwrap());
        assert!(line.take(Lane::General).is_none());
        line.expect(0);
        held.truncate(4);
        assert!(line.take(Lane::General).is_none(), "what was taken ahead is made up for");
        held.truncate(3);
        assert!(line.take(Lane::General).is_some());
    }

    #[test]
    fn what_others_took_ahead_holds_up_no_emergency_whichever_line_it_waits_in() {
        let slots = Slots::new(8);
        let (mut voice, mut sms) = (slots.line(), slots.line());
        voice.expect(usize::MAX);
        let general: Vec<Slot> = std::iter::from_fn(|| voice.take(Lane::General)).collect();
        voice.looked();
        assert_eq!(general.len(), 12);
        let urgent: Vec<Slot> = std::iter::from_fn(|| sms.take(Lane::Emergency)).collect();
        assert_eq!(urgent.len(), 2, "a quarter more");
        sms.looked();
        drop((general, urgent));
        let urgent: Vec<Slot> = std::iter::from_fn(|| sms.take(Lane::Emergency)).collect();
        assert_eq!(urgent.len(), 8, "and no more than the limit of their own");
    }

    #[test]
    fn a_smaller_limit_holds_from_then_on() {
        let slots = Slots::new(3);
        let held = [slots.take().unwrap(), slots.take().unwrap()];
        slots.set_most(1);
        assert!(slots.take().is_none());
        drop(held);
        assert!(slots.take().is_some());
        assert_eq!(slots.inner.state().taken, 0);
    }

    #[test]
    fn the_place_that_is_freed_is_the_earliest_lanes_whichever_line_it_waits_in() {
        let slots = Slots::new(1);
        let (mut voice, mut sms) = (slots.line(), slots.line());
        let held = slots.take().unwrap();
        assert!(voice.take(Lane::General).is_none());
        assert!(sms.take(Lane::Emergency).is_none());
        // Freed within the look: what comes later in it does not get the place either.
        drop(held);
        assert!(sms.take(Lane::General).is_none());
        sms.looked();
        voice.looked();
        for lane in [Lane::Priority, Lane::General] {
            assert!(voice.take(lane).is_none(), "{lane}");
        }
        voice.looked();
        let place = sms.take(Lane::Emergency).unwrap();
        sms.looked();
        drop(place);
        assert!(voice.take(Lane::General).is_some());
    }

    #[test]
    fn a_line_that_puts_a_place_back_wakes_others_and_not_itself() {
        let slots = Slots::new(1);
        let (mut voice, mut sms) = (slots.line(), slots.line());
        let place = sms.take(Lane::General).unwrap();
        assert!(voice.take(Lane::General).is_none());
        voice.looked();
        sms.put_back(place);
        sms.looked();
        assert!(is_woken(&mut voice) && !is_woken(&mut sms));
    }

    #[test]
    fn who_is_served_or_gone_holds_up_nobody() {
        let slots = Slots::new(1);
        let (mut voice, mut sms) = (slots.line(), slots.line());
        for gone in ["served", "not there at the next look", "closed"] {
            let held = slots.take().unwrap();
            assert!(sms.take(Lane::Emergency).is_none());
            sms.looked();
            drop(held);
            assert!(voice.take(Lane::General).is_none(), "{gone}");
            voice.looked();
            while is_woken(&mut voice) {}
            match gone {
                "served" => assert!(sms.take(Lane::Emergency).is_some()),
                "closed" => sms = slots.line(),
                _ => {}
            }
            sms.looked();
            assert!(is_woken(&mut voice), "{gone}");
            assert!(voice.take(Lane::General).is_some(), "{gone}");
            voice.looked();
        }
        assert_eq!(slots.inner.state().waiting, [0; 3]);
    }
}
