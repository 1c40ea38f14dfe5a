//! What makes no sense, cannot be reached or belongs to somebody is refused before anything is sent.

use anyhow::{Result, ensure};
use tocsin_domain::{Channel, Lane};
use tocsin_testkit::TestDatabase;
use tocsin_testkit::fixture::Fixture;

use crate::program::loadtest;

const NOWHERE: &str = "postgres://nobody@127.0.0.1:1/nothing";

async fn refused(words: &[&str], variables: &[(&str, &str)], code: i32, says: &str) -> Result<()> {
    let run = loadtest(words, variables).await?;
    ensure!(run.code == Some(code), "{words:?} ended with {:?}, expected {code}:\n{}", run.code, run.said);
    ensure!(run.said.contains(says), "{words:?} does not say {says:?}:\n{}", run.said);
    ensure!(run.figures.is_null(), "{words:?} printed figures");
    Ok(())
}

#[tokio::test]
async fn an_unknown_scenario_and_impossible_sizes_are_usage_faults() -> Result<()> {
    let faults: [(&[&str], &str); 7] = [
        (&["run", "thruput"], "throughput"),
        (&["run", "throughput", "--jobs", "0"], "--jobs 0 is nothing to send"),
        (&["run", "throughput", "--jobs", "minus"], "--jobs"),
        (&["run", "throughput", "--workers", "9", "--in-flight", "8"], "less than one request for each of 9"),
        (&["run", "cancel", "--repeats", "0"], "--repeats 0"),
        (&["run", "rate", "--limit", "0"], "--limit 0"),
        (&["run", "latency", "--per-second", "0"], "--per-second"),
    ];
    for (words, says) in faults {
        // Nothing is reached for: the servers are not even there.
        refused(words, &[("DATABASE_URL", NOWHERE), ("TEST_DATABASE_URL", NOWHERE)], 2, says).await?;
    }
    Ok(())
}

#[tokio::test]
async fn servers_that_do_not_answer_are_told_by_name() -> Result<()> {
    let words = ["run", "throughput", "--jobs", "1"];
    let nowhere = [("DATABASE_URL", NOWHERE), ("TEST_DATABASE_URL", NOWHERE)];
    refused(&words, &nowhere, 4, "DATABASE_URL").await?;
    let deployment =
        ["run", "throughput", "--api", "http://127.0.0.1:1", "--callback-secret", "0123456789abcdef"];
    refused(&deployment, &nowhere, 4, "127.0.0.1:1/nothing cannot be used").await
}

#[tokio::test]
async fn a_database_with_anybodys_campaigns_is_refused_unless_it_is_named() -> Result<()> {
    let database = TestDatabase::create().await?;
    let fixture = Fixture::new(&database).await?;
    fixture.guardians(2, Channel::Sms).await?;
    fixture.campaign(Lane::General, &[Channel::Sms]).await?;
    let variables =
        [("DATABASE_URL", database.url.as_str()), ("LOADTEST_CALLBACK_SECRET", "0123456789abcdef")];
    let mut words =
        vec!["run", "latency", "--jobs", "1", "--api", "http://127.0.0.1:1", "--simulator", "127.0.0.1:0"];
    let says = format!("{} holds 1 campaigns that no load test made: nothing was sent", database.name);
    refused(&words, &variables, 3, &says).await?;
    words.extend(["--force-database", "another"]);
    refused(&words, &variables, 3, &says).await?;
    // Named, it is gone on with: to an API that is not there.
    words.pop();
    words.push(&database.name);
    refused(&words, &variables, 4, "no answer from http://127.0.0.1:1").await
}

#[tokio::test]
async fn what_needs_processes_of_its_own_does_not_run_against_a_deployment() -> Result<()> {
    for scenario in ["ceiling", "rate", "callbacks", "expand"] {
        let words = ["run", scenario, "--api", "http://127.0.0.1:1"];
        refused(&words, &[("DATABASE_URL", NOWHERE)], 2, "needs processes of its own").await?;
    }
    Ok(())
}
