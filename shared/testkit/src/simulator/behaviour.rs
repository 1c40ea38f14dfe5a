//! What happens to one request: its latency, its fault, its message's fate.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tocsin_domain::Channel;

use super::fate::Fate;
use super::scenario::{ChannelScenario, Faults, Scenario};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Throttled { retry_after_seconds: Option<u64> },
    ServerError,
    Hang,
    Dropped,
}

/// How a request is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Treatment {
    pub latency: Duration,
    pub fault: Option<Fault>,
}

/// Drawn by order of arrival, so that a request that is tried again may fare better.
pub(super) fn treatment(seed: u64, request: u64, channel: &ChannelScenario, faults: &Faults) -> Treatment {
    let mut rng = rng((seed, request));
    Treatment { latency: channel.latency.draw(&mut rng), fault: fault(faults, rng.random()) }
}

/// Drawn by person, job and attempt, so that the order of arrival does not matter.
pub(super) fn fate(scenario: &Scenario, channel: Channel, to: &str, token: &str) -> (Fate, StdRng) {
    fate_among(scenario.seed, &scenario.channel(channel).fates, channel, to, token)
}

/// The same among other fates than the channel's.
pub(super) fn fate_among(
    seed: u64,
    fates: &[BTreeMap<Fate, f64>],
    channel: Channel,
    to: &str,
    token: &str,
) -> (Fate, StdRng) {
    let (job, attempt) = job_and_attempt(token).unwrap_or((0, 1));
    let mut rng = rng((seed, channel, to, job, attempt));
    let index = usize::try_from(attempt - 1).unwrap_or(0);
    let Some(weights) = fates.get(index).or(fates.last()) else {
        return (Fate::default_for(channel), rng);
    };
    let mut left = rng.random::<f64>() * weights.values().sum::<f64>();
    for (&fate, &weight) in weights {
        left -= weight;
        if left < 0.0 {
            return (fate, rng);
        }
    }
    (Fate::default_for(channel), rng)
}

pub(super) fn rng(key: impl Hash) -> StdRng {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    StdRng::seed_from_u64(hasher.finish())
}

fn fault(faults: &Faults, draw: f64) -> Option<Fault> {
    let throttled = Fault::Throttled { retry_after_seconds: faults.retry_after_seconds };
    let shares = [
        (faults.throttled, throttled),
        (faults.server_error, Fault::ServerError),
        (faults.hang, Fault::Hang),
        (faults.dropped, Fault::Dropped),
    ];
    let mut left = draw;
    for (share, fault) in shares {
        left -= share;
        if left < 0.0 {
            return Some(fault);
        }
    }
    None
}

/// Reads the numbers in a callback token. The simulator has no key to check it with, and decides
/// nothing by it but its own play.
fn job_and_attempt(token: &str) -> Option<(i32, i16)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == 35)?;
    let job = i32::from_be_bytes(bytes[16..20].try_into().ok()?);
    let attempt = i16::from_be_bytes(bytes[20..22].try_into().ok()?);
    Some((job, attempt.max(1)))
}

#[cfg(test)]
mod tests {
    use tocsin_domain::{AttemptKey, CampaignId, JobKey, Lane};
    use tocsin_providers::{Secret, TokenKeys};
    use uuid::Uuid;

    use super::*;

    fn token(job: i32, number: i16) -> String {
        let attempt = AttemptKey { job: JobKey { campaign: CampaignId(Uuid::nil()), job }, number };
        TokenKeys::new(&Secret::new("k"), None).mint(attempt, Lane::General)
    }

    #[test]
    fn the_mix_follows_the_attempt_and_its_last_entry_holds_on() {
        let mut scenario = Scenario::default();
        let always = |fate| BTreeMap::from([(fate, 1.0)]);
        scenario.voice.fates = vec![always(Fate::Busy), always(Fate::NoAnswer), always(Fate::Human)];
        let drawn = |attempt| fate(&scenario, Channel::Voice, "+1", &token(9, attempt)).0;
        assert_eq!(
            [1, 2, 3, 4, 99].map(drawn),
            [Fate::Busy, Fate::NoAnswer, Fate::Human, Fate::Human, Fate::Human]
        );
        assert_eq!(fate(&scenario, Channel::Voice, "+1", "no token").0, Fate::Busy);
        assert_eq!(fate(&scenario, Channel::Sms, "+1", "").0, Fate::Delivered);
    }

    #[test]
    fn a_fate_is_the_same_for_the_same_attempt_and_the_mix_is_kept() {
        let mut scenario = Scenario::default();
        scenario.sms.fates = vec![BTreeMap::from([(Fate::Delivered, 3.0), (Fate::Undelivered, 1.0)])];
        let drawn = |job| fate(&scenario, Channel::Sms, "+1", &token(job, 1)).0;
        let first: Vec<Fate> = (0..4000).map(drawn).collect();
        let again: Vec<Fate> = (0..4000).map(drawn).collect();
        assert_eq!(first, again);
        let delivered = first.iter().filter(|fate| **fate == Fate::Delivered).count();
        assert!((2850..=3150).contains(&delivered), "{delivered}");
    }

    #[test]
    fn faults_take_their_shares_in_turn() {
        let faults = Faults {
            throttled: 0.1,
            retry_after_seconds: Some(1),
            server_error: 0.2,
            hang: 0.3,
            dropped: 0.1,
        };
        let table = [
            (0.05, Some(Fault::Throttled { retry_after_seconds: Some(1) })),
            (0.2, Some(Fault::ServerError)),
            (0.4, Some(Fault::Hang)),
            (0.65, Some(Fault::Dropped)),
            (0.75, None),
        ];
        for (draw, expected) in table {
            assert_eq!(fault(&faults, draw), expected, "{draw}");
        }
        assert_eq!(fault(&Faults::default(), 0.0), None);
    }
}
