//! Secrets that are drawn here: API keys and the tokens of sessions. The store keeps only their SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest as _, Sha256};

/// The system gives no random bytes.
pub type NoRandomness = <OsRng as TryRngCore>::Error;

/// What every key begins with, so that one that leaked is recognised.
const KEY_PREFIX: &str = "tocsin_";
/// Beyond guessing.
const SECRET_BYTES: usize = 32;

pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut drawn = [0; N];
    OsRng.try_fill_bytes(&mut drawn)?;
    Ok(drawn)
}

/// A secret of letters, digits, - and _.
pub(crate) fn token() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<SECRET_BYTES>()?))
}

/// A new API key.
pub fn draw_key() -> Result<String, NoRandomness> {
    Ok(format!("{KEY_PREFIX}{}", token()?))
}

pub(crate) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}
