//! How many more jobs each account may have on the queue: about what it drains in two seconds, so that
//! unsent work waits on rows, where it can be canceled (promise 7).

use std::time::Duration;

use tocsin_domain::{AccountId, Channel, DistrictId, Lane};
use tocsin_store::accounts::Account;
use tocsin_store::release::{OpenCampaign, QueuedCount};

/// The window of an account: about what it drains in this time.
const WINDOW: Duration = Duration::from_secs(2);
/// The window of an account without a rate limit.
const WINDOW_UNLIMITED: i64 = 4_000;
/// The smallest window, so that a slow account always has its next job at hand.
const WINDOW_MIN: i64 = 4;

/// Whom an account serves: one district that brought its own, or all that did not.
pub type Served = Option<DistrictId>;

/// The windows of one channel and lane.
#[derive(Debug)]
pub struct Windows {
    accounts: Vec<Window>,
    /// Jobs of this lane that are on the queue.
    queued: i64,
}

#[derive(Debug)]
struct Window {
    account: AccountId,
    served: Served,
    weight: i64,
    free: i64,
    /// Places taken since these windows were made.
    given: i64,
}

impl Windows {
    pub fn of(accounts: &[Account], queued: &[QueuedCount], channel: Channel, lane: Lane) -> Self {
        let here = |count: &&QueuedCount| count.channel == channel && count.lane == lane;
        let accounts = accounts
            .iter()
            .map(|account| {
                let of_account = || queued.iter().filter(|count| count.account == account.id);
                let taken: i64 = of_account().filter(here).map(|count| count.queued).sum();
                // What waits in a later lane is no reason to hold this one back.
                let not_later: i64 =
                    of_account().filter(|count| count.lane <= lane).map(|count| count.queued).sum();
                let free = (window(account, lane) - taken).min(depth_left(account, not_later));
                Window {
                    account: account.id,
                    served: account.limits.district,
                    weight: i64::from(account.limits.weight.max(1)),
                    free: free.max(0),
                    given: 0,
                }
            })
            .collect();
        Self { accounts, queued: queued.iter().filter(here).map(|count| count.queued).sum() }
    }

    /// Is anything of this lane on the queue?
    pub fn busy(&self) -> bool {
        self.queued > 0
    }

    /// What was taken of these windows, which are of `channel` and `lane`, as it counts for other lanes'.
    pub fn given(&self, channel: Channel, lane: Lane) -> impl Iterator<Item = QueuedCount> {
        let given = self.accounts.iter().filter(|window| window.given > 0);
        given.map(move |window| QueuedCount { channel, lane, account: window.account, queued: window.given })
    }

    /// Campaigns by who serves them: a district with accounts of its own uses those only.
    pub fn serve<'a>(&self, campaigns: &[&'a OpenCampaign]) -> Vec<(Served, Vec<&'a OpenCampaign>)> {
        let mut groups: Vec<(Served, Vec<&OpenCampaign>)> = Vec::new();
        for campaign in campaigns {
            let own = Some(campaign.district);
            let served = if self.accounts.iter().any(|window| window.served == own) { own } else { None };
            match groups.iter_mut().find(|(known, _)| *known == served) {
                Some((_, members)) => members.push(campaign),
                None => groups.push((served, vec![campaign])),
            }
        }
        groups
    }

    /// Is there any account that may send this campaign's jobs?
    pub fn serve_any(&self, campaign: &OpenCampaign) -> bool {
        self.serve(&[campaign]).iter().any(|(served, _)| self.serving(*served).next().is_some())
    }

    /// Room for how many more jobs?
    pub fn free(&self, served: Served) -> u32 {
        let free: i64 = self.serving(served).map(|window| window.free).sum();
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    /// Takes one place, on the account with the most room for its weight.
    pub fn take(&mut self, served: Served) -> Option<AccountId> {
        self.take_best(served, |_| true)
    }

    /// As [`Windows::take`], but on `last` only if no other account has room.
    pub fn take_another(&mut self, served: Served, last: AccountId) -> Option<AccountId> {
        self.take_best(served, |account| account != last)
    }

    fn take_best(&mut self, served: Served, preferred: impl Fn(AccountId) -> bool) -> Option<AccountId> {
        let best = self
            .accounts
            .iter_mut()
            .filter(|window| window.served == served && window.free > 0)
            .max_by_key(|window| (preferred(window.account), window.free * window.weight))?;
        best.free -= 1;
        best.given += 1;
        Some(best.account)
    }

    fn serving(&self, served: Served) -> impl Iterator<Item = &Window> {
        self.accounts.iter().filter(move |window| window.served == served)
    }
}

fn window(account: &Account, lane: Lane) -> i64 {
    let pace = &account.pace;
    if pace.held {
        return 0;
    }
    let drains = match pace.rate_per_second {
        None => WINDOW_UNLIMITED,
        Some(rate) => (rate * WINDOW.as_secs_f64()).ceil() as i64,
    };
    drains.min(places_left(account, lane)).max(WINDOW_MIN)
}

/// Calls take their places for much longer than two seconds: what finds none would only go to and fro.
fn places_left(account: &Account, lane: Lane) -> i64 {
    let reserve = match lane {
        Lane::Emergency | Lane::Priority => 0,
        Lane::General => account.limits.reserve,
    };
    match account.limits.concurrency {
        Some(concurrency) if account.limits.channel == Channel::Voice => {
            i64::from(concurrency) - i64::from(reserve) - account.pace.holds
        }
        _ => i64::MAX,
    }
}

/// What the provider may still take beside what it holds already and what is queued for it in this lane and
/// earlier ones (promise 7).
fn depth_left(account: &Account, queued: i64) -> i64 {
    account.limits.depth.map_or(i64::MAX, |depth| i64::from(depth) - account.pace.holds - queued)
}

#[cfg(test)]
mod tests {
    use tocsin_store::accounts::{AccountLimits, Pace};

    use super::*;

    fn account(id: i32, rate: Option<f64>) -> Account {
        Account {
            id: AccountId(id),
            limits: AccountLimits {
                name: format!("account-{id}"),
                district: None,
                channel: Channel::Sms,
                rate_per_second: rate,
                burst: None,
                concurrency: None,
                reserve: 0,
                depth: None,
                weight: 1,
            },
            stopped: false,
            stop_reason: None,
            pace: Pace { rate_per_second: rate, held: false, holds: 0 },
        }
    }

    #[test]
    fn a_window_is_what_its_account_drains_in_two_seconds_less_what_is_queued() {
        let queued = [
            QueuedCount { channel: Channel::Sms, lane: Lane::General, account: AccountId(1), queued: 15 },
            QueuedCount { channel: Channel::Sms, lane: Lane::Priority, account: AccountId(1), queued: 9 },
        ];
        let cases = [(Some(10.0), 5), (Some(0.5), 0), (Some(100.0), 185), (None, 3_985)];
        for (rate, free) in cases {
            let windows = Windows::of(&[account(1, rate)], &queued, Channel::Sms, Lane::General);
            assert_eq!(windows.free(None), free, "{rate:?}");
        }
    }

    fn free_of(account: Account, queued: i64) -> u32 {
        let of_account = |lane| QueuedCount { channel: Channel::Sms, lane, account: AccountId(1), queued };
        let queued = [of_account(Lane::General), of_account(Lane::Priority)];
        Windows::of(&[account], &queued, Channel::Sms, Lane::General).free(None)
    }

    #[test]
    fn an_account_that_its_provider_slowed_has_a_smaller_window_and_none_while_it_is_held() {
        let slowed = |rate: f64, held: bool| Account {
            pace: Pace { rate_per_second: Some(rate), held, holds: 0 },
            ..account(1, Some(100.0))
        };
        assert_eq!(free_of(slowed(25.0, false), 10), 40);
        assert_eq!(free_of(slowed(25.0, true), 0), 0);
    }

    #[test]
    fn what_the_provider_holds_and_what_is_queued_for_it_leave_less_of_its_depth() {
        let holding = |holds: i64| {
            let mut account = account(1, Some(100.0));
            account.limits.depth = Some(100);
            account.pace.holds = holds;
            account
        };
        let cases = [(0, 0, 100), (0, 30, 40), (60, 10, 20), (100, 0, 0), (500, 0, 0)];
        for (holds, queued, free) in cases {
            assert_eq!(free_of(holding(holds), queued), free, "{holds} held, {queued} queued in two lanes");
        }
        let queued =
            QueuedCount { channel: Channel::Sms, lane: Lane::General, account: AccountId(1), queued: 90 };
        let emergencies = Windows::of(&[holding(10)], &[queued], Channel::Sms, Lane::Emergency);
        assert_eq!(emergencies.free(None), 90, "general jobs that wait take nothing of it");
    }

    #[test]
    fn calls_that_go_on_leave_less_of_the_window_but_always_the_next_few() {
        let calling = |holds: i64| {
            let mut account = account(1, Some(100.0));
            account.limits.channel = Channel::Voice;
            account.limits.concurrency = Some(50);
            account.limits.reserve = 5;
            account.pace.holds = holds;
            account
        };
        for (holds, free) in [(0, 45), (30, 15), (45, 4), (90, 4)] {
            assert_eq!(free_of(calling(holds), 0), free, "{holds}");
            let priority = Windows::of(&[calling(holds)], &[], Channel::Sms, Lane::Priority);
            assert_eq!(priority.free(None), 50_u32.saturating_sub(holds as u32).max(4), "{holds}");
        }
    }

    #[test]
    fn another_route_is_taken_while_it_has_room() {
        let mut windows =
            Windows::of(&[account(1, Some(9.0)), account(2, Some(1.0))], &[], Channel::Voice, Lane::General);
        let taken: Vec<_> = (0..6).filter_map(|_| windows.take_another(None, AccountId(1))).collect();
        assert_eq!(taken.iter().map(|account| account.0).collect::<Vec<_>>(), [2, 2, 2, 2, 1, 1]);
    }

    #[test]
    fn places_are_taken_until_none_is_left() {
        let mut windows =
            Windows::of(&[account(1, Some(2.0)), account(2, Some(2.0))], &[], Channel::Sms, Lane::General);
        let taken: Vec<_> = std::iter::from_fn(|| windows.take(None)).collect();
        assert_eq!(taken.iter().filter(|account| account.0 == 1).count(), 4);
        assert_eq!(taken.iter().filter(|account| account.0 == 2).count(), 4);
    }
}
