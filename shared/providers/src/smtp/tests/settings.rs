//! What is wrong with an account is said at start, by account and key.

use std::io::Write as _;

use tempfile::NamedTempFile;

use super::super::account::SmtpAccount;
use super::super::relay::Security;
use super::*;
use crate::Registry;

fn remote() -> AccountSettings {
    AccountSettings {
        user: "tocsin".into(),
        secret: Secret::new("relay hush"),
        ..account("smtps://relay.example.org")
    }
}

#[test]
fn the_settings_of_a_relay_are_accepted() {
    let table = [
        remote(),
        AccountSettings { base_url: "smtps://relay.example.org:1465/".into(), ..remote() },
        AccountSettings { base_url: "smtp://relay.example.org".into(), ..remote() },
        AccountSettings { base_url: "smtp://[::1]:2525".into(), ..remote() },
        account("smtp://localhost:25"),
        account("smtp://127.0.0.1"),
        account("smtps://localhost"),
        AccountSettings { sender: "office@example.org".into(), ..remote() },
    ];
    for settings in table {
        let registry = Registry::build(vec![settings.clone()]);
        assert_eq!(registry.unwrap().get("relay").unwrap().name(), "smtp", "{settings:?}");
    }
}

#[test]
fn a_fault_names_account_and_key_and_no_secret() {
    let mut garbage = NamedTempFile::new().unwrap();
    garbage.write_all(b"relay hush").unwrap();
    let of = |base_url: &str| AccountSettings { base_url: base_url.into(), ..remote() };
    let table = [
        (AccountSettings { name: "a/b".into(), ..remote() }, "name"),
        (AccountSettings { channel: tocsin_domain::Channel::Sms, ..remote() }, "channel"),
        (of("relay.example.org"), "base_url"),
        (of("https://relay.example.org"), "base_url"),
        (of("smtps://tocsin:hush@relay.example.org"), "base_url"),
        (of("smtps://relay.example.org?tls=opportunistic"), "base_url"),
        (of("smtps://relay.example.org/mail.example.org"), "base_url"),
        (of("smtps:relay.example.org"), "base_url"),
        (AccountSettings { user: "".into(), ..remote() }, "user"),
        (AccountSettings { secret: Secret::new(""), ..remote() }, "secret"),
        (AccountSettings { user: "".into(), ..account("smtp://relay.example.org") }, "user"),
        (AccountSettings { secret: Secret::new("hush"), ..account("smtp://localhost") }, "user"),
        (AccountSettings { user: "tocsin".into(), ..account("smtp://localhost") }, "secret"),
        (AccountSettings { sender: " ".into(), ..remote() }, "sender"),
        (AccountSettings { sender: "office".into(), ..remote() }, "sender"),
        (AccountSettings { sender: "A <a@example.org>\r\nBcc: b@example.org".into(), ..remote() }, "sender"),
        (AccountSettings { sender: "büro@example.org".into(), ..remote() }, "sender"),
        (AccountSettings { domain: None, ..remote() }, "domain"),
        (AccountSettings { domain: Some("mail.example.org>".into()), ..remote() }, "domain"),
        (AccountSettings { signing_keys: vec![], ..remote() }, "signing_keys"),
        (AccountSettings { signing_keys: vec![Secret::new("")], ..remote() }, "signing_keys"),
        (AccountSettings { ca_file: Some("/nowhere/ca.pem".into()), ..remote() }, "ca_file"),
        (AccountSettings { ca_file: Some(garbage.path().into()), ..remote() }, "ca_file"),
        (AccountSettings { ca_file: Some(garbage.path().into()), ..account("smtp://localhost") }, "ca_file"),
    ];
    for (settings, key) in table {
        let name = settings.name.clone();
        let text = Registry::build(vec![settings.clone()]).unwrap_err().to_string();
        assert!(text.contains(&format!("{name:?}: {key}: ")), "{settings:?}: {text}");
        assert!(!text.contains("hush"), "{text}");
    }
}

#[test]
fn only_a_relay_on_this_machine_is_spoken_to_in_plain() {
    let remote = |base_url: &str| AccountSettings { base_url: base_url.into(), ..remote() };
    let table = [
        (account("smtp://localhost"), "plain"),
        (account("smtp://127.0.0.1:25"), "plain"),
        (account("smtp://[::1]"), "plain"),
        (account("smtps://localhost"), "at once"),
        (remote("smtps://relay.example.org"), "at once"),
        (remote("smtp://relay.example.org"), "starttls"),
        (remote("smtp://localhost.example.org"), "starttls"),
        (remote("smtp://10.0.0.7"), "starttls"),
    ];
    for (settings, expected) in table {
        let spoken = match SmtpAccount::new(&settings).unwrap().relay.security {
            Security::Implicit(_) => "at once",
            Security::StartTls(_) => "starttls",
            Security::None => "plain",
        };
        assert_eq!(spoken, expected, "{}", settings.base_url);
    }
}

#[test]
fn nothing_of_an_account_is_shown() {
    let shown = format!("{:?}", SmtpEmail::new(&remote()).unwrap());
    assert_eq!(shown, "SmtpEmail { account: SmtpAccount { .. } }");
}
