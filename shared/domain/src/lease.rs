//! A worker's part of a provider account's limits, such that all parts together never exceed them
//! (promise 4).

/// Micro-units: rates are shared as whole numbers of these, so that sums are exact.
const MICRO: f64 = 1_000_000.0;

/// What a provider account allows over all workers, in the unit it counts: calls, text segments,
/// messages. None is no limit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    pub rate_per_second: Option<f64>,
    pub burst: Option<u32>,
    pub concurrency: Option<u32>,
}

/// A worker's part of [`Limits`]. None is no limit; 0 means that nothing may be sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Share {
    pub rate_per_second: Option<f64>,
    pub burst: Option<u32>,
    pub concurrency: Option<u32>,
}

impl Share {
    /// May anything be sent with this share?
    pub fn is_empty(&self) -> bool {
        self.burst == Some(0)
            || self.concurrency == Some(0)
            || self.rate_per_second.is_some_and(|rate| micros(rate) == 0)
    }
}

/// The share of one of `demanders` workers, itself included, beside `others`: every other share that may
/// still be used.
///
/// It is the fair part, but never more than the others leave. So a newcomer may find nothing at first:
/// its part comes free as the others renew theirs. Where there is less burst or concurrency than workers,
/// as many as it serves get a whole unit each, and those beyond get nothing rather than a rate that they
/// could not use.
pub fn grant(limits: &Limits, others: &[Share], demanders: u32) -> Share {
    let sharers =
        demanders.min(limits.burst.unwrap_or(u32::MAX)).min(limits.concurrency.unwrap_or(u32::MAX)).max(1);
    let rates = others.iter().map(|other| other.rate_per_second.map_or(0, micros));
    let bursts = others.iter().map(|other| other.burst.map_or(0, u64::from));
    let concurrencies = others.iter().map(|other| other.concurrency.map_or(0, u64::from));
    let share = Share {
        rate_per_second: limits
            .rate_per_second
            .map(|limit| part(micros(limit), rates, sharers) as f64 / MICRO),
        // Never above the limit, so it fits.
        burst: limits.burst.map(|limit| part(u64::from(limit), bursts, sharers) as u32),
        concurrency: limits.concurrency.map(|limit| part(u64::from(limit), concurrencies, sharers) as u32),
    };
    match share.is_empty() {
        true => nothing_of(limits),
        false => share,
    }
}

/// Whatever is limited is 0: a share that cannot send leaves its other parts to those that can.
fn nothing_of(limits: &Limits) -> Share {
    Share {
        rate_per_second: limits.rate_per_second.map(|_| 0.0),
        burst: limits.burst.map(|_| 0),
        concurrency: limits.concurrency.map(|_| 0),
    }
}

/// An even part of `limit`; one more where the remainder has not been taken by others yet, so that none
/// of it lies idle; never more than the others leave.
fn part(limit: u64, others: impl Iterator<Item = u64> + Clone, sharers: u32) -> u64 {
    let even = limit / u64::from(sharers);
    let remainder = limit % u64::from(sharers);
    let with_one_more = others.clone().filter(|other| *other > even).count() as u64;
    let taken = others.fold(0, u64::saturating_add);
    (even + u64::from(with_one_more < remainder)).min(limit.saturating_sub(taken))
}

/// Rounded to the nearest, which restores a share exactly and moves a limit by half a millionth at most.
/// No number, or one below zero, is 0.
fn micros(rate: f64) -> u64 {
    (rate * MICRO).round() as u64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn limits(
        rate: impl Into<Option<f64>>,
        burst: impl Into<Option<u32>>,
        concurrency: impl Into<Option<u32>>,
    ) -> Limits {
        Limits { rate_per_second: rate.into(), burst: burst.into(), concurrency: concurrency.into() }
    }

    fn share(
        rate: impl Into<Option<f64>>,
        burst: impl Into<Option<u32>>,
        concurrency: impl Into<Option<u32>>,
    ) -> Share {
        Share { rate_per_second: rate.into(), burst: burst.into(), concurrency: concurrency.into() }
    }

    #[test]
    fn a_share_is_the_fair_part_of_what_is_left() {
        let all = limits(30.0, 10, 9);
        let third = share(10.0, 4, 3);
        let cases: [(&str, &Limits, Vec<Share>, u32, Share); 13] = [
            ("alone", &all, vec![], 1, share(30.0, 10, 9)),
            ("nobody else has asked yet", &all, vec![], 3, third.clone()),
            ("the second of three", &all, vec![third.clone()], 3, share(10.0, 3, 3)),
            ("the last of three", &all, vec![third.clone(), share(10.0, 3, 3)], 3, share(10.0, 3, 3)),
            ("a remainder not taken yet", &all, vec![share(10.0, 3, 3), share(10.0, 3, 3)], 3, third.clone()),
            ("a newcomer waits until others renew", &all, vec![share(30.0, 10, 9)], 2, share(0.0, 0, 0)),
            ("beside one that has not renewed yet", &all, vec![share(25.0, 8, 7)], 2, share(5.0, 2, 2)),
            ("shares above a limit that was lowered", &all, vec![share(99.0, 99, 99)], 2, share(0.0, 0, 0)),
            (
                "no limits",
                &limits(None, None, None),
                vec![share(None, None, None)],
                5,
                share(None, None, None),
            ),
            ("one call at a time is one worker's", &limits(30.0, None, 1), vec![], 3, share(30.0, None, 1)),
            (
                "and the second's share is empty altogether",
                &limits(30.0, None, 2),
                vec![share(15.0, None, 1), share(14.0, None, 1)],
                3,
                share(0.0, None, 0),
            ),
            (
                "a slow account is shared in fractions",
                &limits(1.0, None, None),
                vec![],
                8,
                share(0.125, None, None),
            ),
            ("no demanders are one", &all, vec![], 0, share(30.0, 10, 9)),
        ];
        for (rule, limits, others, demanders, expected) in cases {
            assert_eq!(grant(limits, &others, demanders), expected, "{rule}");
        }
    }

    #[test]
    fn a_limit_that_is_no_number_lets_nothing_through() {
        for rate in [f64::NAN, -1.0, 0.0, 1e-9] {
            assert!(grant(&limits(rate, None, None), &[], 1).is_empty(), "{rate}");
        }
        assert!(!grant(&limits(0.5, 1, 1), &[], 1).is_empty());
        assert!(!grant(&limits(f64::MAX, None, None), &[], 1).is_empty());
    }

    fn total(shares: &[Share]) -> (u64, u64, u64) {
        shares.iter().fold((0, 0, 0), |(rate, burst, concurrency), share| {
            (
                rate + share.rate_per_second.map_or(0, micros),
                burst + u64::from(share.burst.unwrap_or(0)),
                concurrency + u64::from(share.concurrency.unwrap_or(0)),
            )
        })
    }

    /// A worker asks anew, or its share runs out.
    #[derive(Debug, Clone)]
    enum Step {
        Renew { worker: usize, demanders: u32 },
        RunOut { worker: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0usize..8, 0u32..10).prop_map(|(worker, demanders)| Step::Renew { worker, demanders }),
            1 => (0usize..8).prop_map(|worker| Step::RunOut { worker }),
        ]
    }

    fn some_limits() -> impl Strategy<Value = Limits> {
        (option::of(0.001f64..500.0), option::of(1u32..50), option::of(1u32..50))
            .prop_map(|(rate, burst, concurrency)| limits(rate, burst, concurrency))
    }

    proptest! {
        #[test]
        fn all_shares_together_never_exceed_the_limits(all in some_limits(), steps in vec(step(), 0..60)) {
            let mut held = vec![Share::default(); 8];
            for step in steps {
                match step {
                    Step::Renew { worker, demanders } => {
                        let others: Vec<Share> =
                            held.iter().enumerate().filter(|(at, _)| *at != worker).map(|(_, share)| share.clone()).collect();
                        held[worker] = grant(&all, &others, demanders);
                    }
                    Step::RunOut { worker } => held[worker] = Share::default(),
                }
                let (rate, burst, concurrency) = total(&held);
                prop_assert!(all.rate_per_second.is_none_or(|limit| rate <= micros(limit)));
                prop_assert!(all.burst.is_none_or(|limit| burst <= u64::from(limit)));
                prop_assert!(all.concurrency.is_none_or(|limit| concurrency <= u64::from(limit)));
            }
        }

        #[test]
        fn workers_that_keep_renewing_come_to_even_shares(all in some_limits(), workers in 1usize..8) {
            let mut held = vec![Share::default(); workers];
            held[0] = grant(&all, &[], 1);
            for _ in 0..3 {
                for worker in 0..workers {
                    let others: Vec<Share> =
                        held.iter().enumerate().filter(|(at, _)| *at != worker).map(|(_, share)| share.clone()).collect();
                    held[worker] = grant(&all, &others, workers as u32);
                }
            }
            let (rate, ..) = total(&held);
            if let Some(limit) = all.rate_per_second {
                prop_assert_eq!(rate, micros(limit), "nothing lies idle");
            }
            let usable = all.burst.unwrap_or(u32::MAX).min(all.concurrency.unwrap_or(u32::MAX)).min(workers as u32);
            prop_assert_eq!(held.iter().filter(|share| !share.is_empty()).count(), usable as usize);
        }
    }
}
