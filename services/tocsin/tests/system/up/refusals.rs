//! What `tocsin up` cannot do is said with its remedy, and nothing is left behind.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tocsin::exit::Exit;

use super::stage::Place;
use crate::bad_input::{Environment, NOBODY_DATABASE, refused, refused_with, run};
use crate::fleet::{accounts_toml, free_ports};

/// Port 1 of this machine, where nobody listens.
const NOBODY_AMQP: &str = "amqp://me:open-sesame@127.0.0.1:1/%2f";

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// `tocsin up` with a data directory that is not there is refused with this code and these words, and does not
/// make it.
fn refused_and_unmade(exit: Exit, more: &[&str], environment: Environment<'_>, words: &[&str]) -> Result<()> {
    let folder = TempDir::new()?;
    let data = folder.path().join("above").join("data");
    let data = data.to_str().context("a folder whose name is no text")?;
    refused_with(Some(exit), &[&["up", "--data", data], more].concat(), environment, words)?;
    ensure!(names(folder.path())?.is_empty(), "left behind: {:?}", names(folder.path())?);
    Ok(())
}

/// As [`refused`], with an exit code that says what kind of fault it is.
fn exits(code: i32, arguments: &[&str], words: &[&str]) -> Result<()> {
    refused(arguments, &[], words)?;
    let status = run(arguments, &[])?.status;
    ensure!(status.code() == Some(code), "{}: {status}, not {code}", arguments.join(" "));
    Ok(())
}

fn listen() -> Result<String> {
    let [port] = free_ports()?;
    Ok(format!("127.0.0.1:{port}"))
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = held.local_addr()?.to_string();
    refused_and_unmade(Exit::Usage, &["--listen", &address], &[], &[&address, "cannot listen", "--listen"])
}

#[test]
fn an_address_that_others_reach_needs_sign_in() -> Result<()> {
    let everywhere = ["--listen", "0.0.0.0:0"];
    refused_and_unmade(Exit::Usage, &everywhere, &[], &["0.0.0.0:0", "--sign-in", "127.0.0.1"])?;
    let listen = listen()?;
    let behind_a_proxy = [("TOCSIN_PUBLIC_URL", "https://tocsin.example.org")];
    let words = ["public_url https://tocsin.example.org", "--sign-in"];
    refused_and_unmade(Exit::Usage, &["--listen", &listen], &behind_a_proxy, &words)
}

#[test]
fn accounts_whose_providers_report_here_need_sign_in_and_a_public_url() -> Result<()> {
    let folder = TempDir::new()?;
    let accounts = folder.path().join("tocsin.toml");
    fs::write(&accounts, accounts_toml("http://127.0.0.1:1", None))?;
    let accounts = accounts.to_str().context("a folder whose name is no text")?;
    let listen = listen()?;
    let here = [("TOCSIN_CONFIG", accounts), ("TOCSIN_PUBLIC_URL", "http://localhost:8080")];
    refused_and_unmade(Exit::Usage, &["--listen", &listen], &here, &["accounts.voice", "--sign-in"])?;
    let nowhere = [("TOCSIN_CONFIG", accounts)];
    refused_and_unmade(Exit::Usage, &["--listen", &listen, "--sign-in"], &nowhere, &["public_url: missing"])
}

#[test]
fn simulated_providers_do_not_serve_a_database_that_others_use() -> Result<()> {
    let listen = listen()?;
    let database = [("DATABASE_URL", NOBODY_DATABASE)];
    let sample = ["--listen", &listen, "--sample", "50"];
    refused_and_unmade(Exit::Usage, &sample, &database, &["--sample", "unset DATABASE_URL"])
}

#[test]
fn half_a_configuration_that_cannot_be_reached_is_named_without_its_password() -> Result<()> {
    let listen = listen()?;
    let more = ["--listen", &listen];
    let database = [("DATABASE_URL", NOBODY_DATABASE)];
    refused_and_unmade(
        Exit::Unreachable,
        &more,
        &database,
        &["DATABASE_URL postgres://nobody@127.0.0.1:1", "unset DATABASE_URL"],
    )?;
    let broker = [("AMQP_URL", NOBODY_AMQP)];
    refused_and_unmade(
        Exit::Unreachable,
        &more,
        &broker,
        &["AMQP_URL amqp://me@127.0.0.1:1", "unset AMQP_URL"],
    )?;
    let said = run(&["up", "--listen", &listen], &broker)?;
    ensure!(!String::from_utf8_lossy(&said.stderr).contains("open-sesame"), "the password is shown");
    Ok(())
}

#[test]
fn simulated_providers_and_real_accounts_do_not_go_together() -> Result<()> {
    let folder = TempDir::new()?;
    let accounts = folder.path().join("tocsin.toml");
    fs::write(&accounts, "[[accounts]]\nname = \"portal\"\nchannel = \"inbox\"\nprovider = \"inbox\"\n")?;
    let accounts = accounts.to_str().context("a folder whose name is no text")?;
    let listen = listen()?;
    refused_and_unmade(
        Exit::Usage,
        &["--listen", &listen, "--sample", "50"],
        &[("TOCSIN_CONFIG", accounts)],
        &["--sample", "accounts"],
    )
}

#[test]
fn a_directory_of_somebody_else_is_left_as_it_is() -> Result<()> {
    let folder = TempDir::new()?;
    fs::write(folder.path().join("thesis.txt"), "chapter 1")?;
    let data = folder.path().to_str().context("a folder whose name is no text")?;
    let listen = listen()?;
    let words = ["thesis.txt", "not a data directory", "--data"];
    exits(2, &["up", "--listen", &listen, "--data", data], &words)?;
    exits(2, &["district", "list", "--data", data], &words)?;
    ensure!(names(folder.path())? == ["thesis.txt"], "left behind: {:?}", names(folder.path())?);
    Ok(())
}

#[test]
fn a_sample_takes_no_district_beside_it() -> Result<()> {
    let folder = TempDir::new()?;
    let marker = r#"{"format":1,"postgres":17,"schema":0,"sample":{"students":50,"made":true}}"#;
    fs::write(folder.path().join("tocsin.json"), marker)?;
    let data = folder.path().to_str().context("a folder whose name is no text")?;
    exits(3, &["district", "add", "Springfield", "--data", data], &["sample district", "--data"])
}

#[test]
fn a_directory_of_a_newer_program_is_left_as_it_is() -> Result<()> {
    let known = tocsin_store::schema_version();
    let newer = [(2, 17, known), (1, 18, known), (1, 17, known + 1)];
    for (format, postgres, schema) in newer {
        let folder = TempDir::new()?;
        let marker = format!(r#"{{"format":{format},"postgres":{postgres},"schema":{schema}}}"#);
        fs::write(folder.path().join("tocsin.json"), marker)?;
        let data = folder.path().to_str().context("a folder whose name is no text")?;
        let listen = listen()?;
        exits(2, &["up", "--listen", &listen, "--data", data], &["newer tocsin", "--data"])?;
        ensure!(names(folder.path())? == ["tocsin.json"], "left behind: {:?}", names(folder.path())?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_on_one_directory_the_second_is_refused() -> Result<()> {
    let place = Place::new()?;
    let _first = place.up(&[]).await?;
    let data = place.data.to_str().context("a folder whose name is no text")?;
    let listen = listen()?;
    for second in [&["up", "--listen", &listen, "--data", data][..], &["district", "list", "--data", data]] {
        let words = ["is in use", "tocsin (process ", "stop it first"];
        refused_with(Some(Exit::Unreachable), second, &[], &words)?;
    }
    Ok(())
}
