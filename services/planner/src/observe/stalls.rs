//! Campaigns that should go on and do not: each look is compared with those before it.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::{CampaignId, Lane};
use tocsin_store::observe::Work;

/// Without an attempt for so long, with something to send all this time, a campaign is stalled.
const STALLED_AFTER: TimeDelta = TimeDelta::seconds(60);

/// What earlier looks saw of the campaigns that are sending now.
#[derive(Debug, Default)]
pub struct Stalls {
    seen: HashMap<CampaignId, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    lane: Lane,
    attempts: i64,
    /// Since when there are so many attempts.
    still_since: DateTime<Utc>,
    /// Since when there is something to send, as far as anybody saw.
    work_since: Option<DateTime<Utc>>,
}

impl Stalls {
    /// Returns those with nothing due that may have something queued, of which nobody knows how long.
    pub fn look(&mut self, work: &[Work], now: DateTime<Utc>) -> Vec<CampaignId> {
        let mut found: HashMap<CampaignId, (Lane, i64, bool)> = HashMap::new();
        for some in work.iter().filter(|some| some.sending && some.open > 0) {
            let (_, attempts, due) = found.entry(some.campaign).or_insert((some.lane, 0, false));
            *attempts += some.attempts;
            *due |= some.due > 0;
        }
        self.seen.retain(|campaign, _| found.contains_key(campaign));
        let mut unsure = Vec::new();
        for (campaign, (lane, attempts, due)) in found {
            let new = Seen { lane, attempts, still_since: now, work_since: due.then_some(now) };
            let seen = self.seen.entry(campaign).or_insert(new);
            if seen.attempts != attempts {
                *seen = new;
            } else if due {
                seen.work_since.get_or_insert(now);
            } else if now - seen.still_since >= STALLED_AFTER {
                unsure.push(campaign);
            }
        }
        unsure
    }

    /// Which of those have something queued.
    pub fn learn(&mut self, unsure: &[CampaignId], queued: &[CampaignId], now: DateTime<Utc>) {
        for campaign in unsure {
            let Some(seen) = self.seen.get_mut(campaign) else { continue };
            if queued.contains(campaign) {
                seen.work_since.get_or_insert(now);
            } else {
                (seen.still_since, seen.work_since) = (now, None);
            }
        }
    }

    /// The lane of each campaign that is stalled.
    pub fn stalled(&self, now: DateTime<Utc>) -> Vec<Lane> {
        let for_long = |since: DateTime<Utc>| now - since >= STALLED_AFTER;
        let stalled = |seen: &&Seen| for_long(seen.still_since) && seen.work_since.is_some_and(for_long);
        self.seen.values().filter(stalled).map(|seen| seen.lane).collect()
    }
}

#[cfg(test)]
mod tests {
    use tocsin_domain::Channel;
    use uuid::Uuid;

    use super::*;

    fn work(due: i64, attempts: i64) -> Work {
        Work {
            campaign: CampaignId(Uuid::from_u128(7)),
            lane: Lane::Priority,
            channel: Channel::Sms,
            sending: true,
            due,
            oldest: None,
            open: 9,
            attempts,
        }
    }

    const NEVER: Vec<i64> = Vec::new();

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    /// Looks at these seconds: due jobs, attempts so far, and whether something is queued. Returns when it was stalled.
    fn looks(course: &[(i64, i64, i64, bool)]) -> Vec<i64> {
        let mut stalls = Stalls::default();
        let mut stalled = Vec::new();
        for (second, due, attempts, queued) in course {
            let now = at(*second);
            let unsure = stalls.look(&[work(*due, *attempts)], now);
            let queued = if *queued { unsure.clone() } else { Vec::new() };
            stalls.learn(&unsure, &queued, now);
            if stalls.stalled(now) == [Lane::Priority] {
                stalled.push(*second);
            }
        }
        stalled
    }

    #[test]
    fn due_work_without_an_attempt_for_a_minute_is_a_stall() {
        assert_eq!(looks(&[(0, 5, 3, false), (59, 5, 3, false), (60, 5, 3, false)]), [60]);
        assert_eq!(
            looks(&[(0, 5, 3, false), (59, 5, 4, false), (60, 5, 4, false), (118, 5, 4, false)]),
            NEVER
        );
    }

    #[test]
    fn a_campaign_that_waits_for_a_redial_or_a_window_is_none() {
        let waits =
            [(0, 0, 3, false), (60, 0, 3, false), (300, 0, 3, false), (301, 4, 3, false), (360, 4, 3, false)];
        assert_eq!(looks(&waits), NEVER, "due for 59 s");
        let mut longer = waits.to_vec();
        longer.push((361, 4, 3, false));
        assert_eq!(looks(&longer), [361]);
    }

    #[test]
    fn what_nobody_takes_from_the_queue_is_one_too() {
        let queued =
            [(0, 0, 3, true), (60, 0, 3, true), (90, 2, 3, true), (119, 0, 3, true), (120, 0, 3, true)];
        assert_eq!(looks(&queued), [120]);
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut stalls = Stalls::default();
        stalls.look(&[work(1, 0)], at(0));
        stalls.look(&[], at(60));
        assert_eq!(stalls.seen.len(), 0);
    }
}
