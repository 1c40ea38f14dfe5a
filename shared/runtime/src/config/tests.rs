//! The layers, and one case for each value that is refused.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

use super::*;

const TWILIO: &str = r#"
[[accounts]]
name = "main-voice"
channel = "voice"
provider = "twilio"
user = "AC1"
secret = "token"
sender = "+15550100123"
"#;

const MAILGUN: &str = r#"
[[accounts]]
name = "main-email"
channel = "email"
provider = "mailgun"
secret = "key"
domain = "mail.example.org"
sender = "notices@mail.example.org"
"#;

const GATEWAY: &str = r#"
[[accounts]]
name = "other"
channel = "sms"
provider = "gateway"
base_url = "https://api.gateway.example.org"
profile = "call-codes"
sender = "+15550100124"
"#;
const SMTP: &str = r#"
[[accounts]]
name = "relay"
channel = "email"
provider = "smtp"
base_url = "smtps://relay.example.org:1465/"
user = "tocsin"
secret = "key"
signing_key = "bounces"
domain = "mail.example.org"
ca_file = "/etc/ssl/relay.pem"
sender = "notices@mail.example.org"
"#;

const OIDC: &str = r#"
sign_in.url = "https://tocsin.example.org/"

[[oidc]]
name = "office"
title = "the office"
issuer = "https://id.example.org/one/"
client_id = "tocsin"
secret = "hidden"
"#;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load_from(Some(file(toml).path()), &environment)
}

/// The error's text and, as an operator sees it, its source's.
fn refusal(toml: &str, environment: &[(&str, &str)]) -> String {
    load(toml, environment).unwrap_err().to_string()
}

#[test]
fn without_file_and_environment_the_defaults_hold() {
    let config = Config::load_from(None, &BTreeMap::new()).unwrap();
    assert_eq!(config.database_pool, 8);
    let worker = WorkerConfig {
        prefetch_emergency: 200,
        prefetch_priority: 500,
        prefetch_general: 1000,
        in_flight_max: 400,
    };
    assert_eq!(config.worker, worker);
    assert_eq!(config.log, LogConfig { format: LogFormat::Text, filter: "info,lapin=off".to_owned() });
    assert!(config.accounts.is_empty());
}

#[test]
fn the_sample_shows_the_defaults_and_reads_in_full() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tocsin.sample.toml");
    let text = std::fs::read_to_string(sample).unwrap();
    let from_sample = load(&text, &[]).unwrap();
    let defaults = Config::load_from(None, &BTreeMap::new()).unwrap();
    assert_eq!(format!("{from_sample:?}"), format!("{defaults:?}"));

    // The examples too: every commented line that is a key or a table, but for secrets' other places.
    let secrets = ["token-file", "mailgun-file"].map(file);
    let examples: Vec<_> = text
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|rest| rest.contains(" = ") || rest.starts_with('['))
                .unwrap_or(line)
        })
        .filter(|line| {
            !line.starts_with("secret = ")
                && !line.starts_with("secret_file = \"/run/secrets/callback")
                && !line.starts_with("secret_file = \"/run/secrets/webhooks")
        })
        .filter(|line| !line.starts_with("previous_secret") && !line.contains("_url_file = "))
        .map(|line| match line {
            "secret_file = \"/run/secrets/mailgun\"" | "secret_file = \"/run/secrets/oidc\"" => {
                format!("secret_file = {:?}", secrets[0].path())
            }
            "signing_key_file = \"/run/secrets/mailgun-signing\"" => {
                format!("signing_key_file = {:?}", secrets[1].path())
            }
            other => other.to_owned(),
        })
        .collect();
    let variables = [
        ("TOCSIN_SECRET_CALLBACK", "0123456789abcdef"),
        ("TOCSIN_SECRET_WEBHOOKS", "fedcba9876543210"),
        ("TOCSIN_SECRET_TWILIO", "token"),
        ("TOCSIN_SECRET_RELAY", "relay"),
        ("TOCSIN_SECRET_BOUNCES", "bounces"),
        ("TOCSIN_SECRET_GATEWAY", "gateway"),
        ("TOCSIN_SECRET_GATEWAY_CALLBACKS", "callbacks"),
    ];
    let config = load(&examples.join("\n"), &variables).unwrap();
    let names: Vec<_> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["main-voice", "main-text", "main-email", "main-relay", "other-voice", "portal"]);
    assert_eq!(config.accounts[0].secret, Some(Secret::new("token")));
    assert_eq!(config.accounts[2].signing_keys, [Secret::new("mailgun-file")]);
    assert_eq!(config.require_public_url().unwrap(), "https://calls.example.org");
    assert_eq!(config.metrics.otlp.as_ref().map(|otlp| otlp.protocol), Some(OtlpProtocol::Grpc));
    assert_eq!(config.shutdown, ShutdownConfig { delay_seconds: 0, deadline_seconds: 25 });
    assert!(config.health_listen.is_some() && config.amqp_url.is_some() && config.database_url.is_some());
}

#[test]
fn the_environment_wins_over_the_file() {
    let toml = "database_pool = 4\ndatabase_url = \"postgres://file/x\"\n[api]\nlisten = \"127.0.0.1:1\"\n";
    let config = load(
        toml,
        &[
            ("DATABASE_URL", "postgres://environment/x"),
            ("TOCSIN_DATABASE_POOL", "9"),
            ("TOCSIN_API__PROXIES", "2"),
            ("TOCSIN_WEBHOOKS__NETWORKS", "[\"127.0.0.0/8\"]"),
            ("TOCSIN_API__LISTEN", "0.0.0.0:2"),
            ("TOCSIN_WORKER__IN_FLIGHT_MAX", "7"),
            ("TOCSIN_CALLBACK__SECRET", "12345678901234567890"),
            ("TOCSIN_SCALING__REPLICAS_MAX__SMS", "3"),
            ("TOCSIN_RETENTION__MONTHS", "24"),
            ("TOCSIN_LOG__FORMAT", "json"),
            ("TOCSIN_CREDENTIALS__REREAD_SECONDS", "5"),
            ("TOCSIN_CREDENTIALS__OVERLAP_HOURS", "12"),
            (
                "TOCSIN_ACCOUNTS",
                "[{name=\"portal\", channel=\"inbox\", provider=\"inbox\", rate_per_second=5}]",
            ),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.require_database_url().unwrap(), "postgres://environment/x");
    assert_eq!(config.database_pool, 9);
    assert_eq!((config.api.proxies, config.webhooks.networks.len()), (2, 1));
    assert_eq!(config.api.listen.to_string(), "0.0.0.0:2");
    assert_eq!(config.worker.in_flight_max, 7);
    assert_eq!(config.worker.prefetch_general, 1000);
    assert_eq!((config.scaling.replicas_max.of(Channel::Sms), config.scaling.replicas_max.voice), (3, 10));
    assert_eq!(config.retention.months, Some(24));
    assert_eq!(config.require_callback().unwrap().current.expose(), "12345678901234567890");
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!((config.credentials.reread_seconds, config.credentials.overlap_hours), (5, 12));
    assert_eq!(config.accounts[0].rate_per_second, Some(5.0));
}

#[test]
fn the_file_is_named_by_the_argument_before_the_variable() {
    let (argument, variable) = (file("database_pool = 2"), file("database_pool = 3"));
    let named = variable.path().to_str().unwrap().to_owned();
    let environment = BTreeMap::from([(CONFIG_FILE_VARIABLE.to_owned(), named)]);
    assert_eq!(Config::load_from(Some(argument.path()), &environment).unwrap().database_pool, 2);
    assert_eq!(Config::load_from(None, &environment).unwrap().database_pool, 3);
}

#[test]
fn secrets_come_from_a_variable_or_a_file_without_its_last_line_break() {
    let secret = file("from-the-file-0123\n");
    let toml = format!("[callback]\nsecret_file = {:?}\nprevious_secret_env = \"OLD\"\n", secret.path());
    let config = load(&toml, &[("OLD", "from-the-variable")]).unwrap();
    let callback = config.require_callback().unwrap();
    assert_eq!(callback.current.expose(), "from-the-file-0123");
    assert_eq!(callback.previous.as_ref().map(Secret::expose), Some("from-the-variable"));
}

#[test]
fn signing_keys_list_the_current_one_first() {
    let toml = format!("{MAILGUN}previous_signing_key = \"old\"\nsigning_key_env = \"NEW\"\n");
    let config = load(&toml, &[("NEW", "new")]).unwrap();
    assert_eq!(config.accounts[0].signing_keys, [Secret::new("new"), Secret::new("old")]);
}

#[test]
fn addresses_lose_the_slash_at_their_end() {
    let config = load("public_url = \"http://localhost:9/base/\"", &[]).unwrap();
    assert_eq!(config.require_public_url().unwrap(), "http://localhost:9/base");
    let relay = load(SMTP, &[]).unwrap().accounts.remove(0);
    assert_eq!(relay.base_url.as_deref(), Some("smtps://relay.example.org:1465"));
}

#[test]
fn a_wrong_value_is_refused_with_its_key_fault_and_remedy() {
    let callback = |rest: &str| format!("[callback]\n{rest}\n");
    let webhooks = |rest: &str| format!("[webhooks]\n{rest}\n");
    let cases = [
        ("databse_url = \"x\"".to_owned(), "databse_url", "unknown key"),
        ("[worker]\nprefetch = 1".to_owned(), "worker.prefetch", "unknown key"),
        (format!("{TWILIO}colour = 1"), "accounts[0].colour", "unknown key"),
        ("database_url = \"mysql://db\"".to_owned(), "database_url", "begin it with postgres://"),
        ("amqp_url = \"http://mq\"".to_owned(), "amqp_url", "begin it with amqp://"),
        ("database_pool = 0".to_owned(), "database_pool", "at least 1"),
        ("database_pool = \"many\"".to_owned(), "database_pool", "is text"),
        ("[worker]\nin_flight_max = 0".to_owned(), "worker.in_flight_max", "at least 1"),
        ("[worker]\nprefetch_emergency = 0".to_owned(), "worker.prefetch_emergency", "at least 1"),
        ("[worker]\nprefetch_general = 70000".to_owned(), "worker.prefetch_general", "to 65535"),
        ("[worker]\nprefetch_priority = -1".to_owned(), "worker.prefetch_priority", "to 65535"),
        ("[scaling]\ntarget_seconds = 0".to_owned(), "scaling.target_seconds", "at least 1"),
        ("[scaling]\nreplicas_max = { sms = 0 }".to_owned(), "scaling.replicas_max.sms", "at least 1"),
        ("[scaling]\nreplicas_max = { fax = 1 }".to_owned(), "scaling.replicas_max.fax", "unknown key"),
        ("[retention]\nmonths = 1".to_owned(), "retention.months", "give 2 to 600"),
        ("[retention]\nmonths = 0".to_owned(), "retention.months", "leave it out to keep everything"),
        ("[retention]\nmonths = 601".to_owned(), "retention.months", "give 2 to 600"),
        ("[retention]\ndays = 400".to_owned(), "retention.days", "unknown key"),
        ("[api]\nlisten = \"localhost\"".to_owned(), "api.listen", "socket address"),
        ("[collector]\nlisten = \"1.2.3.4\"".to_owned(), "collector.listen", "socket address"),
        ("[health]\nlisten = \"0.0.0.0:99999\"".to_owned(), "health.listen", "socket address"),
        ("[log]\nformat = \"xml\"".to_owned(), "log.format", "use text or json"),
        ("[log]\nfilter = \"tocsin=loud\"".to_owned(), "log.filter", "directives"),
        ("[trace]\nendpoint = \"otel:4317\"".to_owned(), "trace.endpoint", "https://"),
        ("[trace]\nprotocol = \"udp\"".to_owned(), "trace.protocol", "use grpc or http"),
        ("[trace]\nsample_ratio = 1.5".to_owned(), "trace.sample_ratio", "from 0 to 1"),
        ("[trace]\nslow_seconds = 0".to_owned(), "trace.slow_seconds", "more than 0"),
        ("[trace]\nratio = 0.1".to_owned(), "trace.ratio", "unknown"),
        ("public_url = \"calls.example.org\"".to_owned(), "public_url", "https://"),
        ("public_url = \"ftp://calls.example.org\"".to_owned(), "public_url", "https://"),
        ("public_url = \"https://calls.example.org?x=1\"".to_owned(), "public_url", "query"),
        (callback("secret = \"short\""), "callback.secret", "at least 16"),
        (callback("secret = \"\""), "callback.secret", "is empty"),
        (callback("secret = \"0123456789abcdef\"\nsecret_env = \"X\""), "callback.secret", "keep only one"),
        (callback("secret_env = \"NOT_SET\""), "callback.secret_env", "NOT_SET is not set"),
        (callback("secret_file = \"/nowhere/secret\""), "callback.secret_file", "/nowhere/secret"),
        (callback("previous_secret = \"0123456789abcdef\""), "callback.secret", "missing"),
        (
            callback("secret = \"0123456789abcdef\"\nprevious_secret = \"0123456789abcdef\""),
            "callback.previous_secret",
            "the same",
        ),
        (webhooks("secret = \"short\""), "webhooks.secret", "at least 16"),
        (webhooks("previous_secret = \"0123456789abcdef\""), "webhooks.secret", "missing"),
        (webhooks("networks = [\"::1/128\", \"10.0.0.0\"]"), "webhooks.networks[1]", "no network"),
        (TWILIO.replace("main-voice", "Main Voice"), "accounts[0].name", "lower-case"),
        (format!("{TWILIO}{TWILIO}"), "accounts[1].name", "another account"),
        (TWILIO.replace("name = \"main-voice\"", ""), "accounts[0].name", "missing"),
        (TWILIO.replace("\"voice\"", "\"fax\""), "accounts[0].channel", "voice"),
        (TWILIO.replace("\"voice\"", "\"email\""), "accounts.main-voice.channel", "voice and sms"),
        (MAILGUN.replace("\"email\"", "\"inbox\""), "accounts.main-email.channel", "serves email"),
        (
            TWILIO.replace("\"twilio\"", "\"acme\""),
            "accounts[0].provider",
            "twilio or mailgun or smtp or gateway or inbox",
        ),
        (TWILIO.replace("user = \"AC1\"", ""), "accounts.main-voice.user", "account SID"),
        (TWILIO.replace("secret = \"token\"", ""), "accounts.main-voice.secret", "auth token"),
        (
            TWILIO.replace("secret = \"token\"", "secret_env = \"T\""),
            "accounts.main-voice.secret_env",
            "T is not set",
        ),
        (TWILIO.replace("\"+15550100123\"", "\" \""), "accounts.main-voice.sender", "number"),
        (
            MAILGUN.replace("domain = \"mail.example.org\"", ""),
            "accounts.main-email.domain",
            "sending domain",
        ),
        (MAILGUN.replace("secret = \"key\"", ""), "accounts.main-email.secret", "API key"),
        (SMTP.replace("\"email\"", "\"sms\""), "accounts.relay.channel", "serves email"),
        (SMTP.replace("smtps://relay", "https://relay"), "accounts.relay.base_url", "smtps:// (TLS at once)"),
        (SMTP.replace("base_url", "# "), "accounts.relay.base_url", "relay's host"),
        (SMTP.replace("signing_key", "# "), "accounts.relay.signing_key", "bounces are posted"),
        (SMTP.replace("domain", "# "), "accounts.relay.domain", "bounces come back"),
        (SMTP.replace("sender", "# "), "accounts.relay.sender", "come from"),
        (format!("{MAILGUN}ca_file = \"x\""), "accounts.main-email.ca_file", "set provider to smtp"),
        (GATEWAY.replace("\"sms\"", "\"inbox\""), "accounts.other.channel", "voice and sms and email"),
        (GATEWAY.replace("base_url", "# "), "accounts.other.base_url", "API begins"),
        (GATEWAY.replace("profile", "# "), "accounts.other.profile", "call-codes"),
        (GATEWAY.replace("sender", "# "), "accounts.other.sender", "come from"),
        (
            format!("{TWILIO}profile = \"call-codes\""),
            "accounts.main-voice.profile",
            "set provider to gateway",
        ),
        (format!("{MAILGUN}previous_signing_key = \"o\""), "accounts.main-email.signing_key", "missing"),
        (format!("{TWILIO}base_url = \"api.twilio.com\""), "accounts.main-voice.base_url", "https://"),
        (format!("{TWILIO}rate_per_second = 0"), "accounts.main-voice.rate_per_second", "above 0"),
        (format!("{TWILIO}rate_per_second = -3.5"), "accounts.main-voice.rate_per_second", "above 0"),
        (format!("{TWILIO}rate_per_second = inf"), "accounts.main-voice.rate_per_second", "above 0"),
        (format!("{TWILIO}burst = -1"), "accounts[0].burst", "whole number, 0 or more"),
        (format!("{TWILIO}burst = 0"), "accounts.main-voice.burst", "at least 1"),
        (format!("{TWILIO}concurrency = 0"), "accounts.main-voice.concurrency", "at least 1"),
        (format!("{TWILIO}depth = 0"), "accounts.main-voice.depth", "at least 1"),
        (format!("{TWILIO}connections_max = 0"), "accounts.main-voice.connections_max", "at least 1"),
        (format!("{SMTP}connections_max = 5"), "accounts.relay.connections_max", "concurrency"),
        (format!("{TWILIO}reserve = 2"), "accounts.main-voice.reserve", "set concurrency"),
        (
            format!("{TWILIO}concurrency = 5\nreserve = 5"),
            "accounts.main-voice.reserve",
            "less than concurrency",
        ),
        (
            format!("{TWILIO}concurrency = 5\nreserve = 9"),
            "accounts.main-voice.reserve",
            "less than concurrency",
        ),
        (format!("{TWILIO}weight = 0"), "accounts.main-voice.weight", "at least 1"),
        (OIDC.replace("sign_in.url", "# "), "sign_in.url", "browsers reach the console"),
        (OIDC.replace("https://tocsin", "http://tocsin"), "sign_in.url", "https://"),
        (OIDC.replace("https://id", "http://id"), "oidc.office.issuer", "https://"),
        (OIDC.replace("example.org/one/", "example.org/?one"), "oidc.office.issuer", "address and a path"),
        (OIDC.replace("https://id", "https://ana@id"), "oidc.office.issuer", "address and a path"),
        (OIDC.replace("\"office\"", "\"The Office\""), "oidc[0].name", "lower-case"),
        (OIDC.replace("\"tocsin\"", "\" \""), "oidc.office.client_id", "calls Tocsin"),
        (format!("{OIDC}secret_env = \"X\""), "oidc.office.secret", "keep only one"),
        (format!("{OIDC}scopes = [\"email\"]"), "oidc.office.scopes", "openid"),
        (format!("{OIDC}new_user_role = \"viewer\""), "oidc.office.district", "one district only"),
        (
            format!("{OIDC}district = \"North\"\nroles = {{ a = \"viewer\" }}"),
            "oidc.office.groups_claim",
            "groups",
        ),
        ("sign_in.passwords = false".to_owned(), "sign_in.passwords", "[[oidc]]"),
    ];
    for (toml, key, hint) in cases {
        let error = refusal(&toml, &[]);
        assert!(
            error.starts_with(&format!("{key}:")) || error.starts_with(&format!("{key} (")),
            "{key}: {error}"
        );
        assert!(error.contains(hint), "{key} lacks {hint:?}: {error}");
    }
}

#[test]
fn an_error_names_where_the_value_came_from() {
    let cases = [("TOCSIN_DATABASE_POOL", "many"), ("TOCSIN_API__LISTEN", "here"), ("TOCSIN_COLOUR", "red")];
    for (name, value) in cases {
        let error = refusal("", &[(name, value)]);
        assert!(error.contains(&format!("variable {name}")), "{error}");
    }
    let from_file = file("database_pool = \"many\"");
    let error = Config::load_from(Some(from_file.path()), &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains(from_file.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_named_with_the_line() {
    let error =
        Config::load_from(Some(Path::new("/nowhere.toml")), &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("/nowhere.toml"), "{error}");
    let error = refusal("database_pool = 1\n\n[worker\n", &[]);
    assert!(error.contains("line 3"), "{error}");
}

#[test]
fn no_error_and_no_debug_text_shows_a_secret() {
    let hidden = "hunter2";
    let account = TWILIO.replace("\"token\"", &format!("\"{hidden}\""));
    let refused = [
        format!("[callback]\nsecret = \"{hidden}\""),
        format!("[callback]\nsecret = [\"{hidden}\"]"),
        format!("[callback]\nsecret = \"{hidden}"),
        format!("database_url = \"mysql://root:{hidden}@db\""),
        format!("amqp_url = \"http://guest:{hidden}@mq\""),
        format!("{account}rate_per_second = 0"),
        account.replace("\"+15550100123\"", "\"\""),
        format!("database_pool = \"{hidden}\""),
    ];
    for toml in refused {
        let error = load(&toml, &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(hidden), "{error:?}");
    }
    let toml = format!(
        "database_url = \"postgres://u:{hidden}@db\"\namqp_url = \"amqp://u:{hidden}@mq\"\n{account}"
    );
    assert!(!format!("{:?}", load(&toml, &[]).unwrap()).contains(hidden));
}

#[test]
fn what_a_role_needs_and_lacks_is_named() {
    let config = Config::load_from(None, &BTreeMap::new()).unwrap();
    let missing = [
        (config.require_database_url().err(), "database_url", "DATABASE_URL"),
        (config.require_amqp_url().err(), "amqp_url", "AMQP_URL"),
        (config.require_public_url().err(), "public_url", "status collector"),
        (config.require_callback().err(), "callback.secret", "16 random characters"),
    ];
    for (error, key, remedy) in missing {
        let error = error.unwrap().to_string();
        assert!(error.starts_with(key) && error.contains(remedy), "{error}");
    }
}

#[test]
fn addresses_of_servers_may_stand_in_files() {
    let (database, broker) = (file("postgres://me:hush@file/x\n"), file("amqp://me:hush@file/v\n"));
    let named = [database.path(), broker.path()].map(|path| path.to_str().unwrap().to_owned());
    let variables =
        [("TOCSIN_DATABASE_URL_FILE", named[0].as_str()), ("TOCSIN_AMQP_URL_FILE", named[1].as_str())];
    let config = load("", &variables).unwrap();
    assert_eq!(config.require_database_url().unwrap(), "postgres://me:hush@file/x");
    assert_eq!(config.require_amqp_url().unwrap(), "amqp://me:hush@file/v");
    let both = [variables[0], ("DATABASE_URL", "postgres://environment/x")];
    let fault = load("", &both).unwrap_err().to_string();
    assert!(fault.contains("database_url_file") && !fault.contains("hush"), "{fault}");
}

#[test]
fn times_of_leaving_and_pushing_are_bounded() {
    let cases = [
        ("[shutdown]\ndelay_seconds = 301", "shutdown.delay_seconds"),
        ("[shutdown]\ndeadline_seconds = 0", "shutdown.deadline_seconds"),
        ("[metrics]\notlp_interval_seconds = 0", "metrics.otlp_interval_seconds"),
        ("[metrics]\notlp_endpoint = \"collector:4317\"", "metrics.otlp_endpoint"),
    ];
    for (toml, key) in cases {
        let fault = load(toml, &[]).unwrap_err();
        assert_eq!(fault.key(), Some(key), "{fault}");
    }
    let config = load("", &[("TOCSIN_SHUTDOWN__DELAY_SECONDS", "5")]).unwrap();
    assert_eq!(config.shutdown.delay(), Duration::from_secs(5));
}

#[test]
fn an_issuer_is_known_by_its_letters_and_asked_for_what_is_usual() {
    let config = load(OIDC, &[("TOCSIN_SIGN_IN__PASSWORDS", "false")]).unwrap().sign_in;
    let issuer = &config.issuers[0];
    assert_eq!(config.url.as_deref(), Some("https://tocsin.example.org"));
    assert_eq!(
        (issuer.issuer.as_str(), issuer.login_claim.as_str()),
        ("https://id.example.org/one/", "email")
    );
    assert_eq!((issuer.scopes.join(" ").as_str(), config.passwords), ("openid email profile", false));
    assert!(!format!("{config:?}").contains("hidden"));
    let local = OIDC.replace("https://id.example.org", "http://127.0.0.1:9000");
    assert!(load(&local, &[]).is_ok(), "for development");
}
