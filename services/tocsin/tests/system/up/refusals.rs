//! What `tocsin up` cannot do is said with its remedy, and nothing is left behind.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::stage::Place;
use crate::bad_input::{Environment, NOBODY_DATABASE, refused, run};
use crate::fleet::free_ports;

/// Port 1 of this machine, where nobody listens.
const NOBODY_AMQP: &str = "amqp://me:open-sesame@127.0.0.1:1/%2f";

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// `tocsin up` with a data directory that is not there is refused with these words, and does not make it.
fn refused_and_unmade(more: &[&str], environment: Environment<'_>, words: &[&str]) -> Result<()> {
    let folder = TempDir::new()?;
    let data = folder.path().join("above").join("data");
    let data = data.to_str().context("a folder whose name is no text")?;
    refused(&[&["up", "--data", data], more].concat(), environment, words)?;
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
    refused_and_unmade(&["--listen", &address], &[], &[&address, "cannot listen", "--listen"])
}

#[test]
fn an_address_that_others_reach_needs_sign_in() -> Result<()> {
    refused_and_unmade(&["--listen", "0.0.0.0:0"], &[], &["0.0.0.0:0", "--sign-in", "127.0.0.1"])
}

#[test]
fn half_a_configuration_that_cannot_be_reached_is_named_without_its_password() -> Result<()> {
    let listen = listen()?;
    let more = ["--listen", &listen];
    let database = [("DATABASE_URL", NOBODY_DATABASE)];
    refused_and_unmade(
        &more,
        &database,
        &["DATABASE_URL postgres://nobody@127.0.0.1:1", "unset DATABASE_URL"],
    )?;
    let broker = [("AMQP_URL", NOBODY_AMQP)];
    refused_and_unmade(&more, &broker, &["AMQP_URL amqp://me@127.0.0.1:1", "unset AMQP_URL"])?;
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
        exits(4, second, &["is in use", "tocsin (process ", "stop it first"])?;
    }
    Ok(())
}
