//! Mailgun's webhook signature (wire B.2): HMAC-SHA256 over timestamp and a random token.
//!
//! The body is *not* covered. What protects an event's content is our own token inside it, which
//! nobody else can mint, and that a repeated event changes nothing; and for events without our token that each signature
//! is taken once: see [`crate::Provider::nonce`].

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::keys::hmac_sha256;
use crate::{Secret, VerifyError, VerifyFault};

/// Mailgun posts the same event again for eight hours; an hour is added for slow clocks and queues.
const AGE_MAX: TimeDelta = TimeDelta::hours(9);
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);
/// Any other answer than 200 and this makes Mailgun post it again.
const DO_NOT_RETRY: u16 = 406;

/// The webhook signing keys: more than one while a key is rotated.
#[derive(Clone)]
pub struct SignatureKeys(Vec<Hmac<Sha256>>);

impl fmt::Debug for SignatureKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignatureKeys").field(&self.0.len()).finish()
    }
}

#[derive(Deserialize)]
struct Signed<'a> {
    #[serde(borrow)]
    signature: Option<Signature<'a>>,
}

#[derive(Deserialize)]
struct Signature<'a> {
    timestamp: &'a str,
    token: &'a str,
    signature: &'a str,
}

impl SignatureKeys {
    pub fn new(keys: &[Secret]) -> Self {
        Self(keys.iter().map(hmac_sha256).collect())
    }

    /// Signs as Mailgun does, with the first key: for whoever plays the vendor.
    pub fn sign(&self, timestamp: &str, token: &str) -> Option<String> {
        Some(hex::encode(tag(self.0.first()?, timestamp, token).finalize().into_bytes()))
    }

    pub fn verify(&self, body: &[u8], now: DateTime<Utc>) -> Result<(), VerifyError> {
        let refused = |fault| VerifyError { fault, http_status: DO_NOT_RETRY };
        let signed: Signed<'_> = serde_json::from_slice(body).map_err(|_| refused(VerifyFault::Malformed))?;
        let given = signed.signature.ok_or_else(|| refused(VerifyFault::Missing))?;
        let seconds = given.timestamp.parse().map_err(|_| refused(VerifyFault::Malformed))?;
        let at = DateTime::from_timestamp(seconds, 0).ok_or_else(|| refused(VerifyFault::Malformed))?;
        let tag_given = hex::decode(given.signature).map_err(|_| refused(VerifyFault::Malformed))?;
        let matches =
            self.0.iter().any(|key| tag(key, given.timestamp, given.token).verify_slice(&tag_given).is_ok());
        if !matches {
            return Err(refused(VerifyFault::Mismatch));
        }
        if at < now - AGE_MAX || at > now + AHEAD_MAX {
            return Err(refused(VerifyFault::Stale));
        }
        Ok(())
    }
}

/// The random token that is signed. None: nothing is signed.
pub(super) fn nonce(body: &[u8]) -> Option<String> {
    let signed: Signed<'_> = serde_json::from_slice(body).ok()?;
    signed.signature.map(|given| given.token.to_owned())
}

fn tag(key: &Hmac<Sha256>, timestamp: &str, token: &str) -> Hmac<Sha256> {
    key.clone().chain_update(timestamp).chain_update(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0";
    const SIGNED_AT: i64 = 1_403_645_220;
    const TOKEN: &str = "5egbgr1vjgqxtrnp65xfznchgdccwh5d6i09vijqi3whgowmn6";
    const TAG: &str = "9cfc5c41582e51246e73c88d34db3af0a3a2692a76fbab81492842f000256d33";

    fn body(timestamp: &str, token: &str, tag: &str) -> String {
        format!(
            r#"{{"signature":{{"timestamp":"{timestamp}","token":"{token}","signature":"{tag}"}},"event-data":{{}}}}"#
        )
    }

    fn verify(keys: &[&str], body: &str, after_seconds: i64) -> Result<(), VerifyFault> {
        let keys: Vec<Secret> = keys.iter().map(|&key| Secret::new(key)).collect();
        let now = DateTime::from_timestamp(SIGNED_AT + after_seconds, 0).unwrap();
        let result = SignatureKeys::new(&keys).verify(body.as_bytes(), now);
        if let Err(error) = &result {
            assert_eq!(error.http_status, 406);
        }
        result.map_err(|error| error.fault)
    }

    #[test]
    fn the_published_vector_is_accepted_under_the_old_and_the_new_key() {
        let body = body("1403645220", TOKEN, TAG);
        assert_eq!(verify(&[KEY], &body, 0), Ok(()));
        assert_eq!(verify(&["new", KEY], &body, 0), Ok(()));
        assert_eq!(verify(&["new"], &body, 0), Err(VerifyFault::Mismatch));
    }

    #[test]
    fn a_change_is_a_mismatch_and_an_unreadable_signature_malformed() {
        let mut changed = TAG.to_owned();
        changed.replace_range(..1, "8");
        let table = [
            (body("1403645221", TOKEN, TAG), VerifyFault::Mismatch),
            (body("1403645220", "other", TAG), VerifyFault::Mismatch),
            (body("1403645220", TOKEN, &changed), VerifyFault::Mismatch),
            (body("1403645220", TOKEN, &TAG[..32]), VerifyFault::Mismatch),
            (body("1403645220", TOKEN, "zz"), VerifyFault::Malformed),
            (body("yesterday", TOKEN, TAG), VerifyFault::Malformed),
            ("{}".to_owned(), VerifyFault::Missing),
            ("nonsense".to_owned(), VerifyFault::Malformed),
        ];
        for (body, fault) in table {
            assert_eq!(verify(&[KEY], &body, 0), Err(fault), "{body}");
        }
    }

    #[test]
    fn a_callback_is_accepted_for_as_long_as_mailgun_repeats_it() {
        let body = body("1403645220", TOKEN, TAG);
        for (after_seconds, expected) in [
            (8 * 3600, Ok(())),
            (9 * 3600, Ok(())),
            (9 * 3600 + 1, Err(VerifyFault::Stale)),
            (-300, Ok(())),
            (-301, Err(VerifyFault::Stale)),
        ] {
            assert_eq!(verify(&[KEY], &body, after_seconds), expected, "{after_seconds}");
        }
    }
}
