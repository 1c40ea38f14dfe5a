//! Each cheap scenario once, small: every promise holds, and the figures are there.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::program::loadtest;

/// Runs a scenario, and returns its figures once every promise held.
async fn held(words: &[&str]) -> Result<Value> {
    let all = [&["run"], words].concat();
    let run = loadtest(&all, &[]).await?;
    ensure!(run.code == Some(0), "{words:?} ended with {:?}:\n{}", run.code, run.said);
    ensure!(run.figures["ok"] == true && run.figures["violations"] == json!([]), "{}", run.figures);
    ensure!(run.figures["scenario"] == words[0], "{}", run.figures);
    Ok(run.figures)
}

fn positive(figures: &Value, names: &[&str]) -> Result<()> {
    for name in names {
        let value = name.split('.').fold(figures, |value, part| &value[part]);
        ensure!(value.as_f64().is_some_and(|value| value > 0.0), "{name} is {value} in {figures}");
    }
    Ok(())
}

#[tokio::test]
async fn every_process_is_replaced_while_a_campaign_runs() -> Result<()> {
    let words = [
        "throughput",
        "--rolling-restart",
        "--jobs",
        "600",
        "--in-flight",
        "20",
        "--latency-ms",
        "400",
        "--workers",
        "2",
    ];
    let figures = held(&words).await?;
    let replaced = figures["replaced"].as_array().context("nothing was replaced")?;
    let roles: Vec<_> = replaced.iter().filter_map(|one| one["role"].as_str()).collect();
    ensure!(roles == ["worker", "worker", "planner", "collector", "api"], "{figures}");
    Ok(())
}

#[tokio::test]
async fn throughput_measures_every_process_beside_the_ceiling() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("figures.json");
    let file = file.to_str().context("a folder whose name is no text")?;
    let words = ["throughput", "--jobs", "200", "--latency-ms", "5", "--with-ceiling", "--json", file];
    let figures = held(&words).await?;
    let speeds = ["jobs_per_second", "ceiling_jobs_per_second", "ratio_to_ceiling", "p50_ms", "p99_ms"];
    positive(&figures, &speeds)?;
    ensure!(figures["rounds"].as_array().map(Vec::len) == Some(3), "{figures}");
    for role in ["api", "collector", "planner", "worker", "simulator"] {
        positive(&figures["rss_mb"], &[role])?;
        ensure!(figures["cpu_seconds_per_1000"][role].is_f64(), "{role}: {figures}");
    }
    let written: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    ensure!(written == figures, "the file differs from what was printed");
    Ok(())
}

#[tokio::test]
async fn small_campaigns_reach_the_provider() -> Result<()> {
    let figures = held(&["latency", "--jobs", "30"]).await?;
    positive(&figures, &["post_ms.p50"])?;
    ensure!(figures["p99_ms"].is_f64(), "{figures}");
    Ok(())
}

#[tokio::test]
async fn pages_counts_and_reports_are_measured() -> Result<()> {
    let words = ["pages", "--people", "4000", "--campaigns", "300", "--rows", "500", "--rounds", "2"];
    let figures = held(&words).await?;
    let names = ["slowest_p95_ms", "reports.csv.seconds", "reports.pdf.megabytes", "rss_mb.api"];
    positive(&figures, &names)?;
    for page in ["api people by what all have", "page log of all", "count of everybody"] {
        positive(&figures["pages"][page], &["p50_ms", "p95_ms"])?;
    }
    Ok(())
}

#[tokio::test]
async fn an_emergency_is_measured_beside_a_backlog() -> Result<()> {
    let words =
        ["emergency", "--jobs", "2000", "--emergency-jobs", "50", "--in-flight", "20", "--latency-ms", "100"];
    let figures = held(&words).await?;
    positive(&figures, &["first_attempt_p99_ms", "idle_p99_ms", "ratio", "backlog_left"])
}

#[tokio::test]
async fn a_small_district_is_measured_beside_a_large_one() -> Result<()> {
    let words =
        ["fairness", "--jobs", "1500", "--small-jobs", "20", "--in-flight", "20", "--latency-ms", "10"];
    positive(&held(&words).await?, &["alone_seconds", "beside_seconds", "ratio"])
}

#[tokio::test]
async fn no_claim_is_granted_after_a_cancel_whether_or_not_workers_hear_of_it() -> Result<()> {
    let figures = held(&["cancel", "--jobs", "2000", "--repeats", "1", "--workers", "2"]).await?;
    ensure!(figures["claims_after_commit"] == 0, "{figures}");
    let cases = figures["cases"].as_array().context("no cases")?;
    let faults: Vec<&Value> = cases.iter().map(|case| &case["fault"]).collect();
    ensure!(faults == [&json!("none"), &json!("worker_restarted"), &json!("control_cut")], "{figures}");
    positive(&figures, &["last_send_after_commit_ms.max"])?;
    cases.iter().try_for_each(|case| positive(case, &["never_tried", "dropped_per_second", "call_ms_max"]))
}

#[tokio::test]
async fn a_storm_of_callbacks_is_taken_and_forgeries_are_not() -> Result<()> {
    let figures = held(&["callbacks", "--jobs", "300"]).await?;
    positive(&figures, &["accepted_per_second", "applied_per_second", "ack_p99_ms", "forged"])
}

#[tokio::test]
async fn an_expansion_is_measured_in_the_store_alone() -> Result<()> {
    positive(&held(&["expand", "--jobs", "500", "--chunk", "100"]).await?, &["devices_per_second", "chunks"])
}
