//! What an operator got wrong is named at once, with what to do, before anything runs.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tocsin::exit::Exit;
use tocsin_testkit::TestDatabase;
use tokio_postgres::NoTls;

/// Names what is there and answers nothing: port 1 of this machine.
pub const NOBODY_DATABASE: &str = "postgres://nobody@127.0.0.1:1/nothing";
pub const NOBODY_AMQP: &str = "amqp://127.0.0.1:1/%2f";

/// Names and values of variables.
pub type Environment<'a> = &'a [(&'a str, &'a str)];

pub fn run(arguments: &[&str], environment: Environment<'_>) -> Result<Output> {
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
    Ok(command.args(arguments).env_clear().envs(environment).stdin(Stdio::null()).output()?)
}

/// Runs and fails, saying each of `words` on standard error and nothing on standard output.
pub fn refused(arguments: &[&str], environment: Environment<'_>, words: &[&str]) -> Result<()> {
    refused_with(None, arguments, environment, words)
}

/// As [`refused`], with this exit code.
pub fn refused_with(
    exit: Option<Exit>,
    arguments: &[&str],
    environment: Environment<'_>,
    words: &[&str],
) -> Result<()> {
    let output = run(arguments, environment)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let called = format!("tocsin {} with {environment:?}", arguments.join(" "));
    ensure!(!output.status.success(), "{called} succeeded");
    if let Some(exit) = exit {
        ensure!(output.status.code() == Some(exit as i32), "{called}: {}: {said}", output.status);
    }
    ensure!(output.stdout.is_empty(), "{called} printed {}", String::from_utf8_lossy(&output.stdout));
    for word in words {
        ensure!(said.contains(word), "{called} does not say {word:?}: {said}");
    }
    Ok(())
}

#[test]
fn every_role_names_a_missing_or_wrong_key_at_start() -> Result<()> {
    let roles: [&[&str]; 4] =
        [&["api"], &["planner"], &["worker", "--channel", "sms"], &["status-collector"]];
    let cases: [(Environment<'_>, &[&str]); 6] = [
        (&[], &["database_url: missing", "DATABASE_URL"]),
        (&[("DATABASE_URL", "mysql://h/x")], &["database_url", "postgres://"]),
        (&[("DATABASE_URL", NOBODY_DATABASE), ("AMQP_URL", "http://h")], &["amqp_url", "amqp://"]),
        (&[("TOCSIN_DATABSE_POOL", "4")], &["databse_pool", "unknown key", "TOCSIN_DATABSE_POOL"]),
        (&[("TOCSIN_API__LISTEN", "everywhere")], &["api.listen", "TOCSIN_API__LISTEN"]),
        (&[("TOCSIN_CONFIG", "/nowhere/tocsin.toml")], &["/nowhere/tocsin.toml", "cannot be read"]),
    ];
    for role in roles {
        for (environment, words) in cases {
            refused(role, environment, words)?;
        }
    }
    Ok(())
}

#[test]
fn a_password_in_a_wrong_address_is_not_shown() -> Result<()> {
    let output = run(&["planner"], &[("DATABASE_URL", "mysql://me:open-sesame@h/x")])?;
    ensure!(!String::from_utf8_lossy(&output.stderr).contains("open-sesame"), "the password is shown");
    Ok(())
}

#[test]
fn a_worker_must_be_told_its_channels() -> Result<()> {
    refused(&["worker"], &[], &["--channel"])?;
    refused(&["worker", "--channel", "pigeon"], &[], &["pigeon", "voice, sms, email"])
}

#[test]
fn a_role_says_that_its_database_is_not_there() -> Result<()> {
    let environment = [("DATABASE_URL", NOBODY_DATABASE), ("AMQP_URL", NOBODY_AMQP)];
    refused(&["planner"], &environment, &["the database cannot be used", "no database connection"])
}

#[tokio::test]
async fn a_role_says_that_the_schema_is_not_migrated() -> Result<()> {
    let database = TestDatabase::create().await?;
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await?;
    let emptied = async {
        let emptied = client.batch_execute("drop schema public cascade; create schema public").await;
        drop(client);
        emptied
    };
    tokio::join!(emptied, connection).0?;
    let environment = [("DATABASE_URL", database.url.as_str()), ("AMQP_URL", NOBODY_AMQP)];
    for role in ["api", "planner"] {
        refused(&[role], &environment, &["the database cannot be used", "tocsin migrate"])?;
    }
    Ok(())
}

#[test]
fn sending_names_an_api_that_is_not_there() -> Result<()> {
    let send = ["campaign", "send", "--subject", "s", "--body", "b", "--channel", "sms", "--all"];
    refused(&send, &[], &["TOCSIN_API_KEY", "tocsin api-key add"])?;
    let environment = [("TOCSIN_API_KEY", "tocsin_key"), ("TOCSIN_URL", "http://127.0.0.1:1")];
    refused(&send, &environment, &["http://127.0.0.1:1", "tocsin api"])
}

#[tokio::test]
async fn an_import_names_a_district_that_is_not_there() -> Result<()> {
    let database = TestDatabase::create().await?;
    let folder = TempDir::new()?;
    let path = folder.path().to_str().unwrap_or_default();
    let environment = [("DATABASE_URL", database.url.as_str())];
    let import = ["import", "oneroster", path, "--district", "Shelbyville"];
    refused(&import, &environment, &["Shelbyville", "tocsin district add"])
}
