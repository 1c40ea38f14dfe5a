//! Endpoints' secrets. Each is made from the configuration's key and the endpoint's id, whenever it is needed, and kept
//! nowhere: the store has only the number that a rotation raises (ADR 26: no secret is in the database).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use tocsin_domain::webhook::SecretName;
use uuid::Uuid;

const PREFIX: &str = "whsec_";
/// Keeps what is made of one key apart.
const PURPOSE: &[u8] = b"tocsin webhook secret ";
const NAME_PURPOSE: &[u8] = b"tocsin webhook key ";
/// Of SHA-256.
const BLOCK_BYTES: usize = 64;
/// Enough to tell the configured keys apart.
const NAME_BYTES: usize = 8;

/// What one endpoint's messages are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointSecret(Vec<u8>);

impl EndpointSecret {
    /// As its receiver keeps it.
    pub fn shown(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// None: it is not written so.
    pub fn read(shown: &str) -> Option<Self> {
        STANDARD.decode(shown.strip_prefix(PREFIX)?).ok().map(Self)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EndpointSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecret(…)")
    }
}

#[derive(Clone)]
struct Key {
    name: String,
    mac: Hmac<Sha256>,
}

impl Key {
    fn new(secret: &str) -> Self {
        let name = Sha256::new().chain_update(NAME_PURPOSE).chain_update(secret).finalize();
        Self { name: hex::encode(&name[..NAME_BYTES]), mac: keyed(secret.as_bytes()) }
    }
}

/// HMAC by a key of any length (RFC 2104): a longer one is hashed, a shorter one padded.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; BLOCK_BYTES];
    if key.len() <= BLOCK_BYTES {
        block[..key.len()].copy_from_slice(key);
    } else {
        let digest = Sha256::digest(key);
        block[..digest.len()].copy_from_slice(&digest);
    }
    Hmac::new(&block.into())
}

/// The configured key, and the one before it: endpoints whose secret is of that one keep it until they are rotated.
#[derive(Clone)]
pub struct Keys {
    current: Key,
    previous: Option<Key>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("rotating", &self.previous.is_some()).finish_non_exhaustive()
    }
}

impl Keys {
    pub fn new(current: &str, previous: Option<&str>) -> Self {
        Self { current: Key::new(current), previous: previous.map(Key::new) }
    }

    /// Which key new secrets are made with: not the key, but what it is known by.
    pub fn current(&self) -> &str {
        &self.current.name
    }

    /// None: the key that it was made with is not configured any more.
    pub fn secret(&self, endpoint: Uuid, name: &SecretName) -> Option<EndpointSecret> {
        let key = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.name == name.key)?;
        let mac = key.mac.clone().chain_update(PURPOSE).chain_update(endpoint.as_bytes());
        Some(EndpointSecret(mac.chain_update(name.number.to_be_bytes()).finalize().into_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(keys: &Keys, number: i32) -> SecretName {
        SecretName { key: keys.current().to_owned(), number }
    }

    #[test]
    fn each_endpoint_and_each_rotation_has_a_secret_of_its_own_that_is_always_the_same() {
        let keys = Keys::new("a key of the configuration", None);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = keys.secret(one, &name(&keys, 1)).unwrap();
        assert_eq!(keys.secret(one, &name(&keys, 1)), Some(first.clone()));
        assert_ne!(keys.secret(one, &name(&keys, 2)), Some(first.clone()));
        assert_ne!(keys.secret(other, &name(&keys, 1)), Some(first.clone()));
        assert_eq!(EndpointSecret::read(&first.shown()), Some(first.clone()));
        assert_eq!(first.bytes().len(), 32, "Standard Webhooks: 24 to 64 bytes");
        assert!(!format!("{first:?} {keys:?}").contains(&first.shown()[6..12]));
    }

    #[test]
    fn a_secret_outlives_its_key_while_that_is_the_previous_one() {
        let old = Keys::new("the old key of them", None);
        let secret = old.secret(Uuid::nil(), &name(&old, 3));
        let both = Keys::new("the new key of them", Some("the old key of them"));
        assert_eq!(both.secret(Uuid::nil(), &name(&old, 3)), secret);
        assert_ne!(both.secret(Uuid::nil(), &name(&both, 3)), secret);
        let new = Keys::new("the new key of them", None);
        assert_eq!(new.secret(Uuid::nil(), &name(&old, 3)), None);
    }
}
