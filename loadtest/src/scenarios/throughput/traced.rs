//! What traces cost: rounds that send them beside rounds that do not.

use anyhow::Result;
use serde_json::json;
use tocsin_testkit::otlp::OtlpReceiver;

use super::{Args, Round, round};
use crate::district::District;
use crate::findings::Findings;
use crate::probe::Probe;
use crate::stage::Stage;
use crate::stats::median;

/// What is looked for, a few parts of a hundred, is smaller than what two rounds differ by.
const PAIRS: usize = 5;

/// Rounds side by side.
pub(super) struct Pairs {
    pub(super) plain: Vec<Round>,
    pub(super) traced: Vec<Round>,
    /// That came to the receiver.
    spans: usize,
}

impl Pairs {
    /// Every round has processes of its own, so that none is warmer than another; each second pair is run the other way round,
    /// so that what changes with time falls on both.
    pub(super) async fn run(
        stage: &mut Stage,
        probe: &Probe,
        district: &District,
        args: &Args,
    ) -> Result<Self> {
        let (receiver, addresses) = OtlpReceiver::start(&stage.tasks).await?;
        let mut pairs = Self { plain: Vec::new(), traced: Vec::new(), spans: 0 };
        for pair in 0..PAIRS {
            let traced_first = pair % 2 == 1;
            for is_traced in [traced_first, !traced_first] {
                let endpoint = is_traced.then_some(addresses.grpc.as_str());
                stage.own_fleet()?.restart_with_traces(endpoint).await?;
                let round = round(stage, probe, district, args).await?;
                let rounds = if is_traced { &mut pairs.traced } else { &mut pairs.plain };
                rounds.push(round);
            }
        }
        pairs.spans = receiver.spans().len();
        Ok(pairs)
    }

    /// By processor time, which says more than the rate on a machine that is kept busy.
    pub(super) fn tell(&self, jobs: usize, findings: &mut Findings) {
        let beside = || self.traced.iter().zip(&self.plain);
        let cpu: Vec<f64> = beside()
            .map(|(traced, plain)| traced.used.engine_seconds() / plain.used.engine_seconds())
            .collect();
        let speed: Vec<f64> = beside().map(|(traced, plain)| plain.seconds() / traced.seconds()).collect();
        let per_1000 = |round: &Round| round.used.engine_seconds() / jobs as f64 * 1_000.0;
        let pairs: Vec<_> = beside()
            .map(|(traced, plain)| {
                json!({
                    "cpu_seconds_per_1000": per_1000(plain),
                    "traced_cpu_seconds_per_1000": per_1000(traced),
                    "jobs_per_second": jobs as f64 / plain.seconds(),
                    "traced_jobs_per_second": jobs as f64 / traced.seconds(),
                })
            })
            .collect();
        findings
            .figure("traces_cpu_ratio", median(cpu))
            .figure("traces_speed_ratio", median(speed))
            .figure("spans", self.spans)
            .figure("pairs", pairs);
        if self.spans == 0 {
            findings.violations(["no span reached the receiver: nothing was measured".to_owned()]);
        }
    }
}
