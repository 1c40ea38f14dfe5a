//! Sign-ins: a signed token that says which key signed in and until when, and nothing more.
//!
//! The key itself is not in it. Every request asks the store whether the key is still good, so a revoked
//! key ends its sign-ins at once, and replicas need nothing in common but the secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tocsin_domain::DistrictId;
use uuid::Uuid;

/// A working day.
pub(crate) const LIFETIME: TimeDelta = TimeDelta::hours(12);
/// Keeps these signatures apart from all others that are made with the same secret.
const PURPOSE: &[u8] = b"tocsin console sign-in 1";
/// Key id, district id, and the end in seconds of the epoch.
const PAYLOAD_BYTES: usize = 16 + 16 + 8;

/// What sign-ins are signed with.
#[derive(Clone)]
pub struct SessionKeys {
    mac: Hmac<Sha256>,
}

/// Who signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub key: Uuid,
    pub district: DistrictId,
    pub until: DateTime<Utc>,
}

/// What a token that was sent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Valid(Session),
    Expired,
    /// Not made here, or with another secret.
    Foreign,
}

impl SessionKeys {
    /// Processes with the same secret accept each other's sign-ins.
    pub fn of_secret(secret: &[u8]) -> Self {
        Self { mac: keyed(&keyed(secret).chain_update(PURPOSE).finalize().into_bytes()) }
    }

    /// For a process that has no secret: its sign-ins end with it.
    pub fn of_this_process() -> Self {
        let random = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()];
        Self::of_secret(&random.concat())
    }

    pub(crate) fn token(&self, session: &Session) -> String {
        let mut payload = [0; PAYLOAD_BYTES];
        payload[..16].copy_from_slice(session.key.as_bytes());
        payload[16..32].copy_from_slice(session.district.0.as_bytes());
        payload[32..].copy_from_slice(&session.until.timestamp().to_be_bytes());
        let signature = self.mac.clone().chain_update(payload).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&payload[..], &signature[..]].concat())
    }

    pub(crate) fn read(&self, token: &str, now: DateTime<Utc>) -> Token {
        match self.verified(token) {
            None => Token::Foreign,
            Some(session) if session.until <= now => Token::Expired,
            Some(session) => Token::Valid(session),
        }
    }

    fn verified(&self, token: &str) -> Option<Session> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (payload, signature) = bytes.split_at_checked(PAYLOAD_BYTES)?;
        // Compares in constant time.
        self.mac.clone().chain_update(payload).verify_slice(signature).ok()?;
        Some(Session {
            key: Uuid::from_slice(&payload[..16]).ok()?,
            district: DistrictId(Uuid::from_slice(&payload[16..32]).ok()?),
            until: DateTime::from_timestamp(i64::from_be_bytes(payload[32..].try_into().ok()?), 0)?,
        })
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys")
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    // A secret of any length will do: a long one is hashed, a short one padded.
    Hmac::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes keys of every length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> (Session, DateTime<Utc>) {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let district = DistrictId(Uuid::from_u128(2));
        (Session { key: Uuid::from_u128(1), district, until: now + LIFETIME }, now)
    }

    #[test]
    fn replicas_with_one_secret_accept_each_others_sign_ins() {
        let (session, now) = session();
        let token = SessionKeys::of_secret(b"a secret").token(&session);
        assert_eq!(SessionKeys::of_secret(b"a secret").read(&token, now), Token::Valid(session));
        assert_eq!(SessionKeys::of_secret(b"another").read(&token, now), Token::Foreign);
        assert_eq!(SessionKeys::of_this_process().read(&token, now), Token::Foreign);
    }

    #[test]
    fn a_sign_in_ends_at_its_time() {
        let (session, now) = session();
        let keys = SessionKeys::of_this_process();
        let token = keys.token(&session);
        let last = session.until - TimeDelta::seconds(1);
        assert_eq!(keys.read(&token, last), Token::Valid(session));
        assert_eq!(keys.read(&token, now + LIFETIME), Token::Expired);
    }

    #[test]
    fn a_changed_token_is_foreign_wherever_it_was_changed() {
        let (session, now) = session();
        let keys = SessionKeys::of_this_process();
        let token = keys.token(&session);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(keys.read(&URL_SAFE_NO_PAD.encode(&changed), now), Token::Foreign, "byte {at}");
            assert_eq!(keys.read(&URL_SAFE_NO_PAD.encode(&bytes[..at]), now), Token::Foreign, "{at} bytes");
        }
        assert_eq!(keys.read("", now), Token::Foreign);
        assert_eq!(keys.read("not base64!", now), Token::Foreign);
    }
}
