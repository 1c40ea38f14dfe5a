//! One operation, at random.

use tocsin_domain::{Channel, Lane};

use super::world::submission;
use super::{Delivery, Operation, Says, Stage, Tick};
use crate::broker::{Class, Fate};
use crate::random::Random;

pub(super) fn operation(random: &mut Random, channels: &[Channel]) -> Operation {
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
