//! What a seed does: the world it begins with and its operations, which follow from the seed alone. An operation
//! names what it concerns by a number; which of the workers, campaigns or messages that is, is decided when it
//! is done.

mod scenes;
mod single;
mod world;

use tocsin_domain::policy::Machines;
use tocsin_domain::{Channel, Lane};

use crate::broker::{Class, Fate};
use crate::random::Random;

/// Operations of a run, or a few more.
const OPERATIONS: usize = 45;
/// Names what was made last, whatever there is before it.
pub const LATEST: u64 = u64::MAX;

#[derive(Debug, Clone)]
pub struct Plan {
    pub channels: Vec<Channel>,
    pub accounts: Vec<PlannedAccount>,
    pub limits: Vec<PlannedLimit>,
    pub workers: usize,
    pub operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
pub struct PlannedAccount {
    pub channel: Channel,
    pub rate_per_second: f64,
    pub burst: Option<i32>,
    pub concurrency: Option<i32>,
    pub reserve: i32,
    pub depth: Option<i32>,
    pub senders: Vec<PlannedSender>,
}

/// A number of an account, with limits of its own. None is no limit but its account's.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlannedSender {
    pub rate_per_second: Option<f64>,
    pub burst: Option<i32>,
    pub concurrency: Option<i32>,
}

/// What a district allows of a channel.
#[derive(Debug, Clone, Copy)]
pub struct PlannedLimit {
    pub district: usize,
    pub channel: Channel,
    pub rate_per_second: Option<f64>,
    pub concurrency: Option<u32>,
    pub spares_emergencies: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    Submit(Submission),
    Cancel {
        campaign: u64,
    },
    /// A campaign for those whom a canceled one reached, or may have.
    Correct {
        campaign: u64,
        submission: Submission,
    },
    /// The control exchange is told again, as by somebody who presses cancel once more.
    CancelAgain {
        campaign: u64,
    },
    Plan {
        planner: u64,
        tick: Tick,
    },
    Work {
        worker: u64,
        until: Stage,
    },
    /// One stage alone.
    Step {
        worker: u64,
        stage: Stage,
    },
    Renew {
        worker: u64,
    },
    /// Recalls and look-ups that wait.
    Serve {
        worker: u64,
    },
    Freeze {
        worker: u64,
    },
    Thaw {
        worker: u64,
    },
    CrashWorker {
        worker: u64,
    },
    StopWorker {
        worker: u64,
    },
    StartWorker,
    LoseSession {
        worker: u64,
    },
    CrashPlanner {
        planner: u64,
    },
    Callback {
        pick: u64,
        how: Delivery,
    },
    Apply {
        lane: Lane,
        batch_max: usize,
    },
    /// Written, and not acknowledged: the collector is gone in between.
    ApplyAndCrash {
        lane: Lane,
    },
    Rematch,
    /// A person texts one of our numbers.
    Text {
        pick: u64,
        says: Says,
    },
    /// The vendor posts an earlier text again.
    TextAgain {
        pick: u64,
    },
    Hear,
    /// As `ApplyAndCrash`, of texts.
    HearAndCrash,
    /// The operator lets stopped senders serve again.
    Resume,
    Decree {
        class: Class,
        fate: Fate,
        messages: u32,
    },
    /// Somebody must not be contacted any more.
    Bar {
        pick: u64,
    },
    DeliverHeld {
        pick: u64,
    },
    RestartBroker,
    EmptyBroker,
    /// Time goes by for everybody: nobody renews a lease meanwhile.
    Advance {
        milliseconds: i64,
    },
    /// As much time as lies between two renewals, and who is not frozen renews.
    Live {
        milliseconds: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    Everything,
    Duties,
    Expand,
    Release(Channel),
    Sweep,
    Expire,
    Close,
    House,
    Audit,
    Depths,
}

/// The stages of a worker, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Obey,
    TakeIn,
    Permit,
    Claim,
    Settle,
    Send,
    Answer,
    Record,
}

impl Stage {
    pub const ALL: [Self; 8] = [
        Self::Obey,
        Self::TakeIn,
        Self::Permit,
        Self::Claim,
        Self::Settle,
        Self::Send,
        Self::Answer,
        Self::Record,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Once,
    Twice,
    Lost,
    Forged,
    /// All that there are, the last first.
    AllBackwards,
    /// Of each attempt all but its last word.
    AllButLast,
}

/// What a person texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Stop,
    Start,
    Help,
    Nothing,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub district: usize,
    pub lane: Lane,
    pub channels: Vec<Channel>,
    pub per_student: bool,
    pub attempts_max: u8,
    pub wait_seconds: u32,
    pub machines: Machines,
    /// Local hours.
    pub window: Option<(u32, u32)>,
    pub begins_in_seconds: i64,
    pub expires_in_seconds: i64,
    pub long_text: bool,
    /// What its author allows of each of its channels.
    pub rate_per_second: Option<f64>,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let channels = match random.below(12) {
            0..3 => vec![Channel::Voice],
            3..6 => vec![Channel::Sms],
            6 => vec![Channel::Email],
            7 | 8 => vec![Channel::Voice, Channel::Sms],
            9 => vec![Channel::Sms, Channel::Email],
            10 => vec![Channel::Voice, Channel::Inbox],
            _ => vec![Channel::Sms, Channel::Inbox],
        };
        let mut accounts = Vec::new();
        for &channel in &channels {
            let most = if channel == Channel::Inbox { 1 } else { 2 };
            for _ in 0..random.between(1, most) {
                accounts.push(world::account(&mut random, channel));
            }
        }
        let limits = world::limits(&mut random, &channels);
        let workers = random.between(1, 3) as usize;
        let mut operations: Vec<Operation> = (0..random.between(1, 3))
            .map(|_| Operation::Submit(world::submission(&mut random, &channels)))
            .collect();
        while operations.len() < OPERATIONS {
            if random.percent(25) {
                operations.extend(scenes::scene(&mut random, &channels));
            } else {
                operations.push(single::operation(&mut random, &channels));
            }
        }
        Self { channels, accounts, limits, workers, operations }
    }
}
