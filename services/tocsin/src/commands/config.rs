//! `tocsin config`: what is wrong with the configuration, before a role finds out.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_providers::{ProvidersError, Registry};
use tocsin_runtime::{Config, ConfigError};

use crate::client::is_this_machine;
use crate::exit::Exit;
use crate::roles::provider_accounts;
use crate::terminal::{print, print_json};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell every fault of the file, the variables and the accounts, with what to do about it.
    #[command(after_long_help = "\
Nothing is connected to, and no secret is shown. Every role makes the same check when it starts. Exits with 2 where there
is a fault; a warning is none.

Examples:
  tocsin config check
  tocsin config check --config /etc/tocsin.toml --json")]
    Check,
}

/// What is wrong, and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// None: the file as a whole.
    key: Option<String>,
    /// The key, the fault and the remedy.
    text: String,
    is_warning: bool,
}

pub fn run(args: Args, file: Option<&Path>) -> Result<ExitCode> {
    let Action::Check = args.action;
    let findings = findings(Config::check(file));
    let is_sound = findings.iter().all(|finding| finding.is_warning);
    if args.json {
        print_json(&json_of(&findings, is_sound))?;
    } else {
        for Finding { text, is_warning, .. } in &findings {
            print(format_args!("{}: {text}\n", if *is_warning { "warning" } else { "fault" }))?;
        }
        if is_sound {
            print("the configuration has no fault\n")?;
        }
    }
    Ok(if is_sound { Exit::Done } else { Exit::Usage }.into())
}

/// The first account that its adapter refuses.
pub(crate) fn check_accounts(config: &Config) -> Result<(), ProvidersError> {
    provider_accounts(config).iter().try_for_each(Registry::check)
}

fn findings(checked: Result<Config, Vec<ConfigError>>) -> Vec<Finding> {
    let fault = |key: Option<String>, text: String| Finding { key, text, is_warning: false };
    match checked {
        Err(faults) => faults.iter().map(|one| fault(one.key().map(str::to_owned), told(one))).collect(),
        Ok(config) => {
            let refused = provider_accounts(&config);
            let refused = refused.iter().filter_map(|account| Registry::check(account).err());
            let faults = refused.map(|error| match &error {
                ProvidersError::Account { account, key, fault: what } => {
                    let key = format!("accounts.{account}.{key}");
                    let text = format!("{key}: {what}; docs/PROVIDERS.md says what this provider takes");
                    fault(Some(key), text)
                }
                ProvidersError::Profile { account, .. } => {
                    fault(Some(format!("accounts.{account}.profile")), error.to_string())
                }
                ProvidersError::DuplicateAccount(_) | ProvidersError::Client(_) => {
                    fault(None, error.to_string())
                }
            });
            faults.chain(warnings(&config)).collect()
        }
    }
}

/// The file's own errors stand behind what names the file.
fn told(error: &ConfigError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What works, and should not be so where people are reached.
fn warnings(config: &Config) -> Vec<Finding> {
    let warn = |key: &str, text: String| Finding {
        key: Some(key.to_owned()),
        text: format!("{key}: {text}"),
        is_warning: true,
    };
    let mut warnings = Vec::new();
    let reports = !provider_accounts(config).is_empty();
    match &config.public_url {
        Some(url) if url.starts_with("http://") && !is_this_machine(url) => warnings.push(warn(
            "public_url",
            "is plain http: whoever is on the way reads the callbacks; give an https:// address".to_owned(),
        )),
        None if reports => warnings.push(warn(
            "public_url",
            "missing, and workers and the status collector do not start without it; set it to where providers reach \
             the collector"
                .to_owned(),
        )),
        Some(_) | None => {}
    }
    if reports && config.callback.is_none() {
        warnings.push(warn(
            "callback.secret",
            "missing, and workers and the status collector do not start without it; set it, or \
             callback.secret_file, to at least 16 random characters"
                .to_owned(),
        ));
    }
    warnings
}

fn json_of(findings: &[Finding], is_sound: bool) -> Value {
    let of = |is_warning: bool| -> Vec<Value> {
        let such = findings.iter().filter(|finding| finding.is_warning == is_warning);
        such.map(|finding| json!({ "key": finding.key, "text": finding.text })).collect()
    };
    json!({ "sound": is_sound, "faults": of(false), "warnings": of(true) })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn checked(toml: &str) -> Vec<Finding> {
        checked_alone(&format!("{toml}\n[callback]\nsecret = \"0123456789abcdef\"\n"))
    }

    fn checked_alone(toml: &str) -> Vec<Finding> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        findings(Config::check(Some(file.path())))
    }

    fn account(name: &str, more: &str) -> String {
        format!(
            "[[accounts]]\nname = \"{name}\"\nchannel = \"sms\"\nprovider = \"twilio\"\n\
             user = \"AC00000000000000000000000000000001\"\nsender = \"+15005550006\"\n{more}\n"
        )
    }

    /// Each with its key and what to do, and all of them at once.
    #[test]
    fn every_account_with_a_fault_is_named_with_its_key_and_a_remedy() {
        let secret = "secret = \"hush-hush\"";
        let toml = [
            account("no-secret", ""),
            account("no-file", "secret_file = \"/nowhere/secret\""),
            account("no-weight", &format!("{secret}\nweight = 0")),
            account("twice", secret),
            account("twice", secret),
        ]
        .concat();
        let found = checked(&toml);
        let expected = [
            ("accounts.no-secret.secret", "set it, secret_env or secret_file"),
            ("accounts.no-file.secret_file", "name a file that this user may read"),
            ("accounts.no-weight.weight", "give at least 1"),
            ("accounts[4].name", "give each its own"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, (key, remedy)) in found.iter().zip(expected) {
            assert_eq!((finding.key.as_deref(), finding.is_warning), (Some(key), false));
            assert!(finding.text.contains(key) && finding.text.contains(remedy), "{finding:?}");
            assert!(!finding.text.contains("hush"), "{finding:?}");
        }
    }

    #[test]
    fn what_an_adapter_refuses_is_a_fault_too() {
        let plain = account("plain", "secret = \"x\"\nbase_url = \"http://api.example.org\"");
        let own = account("own", "secret = \"x\"\nbase_url = \"http://127.0.0.1:9000\"");
        let found = checked(&format!("public_url = \"https://calls.example.org\"\n{plain}{own}"));
        assert_eq!(found.len(), 1, "plain http is for this machine: {found:?}");
        assert_eq!(found[0].key.as_deref(), Some("accounts.plain.base_url"));
        assert!(found[0].text.contains("must be https"), "{found:?}");
    }

    #[test]
    fn unknown_keys_kinds_and_channels_are_faults() {
        let of = |old: &str, new: &str| account("main", "secret = \"x\"").replace(old, new);
        let cases = [
            (of("sender", "sendr"), "sendr"),
            (of("\"twilio\"", "\"telegraph\""), "telegraph"),
            (of("\"sms\"", "\"fax\""), "fax"),
            (of("\"sms\"", "\"email\""), "channel"),
        ];
        for (toml, says) in cases {
            let found = checked(&toml);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].text.contains(says) && !found[0].is_warning, "{found:?}");
        }
    }

    #[test]
    fn a_missing_callback_secret_is_warned_of() {
        let account = account("main", "secret = \"x\"");
        let found = checked_alone(&format!("public_url = \"https://calls.example.org\"\n{account}"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].key.as_deref(), Some("callback.secret"));
        assert!(found[0].is_warning);
    }

    #[test]
    fn a_public_address_that_others_may_read_or_that_is_missing_is_warned_of() {
        let account = account("main", "secret = \"x\"");
        let cases = [
            ("public_url = \"https://calls.example.org\"\n", 0),
            ("public_url = \"http://127.0.0.1:8081\"\n", 0),
            ("public_url = \"http://calls.example.org\"\n", 1),
            ("", 1),
        ];
        for (line, warnings) in cases {
            let found = checked(&format!("{line}{account}"));
            assert_eq!(found.len(), warnings, "{line}: {found:?}");
            assert!(found.iter().all(|finding| finding.is_warning));
            let json = json_of(&found, true);
            assert_eq!(json["warnings"].as_array().unwrap().len(), warnings);
        }
    }
}
