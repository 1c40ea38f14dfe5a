//! Who may call back.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::{Provider as _, VerifyFault};

/// Of `The quick brown fox jumps over the lazy dog` with the key `key`, as published.
const FOX: &str = "The quick brown fox jumps over the lazy dog";
const SHA256_OF_FOX: &str = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
const SHA1_OF_FOX: &str = "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";
const URL: &str = "https://bell.example/callbacks/gateway/tok";

fn signed_with(verify: &str, keys: &[&str]) -> Gateway {
    let more = format!("[callback]\n[callback.report]\nstatus = \"/status\"\n[callback.verify]\n{verify}");
    let (settings, profile) = (account(), profile(&more));
    let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(*key)).collect();
    let verifier = profile.callback.as_ref().map(|callback| Verifier::new(&callback.verify, &keys));
    let endpoint = crate::gateway::endpoint(&settings, &profile, AccountClient::new(1).unwrap()).unwrap();
    Gateway { endpoint, profile, verifier, room: Default::default() }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn fault(gateway: &Gateway, headers: &[(&str, &str)], body: &str) -> Option<(VerifyFault, u16)> {
    let verified = gateway.verify(&posted(URL, headers, body), now());
    verified.err().map(|error| (error.fault, error.http_status))
}

#[test]
fn published_signatures_are_accepted_in_every_spelling() {
    let base64 = "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=";
    let table = [
        ("scheme = \"hmac-sha256\"\nheader = \"X-Sig\"", SHA256_OF_FOX.to_owned()),
        ("scheme = \"hmac-sha1\"\nheader = \"X-Sig\"", SHA1_OF_FOX.to_owned()),
        (
            "scheme = \"hmac-sha256\"\nheader = \"X-Sig\"\nprefix = \"sha256=\"",
            format!("sha256={SHA256_OF_FOX}"),
        ),
        ("scheme = \"hmac-sha256\"\nheader = \"x-sig\"\nencoding = \"base64\"", base64.to_owned()),
        ("scheme = \"hmac-sha256\"\nheader = \"X-Sig\"", SHA256_OF_FOX.to_uppercase()),
    ];
    for (verify, signature) in table {
        for keys in [&["key"][..], &["new", "key"]] {
            let gateway = signed_with(verify, keys);
            assert_eq!(fault(&gateway, &[("X-SIG", &signature)], FOX), None, "{verify}");
        }
    }
}

#[test]
fn what_is_not_signed_so_is_refused() {
    use VerifyFault::{Malformed, Mismatch, Missing};
    let gateway = signed_with("scheme = \"hmac-sha256\"\nheader = \"X-Sig\"\nprefix = \"v1=\"", &["key"]);
    let right = format!("v1={SHA256_OF_FOX}");
    type Headers<'a> = [(&'a str, &'a str)];
    let table: [(&Headers<'_>, &str, VerifyFault); 6] = [
        (&[], FOX, Missing),
        (&[("X-Sig", SHA256_OF_FOX)], FOX, Malformed),
        (&[("X-Sig", "v1=zz")], FOX, Malformed),
        (&[("X-Sig", "v1=")], FOX, Mismatch),
        (&[("X-Sig", "v1=00")], FOX, Mismatch),
        (&[("X-Sig", &right)], "The quick brown fox", Mismatch),
    ];
    for (headers, body, expected) in table {
        assert_eq!(fault(&gateway, headers, body), Some((expected, 403)), "{headers:?}");
    }
    let other = signed_with("scheme = \"hmac-sha256\"\nheader = \"X-Sig\"\nprefix = \"v1=\"", &["other"]);
    assert_eq!(fault(&other, &[("X-Sig", &right)], FOX), Some((Mismatch, 403)));
}

#[test]
fn a_signed_time_must_be_recent_and_an_unsigned_one_does_not_count() {
    use VerifyFault::{Malformed, Mismatch, Missing, Stale};
    let gateway = signed_with(
        "scheme = \"hmac-sha1\"\nheader = \"X-Sig\"\nsigned = \"{timestamp}|{url}|{body}\"\ntimestamp_header = \"X-At\"\ntolerance_seconds = 60",
        &["key"],
    );
    let sign = |stamp: &str| {
        use hmac::Mac as _;
        let tag = crate::keys::hmac_sha1(&Secret::new("key")).chain_update(format!("{stamp}|{URL}|{FOX}"));
        hex::encode(tag.finalize().into_bytes())
    };
    let seconds = |ago: i64| (now() - TimeDelta::seconds(ago)).timestamp().to_string();
    let in_ms = (now() - TimeDelta::seconds(60)).timestamp_millis().to_string();
    let table = [
        (seconds(0), None),
        (seconds(60), None),
        (seconds(-299), None),
        (in_ms, None),
        ("2023-11-14T22:13:20Z".to_owned(), None),
        (seconds(61), Some(Stale)),
        (seconds(-301), Some(Stale)),
        ("soon".to_owned(), Some(Malformed)),
        (i64::MAX.to_string(), Some(Malformed)),
    ];
    for (stamp, expected) in table {
        let headers = [("X-Sig", &*sign(&stamp)), ("X-At", &*stamp)];
        assert_eq!(fault(&gateway, &headers, FOX).map(|(fault, _)| fault), expected, "{stamp}");
    }
    let signature = sign(&seconds(0));
    assert_eq!(fault(&gateway, &[("X-Sig", &signature)], FOX), Some((Missing, 403)));
    let moved = [("X-Sig", &*signature), ("X-At", &*seconds(1))];
    assert_eq!(fault(&gateway, &moved, FOX), Some((Mismatch, 403)));
}

#[test]
fn a_password_is_taken_in_the_scheme_that_the_profile_names() {
    use VerifyFault::{Malformed, Mismatch, Missing};
    let table = [
        ("basic", Some("Basic bmFtZTprZXk="), None),
        ("basic", Some("basic bmFtZTprZXk="), None),
        ("basic", Some("Bearer key"), Some(Malformed)),
        ("basic", Some("Basic bmFtZTprZXo="), Some(Mismatch)),
        ("bearer", Some("Bearer key"), None),
        ("bearer", Some("bearer  key "), None),
        ("bearer", Some("Bearer kez"), Some(Mismatch)),
        ("bearer", Some("key"), Some(Malformed)),
        ("bearer", None, Some(Missing)),
    ];
    for (scheme, header, expected) in table {
        let gateway = signed_with(&format!("scheme = \"{scheme}\""), &["new", "key"]);
        let headers: Vec<_> = header.iter().map(|header| ("Authorization", *header)).collect();
        let expected = expected.map(|fault| (fault, 401));
        assert_eq!(fault(&gateway, &headers, FOX), expected, "{scheme} {header:?}");
    }
}

#[test]
fn nothing_is_taken_for_a_gateway_that_never_calls_back() {
    assert_eq!(
        fault(&gateway(""), &[("Authorization", "Basic bmFtZTprZXk=")], FOX),
        Some((VerifyFault::Missing, 404))
    );
}
