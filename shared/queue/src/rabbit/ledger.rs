//! Which deliveries of a channel are settled, and the fewest frames that tell the broker.
//!
//! The broker numbers the deliveries of a channel from 1. One frame can acknowledge everything up
//! to a tag, and costs the broker a sixth of what single ones do, so the ledger follows the *floor*:
//! the tag up to which all are settled. Batches finish out of order all the time, by a few
//! milliseconds; an acknowledgement above the floor is therefore held a moment, for the floor to
//! reach it.

use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Eq)]
enum Above {
    /// Acknowledged here; the broker has not been told.
    Held,
    /// Settled at the broker by a frame of its own.
    Told,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    floor: u64,
    above: BTreeMap<u64, Above>,
    held: usize,
}

impl Ledger {
    /// Notes acknowledgements. Tags settled before are ignored: a second frame for one would make
    /// the broker close the channel.
    pub(super) fn ack(&mut self, tags: impl IntoIterator<Item = u64>) {
        for tag in tags {
            if self.is_open(tag) {
                self.above.insert(tag, Above::Held);
                self.held += 1;
            }
        }
    }

    /// Notes that a frame of its own has settled the tag.
    pub(super) fn told(&mut self, tag: u64) {
        if let Some(Above::Held) = self.above.insert(tag, Above::Told) {
            self.held -= 1;
        }
    }

    /// Not settled in any way yet.
    pub(super) fn is_open(&self, tag: u64) -> bool {
        tag > self.floor && !self.above.contains_key(&tag)
    }

    /// Raises the floor over what is settled without a gap. The answer is the tag to acknowledge
    /// everything up to, if anything held was passed. It is never a tag the broker was told of
    /// alone: such a tag would be unknown to it.
    pub(super) fn rise(&mut self) -> Option<u64> {
        let mut multiple = None;
        while let Some(state) = self.above.remove(&(self.floor + 1)) {
            self.floor += 1;
            if state == Above::Held {
                self.held -= 1;
                multiple = Some(self.floor);
            }
        }
        multiple
    }

    pub(super) fn holds_any(&self) -> bool {
        self.held > 0
    }

    /// The held tags, lowest first, to be acknowledged one by one.
    pub(super) fn held(&self) -> Vec<u64> {
        self.above.iter().filter(|(_, state)| **state == Above::Held).map(|(tag, _)| *tag).collect()
    }

    /// What keeps the floor from rising over all that is held: the open tags below the highest one.
    pub(super) fn gaps(&self) -> Vec<u64> {
        let highest = self.held().last().copied().unwrap_or(self.floor);
        (self.floor + 1..highest).filter(|tag| self.is_open(*tag)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_frame_covers_all_that_is_settled_without_a_gap() {
        // Each step: the tags acknowledged, the frame it allows, what is held then.
        let steps: [(&[u64], Option<u64>, &[u64]); 5] = [
            (&[1, 2, 3], Some(3), &[]),
            (&[6, 5], None, &[5, 6]),
            (&[8], None, &[5, 6, 8]),
            (&[4], Some(6), &[8]),
            (&[4, 7, 7], Some(8), &[]),
        ];
        let mut ledger = Ledger::default();
        for (tags, frame, held) in steps {
            ledger.ack(tags.iter().copied());
            assert_eq!(ledger.rise(), frame, "{tags:?}");
            assert_eq!(ledger.held(), held, "{tags:?}");
            assert_eq!(ledger.holds_any(), !held.is_empty());
        }
    }

    #[test]
    fn a_frame_never_names_a_tag_that_was_settled_alone() {
        let mut ledger = Ledger::default();
        ledger.ack([2]);
        ledger.told(1);
        ledger.told(3);
        assert_eq!(ledger.rise(), Some(2));
        ledger.told(4);
        assert_eq!(ledger.rise(), None);
        assert!(!ledger.is_open(3));
    }

    #[test]
    fn the_gaps_are_what_is_open_below_the_highest_held() {
        let mut ledger = Ledger::default();
        assert!(ledger.gaps().is_empty());
        ledger.ack([1, 4, 7]);
        ledger.rise();
        ledger.told(5);
        ledger.told(9);
        assert_eq!(ledger.gaps(), [2, 3, 6]);
        ledger.gaps().into_iter().for_each(|tag| ledger.told(tag));
        assert_eq!(ledger.rise(), Some(7));
        assert!(ledger.gaps().is_empty());
    }

    #[test]
    fn a_tag_is_settled_once() {
        let mut ledger = Ledger::default();
        ledger.ack([1, 3]);
        assert_eq!(ledger.rise(), Some(1));
        ledger.told(3);
        ledger.ack([1, 3]);
        assert!(!ledger.holds_any());
        ledger.ack([2]);
        assert_eq!(ledger.rise(), Some(2));
        assert!(!ledger.is_open(3) && ledger.is_open(4));
    }
}
