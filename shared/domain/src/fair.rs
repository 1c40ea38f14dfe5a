//! How a lane's free places are shared: among districts by weight, then evenly among the campaigns of
//! each (promise 6).

use std::collections::BTreeMap;

use crate::{CampaignId, DistrictId};

/// A campaign with due jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    pub district: DistrictId,
    /// The district's part beside the others; 0 counts as 1. The same in all of a district's demands.
    pub weight: u32,
    pub campaign: CampaignId,
    /// How many places it could use.
    pub wants: u32,
}

/// How many of `free` places each of `demands` gets, in the same order.
///
/// Places go round by round, each district getting as many a round as it has weight, until all are given
/// or nobody wants more. What is left for the last, incomplete round starts at another place with each
/// `turn`, so that windows smaller than a round serve everybody in the long run: count `turn` up by one
/// with each window, and ask with the same again where somebody had no use for its part. The answer does not
/// depend on the order of `demands`.
pub fn allot(free: u32, demands: &[Demand], turn: u64) -> Vec<u32> {
    let mut districts: BTreeMap<DistrictId, Vec<usize>> = BTreeMap::new();
    for (place, demand) in demands.iter().enumerate() {
        districts.entry(demand.district).or_default().push(place);
    }
    let claims: Vec<Claim> = districts
        .values()
        .map(|places| Claim {
            weight: places.iter().map(|place| demands[*place].weight).max().unwrap_or(1).max(1),
            wants: places.iter().fold(0, |sum, place| sum.saturating_add(demands[*place].wants)),
        })
        .collect();
    let round: u64 = claims.iter().map(|claim| u64::from(claim.weight)).sum();
    // Within a district the start moves on once the districts' own start has been everywhere, else the
    // two would move in step and meet the same campaign each time.
    let inner_turn = turn / round.max(1);

    let mut allotted = vec![0; demands.len()];
    for (places, part) in districts.values_mut().zip(share(free, &claims, turn)) {
        places.sort_by_key(|place| demands[*place].campaign);
        let claims: Vec<Claim> =
            places.iter().map(|place| Claim { weight: 1, wants: demands[*place].wants }).collect();
        for (place, part) in places.iter().zip(share(part, &claims, inner_turn)) {
            allotted[*place] = part;
        }
    }
    allotted
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    weight: u32,
    wants: u32,
}

/// Shares `free` among `claims` by weight, whole rounds first.
fn share(free: u32, claims: &[Claim], turn: u64) -> Vec<u32> {
    let mut given = vec![0; claims.len()];
    let mut left = u64::from(free);
    loop {
        let open: Vec<usize> = (0..claims.len()).filter(|at| given[*at] < claims[*at].wants).collect();
        let round: u64 = open.iter().map(|at| u64::from(claims[*at].weight)).sum();
        if left == 0 || round == 0 {
            return given;
        }
        if left < round {
            left -= last_round(left, claims, &open, turn % round, &mut given);
            continue;
        }
        // As many rounds as it takes until the first claim has all it wants.
        let until_content = open
            .iter()
            .map(|at| (claims[*at].wants - given[*at]).div_ceil(claims[*at].weight))
            .min()
            .unwrap_or(1);
        let rounds = (left / round).min(u64::from(until_content));
        for at in &open {
            let part =
                (rounds * u64::from(claims[*at].weight)).min(u64::from(claims[*at].wants - given[*at]));
            given[*at] += part as u32;
            left -= part;
        }
    }
}

/// Gives `left` places to the claims of `open`, as if each held as many neighbouring seats of a ring as
/// it has weight, from the seat `start` on. Returns how many were given.
fn last_round(left: u64, claims: &[Claim], open: &[usize], start: u64, given: &mut [u32]) -> u64 {
    let mut first_seat = 0;
    let mut first = 0;
    for (order, at) in open.iter().enumerate() {
        if start < first_seat + u64::from(claims[*at].weight) {
            first = order;
            break;
        }
        first_seat += u64::from(claims[*at].weight);
    }
    let passed = start - first_seat;
    let seats = |at: usize| u64::from(claims[at].weight);
    let ring = [(open[first], seats(open[first]) - passed)]
        .into_iter()
        .chain(open[first + 1..].iter().chain(&open[..first]).map(|at| (*at, seats(*at))))
        .chain([(open[first], passed)]);
    let mut still = left;
    for (at, seats) in ring {
        let part = seats.min(u64::from(claims[at].wants - given[at])).min(still);
        given[at] += part as u32;
        still -= part;
    }
    left - still
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn demand(district: u128, weight: u32, campaign: u128, wants: u32) -> Demand {
        Demand {
            district: DistrictId(Uuid::from_u128(district)),
            weight,
            campaign: CampaignId(Uuid::from_u128(campaign)),
            wants,
        }
    }

    #[test]
    fn districts_share_by_weight_and_campaigns_evenly() {
        let cases: [(&str, u32, &[Demand], &[u32]); 8] = [
            ("nobody asks", 10, &[], &[]),
            ("nothing is free", 0, &[demand(1, 1, 1, 5)], &[0]),
            ("one gets all it wants", 10, &[demand(1, 1, 1, 5)], &[5]),
            (
                "a large mailing does not hold up a small one",
                100,
                &[demand(1, 1, 1, 1_000_000), demand(2, 1, 2, 30)],
                &[70, 30],
            ),
            ("by weight", 100, &[demand(1, 3, 1, 1000), demand(2, 1, 2, 1000)], &[75, 25]),
            (
                "many campaigns get a district no more",
                90,
                &[demand(1, 1, 1, 99), demand(1, 1, 2, 99), demand(2, 1, 3, 99)],
                &[23, 22, 45],
            ),
            (
                "what one does not want is the others'",
                90,
                &[demand(1, 1, 1, 5), demand(1, 1, 2, 99), demand(2, 1, 3, 10)],
                &[5, 75, 10],
            ),
            ("no weight is weight 1", 10, &[demand(1, 0, 1, 99), demand(2, 1, 2, 99)], &[5, 5]),
        ];
        for (rule, free, demands, expected) in cases {
            assert_eq!(allot(free, demands, 0), expected, "{rule}");
        }
    }

    #[test]
    fn extreme_numbers_are_shared_at_once() {
        let demands: Vec<Demand> = (0..200).map(|at| demand(at, 100, at, u32::MAX)).collect();
        let total: u64 = allot(u32::MAX, &demands, u64::MAX).into_iter().map(u64::from).sum();
        assert_eq!(total, u64::from(u32::MAX));
    }

    #[test]
    fn small_windows_starve_nobody() {
        let demands = [
            demand(1, 2, 11, 99),
            demand(1, 2, 12, 99),
            demand(2, 1, 21, 99),
            demand(3, 1, 31, 99),
            demand(3, 1, 32, 99),
            demand(3, 1, 33, 99),
        ];
        // Seats of a round 4, campaigns of a district 1 to 3: after 24 turns every start has come up
        // equally often, and every part is exact.
        for free in 1..4 {
            let mut sums = [0; 6];
            for turn in 0..24 {
                for (sum, part) in sums.iter_mut().zip(allot(free, &demands, turn)) {
                    *sum += part;
                }
            }
            assert_eq!(sums, [6, 6, 6, 2, 2, 2].map(|part| part * free), "{free} free");
        }
    }

    #[test]
    fn who_has_no_use_for_a_part_lets_nobody_else_be_out_of_turn() {
        let demands = [demand(1, 1, 11, 9), demand(1, 1, 12, 9), demand(1, 1, 13, 9), demand(1, 1, 14, 9)];
        let (idle, mut served) = (demand(2, 1, 21, 9), Vec::new());
        let one = |demands: &[Demand], turn| allot(1, demands, turn).iter().position(|part| *part == 1);
        for turn in 0..80 {
            let all = [&demands[..], &[idle]].concat();
            let first = one(&all, turn).filter(|at| *at < demands.len());
            served.push(first.or_else(|| one(&demands, turn)));
        }
        for at in 0..demands.len() {
            let waits = served.split(|of| *of == Some(at)).map(<[_]>::len).max();
            assert!(waits <= Some(2 * demands.len()), "{at} of {served:?}");
        }
    }

    fn some_demands() -> impl Strategy<Value = Vec<Demand>> {
        vec((0u128..5, 0u32..60), 0..12).prop_flat_map(|asked| {
            let weights = vec(1u32..5, 5);
            (Just(asked), weights).prop_map(|(asked, weights)| {
                asked
                    .iter()
                    .enumerate()
                    .map(|(at, (district, wants))| {
                        demand(*district, weights[*district as usize], at as u128, *wants)
                    })
                    .collect()
            })
        })
    }

    proptest! {
        #[test]
        fn everything_free_is_given_and_nobody_gets_more_than_wanted(
            demands in some_demands(), free in 0u32..400, turn in any::<u64>(),
        ) {
            let allotted = allot(free, &demands, turn);
            let wanted: u32 = demands.iter().map(|demand| demand.wants).sum();
            prop_assert_eq!(allotted.iter().sum::<u32>(), free.min(wanted));
            prop_assert!(allotted.iter().zip(&demands).all(|(part, demand)| *part <= demand.wants));
        }

        #[test]
        fn whoever_wants_more_has_no_less_than_others_by_weight(
            demands in some_demands(), free in 0u32..400, turn in any::<u64>(),
        ) {
            let allotted = allot(free, &demands, turn);
            let mut districts: BTreeMap<DistrictId, (u32, u32, bool)> = BTreeMap::new();
            for (demand, part) in demands.iter().zip(&allotted) {
                let district = districts.entry(demand.district).or_insert((demand.weight, 0, false));
                district.1 += part;
                district.2 |= *part < demand.wants;
            }
            for (weight, part, hungry) in districts.values() {
                for (other_weight, other_part, _) in districts.values().filter(|_| *hungry) {
                    // Whole rounds that each had: they differ by one at most.
                    prop_assert!(part / weight + 1 >= other_part / other_weight, "{:?}", districts);
                }
            }
            for (one, part) in demands.iter().zip(&allotted).filter(|(one, part)| **part < one.wants) {
                for (_, other) in demands.iter().zip(&allotted).filter(|(other, _)| other.district == one.district) {
                    prop_assert!(part + 1 >= *other, "campaigns of a district are even");
                }
            }
        }

        #[test]
        fn the_order_of_demands_does_not_matter(
            demands in some_demands(), free in 0u32..400, turn in any::<u64>(),
        ) {
            let reversed: Vec<Demand> = demands.iter().rev().copied().collect();
            let mut backwards = allot(free, &reversed, turn);
            backwards.reverse();
            prop_assert_eq!(allot(free, &demands, turn), backwards);
        }
    }
}
