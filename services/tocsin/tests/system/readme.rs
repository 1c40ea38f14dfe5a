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

/// The calls of `tocsin` that a page shows in code type or in blocks, each as its words: what comes before the first that
/// is no word of a command, and the options.
fn calls(page: &str) -> Vec<(Vec<&str>, Vec<&str>)> {
    let is_word = |word: &&str| word.chars().all(|is| is == '-' || is.is_ascii_lowercase());
    page.split(['`', '\n'])
        .filter_map(|code| {
            code.split_once("tocsin ").filter(|(before, _)| before.is_empty() || before.ends_with(' '))
        })
        .filter(|(before, _)| before.split_whitespace().all(|word| word.contains('=')))
        .map(|(_, call)| {
            let words = call.split('#').next().unwrap_or(call).split_whitespace();
            let is_option = |word: &&str| word.starts_with("--");
            let command = words.clone().take_while(|word| is_word(word) && !is_option(word)).collect();
            let options =
                words.filter(is_option).map(|word| word.trim_end_matches([',', '.', ':'])).collect();
            (command, options)
        })
        .filter(|(command, _): &(Vec<&str>, Vec<&str>)| !command.is_empty())
        .collect()
}

#[test]
fn the_runbook_names_commands_and_options_that_there_are() -> Result<()> {
    let runbook = Path::new(README).parent().context("a folder")?.join("docs/runbook");
    let mut looked_up = 0;
    for entry in std::fs::read_dir(runbook)? {
        let path = entry?.path();
        let page = std::fs::read_to_string(&path)?;
        for (command, options) in calls(&page) {
            let help = Command::new(env!("CARGO_BIN_EXE_tocsin")).args(&command).arg("--help").output()?;
            let said = String::from_utf8_lossy(&help.stdout);
            let call = command.join(" ");
            ensure!(help.status.success(), "{}: there is no `tocsin {call}`", path.display());
            for option in options {
                ensure!(said.contains(option), "{}: `tocsin {call}` has no {option}", path.display());
            }
            looked_up += 1;
        }
    }
    ensure!(looked_up > 30, "the pages' commands are not found any more: {looked_up}");
    Ok(())
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
