//! Emergencies that were tried again out of doubt: allowed, and to be told by their cause.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tocsin_domain::{AttemptKey, CampaignId, Lane};
use tocsin_providers::TokenKeys;
use tocsin_store::Store;
use tocsin_store::audit::AttemptFact;

use super::{CheckError, Effect, Facts, Seen, Send, facts};
use crate::simulator::{Kind, Record};

/// A job's further request, where nobody could say what became of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    pub attempt: AttemptKey,
    pub cause: Cause,
}

/// Why the one before was in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The provider took it, and its answer never left the provider.
    AnswerNotGiven,
    /// The provider answered, and nobody was there any more to write it down.
    AnswerNotKept,
    /// The provider told of it when it was looked up, and it was repeated all the same: that is no doubt.
    Found,
}

impl Cause {
    pub fn is_doubt(self) -> bool {
        match self {
            Self::AnswerNotGiven | Self::AnswerNotKept => true,
            Self::Found => false,
        }
    }
}

/// The repeats of `campaigns`, whose people are in no other campaign of the record: a look-up names no attempt but only
/// whom it is about. What no lane's rule allows is [`super::check`]'s to tell.
pub async fn repeats(
    store: &Store,
    records: &[Record],
    token_keys: &TokenKeys,
    campaigns: &[CampaignId],
) -> Result<Vec<Repeat>, CheckError> {
    let mut seen = Seen::default();
    seen.read(records, token_keys);
    let people = people(records, token_keys);
    let mut all = Vec::new();
    for &campaign in campaigns {
        let facts = facts(store, campaign).await?;
        all.extend(repeats_of(&facts, &seen.sends.remove(&campaign).unwrap_or_default(), &people));
    }
    Ok(all)
}

/// Whom each attempt reached, and when the provider answered a look-up of that person.
#[derive(Debug, Default)]
pub(super) struct People<'a> {
    pub to: HashMap<AttemptKey, &'a str>,
    pub looked_up: HashMap<&'a str, Vec<chrono::DateTime<chrono::Utc>>>,
}

fn people<'a>(records: &'a [Record], token_keys: &TokenKeys) -> People<'a> {
    let mut people = People::default();
    for record in records {
        let Some(to) = record.to.as_deref() else { continue };
        match record.kind {
            // A request that was not processed reached nobody, answered or not.
            Kind::Send if record.provider_id.is_some() => {
                if let Ok((attempt, _)) = token_keys.read(record.token.as_deref().unwrap_or_default()) {
                    people.to.insert(attempt, to);
                }
            }
            Kind::LookUp if record.answered == 200 => {
                people.looked_up.entry(to).or_default().push(record.arrived_at);
            }
            Kind::Send | Kind::LookUp | Kind::Recall => {}
        }
    }
    people
}

pub(super) fn repeats_of(facts: &Facts, sends: &[Send], people: &People<'_>) -> Vec<Repeat> {
    if facts.campaign.lane != Lane::Emergency {
        return Vec::new();
    }
    let attempts: HashMap<(i32, i16), &AttemptFact> =
        facts.attempts.iter().map(|attempt| ((attempt.job, attempt.number), attempt)).collect();
    let mut by_job: BTreeMap<i32, Vec<&Send>> = BTreeMap::new();
    for send in sends.iter().filter(|send| people.to.contains_key(&send.attempt)) {
        by_job.entry(send.attempt.job.job).or_default().push(send);
    }
    let mut repeats = Vec::new();
    for requests in by_job.values_mut() {
        requests.sort_by_key(|send| (send.arrived_at, send.attempt.number));
        for pair in requests.windows(2) {
            let &[first, second] = pair else { continue };
            let key = (first.attempt.job.job, first.attempt.number);
            let known = attempts.get(&key).and_then(|attempt| attempt.outcome);
            // An outcome that is tried again is no doubt, and no repeat.
            let redialed = first.effect == Effect::Accepted
                && known.is_some_and(|outcome| outcome.is_answer() && facts.campaign.redial.redials(outcome));
            if first.attempt == second.attempt || redialed {
                continue;
            }
            let between = first.arrived_at..second.arrived_at;
            let looked_up = people.to.get(&first.attempt).and_then(|to| people.looked_up.get(to));
            let found = looked_up.is_some_and(|times| times.iter().any(|at| between.contains(at)));
            let cause = match first.effect {
                _ if found => Cause::Found,
                Effect::Unanswered => Cause::AnswerNotGiven,
                Effect::Accepted | Effect::None => Cause::AnswerNotKept,
            };
            repeats.push(Repeat { attempt: second.attempt, cause });
        }
    }
    repeats
}
