//! What is said when everything runs.

use std::fmt::Write as _;
use std::path::Path;

use indicatif::HumanCount;

use super::ground::Ground;
use super::keys::KeptKey;
use super::plan::{Entry, Providers};
use super::sample;
use crate::embedded::DataDirectory;

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

pub struct Facts<'a> {
    pub url: &'a str,
    pub ground: &'a Ground,
    pub directory: &'a Path,
    pub providers: Providers,
    pub access: Entry,
    pub key: &'a KeptKey,
}

pub fn banner(facts: &Facts<'_>) -> String {
    let store = match facts.ground.embedded {
        Some(_) => "PostgreSQL inside this process (DATABASE_URL is not set)",
        None => "the PostgreSQL server of DATABASE_URL",
    };
    let broker = match facts.ground.memory {
        Some(_) => "in memory (AMQP_URL is not set)",
        None => "the RabbitMQ server of AMQP_URL",
    };
    let access = match facts.access {
        Entry::Open => "open to whoever uses this machine (--sign-in asks who it is)",
        Entry::SignIn => "with an account (`tocsin user add` makes one)",
    };
    let mut said = format!("Tocsin is up: {}/\n\n", facts.url);
    for (name, value) in [
        ("store", store.to_owned()),
        ("broker", broker.to_owned()),
        ("data", facts.directory.display().to_string()),
        ("providers", providers(facts.providers)),
        ("page", access.to_owned()),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(said, "  {name:<11}{value}");
    }
    said.push_str(&first_message(facts));
    said.push_str(
        "\nCtrl-C stops it. What is in the data directory stays, and the next start goes on there.\n",
    );
    said
}

fn providers(providers: Providers) -> String {
    match providers {
        Providers::Simulated { students } => format!(
            "simulated: nobody is contacted ({:?}, {} students)",
            sample::DISTRICT,
            HumanCount(u64::from(students))
        ),
        Providers::Configured => "the accounts of the configuration: messages reach people".to_owned(),
        Providers::InboxOnly => {
            "none: only the portal inbox is served (accounts are configured with --config FILE)".to_owned()
        }
    }
}

fn first_message(facts: &Facts<'_>) -> String {
    let channels = match facts.providers {
        Providers::InboxOnly => "--channel inbox",
        Providers::Simulated { .. } | Providers::Configured => {
            "--channel voice --channel sms --channel email"
        }
    };
    let data = data_option(facts.directory);
    let url = if facts.url == DEFAULT_URL { String::new() } else { format!(" --url {}", facts.url) };
    match facts.key {
        KeptKey::Kept(path) => format!(
            "\nA first message, from another terminal:\n\n  tocsin campaign{data}{url} send --all {channels} \\\n    \
             --subject \"Early dismissal\" --body \"School closes at noon today.\"\n\nIts API key is in {}; \
             TOCSIN_API_KEY overrides it.\n",
            path.display()
        ),
        KeptKey::NoDistrict => format!(
            "\nThere is no district yet. Stop this process, make one and bring its people in, and start it again:\n\n  \
             tocsin district{data} add NAME --time-zone America/Chicago\n  tocsin import{data} oneroster FOLDER \
             --district NAME\n\nOr see it work with a sample: tocsin up --data OTHER --sample 500\n"
        ),
        KeptKey::SeveralDistricts => format!(
            "\nThere are several districts: make a key for one while this process is stopped, and set \
             TOCSIN_API_KEY to it:\n\n  tocsin api-key{data} add --district NAME --name LABEL\n"
        ),
    }
}

/// ` --data DIR`, where it is not the default.
fn data_option(directory: &Path) -> String {
    match DataDirectory::default_path() {
        Ok(default) if default == directory => String::new(),
        Ok(_) | Err(_) => format!(" --data {}", for_shell(&directory.display().to_string())),
    }
}

/// A word as a shell takes it: in quotes where it must be.
fn for_shell(word: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "/._-+,:@%".contains(character);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        for (word, quoted) in [
            ("/srv/data", "/srv/data"),
            ("/srv/my data", "'/srv/my data'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
        ] {
            assert_eq!(for_shell(word), quoted);
        }
    }
}
