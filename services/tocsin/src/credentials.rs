//! Accounts' secrets that change while a process runs: files are read again, the next request is signed with what they
//! hold, and callbacks signed with what they held before are accepted for a while.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_providers::{AccountSettings, ProvidersError, Registry, Secret};
use tocsin_runtime::{Clock as _, Config, Progress, SystemClock, Tasks, run_ticker};
use tokio::sync::Notify;

use crate::roles::provider_accounts;

/// Reads again until stopping.
pub fn start(config: &Config, registry: &Arc<Registry>, tasks: &Tasks) {
    let (config, registry, stopping) = (config.clone(), Arc::clone(registry), tasks.stopping().clone());
    let every = Duration::from_secs(config.credentials.reread_seconds.into());
    let mut credentials = Credentials::of(&config);
    tasks.spawn("credentials", async move {
        let tick = async move || -> Result<Progress> {
            let now = SystemClock.now();
            credentials.renew(&registry, provider_accounts(&config.read_again()?), now)?;
            Ok(Progress::Idle)
        };
        run_ticker("credentials", every, &Notify::new(), &stopping, tick).await;
    });
}

/// The accounts as their adapters have them.
#[derive(Debug)]
struct Credentials {
    accounts: Vec<Known>,
    overlap: TimeDelta,
}

#[derive(Debug)]
struct Known {
    /// As it was read last.
    read: AccountSettings,
    /// Keys that callbacks may still be signed with, and until when.
    before: Vec<(Secret, DateTime<Utc>)>,
}

impl Credentials {
    fn of(config: &Config) -> Self {
        let known = |read| Known { read, before: Vec::new() };
        Self {
            accounts: provider_accounts(config).into_iter().map(known).collect(),
            overlap: TimeDelta::hours(config.credentials.overlap_hours.into()),
        }
    }

    /// Replaces the adapters of accounts whose secrets are others than before, and of those of which an old key's time is
    /// over. Whatever else changed in the configuration waits for the next start.
    fn renew(
        &mut self,
        registry: &Registry,
        read: Vec<AccountSettings>,
        now: DateTime<Utc>,
    ) -> Result<(), ProvidersError> {
        let mut refused = None;
        for known in &mut self.accounts {
            let Some(read) = read.iter().find(|read| read.name == known.read.name) else { continue };
            let is_over = |(_, until): &(Secret, DateTime<Utc>)| *until <= now;
            let changed = read.secret != known.read.secret || read.signing_keys != known.read.signing_keys;
            if !changed && !known.before.iter().any(is_over) {
                continue;
            }
            let mut before: Vec<(Secret, DateTime<Utc>)> =
                known.before.iter().filter(|key| !is_over(key)).cloned().collect();
            if changed {
                let gone = keys(&known.read).into_iter().filter(|key| !keys(read).contains(key));
                before.extend(gone.map(|key| (key, now + self.overlap)));
            }
            let next = AccountSettings {
                secret: read.secret.clone(),
                signing_keys: read.signing_keys.clone(),
                ..known.read.clone()
            };
            // By itself first, so that a fault is told by the key that has it.
            let put = Registry::check(&next).and_then(|()| registry.replace(&accepting(&next, &before)));
            if let Err(error) = put {
                // The others' secrets are changed all the same: one of them may have leaked.
                refused.get_or_insert(error);
                continue;
            }
            if changed {
                tracing::info!(
                    account = next.name,
                    earlier_keys = before.len(),
                    "the account's secrets were changed"
                );
            }
            *known = Known { read: next, before };
        }
        refused.map_or(Ok(()), Err)
    }
}

/// What callbacks to an account are signed with.
fn keys(account: &AccountSettings) -> Vec<Secret> {
    if account.signing_keys.is_empty() { vec![account.secret.clone()] } else { account.signing_keys.clone() }
}

/// The account, accepting keys from before beside its own.
fn accepting(account: &AccountSettings, before: &[(Secret, DateTime<Utc>)]) -> AccountSettings {
    if before.is_empty() {
        return account.clone();
    }
    let mut signing_keys = keys(account);
    signing_keys.extend(before.iter().map(|(key, _)| key.clone()));
    AccountSettings { signing_keys, ..account.clone() }
}

#[cfg(test)]
mod tests {
    use tocsin_domain::Channel;
    use tocsin_providers::twilio::form::Form;
    use tocsin_providers::twilio::signature;
    use tocsin_providers::{ProviderKind, RawRequest};

    use super::*;

    const URL: &str = "https://calls.example.org/callbacks/main-text/token";

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn account(secret: &str) -> AccountSettings {
        AccountSettings {
            name: "main-text".into(),
            channel: Channel::Sms,
            kind: ProviderKind::Twilio,
            base_url: "https://api.twilio.com".into(),
            user: "AC00000000000000000000000000000001".into(),
            secret: Secret::new(secret),
            signing_keys: vec![],
            sender: "+15005550006".into(),
            domain: None,
            ca_file: None,
            profile: None,
            connections_max: None,
        }
    }

    /// Is a callback accepted that is signed with this secret?
    fn accepts(registry: &Registry, secret: &str) -> bool {
        let form = Form::from_pairs(&[("MessageStatus", "sent")]);
        let signed = signature::SignatureKeys::new(&[Secret::new(secret)]).sign(URL, &form).unwrap();
        let headers = [("content-type", "application/x-www-form-urlencoded"), (signature::HEADER, &signed)];
        let raw = RawRequest {
            method: "POST".into(),
            url: URL.into(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: b"MessageStatus=sent".as_slice().into(),
        };
        registry.get("main-text").unwrap().verify(&raw, at(0)).is_ok()
    }

    #[test]
    fn an_old_secret_is_accepted_for_its_overlap_and_the_new_one_at_once() {
        let registry = Registry::build(vec![account("one")]).unwrap();
        let mut credentials = Credentials {
            accounts: vec![Known { read: account("one"), before: vec![] }],
            overlap: TimeDelta::hours(24),
        };
        let mut renew =
            |secret: &str, hours| credentials.renew(&registry, vec![account(secret)], at(hours)).unwrap();
        renew("one", 0);
        assert!(accepts(&registry, "one") && !accepts(&registry, "two"));
        renew("two", 1);
        assert!(accepts(&registry, "one") && accepts(&registry, "two"));
        // Changed once more before the first one's time is over: each has its own.
        renew("three", 13);
        assert!(["one", "two", "three"].iter().all(|secret| accepts(&registry, secret)));
        renew("three", 25);
        assert!(!accepts(&registry, "one") && accepts(&registry, "two") && accepts(&registry, "three"));
        renew("three", 37);
        assert!(!accepts(&registry, "two") && accepts(&registry, "three"));
    }

    #[test]
    fn a_faulty_secret_changes_nothing_and_is_told() {
        let registry = Registry::build(vec![account("one")]).unwrap();
        let mut credentials = Credentials {
            accounts: vec![Known { read: account("one"), before: vec![] }],
            overlap: TimeDelta::hours(24),
        };
        let error = credentials.renew(&registry, vec![account("")], at(1)).unwrap_err();
        assert!(error.to_string().contains("secret"), "{error}");
        assert!(accepts(&registry, "one"));
        credentials.renew(&registry, vec![account("two")], at(2)).unwrap();
        assert!(accepts(&registry, "one") && accepts(&registry, "two"));
    }

    /// As a process does it: the configuration is read again from its files.
    #[test]
    fn what_a_file_holds_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let (secret, file) = (directory.path().join("secret"), directory.path().join("tocsin.toml"));
        std::fs::write(&secret, "one\n").unwrap();
        let toml = format!(
            "[[accounts]]\nname = \"main-text\"\nchannel = \"sms\"\nprovider = \"twilio\"\n\
             user = \"AC00000000000000000000000000000001\"\nsecret_file = {secret:?}\nsender = \"+15005550006\"\n"
        );
        std::fs::write(&file, toml).unwrap();
        let config = Config::load_from(Some(&file), &Default::default()).unwrap();
        let registry = Registry::build(provider_accounts(&config)).unwrap();
        let mut credentials = Credentials::of(&config);
        std::fs::write(&secret, "two\n").unwrap();
        credentials.renew(&registry, provider_accounts(&config.read_again().unwrap()), at(1)).unwrap();
        assert!(accepts(&registry, "one") && accepts(&registry, "two"));
        std::fs::remove_file(&secret).unwrap();
        assert!(config.read_again().unwrap_err().to_string().contains("accounts.main-text.secret_file"));
    }
}
