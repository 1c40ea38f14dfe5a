//! What a worker does, as metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tocsin_domain::trace::TraceId;
use tocsin_domain::{AccountId, Channel, JobKey, Lane};
use tocsin_providers::{Answer, SendRequest};
use tocsin_runtime::metrics::{CLAIMS, Histogram, PERMIT_WAIT, PROVIDER_REQUEST, REQUESTS};
use tocsin_store::claim::{Claim, Denied};

use crate::claim::Permitted;

const VERDICTS: [&str; 6] = ["granted", "stale", "canceled", "late", "no_lease", "barred"];

/// Counters begin at zero, or nobody could tell that the first one is one more.
pub fn begin(channels: &[Channel]) {
    for channel in channels {
        for lane in Lane::ALL {
            PERMIT_WAIT.of([channel.as_str(), lane.as_str()]);
            for verdict in VERDICTS {
                CLAIMS.of([channel.as_str(), lane.as_str(), verdict]);
            }
        }
    }
}

/// How long jobs of one channel wait for their permits.
#[derive(Debug)]
pub struct Waits([Arc<Histogram>; 3]);

impl Waits {
    pub fn of(channel: Channel) -> Self {
        Self(Lane::ALL.map(|lane| PERMIT_WAIT.of([channel.as_str(), lane.as_str()])))
    }

    pub fn note(&self, permitted: &Permitted) {
        let [emergency, priority, general] = &self.0;
        let waits = match permitted.job.lane {
            Lane::Emergency => emergency,
            Lane::Priority => priority,
            Lane::General => general,
        };
        waits.took(permitted.job.arrived.elapsed());
    }
}

/// What became of the jobs of one claim.
#[derive(Debug, Default)]
pub struct Verdicts(BTreeMap<(Lane, &'static str), u64>);

impl Verdicts {
    pub fn note(&mut self, answer: &Claim, asked: &BTreeMap<(JobKey, AccountId), Permitted>) {
        let (key, verdict) = match answer {
            Claim::Granted(grant) => ((grant.attempt.job, grant.account), "granted"),
            Claim::Denied(key, account, denied) => ((*key, *account), denial(*denied)),
        };
        if let Some(permitted) = asked.get(&key) {
            *self.0.entry((permitted.job.lane, verdict)).or_default() += 1;
        }
    }

    pub fn count(self, channel: Channel) {
        for ((lane, verdict), jobs) in self.0 {
            CLAIMS.of([channel.as_str(), lane.as_str(), verdict]).add(jobs);
        }
    }
}

fn denial(denied: Denied) -> &'static str {
    match denied {
        Denied::Stale => "stale",
        Denied::Canceled => "canceled",
        Denied::Late => "late",
        Denied::Stopped => "stopped",
        Denied::NoLease => "no_lease",
        Denied::Barred(_) => "barred",
    }
}

/// A provider was asked for `requests` together, and answered after `took`.
pub fn asked(
    (account, channel): (&str, Channel),
    requests: &[SendRequest],
    answers: &[Answer],
    took: Duration,
) {
    for answer in answers {
        let answer = match answer {
            Answer::Accepted { .. } => "accepted",
            Answer::Refused { .. } | Answer::RefusedTogether { .. } => "refused",
            Answer::Throttled { .. } => "throttled",
            Answer::NotSent { .. } => "not_sent",
            Answer::Lost { .. } => "lost",
            Answer::NotStarted => "not_started",
        };
        REQUESTS.of([account, channel.as_str(), answer]).one();
    }
    let started = answers.iter().any(|answer| *answer != Answer::NotStarted);
    if let Some(first) = requests.first().filter(|_| started) {
        let trace = TraceId::of_attempt(first.attempt);
        PROVIDER_REQUEST.of([account, channel.as_str()]).took_in(took, trace);
    }
}
