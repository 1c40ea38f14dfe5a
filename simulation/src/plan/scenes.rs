//! Scenes: several operations that belong together. Rare by pure chance, and where the promises are hardest to keep.

use tocsin_domain::{Channel, Lane};

use super::world::submission;
use super::{Delivery, LATEST, Operation, Says, Stage, Submission, Tick};
use crate::random::Random;

pub(super) fn scene(random: &mut Random, channels: &[Channel]) -> Vec<Operation> {
    let worker = random.below(4);
    match random.below(22) {
        0..15 => held(random, channels, worker),
        15..18 => late_word(random, channels, worker),
        18 | 19 => correction(random, channels, worker),
        20 => told(random, channels),
        _ => handed_over(random, channels),
    }
}

/// A worker takes up work and is held at one of its stages, while something happens; then it goes on.
fn held(random: &mut Random, channels: &[Channel], worker: u64) -> Vec<Operation> {
    let (other, pick, planner) = (random.below(4), random.next(), random.below(2));
    let plan = Operation::Plan { planner, tick: Tick::Everything };
    let event = random.below(15);
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
    // At first it finds that it has no share of what it needs.
    if random.percent(50) {
        operations.extend([Operation::Live { milliseconds: 900 }, Operation::Work { worker, until }]);
    }
    let pause = Operation::Advance { milliseconds: random.pick(&[300, 1_500, 2_100, 5_100, 7_500, 21_000]) };
    match event {
        0 | 1 => operations.extend([
            Operation::Cancel { campaign: pick },
            Operation::Step { worker, stage: Stage::Permit },
            Operation::Step { worker, stage: Stage::Claim },
        ]),
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
        9 => operations.push(Operation::Bar { pick }),
        10 => operations.extend([
            Operation::Text { pick, says: Says::Stop },
            Operation::Hear,
            Operation::Advance { milliseconds: 7_500 },
            Operation::Text { pick, says: Says::Start },
            Operation::Hear,
            Operation::TextAgain { pick },
            Operation::Hear,
        ]),
        11 => operations.extend([
            Operation::Work { worker, until: Stage::Record },
            Operation::Cancel { campaign: pick },
            plan,
            Operation::Correct { campaign: pick, submission: submission(random, channels) },
        ]),
        12 => {
            // It has shares and tokens, and a reason not to use them.
            operations = taken(worker, Stage::Record).to_vec();
            operations.extend([at_any_hour(random, channels), plan, Operation::Cancel { campaign: LATEST }]);
            operations.push(Operation::Live { milliseconds: 900 });
        }
        _ => operations.push(pause),
    }
    operations.push(Operation::Plan { planner, tick: Tick::Release(random.pick(channels)) });
    operations.push(Operation::Work { worker, until: Stage::Record });
    operations
}

/// What is due is released, and a worker takes it until a stage: it asks for its shares, has tokens of them a moment later,
/// and goes on.
fn taken(worker: u64, until: Stage) -> [Operation; 8] {
    let live = Operation::Live { milliseconds: 900 };
    [
        Operation::Plan { planner: 0, tick: Tick::Everything },
        Operation::Work { worker, until: Stage::Permit },
        live.clone(),
        Operation::Work { worker, until },
        live.clone(),
        Operation::Work { worker, until },
        live,
        Operation::Work { worker, until },
    ]
}

/// Everything that providers have to say by now is taken and applied.
fn heard(how: Delivery) -> impl Iterator<Item = Operation> {
    let apply = Lane::ALL.map(|lane| Operation::Apply { lane, batch_max: 64 });
    std::iter::once(Operation::Callback { pick: 0, how }).chain(apply)
}

/// At any hour, and tried again soon.
fn of_several_tries(random: &mut Random, channels: &[Channel]) -> Operation {
    Operation::Submit(Submission {
        attempts_max: 3,
        wait_seconds: 10,
        window: None,
        begins_in_seconds: 0,
        expires_in_seconds: 7200,
        ..submission(random, channels)
    })
}

/// By whatever clock the try before was recorded.
const UNTIL_THE_NEXT_TRY: Operation = Operation::Live { milliseconds: 12_100 };

/// A provider says late what makes another try needless, while that try waits, is queued or under way; and perhaps there
/// would be a third.
fn late_word(random: &mut Random, channels: &[Channel], worker: u64) -> Vec<Operation> {
    let all = Operation::Work { worker, until: Stage::Record };
    let mut operations = vec![of_several_tries(random, channels)];
    operations.extend(taken(worker, Stage::Record));
    operations.extend(heard(Delivery::AllButLast));
    operations.push(UNTIL_THE_NEXT_TRY);
    match random.below(3) {
        0 => operations.push(Operation::Plan { planner: 0, tick: Tick::Everything }),
        _ => operations.extend(taken(worker, Stage::Claim)),
    }
    operations.extend(heard(Delivery::AllBackwards));
    operations.extend([Operation::Plan { planner: 0, tick: Tick::House }, all]);
    operations.extend(heard(Delivery::AllBackwards));
    operations.push(UNTIL_THE_NEXT_TRY);
    operations.extend(taken(worker, Stage::Record));
    operations
}

/// A campaign is canceled while it tries some again, and corrected when that was answered.
fn correction(random: &mut Random, channels: &[Channel], worker: u64) -> Vec<Operation> {
    let plan = Operation::Plan { planner: 0, tick: Tick::Everything };
    let mut operations = vec![of_several_tries(random, channels)];
    operations.extend(taken(worker, Stage::Record));
    operations.extend(heard(Delivery::AllBackwards));
    operations.push(UNTIL_THE_NEXT_TRY);
    operations.extend(taken(worker, random.pick(&[Stage::Claim, Stage::Settle, Stage::Record])));
    operations.push(Operation::Cancel { campaign: LATEST });
    operations.push(Operation::Work { worker, until: Stage::Record });
    operations.extend(heard(random.pick(&[Delivery::AllBackwards, Delivery::AllButLast])));
    // Longer than a recall is waited for, by whatever clock.
    operations.extend([
        plan.clone(),
        Operation::Serve { worker },
        Operation::Advance { milliseconds: 35_000 },
    ]);
    operations
        .extend([plan, Operation::Correct { campaign: LATEST, submission: submission(random, channels) }]);
    operations
}

/// With the first worker's place on an account the second has none: it tells the first of its jobs, and loses its messages,
/// which the first takes as well, and loses.
fn told(random: &mut Random, channels: &[Channel]) -> Vec<Operation> {
    let (first, second) = (0, 1);
    let plan = Operation::Plan { planner: 0, tick: Tick::Everything };
    let mut operations = two_workers();
    operations.push(at_any_hour(random, channels));
    operations.extend(taken(first, Stage::Record));
    operations.extend([
        at_any_hour(random, channels),
        plan.clone(),
        Operation::Work { worker: second, until: Stage::Permit },
        Operation::Renew { worker: second },
        Operation::Work { worker: second, until: Stage::Permit },
        Operation::Renew { worker: first },
        Operation::Work { worker: first, until: Stage::TakeIn },
        Operation::LoseSession { worker: second },
        Operation::Work { worker: first, until: Stage::TakeIn },
        if random.percent(70) {
            Operation::LoseSession { worker: first }
        } else {
            Operation::CrashWorker { worker: first }
        },
        plan,
    ]);
    operations
}

/// A worker that is frozen until its leases are over comes back just when another, which had all, has spent what was there
/// and left.
fn handed_over(random: &mut Random, channels: &[Channel]) -> Vec<Operation> {
    let (first, second) = (0, 1);
    let plan = Operation::Plan { planner: 0, tick: Tick::Everything };
    let live = Operation::Live { milliseconds: 900 };
    let mut operations = two_workers();
    operations.push(at_any_hour(random, channels));
    operations.extend(taken(first, Stage::Record));
    operations.extend([live.clone(), live, Operation::Freeze { worker: first }]);
    operations.extend([
        at_any_hour(random, channels),
        plan.clone(),
        Operation::Advance { milliseconds: 7_500 },
        Operation::Work { worker: second, until: Stage::Permit },
        Operation::Renew { worker: second },
        Operation::Advance { milliseconds: 2_100 },
        Operation::Renew { worker: second },
        Operation::Work { worker: second, until: Stage::Settle },
        Operation::StopWorker { worker: second },
        at_any_hour(random, channels),
        plan,
        Operation::Thaw { worker: first },
        Operation::Renew { worker: first },
        Operation::Work { worker: first, until: Stage::Claim },
    ]);
    operations
}

fn two_workers() -> Vec<Operation> {
    vec![Operation::StartWorker, Operation::Thaw { worker: 0 }, Operation::Thaw { worker: 1 }]
}

fn at_any_hour(random: &mut Random, channels: &[Channel]) -> Operation {
    let submission = submission(random, channels);
    Operation::Submit(Submission {
        window: None,
        begins_in_seconds: 0,
        expires_in_seconds: 7200,
        ..submission
    })
}
