//! What a seed does: the world it begins with and its operations, which follow from the seed alone. An operation
//! names what it concerns by a number; which of the workers, campaigns or messages that is, is decided when it
//! is done.

use tocsin_domain::policy::Machines;
use tocsin_domain::{Channel, Lane};

use crate::broker::{Class, Fate};
use crate::database::DISTRICTS;
use crate::random::Random;

/// Operations of a run, or a few more.
const OPERATIONS: usize = 45;

#[derive(Debug, Clone)]
pub struct Plan {
    pub channels: Vec<Channel>,
    pub accounts: Vec<PlannedAccount>,
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
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    Submit(Submission),
    Cancel {
        campaign: u64,
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
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let channels = match random.below(10) {
            0..3 => vec![Channel::Voice],
            3..6 => vec![Channel::Sms],
            6 => vec![Channel::Email],
            7 | 8 => vec![Channel::Voice, Channel::Sms],
            _ => vec![Channel::Sms, Channel::Email],
        };
        let mut accounts = Vec::new();
        for &channel in &channels {
            for _ in 0..random.between(1, 2) {
                accounts.push(account(&mut random, channel));
            }
        }
        let workers = random.between(1, 3) as usize;
        let mut operations: Vec<Operation> = (0..random.between(1, 3))
            .map(|_| Operation::Submit(submission(&mut random, &channels)))
            .collect();
        while operations.len() < OPERATIONS {
            if random.percent(25) {
                operations.extend(scene(&mut random, &channels));
            } else {
                operations.push(operation(&mut random, &channels));
            }
        }
        Self { channels, accounts, workers, operations }
    }
}

fn account(random: &mut Random, channel: Channel) -> PlannedAccount {
    let rate_per_second = random.weighted(&[(1, 0.5), (3, 2.0), (4, 5.0), (4, 10.0)]);
    let burst = random.weighted(&[(1, None), (3, Some(1)), (3, Some(3)), (2, Some(10))]);
    let concurrency = random.weighted(&[(4, None), (1, Some(2)), (2, Some(5))]);
    let reserve = if concurrency.is_some() && random.percent(50) { 1 } else { 0 };
    let depth = random.weighted(&[(4, None), (1, Some(6))]);
    PlannedAccount { channel, rate_per_second, burst, concurrency, reserve, depth }
}

fn submission(random: &mut Random, channels: &[Channel]) -> Submission {
    let lane = random.weighted(&[(3, Lane::Emergency), (2, Lane::Priority), (5, Lane::General)]);
    let channels = if random.percent(40) { vec![random.pick(channels)] } else { channels.to_vec() };
    let window = match random.below(10) {
        _ if lane == Lane::Emergency => None,
        0..6 => None,
        6 => Some((9, 17)),
        // Opens, or closes, soon after the start.
        7 => Some((8, 9)),
        8 => Some((0, 8)),
        _ => Some((20, 24)),
    };
    Submission {
        district: random.weighted(&[(5, 0), (3, 1), (1, 2)]).min(DISTRICTS.len() - 1),
        lane,
        channels,
        per_student: random.percent(20),
        attempts_max: random.between(1, 3) as u8,
        wait_seconds: random.pick(&[10, 20, 60]),
        machines: random.pick(&Machines::ALL),
        window,
        begins_in_seconds: random.weighted(&[(8, 0), (1, 3), (1, 30)]),
        expires_in_seconds: random.weighted(&[(6, 7200), (1, 15), (2, 90), (1, 1200), (1, 86_400)]),
        long_text: random.percent(20),
    }
}

/// A worker takes up work and is held at one of its stages, while something happens; then it goes on. Rare by pure
/// chance, and where the promises are hardest to keep.
fn scene(random: &mut Random, channels: &[Channel]) -> Vec<Operation> {
    let (worker, other, pick) = (random.below(4), random.below(4), random.next());
    let planner = random.below(2);
    let plan = Operation::Plan { planner, tick: Tick::Everything };
    let event = random.below(12);
    // A cancel is hardest where jobs are in hand and not yet claimed.
    let until = match event {
        0..3 => random.pick(&[Stage::TakeIn, Stage::Permit, Stage::Permit, Stage::Claim, Stage::Settle]),
        _ => random.pick(&Stage::ALL),
    };
    let mut operations = vec![
        plan.clone(),
        Operation::Live { milliseconds: random.pick(&[200, 500, 900]) },
        Operation::Work { worker, until },
    ];
    let pause = Operation::Advance { milliseconds: random.pick(&[300, 1_500, 2_100, 5_100, 7_500, 21_000]) };
    match event {
        0 | 1 => operations.extend([
            Operation::Cancel { campaign: pick },
            Operation::Step { worker, stage: Stage::Permit },
            Operation::Step { worker, stage: Stage::Claim },
        ]),
        9 => operations.push(Operation::Bar { pick }),
        2 => operations.extend([Operation::Cancel { campaign: pick }, plan, pause]),
        3..5 => operations.extend([
            Operation::Freeze { worker },
            pause,
            Operation::Live { milliseconds: 500 },
            Operation::Work { worker: other, until: Stage::Record },
            Operation::Thaw { worker },
        ]),
        5 => operations.push(Operation::LoseSession { worker }),
        6 | 7 => operations.extend([Operation::CrashWorker { worker }, Operation::StartWorker, pause, plan]),
        8 => operations.push(Operation::Callback { pick, how: Delivery::AllBackwards }),
        _ => operations.push(pause),
    }
    operations.push(Operation::Plan { planner, tick: Tick::Release(random.pick(channels)) });
    operations.push(Operation::Work { worker, until: Stage::Record });
    operations
}

fn operation(random: &mut Random, channels: &[Channel]) -> Operation {
    let (pick, worker, planner) = (random.next(), random.below(4), random.below(2));
    match random.below(200) {
        0..12 => Operation::Submit(submission(random, channels)),
        12..16 => Operation::Cancel { campaign: pick },
        16..18 => Operation::CancelAgain { campaign: pick },
        18..60 => Operation::Plan { planner, tick: tick(random, channels) },
        60..92 => Operation::Work { worker, until: random.pick(&Stage::ALL) },
        92..102 => Operation::Step { worker, stage: random.pick(&Stage::ALL) },
        102..106 => Operation::Renew { worker },
        106..120 => Operation::Live { milliseconds: random.pick(&[100, 400, 900]) },
        120..122 => Operation::Serve { worker },
        122..125 => Operation::Freeze { worker },
        125..128 => Operation::Thaw { worker },
        128..130 => Operation::CrashWorker { worker },
        130..132 => Operation::StopWorker { worker },
        132..136 => Operation::StartWorker,
        136..138 => Operation::LoseSession { worker },
        138..140 => Operation::CrashPlanner { planner },
        140..156 => Operation::Callback { pick, how: delivery(random) },
        156..163 => {
            Operation::Apply { lane: random.pick(&Lane::ALL), batch_max: random.between(1, 8) as usize }
        }
        163..165 => Operation::ApplyAndCrash { lane: random.pick(&Lane::ALL) },
        165 => Operation::Rematch,
        166..176 => decree(random),
        176..182 => Operation::DeliverHeld { pick },
        182 => Operation::RestartBroker,
        183 => Operation::EmptyBroker,
        184..186 => Operation::Bar { pick },
        _ => Operation::Advance {
            milliseconds: random.weighted(&[
                (2, 50),
                (2, 300),
                (2, 1_900),
                (2, 2_100),
                (2, 4_900),
                (2, 7_500),
                (1, 21_000),
                (1, 65_000),
                (1, 400_000),
                (1, 3_600_000),
            ]),
        },
    }
}

fn tick(random: &mut Random, channels: &[Channel]) -> Tick {
    let release = Tick::Release(random.pick(channels));
    random.weighted(&[
        (8, Tick::Everything),
        (1, Tick::Duties),
        (3, Tick::Expand),
        (7, release),
        (3, Tick::Sweep),
        (3, Tick::Expire),
        (2, Tick::Close),
        (1, Tick::House),
        (1, Tick::Audit),
        (1, Tick::Depths),
    ])
}

fn delivery(random: &mut Random) -> Delivery {
    random.weighted(&[
        (10, Delivery::Once),
        (2, Delivery::Twice),
        (2, Delivery::Lost),
        (1, Delivery::Forged),
        (3, Delivery::AllBackwards),
    ])
}

fn decree(random: &mut Random) -> Operation {
    let class =
        random.weighted(&[(4, Class::Jobs), (3, Class::Control), (1, Class::Status), (1, Class::Orders)]);
    let fate = match class {
        Class::Jobs => random.pick(&[
            Fate::Lost,
            Fate::Refused,
            Fate::Twice,
            Fate::Held,
            Fate::HeldCopy,
            Fate::BreaksBefore,
            Fate::BreaksAfter,
            Fate::Crash,
        ]),
        Class::Control => random.pick(&[Fate::Lost, Fate::Held, Fate::Twice, Fate::BreaksBefore]),
        Class::Status | Class::Orders => random.pick(&[Fate::Lost, Fate::Held, Fate::Twice, Fate::Refused]),
    };
    Operation::Decree { class, fate, messages: random.between(1, 4) as u32 }
}
