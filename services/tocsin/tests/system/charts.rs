//! What the Helm chart and the demo's compose file tell the program, as the program reads it. `scripts/chart check` holds
//! helm/tests/configs to what the chart renders.

#![allow(clippy::unwrap_used, reason = "a test whose stage cannot be set has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where the chart mounts secrets, and where these tests put some.
const SECRETS: &str = "/run/secrets/tocsin";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file that a configuration names below [`SECRETS`] is there, and holds a secret of its own.
fn with_secrets(text: &str, folder: &Path) -> String {
    for place in text.split('"').filter_map(|part| part.strip_prefix(SECRETS)) {
        let name = place.trim_start_matches('/');
        std::fs::write(folder.join(name), format!("a secret that nobody has: {name}")).unwrap();
    }
    text.replace(SECRETS, folder.to_str().unwrap())
}

/// What `tocsin config check --json` says of it: the faults, and whether it is sound.
fn checked(text: &str) -> (bool, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tocsin.toml");
    std::fs::write(&file, with_secrets(text, folder.path())).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOCSIN_")) {
        command.env_remove(name);
    }
    let output = command.args(["config", "check", "--json", "--config"]).arg(&file).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    (answer["sound"] == true, answer["faults"].as_array().unwrap().clone())
}

#[test]
fn the_program_takes_every_configuration_that_the_chart_renders() {
    let folder = repository().join("helm/tests/configs");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(repository().join("docker/demo/tocsin.toml"));
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let (sound, faults) = checked(&std::fs::read_to_string(&file).unwrap());
        assert!(sound, "{}: {faults:?}", file.display());
    }
}

#[test]
fn a_key_that_the_program_does_not_know_is_found() {
    let minimal = repository().join("helm/tests/configs/minimal.tocsin.toml");
    let (sound, faults) = checked(&std::fs::read_to_string(minimal).unwrap().replace("proxies", "proxy"));
    assert!(!sound, "{faults:?}");
}

/// The simulator takes what the demo's accounts are configured with.
#[test]
fn the_demos_scenario_is_one() {
    let text = std::fs::read_to_string(repository().join("docker/demo/scenario.json")).unwrap();
    let scenario: tocsin_testkit::simulator::Scenario = serde_json::from_str(&text).unwrap();
    scenario.check().unwrap();
    let config = std::fs::read_to_string(repository().join("docker/demo/tocsin.toml")).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    for (name, secret) in written["credentials"].as_object().unwrap() {
        assert!(config.contains(&secret.to_string()), "{name}");
    }
}

/// `metrics::every_process_shows_what_it_does` scrapes each of them from a running system.
#[test]
fn every_metric_in_a_rule_or_a_panel_is_one_that_the_program_shows() {
    let chart = repository().join("helm/tocsin");
    let known = tocsin_runtime::metrics::sample_names();
    let mut read = 0;
    for folder in ["rules", "dashboards"] {
        for entry in std::fs::read_dir(chart.join(folder)).unwrap() {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
            for name in words.filter(|word| word.starts_with("tocsin_")) {
                assert!(known.contains(name), "{}: {name} is no metric", file.display());
                read += 1;
            }
        }
    }
    assert!(read > 30, "{read} metrics are read by rules and panels");
}
