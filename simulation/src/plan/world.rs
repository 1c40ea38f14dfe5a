//! The world that a seed begins with: accounts and their numbers, limits of a district, and campaigns.

use tocsin_domain::policy::Machines;
use tocsin_domain::{Channel, Lane};

use super::{PlannedAccount, PlannedLimit, PlannedSender, Submission};
use crate::database::DISTRICTS;
use crate::random::Random;

pub(super) fn account(random: &mut Random, channel: Channel) -> PlannedAccount {
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

pub(super) fn limits(random: &mut Random, channels: &[Channel]) -> Vec<PlannedLimit> {
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

pub(super) fn submission(random: &mut Random, channels: &[Channel]) -> Submission {
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
