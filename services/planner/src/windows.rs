//! How many more jobs each account may have on the queue: about what it drains in two seconds, so that
//! unsent work waits on rows, where it can be canceled (promise 7).

use std::collections::HashMap;
use std::time::Duration;

use tocsin_domain::sender::{Candidate, preferred};
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

/// An account's window, or a sender's.
#[derive(Debug)]
struct Window {
    account: AccountId,
    served: Served,
    weight: i64,
    /// With what is taken.
    whole: i64,
    free: i64,
    /// Places taken since these windows were made.
    given: i64,
    /// The senders that may send. None: it has none of its own, and jobs go to the account itself.
    senders: Option<Vec<SenderWindow>>,
}

#[derive(Debug)]
struct SenderWindow {
    id: AccountId,
    whole: i64,
    free: i64,
    given: i64,
    /// Its part of the people that are contacted from this account.
    candidate: Candidate,
}

/// What is looked at when a job gets its account and sender.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// A number that stays the same for the person, and so does the sender as long as it has room.
    pub person: Option<i64>,
    /// Where the job was released to last.
    pub last: Option<AccountId>,
    /// Another account or sender than the last is asked for.
    pub another_route: bool,
}

impl Windows {
    pub fn of(accounts: &[Account], queued: &[QueuedCount], channel: Channel, lane: Lane) -> Self {
        let here = |count: &&QueuedCount| count.channel == channel && count.lane == lane;
        let parents: HashMap<AccountId, AccountId> =
            accounts.iter().filter_map(|account| Some((account.id, account.parent()?))).collect();
        let is_of = |count: &QueuedCount, id: AccountId| {
            count.account == id || parents.get(&count.account) == Some(&id)
        };
        // Of an account with all that its senders have.
        let free = |account: &Account| {
            let of_account = || queued.iter().filter(|count| is_of(count, account.id));
            let taken: i64 = of_account().filter(here).map(|count| count.queued).sum();
            // What waits in a later lane is no reason to hold this one back.
            let not_later: i64 =
                of_account().filter(|count| count.lane <= lane).map(|count| count.queued).sum();
            (window(account, lane) - taken).min(depth_left(account, not_later)).max(0)
        };
        let windows = accounts
            .iter()
            .filter(|account| account.sender.is_none() && !account.stopped)
            .map(|account| Window {
                account: account.id,
                served: account.limits.district,
                weight: i64::from(account.limits.weight.max(1)),
                whole: window(account, lane),
                free: free(account),
                given: 0,
                senders: senders_of(account, accounts, lane, free),
            })
            .collect();
        Self { accounts: windows, queued: queued.iter().filter(here).map(|count| count.queued).sum() }
    }

    /// Is anything of this lane on the queue?
    pub fn busy(&self) -> bool {
        self.queued > 0
    }

    /// Does any account have senders to choose from?
    pub fn choose_senders(&self) -> bool {
        self.accounts.iter().any(|window| window.senders.is_some())
    }

    /// What was taken of these windows, which are of `channel` and `lane`, as it counts for other lanes'.
    pub fn given(&self, channel: Channel, lane: Lane) -> impl Iterator<Item = QueuedCount> {
        let counts = self.accounts.iter().flat_map(|window| match &window.senders {
            None => vec![(window.account, window.given)],
            Some(senders) => senders.iter().map(|sender| (sender.id, sender.given)).collect(),
        });
        let given = counts.filter(|(_, given)| *given > 0);
        given.map(move |(account, queued)| QueuedCount { channel, lane, account, queued })
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
        self.serve(&[campaign]).iter().any(|(served, _)| {
            self.serving(*served).any(|window| window.senders.as_ref().is_none_or(|all| !all.is_empty()))
        })
    }

    /// Room for how many more jobs?
    pub fn free(&self, served: Served) -> u32 {
        let free: i64 = self.serving(served).map(Window::room).sum();
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    /// Takes one place: on the account with the most room for its weight, of its senders on the person's own if that
    /// has room, else on the least loaded. Where another route is asked for, the last account is taken only if no
    /// other has room, and the last sender only if none of its account has.
    pub fn take(&mut self, served: Served, wish: Wish) -> Option<AccountId> {
        let last = wish.last.filter(|_| wish.another_route);
        let is_last = |window: &Window| last.is_some_and(|last| window.holds(last));
        let best = self
            .accounts
            .iter_mut()
            .filter(|window| window.served == served && window.room() > 0)
            .max_by_key(|window| (!is_last(window), window.room() * window.weight))?;
        best.take(wish, last)
    }

    /// The window of an account or sender, with what is taken of it.
    pub fn whole(&self, account: AccountId) -> usize {
        let of_senders = self.accounts.iter().flat_map(|window| window.senders.iter().flatten());
        let wholes = self.accounts.iter().map(|window| (window.account, window.whole));
        let mut wholes = wholes.chain(of_senders.map(|sender| (sender.id, sender.whole)));
        let whole = wholes.find(|(known, _)| *known == account).map_or(0, |(_, whole)| whole);
        usize::try_from(whole).unwrap_or(0)
    }

    fn serving(&self, served: Served) -> impl Iterator<Item = &Window> {
        self.accounts.iter().filter(move |window| window.served == served)
    }
}

impl Window {
    fn room(&self) -> i64 {
        match &self.senders {
            None => self.free,
            Some(senders) => self.free.min(senders.iter().map(|sender| sender.free).sum()),
        }
    }

    fn holds(&self, id: AccountId) -> bool {
        self.account == id || self.senders.iter().flatten().any(|sender| sender.id == id)
    }

    fn take(&mut self, wish: Wish, not: Option<AccountId>) -> Option<AccountId> {
        let taken = match &mut self.senders {
            None => self.account,
            Some(senders) => {
                let others = || senders.iter().filter(|sender| Some(sender.id) != not);
                let own = wish.person.and_then(|person| preferred(person, others().map(|one| one.candidate)));
                let best = senders
                    .iter_mut()
                    .filter(|sender| sender.free > 0)
                    .max_by_key(|sender| (Some(sender.id) != not, Some(sender.id.0) == own, sender.free))?;
                best.free -= 1;
                best.given += 1;
                best.id
            }
        };
        self.free -= 1;
        self.given += 1;
        Some(taken)
    }
}

/// None: the account has no senders. A stopped one has no place, and is nobody's any more.
fn senders_of(
    account: &Account,
    accounts: &[Account],
    lane: Lane,
    free: impl Fn(&Account) -> i64,
) -> Option<Vec<SenderWindow>> {
    let of_it = || accounts.iter().filter(|sender| sender.parent() == Some(account.id));
    // Without a rate of its own a sender may use all of its account's.
    let all = account.limits.rate_per_second.unwrap_or(1.0);
    let window = |sender: &Account| SenderWindow {
        id: sender.id,
        whole: window(sender, lane),
        free: free(sender),
        given: 0,
        candidate: Candidate { id: sender.id.0, weight: sender.limits.rate_per_second.unwrap_or(all) },
    };
    of_it().next()?;
    Some(of_it().filter(|sender| !sender.stopped).map(window).collect())
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
    use tocsin_store::leases::Sender;

    use super::*;

    fn account(id: i32, rate: Option<f64>) -> Account {
        Account {
            id: AccountId(id),
            sender: None,
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
        let another = Wish { last: Some(AccountId(1)), another_route: true, person: None };
        let taken: Vec<_> = (0..6).filter_map(|_| windows.take(None, another)).collect();
        assert_eq!(taken.iter().map(|account| account.0).collect::<Vec<_>>(), [2, 2, 2, 2, 1, 1]);
    }

    #[test]
    fn places_are_taken_until_none_is_left() {
        let mut windows =
            Windows::of(&[account(1, Some(2.0)), account(2, Some(2.0))], &[], Channel::Sms, Lane::General);
        let taken: Vec<_> = std::iter::from_fn(|| windows.take(None, Wish::default())).collect();
        assert_eq!(taken.iter().filter(|account| account.0 == 1).count(), 4);
        assert_eq!(taken.iter().filter(|account| account.0 == 2).count(), 4);
    }

    fn sender(id: i32, rate: Option<f64>) -> Account {
        let of = Sender { parent: AccountId(1), address: format!("+1500555{id:04}") };
        Account { sender: Some(of), ..account(id, rate) }
    }

    fn windows(accounts: &[Account], queued: &[QueuedCount]) -> Windows {
        Windows::of(accounts, queued, Channel::Sms, Lane::General)
    }

    fn person(person: i64) -> Wish {
        Wish { person: Some(person), ..Wish::default() }
    }

    #[test]
    fn the_smallest_of_the_windows_of_an_account_and_its_senders_holds() {
        let queued =
            [QueuedCount { channel: Channel::Sms, lane: Lane::General, account: AccountId(2), queued: 6 }];
        let cases = [
            ("the senders' own", Some(100.0), [Some(5.0), Some(10.0)], 4 + 20),
            ("the account's", Some(8.0), [Some(5.0), Some(10.0)], 16 - 6),
            ("no limit of their own", Some(8.0), [None, None], 16 - 6),
        ];
        for (case, rate, [two, three], free) in cases {
            let accounts = [account(1, rate), sender(2, two), sender(3, three)];
            assert_eq!(windows(&accounts, &queued).free(None), free, "{case}");
        }
    }

    #[test]
    fn a_person_is_contacted_from_the_same_sender_until_it_has_no_room() {
        let accounts = [account(1, Some(100.0)), sender(2, Some(2.0)), sender(3, Some(2.0))];
        let own = windows(&accounts, &[]).take(None, person(7)).unwrap();
        let mut full = windows(&accounts, &[]);
        let taken: Vec<_> = std::iter::from_fn(|| full.take(None, person(7))).collect();
        assert_eq!(taken.len(), 8);
        assert!(taken[..4].iter().all(|sender| *sender == own), "{taken:?}");
        assert!(taken[4..].iter().all(|sender| *sender != own), "{taken:?}");
        let of: Vec<_> = (0..8).filter_map(|at| windows(&accounts, &[]).take(None, person(at))).collect();
        assert!(of.contains(&AccountId(2)) && of.contains(&AccountId(3)), "not everybody: {of:?}");
    }

    #[test]
    fn a_sender_that_is_stopped_is_nobodys_and_its_account_sends_from_the_others() {
        let stopped = |sender: Account| Account { stopped: true, ..sender };
        let one = [account(1, None), stopped(sender(2, None)), sender(3, None)];
        let of: Vec<_> = (0..20).filter_map(|at| windows(&one, &[]).take(None, person(at))).collect();
        assert_eq!(of, vec![AccountId(3); 20]);
        let none = [account(1, None), stopped(sender(2, None))];
        assert_eq!(windows(&none, &[]).free(None), 0, "it has senders: its own number is not used");
        let whole = [stopped(account(1, None)), sender(3, None)];
        assert_eq!(windows(&whole, &[]).free(None), 0);
    }

    #[test]
    fn another_route_is_another_account_or_else_another_sender() {
        let two = [account(1, Some(100.0)), sender(2, None), sender(3, None)];
        let last = windows(&two, &[]).take(None, person(7)).unwrap();
        let another = Wish { last: Some(last), another_route: true, person: Some(7) };
        let taken = windows(&two, &[]).take(None, another).unwrap();
        assert!(taken != last && taken != AccountId(1), "{taken:?}");
        let beside = [&two[..], &[account(4, Some(1.0))]].concat();
        assert_eq!(windows(&beside, &[]).take(None, another), Some(AccountId(4)));
    }
}
