//! The places of this worker's share of an account: one for each open request, and of voice one for each call
//! until it ends.
//!
//! The worker sees a request end, but not a call. The store tells with each renewal how many attempts of this
//! worker are asking or accepted; what of these is no open request here is a call that goes on. Between two
//! renewals only more calls are added, so that the count is never too low.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tocsin_domain::Lane;
use tocsin_domain::lease::Share;

use crate::slots::{Slot, Slots};

#[derive(Debug)]
pub struct Places {
    slots: Slots,
    state: Mutex<State>,
}

/// A request is known to be claimed before the n-th renewal was asked for if fewer than n had been asked for
/// when its claim was answered: then that renewal's count has it.
#[derive(Debug, Default)]
struct State {
    concurrency: Option<u32>,
    general: Option<u32>,
    renewals: u64,
    /// Open requests, by the renewals asked for before their claim was answered.
    open: BTreeMap<u64, u32>,
    /// The same of requests that ended since the last count with a call that goes on.
    begun: BTreeMap<u64, u32>,
    /// Calls of the last count that were no open request then.
    counted: u32,
}

/// An open request for a call.
#[derive(Debug)]
pub struct Call {
    places: Arc<Places>,
    renewals: u64,
}

impl Places {
    pub fn new(share: &Share) -> Self {
        let places = Self { slots: Slots::new(0), state: Mutex::default() };
        places.set(&mut places.state(), share);
        places
    }

    /// A place for a request of `lane`, if one is free. General jobs leave the others' reserve.
    pub fn take(&self, lane: Lane) -> Option<Slot> {
        let within = match lane {
            Lane::Emergency | Lane::Priority => usize::MAX,
            Lane::General => {
                let state = self.state();
                state.general.map_or(usize::MAX, |general| general.saturating_sub(state.calls()) as usize)
            }
        };
        self.slots.take_within(within)
    }

    /// Are more places taken than the share has since it shrank? Their requests end by their deadline at the latest.
    pub fn overfull(&self) -> bool {
        self.slots.overfull()
    }

    /// Is any request open, or does any call go on?
    pub fn are_taken(&self) -> bool {
        self.slots.any_taken() || self.state().calls() > 0
    }

    /// A renewal is about to be asked for. Returns its number.
    pub fn asks(&self) -> u64 {
        let mut state = self.state();
        state.renewals += 1;
        state.renewals
    }

    /// Renewal `number` was answered: the share is this, and so many attempts of this worker are asking or
    /// accepted.
    pub fn renewed(&self, number: u64, share: &Share, attempts: u32) {
        let mut state = self.state();
        let open: u32 = state.open.range(..number).map(|(_, requests)| requests).sum();
        state.counted = attempts.saturating_sub(open);
        state.begun.retain(|renewals, _| *renewals >= number);
        self.set(&mut state, share);
    }

    /// The claim of a request for a call was granted.
    pub fn claimed(self: &Arc<Self>) -> Call {
        let mut state = self.state();
        let renewals = state.renewals;
        *state.open.entry(renewals).or_default() += 1;
        Call { places: Arc::clone(self), renewals }
    }

    fn set(&self, state: &mut State, share: &Share) {
        (state.concurrency, state.general) = (share.concurrency, share.general);
        let most = state.concurrency.map_or(usize::MAX, |most| most.saturating_sub(state.calls()) as usize);
        self.slots.set_most(most);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn calls(&self) -> u32 {
        self.counted + self.begun.values().sum::<u32>()
    }
}

impl Call {
    /// The provider has it, or may have: the call keeps its place when the request ends.
    pub fn goes_on(&self) {
        let mut state = self.places.state();
        *state.begun.entry(self.renewals).or_default() += 1;
        let share = Share { concurrency: state.concurrency, general: state.general, ..Share::default() };
        self.places.set(&mut state, &share);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.places.state();
        if let Some(requests) = state.open.get_mut(&self.renewals) {
            *requests -= 1;
            if *requests == 0 {
                state.open.remove(&self.renewals);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(concurrency: u32, general: u32) -> Share {
        Share { concurrency: Some(concurrency), general: Some(general), ..Share::default() }
    }

    fn places(concurrency: u32, general: u32) -> Arc<Places> {
        Arc::new(Places::new(&share(concurrency, general)))
    }

    fn free(places: &Places) -> usize {
        let taken: Vec<Slot> = std::iter::from_fn(|| places.take(Lane::Emergency)).collect();
        let free = taken.len();
        taken.into_iter().for_each(Slot::put_back);
        free
    }

    #[test]
    fn general_jobs_leave_the_reserve_to_the_other_lanes() {
        let places = places(3, 2);
        let general: Vec<Slot> = std::iter::from_fn(|| places.take(Lane::General)).collect();
        assert_eq!(general.len(), 2);
        let emergency = places.take(Lane::Emergency).unwrap();
        assert!(places.take(Lane::Priority).is_none());
        drop(general);
        assert!(places.take(Lane::General).is_some());
        drop(emergency);
    }

    #[test]
    fn a_call_keeps_its_place_until_the_store_says_that_it_has_ended() {
        let places = places(2, 2);
        let (slot, call) = (places.take(Lane::General).unwrap(), places.claimed());
        call.goes_on();
        drop((call, slot));
        assert_eq!(free(&places), 1);
        let number = places.asks();
        places.renewed(number, &share(2, 2), 1);
        assert_eq!(free(&places), 1, "it goes on");
        let number = places.asks();
        places.renewed(number, &share(2, 2), 0);
        assert_eq!(free(&places), 2);
    }

    #[test]
    fn an_open_request_is_not_counted_twice() {
        let places = places(4, 4);
        let (slot, call) = (places.take(Lane::General).unwrap(), places.claimed());
        let number = places.asks();
        places.renewed(number, &share(4, 4), 2);
        assert_eq!(free(&places), 2, "this one, and one call that goes on");
        drop((call, slot));
        assert_eq!(free(&places), 3, "this one was refused");
    }

    #[test]
    fn a_call_that_a_count_may_have_missed_is_not_forgotten() {
        let places = places(4, 4);
        let number = places.asks();
        let (slot, call) = (places.take(Lane::General).unwrap(), places.claimed());
        call.goes_on();
        drop((call, slot));
        places.renewed(number, &share(4, 4), 0);
        assert_eq!(free(&places), 3, "claimed while the count was under way");
        let number = places.asks();
        places.renewed(number, &share(1, 1), 1);
        assert_eq!((free(&places), places.take(Lane::General).is_some()), (0, false), "a smaller share");
    }
}
