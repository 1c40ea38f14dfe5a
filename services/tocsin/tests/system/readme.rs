//! The README's commands, run as they stand there, and the tests that it names, looked up.
//!
//! In blocks marked `console` a line that begins with `$ ` is a command, and lines that begin with `> ` go on with it;
//! the rest is output. `make` targets are looked up, since one of them runs this test. All else runs in one shell, in
//! a folder of its own, on a port of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::fleet::free_ports;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

/// Of the shortest test's name that the README holds.
const NAMES_UNDERSCORES_MIN: usize = 2;

/// What waits in the script, for a shell has no better word for it than its own commands.
const UNTIL_UP: &str = "\
until grep -q 'Tocsin is up' up.log; do kill -0 $up || { cat up.log; exit 1; }; sleep 0.1; done
trap 'kill $up; wait $up' EXIT
";

/// The commands of the README, in order.
fn commands(readme: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            line => match (line.strip_prefix("$ "), line.strip_prefix("> "), commands.last_mut()) {
                (Some(command), _, _) => commands.push(command.to_owned()),
                (None, Some(more), Some(command)) => {
                    command.push('\n');
                    command.push_str(more);
                }
                _ => {}
            },
        }
    }
    commands
}

/// `tocsin up` goes to the background, as it would to another terminal.
fn script(commands: &[String]) -> String {
    let mut script = "set -eu\n".to_owned();
    for command in commands {
        if command.starts_with("tocsin up") {
            script.push_str(&format!("{command} >up.log 2>&1 & up=$!\n{UNTIL_UP}"));
        } else {
            script.push_str(&format!("{command}\n"));
        }
    }
    script
}

/// What stands in code type in the list of promises and has the form of a test's name.
fn named_tests(readme: &str) -> Result<Vec<&str>> {
    let (_, promises) = readme.split_once("\n## What it promises").context("the promises")?;
    let promises = promises.split("\n## ").next().unwrap_or(promises);
    let is_name = |code: &&str| {
        code.matches('_').count() >= NAMES_UNDERSCORES_MIN
            && code.chars().all(|is| is == '_' || is.is_ascii_lowercase() || is.is_ascii_digit())
    };
    Ok(promises.split('`').skip(1).step_by(2).filter(is_name).collect())
}

/// Every Rust source below `folder`, as one text.
fn sources(folder: &Path, into: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[test]
fn every_test_that_the_readme_names_is_there() -> Result<()> {
    let readme = std::fs::read_to_string(README)?;
    let repository = Path::new(README).parent().context("a folder")?;
    let mut text = String::new();
    for folder in ["services", "shared", "simulation", "loadtest"] {
        sources(&repository.join(folder), &mut text)?;
    }
    let named = named_tests(&readme)?;
    ensure!(named.len() > 50, "the list of promises is not read any more: {named:?}");
    ensure!(!readme.contains("`…"), "a name is not written out");
    let is_there = |name: &&str| ["(", "<"].iter().any(|next| text.contains(&format!("fn {name}{next}")));
    let gone: Vec<_> = named.into_iter().filter(|name| !is_there(name)).collect();
    ensure!(gone.is_empty(), "no such tests: {gone:?}");
    Ok(())
}

#[test]
fn the_readmes_commands_do_what_it_says() -> Result<()> {
    let readme = std::fs::read_to_string(README)?;
    let (targets, tour): (Vec<_>, Vec<_>) =
        commands(&readme).into_iter().partition(|command| command.starts_with("make "));
    ensure!(targets.len() >= 2 && tour.len() >= 6, "the README's blocks are not marked `console` any more");
    for target in targets {
        let repository = Path::new(README).parent().context("a folder")?;
        let asked = Command::new("bash")
            .args(["-c", &format!("{target} --dry-run")])
            .current_dir(repository)
            .output()?;
        ensure!(asked.status.success(), "{target} is no target");
    }
    let folder = TempDir::new()?;
    let [port] = free_ports()?;
    let address = format!("127.0.0.1:{port}");
    let program = Path::new(env!("CARGO_BIN_EXE_tocsin")).parent().context("the program's folder")?;
    let path = std::env::var("PATH").context("PATH")?;
    let output = Command::new("bash")
        .args(["-c", &script(&tour)])
        .current_dir(&folder)
        .env_remove("DATABASE_URL")
        .env_remove("AMQP_URL")
        .env("PATH", format!("{}:{path}", program.display()))
        .env("TOCSIN_HOME", folder.path().join("data"))
        .env("TOCSIN_API__LISTEN", &address)
        .env("TOCSIN_URL", format!("http://{address}"))
        .stdin(Stdio::null())
        .output()?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    for shown in ["Early dismissal", "Devices", "never tried"] {
        ensure!(said.contains(shown), "{shown:?} is not shown:\n{said}\n{complained}");
    }
    Ok(())
}
