//! Where an emergency begins, the jobs of other lanes that are here already let it go first (promise 5): for a moment,
//! none of them is claimed on its channel. What was released before waits for the emergency no longer than the planner
//! would let it wait on its row.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tocsin_domain::Channel;
use tocsin_runtime::{SharedClock, Stopwatch};

/// From hearing of an emergency until its first jobs are here.
const HEARD: Duration = Duration::from_secs(1);
/// From one batch of an emergency's jobs to the next.
const MET: Duration = Duration::from_millis(250);

/// Until when other lanes wait, by channel. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GivesWay {
    clock: SharedClock,
    pauses: Arc<Mutex<[Option<Pause>; Channel::ALL.len()]>>,
}

#[derive(Debug)]
struct Pause {
    since: Stopwatch,
    how_long: Duration,
}

impl GivesWay {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, pauses: Arc::default() }
    }

    /// An emergency is about to be released.
    pub fn heard(&self, channel: Channel) {
        self.give(channel, HEARD);
    }

    /// Jobs of an emergency came.
    pub fn met(&self, channel: Channel) {
        self.give(channel, MET);
    }

    /// For how long other lanes wait on.
    pub fn left(&self, channel: Channel) -> Option<Duration> {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = pauses[position(channel)].as_ref()?;
        pause.how_long.checked_sub(pause.since.elapsed()).filter(|left| !left.is_zero())
    }

    /// The longer of both.
    fn give(&self, channel: Channel, how_long: Duration) {
        if self.left(channel).is_none_or(|left| left < how_long) {
            let pause = Pause { since: Stopwatch::start_by(&self.clock), how_long };
            self.pauses.lock().unwrap_or_else(PoisonError::into_inner)[position(channel)] = Some(pause);
        }
    }
}

fn position(channel: Channel) -> usize {
    Channel::ALL.iter().position(|known| *known == channel).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::TestClock;

    #[test]
    fn others_wait_a_moment_after_an_emergency_was_heard_or_met_and_on_its_channel_alone() {
        let clock = Arc::new(TestClock::default());
        let gives_way = GivesWay::new(clock.clone());
        let left = || gives_way.left(Channel::Sms);
        assert_eq!(left(), None);
        gives_way.heard(Channel::Sms);
        clock.advance(900);
        gives_way.met(Channel::Sms);
        assert_eq!((left(), gives_way.left(Channel::Voice)), (Some(MET), None));
        clock.advance(100);
        assert_eq!(left(), Some(MET - Duration::from_millis(100)));
        clock.advance(150);
        assert_eq!(left(), None);
        gives_way.heard(Channel::Sms);
        gives_way.met(Channel::Sms);
        assert_eq!(left(), Some(HEARD), "the longer of both");
    }
}
