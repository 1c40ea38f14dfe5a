//! Which trace a campaign and an attempt belong to, and which of them are kept.
//!
//! The ids are worked out from the keys, so that every process that touches an attempt, before or after a crash, a redial or
//! a redelivery, writes into the same trace, and the log can name it without anything having been stored (promise 12,
//! docs/adr/0041-traces.md). Form and meaning of the ids are those of W3C Trace Context.

mod context;

use std::fmt;

use uuid::Uuid;

pub use self::context::Context;
use crate::{AttemptKey, CampaignId, Lane};

/// 16 bytes, not all zero. Its last eight are as good as random, which is what samplers by ratio look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// 8 bytes, not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// The trace of a campaign: it was made, expanded, canceled, closed.
    pub fn of_campaign(campaign: CampaignId) -> Self {
        Self(joined(halves(campaign)))
    }

    /// The trace of one attempt, from the release of its job to the last report. Before the claim the attempt is the one
    /// that the claim will make.
    pub fn of_attempt(attempt: AttemptKey) -> Self {
        let (high, low) = halves(attempt.job.campaign);
        // Distinct for every job and number; what follows keeps that.
        let place =
            (u64::from(attempt.job.job.unsigned_abs()) << 16) | u64::from(attempt.number.unsigned_abs());
        let low = mixed(low ^ mixed(place));
        Self(joined((mixed(high ^ low), low)))
    }

    /// The trace of a request that came without one: `id` is drawn for it.
    pub fn of_request(id: Uuid) -> Self {
        let (high, low) = id.as_u64_pair();
        Self(joined((mixed(high.rotate_left(32)), mixed(low ^ mixed(!high)))))
    }

    /// The span that all others of the trace are below.
    pub fn root(self) -> SpanId {
        self.span(0)
    }

    /// A span that more than one process can name; `number` tells them apart.
    pub fn span(self, number: u64) -> SpanId {
        let (high, low) = split(self.0);
        SpanId(nonzero(mixed(high.rotate_left(32) ^ low ^ mixed(number))).to_be_bytes())
    }

    /// The header's value of W3C Trace Context, version 00.
    pub fn traceparent(self, span: SpanId, sampled: bool) -> String {
        format!("00-{self}-{span}-{:02x}", u8::from(sampled))
    }
}

/// Which traces are kept. Decided from the id alone, so that every process decides alike; whoever keeps more (an error, a
/// slow attempt) writes down again what the others left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// A trace is kept whose last 56 bits are below it; emergencies are kept whatever it says.
    kept: u64,
}

impl Sampling {
    /// `ratio` from 0 to 1; what is outside is taken for the nearer of them.
    pub fn of_ratio(ratio: f64) -> Self {
        // In range by the clamp, and NaN becomes 0.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=2^56")]
        let kept = (ratio.clamp(0.0, 1.0) * (1_u64 << 56) as f64) as u64;
        Self { kept }
    }

    pub fn keeps(self, trace: TraceId, lane: Lane) -> bool {
        // The last 56 bits: those that W3C Trace Context calls random.
        lane == Lane::Emergency || (split(trace.0).1 & ((1 << 56) - 1)) < self.kept
    }

    /// Are the traces of this attempt and of all others of its job kept? All or none, so that the links among them lead
    /// somewhere.
    pub fn keeps_attempt(self, attempt: AttemptKey, lane: Lane) -> bool {
        self.keeps(TraceId::of_attempt(AttemptKey { number: 1, ..attempt }), lane)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A `UUIDv7` begins with a time, which all campaigns of a moment share: mixed, or a trace's last bytes would not be random
/// where an id was made by hand.
fn halves(campaign: CampaignId) -> (u64, u64) {
    let (high, low) = campaign.0.as_u64_pair();
    let low = mixed(low ^ mixed(high));
    (mixed(high), low)
}

fn joined((high, low): (u64, u64)) -> [u8; 16] {
    ((u128::from(high) << 64) | u128::from(nonzero(low))).to_be_bytes()
}

fn split(bytes: [u8; 16]) -> (u64, u64) {
    let whole = u128::from_be_bytes(bytes);
    #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = ((whole >> 64) as u64, whole as u64);
    halves
}

fn nonzero(value: u64) -> u64 {
    if value == 0 { 1 } else { value }
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, 2014): one to one, and every bit of what comes out hangs on every
/// bit of what goes in. It is part of what a trace's id means: it does not change.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::uuid;

    use super::*;
    use crate::JobKey;

    const CAMPAIGN: CampaignId = CampaignId(uuid!("01900000-0000-7000-8000-000000000001"));

    fn attempt(job: i32, number: i16) -> TraceId {
        TraceId::of_attempt(AttemptKey { job: JobKey { campaign: CAMPAIGN, job }, number })
    }

    /// They are in the logs and traces of every release, so another one would break the way from a row to its trace.
    #[test]
    fn an_id_is_the_same_in_every_release() {
        let trace = attempt(7, 2);
        assert_eq!(trace.to_string(), "b2808abe95b06e80922b34e5a921ee18");
        assert_eq!(trace.root().to_string(), "ecf0df0132ce3e44");
        assert_eq!(TraceId::of_campaign(CAMPAIGN).to_string(), "9a6c903f0049e34d3ce42a8bd6f3b6c4");
    }

    #[test]
    fn a_traceparent_has_the_form_of_the_standard() {
        let trace = attempt(1, 1);
        let written = trace.traceparent(trace.root(), true);
        assert_eq!(written.len(), 55);
        assert_eq!(written, format!("00-{trace}-{}-01", trace.root()));
        assert!(trace.traceparent(trace.root(), false).ends_with("-00"));
    }

    #[test]
    fn every_attempt_has_a_trace_of_its_own() {
        let traces: HashSet<TraceId> =
            (1..=5_000).flat_map(|job| (1..=4).map(move |number| attempt(job, number))).collect();
        assert_eq!(traces.len(), 20_000);
        let spans: HashSet<SpanId> = traces.iter().map(|trace| trace.root()).collect();
        assert_eq!(spans.len(), 20_000);
    }

    #[test]
    fn a_ratio_keeps_that_share_and_every_emergency() {
        let kept = |ratio: f64, lane| {
            let sampling = Sampling::of_ratio(ratio);
            (1..=10_000).filter(|job| sampling.keeps(attempt(*job, 1), lane)).count()
        };
        assert_eq!(kept(0.0, Lane::General), 0);
        assert_eq!(kept(1.0, Lane::General), 10_000);
        assert!((800..=1_200).contains(&kept(0.1, Lane::Priority)), "{}", kept(0.1, Lane::Priority));
        assert_eq!(kept(0.0, Lane::Emergency), 10_000);
        assert_eq!(kept(f64::NAN, Lane::General), 0);
    }

    #[test]
    fn the_attempts_of_a_job_are_kept_or_left_out_together() {
        let sampling = Sampling::of_ratio(0.3);
        let key = |job, number| AttemptKey { job: JobKey { campaign: CAMPAIGN, job }, number };
        let kept = |job, number| sampling.keeps_attempt(key(job, number), Lane::General);
        assert!((1..=500).all(|job| (2..=4).all(|number| kept(job, number) == kept(job, 1))));
        let jobs = (1..=500).filter(|job| kept(*job, 1)).count();
        assert!((100..=200).contains(&jobs), "{jobs}");
    }

    #[test]
    fn requests_of_one_moment_have_traces_of_their_own() {
        let traces: HashSet<TraceId> =
            (0..1_000).map(|low| TraceId::of_request(Uuid::from_u128(0x0190_0000 << 96 | low))).collect();
        assert_eq!(traces.len(), 1_000);
        let kept =
            traces.iter().filter(|trace| Sampling::of_ratio(0.5).keeps(**trace, Lane::General)).count();
        assert!((400..=600).contains(&kept), "{kept}");
    }

    #[test]
    fn what_a_smaller_ratio_keeps_a_larger_one_keeps_too() {
        let (small, large) = (Sampling::of_ratio(0.05), Sampling::of_ratio(0.2));
        let of = |job| attempt(job, 1);
        assert!(
            (1..=5_000)
                .all(|job| !small.keeps(of(job), Lane::General) || large.keeps(of(job), Lane::General))
        );
    }
}
