//! How many more jobs each account may have on the queue: about what it drains in two seconds, so that
//! unsent work waits on rows, where it can be canceled (promise 7).

use std::collections::HashMap;
use std::time::Duration;

use tocsin_domain::failover::Health;
use tocsin_domain::route::Route;
use tocsin_domain::sender::{Candidate, preferred};
use tocsin_domain::{AccountId, Channel, DistrictId, Lane};
use tocsin_store::accounts::Account;
use tocsin_store::release::{OpenCampaign, QueuedCount};

/// The window of an account: about what it drains in this time.
const WINDOW: Duration = Duration::from_secs(2);
/// The window of an account without a rate limit.
const WINDOW_UNLIMITED: f64 = 4_000.0;
/// Lots are drawn from so many.
const LOTS: u64 = 1 << 20;
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
    /// Its part of the channel's work: its weight, times what it drains.
    part: f64,
    /// Jobs of it that are queued.
    taken: i64,
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
    /// Any number of the job's own: where nothing else decides, accounts get jobs by it and their parts.
    pub lot: u64,
    /// A number that stays the same for the person, and so does the sender as long as it has room.
    pub person: Option<i64>,
    /// Where the job was released to last.
    pub last: Option<AccountId>,
    pub route: Route,
}

impl Windows {
    pub fn of(accounts: &[Account], queued: &[QueuedCount], channel: Channel, lane: Lane) -> Self {
        let here = |count: &&QueuedCount| count.channel == channel && count.lane == lane;
        let parents: HashMap<AccountId, AccountId> =
            accounts.iter().filter_map(|account| Some((account.id, account.parent()?))).collect();
        let is_of = |count: &QueuedCount, id: AccountId| {
            count.account == id || parents.get(&count.account) == Some(&id)
        };
        let taken = |account: &Account| -> i64 {
            let of_account = queued.iter().filter(|count| is_of(count, account.id));
            of_account.filter(here).map(|count| count.queued).sum()
        };
        // Of an account with all that its senders have.
        let free = |account: &Account| {
            let of_account = || queued.iter().filter(|count| is_of(count, account.id));
            let taken = taken(account);
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
                part: f64::from(account.limits.weight.max(1)) * window(account, lane).max(1) as f64,
                taken: taken(account),
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

    /// Takes one place: on the account that has the fewest jobs for its part, of its senders on the person's own if
    /// that has room, else on the least loaded. Where another route is asked for, the last account is taken only if no
    /// other has room, and the last sender only if none of its account has.
    pub fn take(&mut self, served: Served, wish: Wish) -> Option<AccountId> {
        let not = wish.last.filter(|_| wish.route != Route::Any);
        let not_sender = wish.last.filter(|_| wish.route == Route::Another);
        let is_last = |window: &Window| not.is_some_and(|last| window.holds(last));
        let own = self.by_lot(served, wish.lot);
        let best = self
            .accounts
            .iter_mut()
            .filter(|window| window.served == served && window.room() > 0)
            .min_by(|one, other| {
                let order = |window: &Window| (is_last(window), window.load(), Some(window.account) != own);
                let ((last, load, lot), (other_last, other_load, other_lot)) = (order(one), order(other));
                last.cmp(&other_last).then(load.total_cmp(&other_load)).then(lot.cmp(&other_lot))
            })?;
        best.take(wish, not_sender)
    }

    /// The account that `lot` falls to: each as often as its part says.
    fn by_lot(&self, served: Served, lot: u64) -> Option<AccountId> {
        let sum: f64 = self.serving(served).map(|window| window.part).sum();
        let mut left = (lot % LOTS) as f64 / LOTS as f64 * sum;
        self.serving(served)
            .find(|window| {
                left -= window.part;
                left < 0.0
            })
            .map(|window| window.account)
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

    /// Jobs for its part.
    fn load(&self) -> f64 {
        (self.taken + self.given) as f64 / self.part
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
    let (pace, health) = (&account.pace, account.health.given());
    // On trial it gets emergencies, too: while any is due nothing else is released, and it would never come back.
    if pace.held || health == Health::Resting {
        return 0;
    }
    let drains = match (pace.rate_per_second, health) {
        (None, Health::Trial) => health.part_of(f64::INFINITY) * WINDOW.as_secs_f64(),
        (None, health) => health.part_of(WINDOW_UNLIMITED),
        (Some(rate), health) => health.part_of(rate) * WINDOW.as_secs_f64(),
    };
    (drains.ceil() as i64).min(places_left(account, lane)).max(WINDOW_MIN)
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
mod tests;
