//! Manners at a terminal: exit codes, what goes where, and readers that leave early.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tocsin_testkit::{TestDatabase, TestVhost};

use crate::fleet::{Fleet, Settings};

pub type Environment<'a> = &'a [(&'a str, &'a str)];

fn tocsin(arguments: &[&str], environment: Environment<'_>) -> Command {
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
    command.args(arguments).env_clear().envs(environment).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], environment: Environment<'_>) -> Result<Output> {
    Ok(tocsin(arguments, environment).output()?)
}

/// Exits with `code`, and says `word` on standard error where it is a failure.
pub fn exits(code: i32, arguments: &[&str], environment: Environment<'_>, word: &str) -> Result<Output> {
    let output = run(arguments, environment)?;
    let (called, said) = (arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(code), "{called}: {}, not {code}: {said}", output.status);
    ensure!(said.contains(word), "{called} does not say {word:?}: {said}");
    Ok(output)
}

pub fn json_of(arguments: &[&str], environment: Environment<'_>) -> Result<Value> {
    let output = exits(0, arguments, environment, "")?;
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(&text).with_context(|| format!("{}: {text}", arguments.join(" ")))
}

#[test]
fn a_fault_exits_with_its_kind_and_says_what_to_do() -> Result<()> {
    let send = ["campaign", "send", "--subject", "s", "--body", "b", "--channel", "sms", "--all"];
    let nobody = [("TOCSIN_API_KEY", "tocsin_key"), ("TOCSIN_URL", "http://127.0.0.1:1")];
    let nonsense = [("TOCSIN_API_KEY", "tocsin_key"), ("TOCSIN_URL", "here")];
    let no_database = [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")];
    exits(2, &["campain"], &[], "'campaign'")?;
    exits(2, &["campaign", "lst"], &[], "'list'")?;
    exits(2, &["campaign", "list", "--limt", "3"], &[], "'--limit'")?;
    exits(2, &send, &[], "TOCSIN_API_KEY")?;
    exits(2, &send, &nonsense, "http://127.0.0.1:8080")?;
    exits(2, &["district", "list"], &[], "set DATABASE_URL")?;
    exits(4, &send, &nobody, "is `tocsin api` running there?")?;
    exits(4, &["district", "list"], &no_database, "no database connection")?;
    exits(4, &["migrate"], &no_database, "no database connection")?;
    exits(0, &["help"], &[], "")?;
    exits(0, &["help", "campaign", "send"], &[], "")?;
    exits(0, &["completions", "fish"], &[], "")?;
    Ok(())
}

#[tokio::test]
async fn a_sample_is_imported_exactly_as_it_was_announced() -> Result<()> {
    let (database, folder) = (TestDatabase::create().await?, TempDir::new()?);
    let environment = [("DATABASE_URL", database.url.as_str())];
    let out = folder.path().join("district");
    let out = out.to_str().context("a folder whose name is no text")?;
    let sample = ["sample-district", "--students", "50", "--seed", "9", "--out", out, "--json"];
    let announced = json_of(&sample, &[])?;
    ensure!(json_of(&sample, &[])? == announced, "an earlier sample may be written over");
    json_of(&["district", "add", "Springfield", "--json"], &environment)?;
    let import = ["import", "oneroster", out, "--district", "Springfield", "--json"];
    let imported = json_of(&import, &environment)?;
    for table in ["schools", "people", "students", "contacts"] {
        ensure!(imported["report"][table]["added"] == announced[table], "{table}: {imported}");
    }
    let devices = announced["devices"].as_object().context("no devices")?;
    let total: i64 = devices.values().filter_map(Value::as_i64).sum();
    ensure!(imported["report"]["devices"]["added"] == total, "{imported}");
    ensure!(imported["errors"] == announced["errors"] && imported["warnings"] == announced["warnings"]);

    exits(3, &[&import[..], &["--strict"]].concat(), &environment, "")?;
    std::fs::write(folder.path().join("district/notes.txt"), "mine")?;
    exits(3, &sample, &[], "--force")?;
    exits(0, &[&sample[..], &["--force"]].concat(), &[], "")?;
    Ok(())
}

#[tokio::test]
async fn what_an_operator_makes_can_be_listed_and_taken_back() -> Result<()> {
    let database = TestDatabase::create().await?;
    let environment = [("DATABASE_URL", database.url.as_str())];
    json_of(&["migrate", "--json"], &environment)?;
    let none = exits(0, &["district", "list"], &environment, "tocsin district add")?;
    ensure!(none.stdout.is_empty(), "a hint is no output");
    let made = json_of(&["district", "add", "Springfield", "--region", "ca", "--json"], &environment)?;
    let listed = json_of(&["district", "list", "--json"], &environment)?;
    ensure!(listed == json!({ "districts": [made] }), "{listed}");
    exits(3, &["district", "add", "Springfield"], &environment, "choose another name")?;

    let add = ["api-key", "add", "--district", "Springfeild", "--name", "office"];
    exits(3, &add, &environment, "did you mean \"Springfield\"?")?;
    let add = ["api-key", "add", "--district", "Springfield", "--name", "office"];
    let key = exits(0, &add, &environment, "cannot be shown again")?;
    ensure!(String::from_utf8(key.stdout)?.lines().count() == 1, "the key alone is the output");
    let listed = json_of(&["api-key", "list", "--json"], &environment)?;
    let id = listed["api_keys"][0]["id"].as_str().context("no key")?;
    let revoked = exits(0, &["api-key", "revoke", id], &environment, "")?;
    ensure!(String::from_utf8(revoked.stdout)?.starts_with("revoked key "));
    let listed = json_of(&["api-key", "list", "--json"], &environment)?;
    ensure!(listed["api_keys"][0]["revoked_at"].is_string(), "{listed}");
    ensure!(json_of(&["account", "list", "--json"], &environment)? == json!({ "accounts": [] }));
    exits(3, &["account", "resume", "main-voice"], &environment, "no account \"main-voice\"")?;
    exits(3, &["account", "stop", "main-voice", "--reason", "x"], &environment, "there is none yet")?;
    Ok(())
}

#[tokio::test]
async fn campaigns_are_sent_listed_shown_watched_and_canceled() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let environment =
        [("TOCSIN_URL", fleet.client.url.as_str()), ("TOCSIN_API_KEY", fleet.client.key.as_str())];
    let text = |arguments: &[&str]| -> Result<String> {
        Ok(String::from_utf8(exits(0, arguments, &environment, "")?.stdout)?)
    };
    let send = ["campaign", "send", "--subject", "Snow day", "--body", "b", "--channel", "inbox"];
    let id = text(&[&send[..], &["--all"]].concat())?;
    let id = id.trim();
    let list = text(&["campaign", "list"])?;
    ensure!(list.starts_with("No.  Status") && list.contains(id) && list.contains("Snow day"), "{list}");
    ensure!(!list.contains('\u{1b}'), "colours without a terminal: {list:?}");
    let page = text(&["campaign", "show", id])?;
    ensure!(page.contains("Snow day") && page.contains("  Status          "), "{page}");
    ensure!(json_of(&["campaign", "show", id, "--json"], &environment)?["id"] == id);

    // Nothing plans yet, so these go on until nobody reads them.
    leaves_quietly(&["campaign", "list"], &environment, 0)?;
    leaves_quietly(&["campaign", "watch", id], &environment, 1)?;
    leaves_quietly(&["campaign", "watch", id, "--json"], &environment, 1)?;

    let nothing = "01900000-0000-7000-8000-000000000001";
    exits(3, &["campaign", "show", nothing], &environment, "no campaign of that id")?;
    let stranger = [environment[0], ("TOCSIN_API_KEY", "tocsin_stranger")];
    exits(3, &["campaign", "list"], &stranger, "unknown or revoked")?;
    let past = [&send[..], &["--all", "--at", "2001-01-01T00:00:00Z"]].concat();
    exits(3, &past, &environment, "scheduled_at")?;

    let receipt = text(&["campaign", "cancel", id, "--reason", "it thaws"])?;
    ensure!(receipt.contains("by cli") && receipt.contains("it thaws"), "{receipt}");
    let head = text(&["campaign", "receipt", id])?;
    ensure!(head.contains("by cli") && head.contains("it thaws"), "{head}");
    let part = ["campaign", "receipt", id, "--part", "never_tried"];
    exits(0, &part, &environment, "nobody")?;
    ensure!(json_of(&[&part[..], &["--json"]].concat(), &environment)?["part"] == "never_tried");
    exits(2, &["campaign", "receipt", id, "--part", "lost"], &environment, "in_flight_or_unknown")?;
    let correct = ["campaign", "correct", id, "--body", "It is open."];
    exits(3, &correct, &environment, "wait until its state is canceled")?;
    let _planner = fleet.planner().await?;
    let watched = exits(0, &["campaign", "watch", id, "--json"], &environment, "")?;
    let lines = String::from_utf8(watched.stdout)?;
    let last: Value = serde_json::from_str(lines.lines().last().context("no line")?)?;
    ensure!(last["ended_at"].is_string(), "{last}");
    exits(3, &correct, &environment, "nobody was contacted")?;
    let nobody = text(&[&send[..], &["--grade", "99"]].concat())?;
    let watched = text(&["campaign", "watch", nobody.trim()])?;
    ensure!(watched.contains("  Status          No recipients"), "{watched}");
    Ok(())
}

/// Stops reading after so many lines: the command ends with 0 and without a word.
fn leaves_quietly(arguments: &[&str], environment: Environment<'_>, lines: usize) -> Result<()> {
    let mut child = tocsin(arguments, environment).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut reader = BufReader::new(child.stdout.take().context("no standard output")?);
    for _ in 0..lines {
        reader.read_line(&mut String::new())?;
    }
    drop(reader);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}: {said}", arguments.join(" "), output.status);
    ensure!(said.is_empty(), "{} says {said}", arguments.join(" "));
    Ok(())
}
