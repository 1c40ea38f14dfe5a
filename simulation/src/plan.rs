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
                accounts.push(account(&mut random, channel));
            }
        }
        let limits = limits(&mut random, &channels);
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
        Self { channels, accounts, limits, workers, operations }
    }
}

fn account(random: &mut Random, channel: Channel) -> PlannedAccount {
    let rate_per_second = random.weighted(&[(1, 0.5), (3, 2.0), (4, 5.0), (4, 10.0)]);
    let burst = random.weighted(&[(1, None), (3, Some(1)), (3, Some(3)), (2, Some(10))]);
    let concurrency = random.weighted(&[(4, None), (1, Some(2)), (2, Some(5))]);
    let reserve = if concurrency.is_some() && random.percent(50) { 1 } else { 0 };
    let depth = random.weighted(&[(4, None), (1, Some(6))]);
    let senders = match channel {
        Channel::Inbox => 0,
        Channel::Voice | Channel::Sms | Channel::Email => random.weighted(&[(6, 0), (1, 1), (2, 2), (1, 3)]),
    };
    let senders = (0..senders).map(|_| sender(random, channel)).collect();
    PlannedAccount { channel, rate_per_second, burst, concurrency, reserve, depth, senders }
}

fn sender(random: &mut Random, channel: Channel) -> PlannedSender {
    let rate_per_second = random.weighted(&[(1, None), (2, Some(0.5)), (3, Some(1.0)), (2, Some(3.0))]);
    let burst = random.weighted(&[(2, None), (2, Some(1)), (1, Some(3))]);
    let concurrency = match channel {
        Channel::Voice => random.weighted(&[(2, None), (1, Some(1)), (1, Some(2))]),
        Channel::Sms | Channel::Email | Channel::Inbox => None,
    };
    PlannedSender { rate_per_second, burst: rate_per_second.and(burst), concurrency }
}

fn limits(random: &mut Random, channels: &[Channel]) -> Vec<PlannedLimit> {
    if !random.percent(30) {
        return Vec::new();
    }
    let (district, channel) = (random.weighted(&[(3, 0), (2, 1)]), random.pick(channels));
    let rate_per_second = random.weighted(&[(1, None), (1, Some(1.0)), (2, Some(3.0))]);
    let concurrency = match rate_per_second {
        None => Some(random.between(1, 3) as u32),
        Some(_) => random.weighted(&[(2, None), (1, Some(1)), (1, Some(3))]),
    };
    let spares_emergencies = random.percent(40);
    vec![PlannedLimit { district, channel, rate_per_second, concurrency, spares_emergencies }]
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
        rate_per_second: random.weighted(&[(8, None), (1, Some(1.0)), (1, Some(3.0))]),
    }
}

/// A worker takes up work and is held at one of its stages, while something happens; then it goes on. Rare by pure
/// chance, and where the promises are hardest to keep.
fn scene(random: &mut Random, channels: &[Channel]) -> Vec<Operation> {
    let (worker, other, pick) = (random.below(4), random.below(4), random.next());
    let planner = random.below(2);
    let plan = Operation::Plan { planner, tick: Tick::Everything };
    let event = random.below(16);
    if event == 14 {
        return late_word(random, channels, plan);
    }
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
        12 => operations.extend([
            Operation::Text { pick, says: Says::Stop },
            Operation::Hear,
            Operation::Advance { milliseconds: 7_500 },
            Operation::Text { pick, says: Says::Start },
            Operation::Hear,
            Operation::TextAgain { pick },
            Operation::Hear,
        ]),
        15 => {
            operations = vec![plan, Operation::Cancel { campaign: pick }];
            operations.push(Operation::Live { milliseconds: 900 });
        }
        13 => operations.extend([
            Operation::Work { worker, until: Stage::Record },
            Operation::Cancel { campaign: pick },
            plan,
            Operation::Correct { campaign: pick, submission: submission(random, channels) },
        ]),
        _ => operations.push(pause),
    }
    operations.push(Operation::Plan { planner, tick: Tick::Release(random.pick(channels)) });
    operations.push(Operation::Work { worker, until: Stage::Record });
    operations
}

/// A provider says late what makes another try needless, while that try waits or is queued.
fn late_word(random: &mut Random, channels: &[Channel], plan: Operation) -> Vec<Operation> {
    let worker = random.below(4);
    let all = Operation::Work { worker, until: Stage::Record };
    let apply = Lane::ALL.map(|lane| Operation::Apply { lane, batch_max: 8 });
    let submission = Submission {
        attempts_max: 3,
        wait_seconds: 10,
        window: None,
        begins_in_seconds: 0,
        expires_in_seconds: 7200,
        ..submission(random, channels)
    };
    let mut operations = vec![
        Operation::Submit(submission),
        plan.clone(),
        Operation::Live { milliseconds: 900 },
        all.clone(),
        Operation::Callback { pick: 0, how: Delivery::AllButLast },
    ];
    operations.extend(apply.clone());
    operations.push(Operation::Live { milliseconds: 10_100 });
    operations.push(plan);
    if random.percent(50) {
        operations
            .extend([Operation::Live { milliseconds: 900 }, Operation::Work { worker, until: Stage::Claim }]);
    }
    operations.push(Operation::Callback { pick: 0, how: Delivery::AllBackwards });
    operations.extend(apply);
    operations.extend([Operation::Plan { planner: 0, tick: Tick::House }, all]);
    operations
}

fn operation(random: &mut Random, channels: &[Channel]) -> Operation {
    let (pick, worker, planner) = (random.next(), random.below(4), random.below(2));
    match random.below(212) {
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
        200..203 => Operation::Text {
            pick,
            says: random.weighted(&[(4, Says::Stop), (4, Says::Start), (1, Says::Help), (1, Says::Nothing)]),
        },
        203 | 204 => Operation::TextAgain { pick },
        205..208 => Operation::Hear,
        208 => Operation::HearAndCrash,
        209 => Operation::Resume,
        210 | 211 => Operation::Correct { campaign: pick, submission: submission(random, channels) },
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
        (2, Delivery::AllButLast),
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
