//! Secrets as HMAC keys, set up once per account rather than once per message.

use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;
use sha2::digest::Digest;

use crate::Secret;

/// SHA-1 and SHA-256 both work on blocks of this size.
const BLOCK_BYTES: usize = 64;

pub(crate) fn hmac_sha256(secret: &Secret) -> Hmac<Sha256> {
    Hmac::<Sha256>::new(&key_block::<Sha256>(secret).into())
}

pub(crate) fn hmac_sha1(secret: &Secret) -> Hmac<Sha1> {
    Hmac::<Sha1>::new(&key_block::<Sha1>(secret).into())
}

/// What HMAC makes of a key of any length (RFC 2104): a longer key is hashed, a shorter one padded.
fn key_block<D: Digest>(secret: &Secret) -> [u8; BLOCK_BYTES] {
    let key = secret.reveal().as_bytes();
    let mut block = [0; BLOCK_BYTES];
    if key.len() <= BLOCK_BYTES {
        block[..key.len()].copy_from_slice(key);
    } else {
        let digest = D::digest(key);
        block[..digest.len()].copy_from_slice(&digest);
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_length_signs_as_the_library_does_by_itself() {
        for length in [0, 1, 20, 63, 64, 65, 200] {
            let text = "k".repeat(length);
            let expected = <Hmac<Sha256> as Mac>::new_from_slice(text.as_bytes()).unwrap();
            assert_eq!(
                hmac_sha256(&Secret::new(text)).chain_update(b"x").finalize().into_bytes(),
                expected.chain_update(b"x").finalize().into_bytes(),
                "{length} bytes"
            );
        }
    }
}
