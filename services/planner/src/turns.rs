//! Whose turn it is where fewer places are free than campaigns could use.

use std::collections::HashMap;

use tocsin_domain::Lane;

use crate::windows::Served;

/// Turns rotate what does not divide evenly, each lane's and served group's own, one more with each tick in which
/// anything is free: if other groups' draws counted, or a second one of the tick because somebody had nothing due, some
/// would be in turn always and others never.
#[derive(Debug, Default)]
pub struct Turns {
    next: HashMap<(Lane, Served, Among), u64>,
}

/// Who takes turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Among {
    /// All open campaigns: most often each of them has jobs due.
    Open,
    /// What is left of them when those were skipped that have none. Were it the same turn, its rotation and the one
    /// above could keep step, and somebody be passed over by both.
    Due,
}

impl Turns {
    /// A tick in which nothing is free is nobody's turn.
    pub fn next(&mut self, lane: Lane, served: Served, among: Among, free: u32) -> u64 {
        let next = self.next.entry((lane, served, among)).or_default();
        let turn = *next;
        *next = next.wrapping_add(u64::from(free > 0));
        turn
    }
}

#[cfg(test)]
mod tests {
    use tocsin_domain::fair::{Demand, allot};
    use tocsin_domain::{CampaignId, DistrictId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_lane_has_turns_of_its_own_and_a_tick_with_nothing_free_is_none() {
        let mut turns = Turns::default();
        let mut next =
            |free| [Lane::Priority, Lane::General].map(|lane| turns.next(lane, None, Among::Open, free));
        assert_eq!([next(1), next(0), next(4), next(1)], [[0, 0], [1, 1], [1, 1], [2, 2]]);
    }

    fn one_of(campaigns: &[u128], turn: u64) -> u128 {
        let demands: Vec<Demand> = campaigns
            .iter()
            .map(|campaign| Demand {
                district: DistrictId(Uuid::nil()),
                weight: 1,
                campaign: CampaignId(Uuid::from_u128(*campaign)),
                wants: 1,
            })
            .collect();
        let parts = allot(1, &demands, turn);
        parts.iter().position(|part| *part == 1).map(|at| campaigns[at]).unwrap()
    }

    /// One place a tick, as release draws it: among all, and where that one has nothing due, among those that have.
    #[test]
    fn whoever_has_jobs_due_waits_for_no_more_than_two_rounds_of_those_that_have_however_many_have_none() {
        for (open, every) in [(8, 2), (9, 3), (16, 4), (100, 10), (100, 25), (101, 7), (100, 100)] {
            let all: Vec<u128> = (0..open).collect();
            let due: Vec<u128> = all.iter().copied().filter(|campaign| campaign % every == 0).collect();
            let (mut turns, mut waits) = (Turns::default(), vec![0; due.len()]);
            for _ in 0..1_000 {
                let mut turn = |among| turns.next(Lane::General, None, among, 1);
                let first = one_of(&all, turn(Among::Open));
                let served = if due.contains(&first) { first } else { one_of(&due, turn(Among::Due)) };
                for (wait, campaign) in waits.iter_mut().zip(&due) {
                    *wait = if *campaign == served { 0 } else { *wait + 1 };
                    assert!(*wait < 2 * due.len(), "{campaign} of {due:?} among {open}");
                }
            }
        }
    }
}
