//! What is wrong with a profile, or with an account that names it, is said at start.

use super::*;
use crate::Registry;
use crate::gateway::profile::Profile;

#[test]
fn the_least_profile_and_the_shipped_one_are_accepted() {
    assert!(Profile::parse(LEAST).is_ok());
    let registry = Registry::build(vec![account()]).unwrap();
    let provider = registry.get("gateway").unwrap();
    assert_eq!(provider.name(), "gateway");
    assert!(provider.capabilities().recall && provider.capabilities().look_up);
}

#[test]
fn every_fault_names_its_key_and_a_remedy() {
    let with = |more: &str| format!("{LEAST}{more}");
    let callback = |report: &str, verify: &str| {
        with(&format!("[callback]\n[callback.report]\n{report}\n[callback.verify]\n{verify}"))
    };
    let table = [
        ("channels = [", "line 1"),
        ("channels = []", "channels"),
        ("channels = [\"inbox\"]", "channels"),
        ("channels = [\"voice\", \"fax\"]", "channels"),
        ("", "send"),
        ("[statuses]", "statuses"),
        ("authentication = \"digest\"", "authentication"),
        ("statuses = 5", "statuses"),
        ("[statuses]\nbusy = \"occupied\"", "statuses.\"busy\""),
        ("[statuses]\nbusy = 5", "statuses.\"busy\""),
        ("[statuses]\nbusy = \"busy\"\nBUSY = \"busy\"", "statuses.\"busy\""),
        ("[addresses]\n5 = \"gone\"", "addresses.\"5\""),
        ("[send]", "send.path"),
        ("[send]\npath = \"calls\"", "send.path"),
        ("[send]\npath = \"//evil.example/calls\"", "send.path"),
        ("[send]\npath = \"/calls#x\"", "send.path"),
        ("[send]\npath = \"/calls/{id}\"", "send.path"),
        ("[send]\npath = \"/calls/{\"", "send.path"),
        ("[send]\npath = \"/calls\"\nmethod = \"post\"", "send.method"),
        ("[send]\npath = \"/calls\"\nencoding = \"xml\"", "send.encoding"),
        ("[send]\npath = \"/calls\"\npaht = \"/calls\"", "send.paht"),
        ("[send]\npath = \"/calls\"\nbody = \"{to}\"", "send.body"),
        ("[send]\npath = \"/calls\"\n[send.body]\na = { b = [\"{nobody}\"] }", "send.body.a.b[0]"),
        ("[send]\npath = \"/calls\"\nencoding = \"form\"\n[send.body]\na = { b = \"c\" }", "send.body.a"),
        ("[send]\npath = \"/calls\"\n[send.headers]\n\"X Y\" = \"a\"", "send.headers.X Y"),
        ("[send]\npath = \"/calls\"\n[send.headers]\nX-Text = \"{body}\"", "send.headers.X-Text"),
        ("[send]\npath = \"/calls\"\n[send.headers]\nX-Y = \"a\\nb\"", "send.headers.X-Y"),
        ("[send]\npath = \"/calls\"\n[send.answer]\nid = \"id\"", "send.answer.id"),
        ("[send]\npath = \"/calls\"\n[send.http]\n\"4xy\" = \"lost\"", "send.http.\"4xy\""),
        ("[send]\npath = \"/calls\"\n[send.http]\n\"600\" = \"lost\"", "send.http.\"600\""),
        ("[send]\npath = \"/calls\"\n[send.http]\n\"404\" = \"gone\"", "send.http.\"404\""),
        ("[send]\npath = \"/calls\"\n[send.http]\n\"404\" = \"delivered\"", "send.http.\"404\""),
        ("[send]\npath = \"/calls\"\n[send.errors]\n\"7\" = \"account\"", "send.answer.code"),
        (&with("[recall]\npath = \"/calls\""), "recall.path"),
        (&with("[recall]\npath = \"/calls/{to}\""), "recall.path"),
        (&with("[look_up]\npath = \"/calls/{id}\""), "look_up.report"),
        (&with("[callback]"), "callback.report"),
        (&with("[callback]\n[callback.report]\nstatus = \"/s\""), "callback.verify"),
        (&callback("", "scheme = \"basic\""), "callback.report.status"),
        (
            &callback("status = \"/s\"\nat_format = \"ago\"", "scheme = \"basic\""),
            "callback.report.at_format",
        ),
        (&callback("status = \"/s\"", ""), "callback.verify.scheme"),
        (&callback("status = \"/s\"", "scheme = \"md5\""), "callback.verify.scheme"),
        (&callback("status = \"/s\"", "scheme = \"hmac-sha256\""), "callback.verify.header"),
        (&callback("status = \"/s\"", "scheme = \"basic\"\nheader = \"X\""), "callback.verify.header"),
        (
            &callback("status = \"/s\"", "scheme = \"hmac-sha1\"\nheader = \"X\"\nsigned = \"{timestamp}\""),
            "callback.verify.signed",
        ),
        (
            &callback(
                "status = \"/s\"",
                "scheme = \"hmac-sha1\"\nheader = \"X\"\nsigned = \"{timestamp}{body}\"",
            ),
            "callback.verify.timestamp_header",
        ),
        (
            &callback("status = \"/s\"", "scheme = \"hmac-sha1\"\nheader = \"X\"\ntolerance_seconds = 60"),
            "callback.verify.signed",
        ),
        (
            &with(
                "[callback]\nreports = \"/all\"\n[callback.report]\nstatus = \"/s\"\n[callback.verify]\nscheme = \"basic\"",
            ),
            "callback.report.token",
        ),
        (
            &with(
                "[callback]\nformat = \"query\"\n[callback.report]\nstatus = \"/s\"\n[callback.verify]\nscheme = \"hmac-sha1\"\nheader = \"X\"",
            ),
            "callback.format",
        ),
        (&with("[inbound]\nid = \"/id\"\nfrom = \"/from\"\ntext = \"/text\""), "callback"),
        (&with("[inbound]\nid = \"/id\""), "inbound.from"),
    ];
    for (text, key) in table {
        let (keys, told) = faults(text);
        assert!(keys.iter().any(|named| named == key), "{text}\n{told}");
        assert!(told.lines().all(|line| line.contains("; ")), "no remedy: {told}");
    }
}

#[test]
fn a_file_is_named_in_a_list_of_files_alone_and_with_its_bytes() {
    let table = [
        ("[send.body]\nfile = \"{file_base64}\"\n", "send.body"),
        ("[send.body]\nfiles = [\"{file_base64}\", \"{to}\"]\n", "send.body"),
        ("[send.body]\nfiles = [{ name = \"{file_name}\" }]\n", "send.body.files"),
        ("encoding = \"form\"\n[send.body]\nfiles = [\"{file_base64}\"]\n", "send.body.files"),
        ("[send.headers]\nX-File = \"{file_name}\"\n", "send.headers.X-File"),
        ("[recall]\npath = \"/{id}\"\n[recall.body]\nfiles = [\"{file_base64}\"]\n", "recall.body.files[0]"),
    ];
    for (more, key) in table {
        let (keys, told) = faults(&format!("{LEAST}{more}"));
        assert!(keys.iter().any(|found| found == key), "{more}: {told}");
    }
    assert!(
        faults(&LEAST.replace("/calls", "/{file_name}")).1.contains("{file_name}, which there is not here")
    );
}

#[test]
fn all_faults_of_a_profile_are_told_at_once() {
    let (keys, _) = faults("channels = []\n[statuses]\na = \"b\"\n[send]\nmethod = \"X\"\n[nonsense]");
    assert_eq!(keys, ["channels", "statuses.\"a\"", "statuses", "send.method", "send.path", "nonsense"]);
}

#[test]
fn a_fault_of_an_account_names_account_and_key_and_no_secret() {
    let of = |profile: &str| AccountSettings { profile: Some(profile.into()), ..account() };
    let table = [
        (AccountSettings { profile: None, ..account() }, "profile"),
        (of("/nowhere/gateway.toml"), "profile"),
        (AccountSettings { channel: Channel::Inbox, ..account() }, "channel"),
        (AccountSettings { signing_keys: vec![], ..account() }, "signing_keys"),
        (AccountSettings { secret: Secret::new(""), ..account() }, "secret"),
        (AccountSettings { secret: Secret::new("hu\nsh"), ..account() }, "secret"),
        (AccountSettings { base_url: "http://api.example.org".into(), ..account() }, "base_url"),
        (AccountSettings { base_url: "ftp://api.example.org".into(), ..account() }, "base_url"),
        (AccountSettings { base_url: "https://u:hush@api.example.org".into(), ..account() }, "base_url"),
        (AccountSettings { sender: " ".into(), ..account() }, "sender"),
    ];
    for (settings, key) in table {
        let text = Registry::build(vec![settings]).unwrap_err().to_string();
        assert!(text.contains(&format!("\"gateway\": {key}: ")), "{text}");
        assert!(!text.contains("hush") && !text.contains("hu\n"), "{text}");
    }
}

#[test]
fn a_faulty_file_is_told_with_the_account_the_file_and_each_fault() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"channels = [\"voice\"]\n[send]\n").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let text = Registry::build(vec![AccountSettings { profile: Some(path.clone()), ..account() }]);
    let text = text.unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("provider account \"gateway\": profile {path:?} cannot be used:\n  ")),
        "{text}"
    );
    assert!(text.contains("\n  send.path: missing; ") && text.contains("\n  statuses: "), "{text}");
}

#[test]
fn nothing_of_an_account_is_shown() {
    let shown = format!("{:?}", Gateway::new(&account(), AccountClient::new(1).unwrap()).unwrap());
    assert_eq!(shown, "Gateway { channels: [Voice, Sms, Email], .. }");
}
