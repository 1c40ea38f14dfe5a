//! The stops that this process heard of, for as long as something may wait here that was claimed before. What is claimed
//! later the store refuses, and so nothing has to be told when sending goes on (docs/adr/0051-stops-reach-claims.md).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tocsin_domain::DistrictId;
use tocsin_domain::policy::SEND_BY;
use tocsin_runtime::{SharedClock, Stopwatch};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stops {
    clock: SharedClock,
    /// Since when, by district; None: of all districts.
    heard: Arc<RwLock<HashMap<Option<DistrictId>, Stopwatch>>>,
}

impl Stops {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, heard: Arc::default() }
    }

    /// A district's sending is stopped, or every district's. To be called after the stop's commit.
    pub fn hear(&self, district: Option<DistrictId>) {
        let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        // What was claimed before these is past `send_by` by now.
        heard.retain(|_, since| since.elapsed() <= SEND_BY);
        heard.insert(district, Stopwatch::start_by(&self.clock));
    }

    /// Was it claimed before a stop of its district was heard? `claimed` was started before the claim was asked for.
    pub fn withhold(&self, district: DistrictId, claimed: &Stopwatch) -> bool {
        let heard = self.heard.read().unwrap_or_else(PoisonError::into_inner);
        // The stop's time is read first: what was claimed before it is never taken for the younger one.
        [None, Some(district)]
            .iter()
            .filter_map(|whose| heard.get(whose))
            .any(|since| since.elapsed() <= claimed.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::test_clock::TestClock;

    #[test]
    fn a_stop_withholds_what_its_district_claimed_before_and_nothing_else() {
        let clock = Arc::new(TestClock::default());
        let shared: SharedClock = clock.clone();
        let stops = Stops::new(shared.clone());
        let [one, other] = [1, 2].map(|id| DistrictId(Uuid::from_u128(id)));
        let before = Stopwatch::start_by(&shared);
        assert!(!stops.withhold(one, &before), "nothing is stopped");
        clock.advance(500);
        stops.hear(Some(one));
        assert_eq!([one, other].map(|district| stops.withhold(district, &before)), [true, false]);
        clock.advance(1);
        let after = Stopwatch::start_by(&shared);
        assert!(!stops.withhold(one, &after), "the store granted it: sending goes on");
        clock.advance(1);
        stops.hear(None);
        assert_eq!([one, other].map(|district| stops.withhold(district, &after)), [true, true]);
    }

    #[test]
    fn a_stop_is_kept_until_what_was_claimed_before_it_is_past_send_by() {
        let clock = Arc::new(TestClock::default());
        let stops = Stops::new(clock.clone());
        for district in 0..100 {
            stops.hear(Some(DistrictId(Uuid::from_u128(district))));
        }
        clock.advance(2_000);
        stops.hear(None);
        assert_eq!(stops.heard.read().unwrap().len(), 101);
        clock.advance(1);
        stops.hear(None);
        assert_eq!(stops.heard.read().unwrap().len(), 1);
    }
}
