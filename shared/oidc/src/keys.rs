//! An issuer's public keys (RFC 7517), and whether one of them signed a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

use crate::token::{Algorithm, Token};

/// A coordinate on P-256.
const COORDINATE_BYTES: usize = 32;
/// What an uncompressed point begins with (SEC 1).
const UNCOMPRESSED: u8 = 4;

#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    material: Material,
}

/// A key is of one algorithm, whatever a token says.
#[derive(Debug, Clone)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { point: Vec<u8> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Yes,
    /// By nobody whose key of that id this is.
    No,
    /// There is no key of that id and algorithm: perhaps it is new.
    UnknownKey,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl From<KeySet> for Keys {
    /// What is no key for one of our algorithms is left out: a set may hold others.
    fn from(set: KeySet) -> Self {
        Self(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok().and_then(read)).collect())
    }
}

fn read(key: Jwk) -> Option<Key> {
    if key.usage.is_some_and(|usage| usage != "sig") {
        return None;
    }
    let number = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok().filter(|bytes| !bytes.is_empty());
    let material = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => Material::Rsa { n: number(key.n)?, e: number(key.e)? },
        ("EC", Some("P-256")) => {
            let (x, y) = (number(key.x)?, number(key.y)?);
            if x.len() != COORDINATE_BYTES || y.len() != COORDINATE_BYTES {
                return None;
            }
            Material::P256 { point: [&[UNCOMPRESSED][..], &x, &y].concat() }
        }
        _ => return None,
    };
    let fits = key.alg.is_none_or(|alg| Algorithm::named(&alg) == Some(material.algorithm()));
    fits.then_some(Key { id: key.kid, material })
}

impl Material {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
        }
    }

    fn signed(&self, token: &Token<'_>) -> bool {
        let (message, signature) = (token.signed.as_bytes(), token.signature.as_slice());
        match self {
            Self::Rsa { n, e } => {
                // ring wants no zeros in front; some issuers write one.
                let n = n.iter().position(|byte| *byte != 0).and_then(|at| n.get(at..)).unwrap_or_default();
                let key = RsaPublicKeyComponents { n, e: e.as_slice() };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Self::P256 { point } => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
        }
    }
}

impl Keys {
    /// By the key whose id the token names; by the only one, where it names none.
    pub fn signed(&self, token: &Token<'_>) -> Signed {
        let mut fitting = self.0.iter().filter(|key| {
            key.material.algorithm() == token.algorithm
                && (token.key.is_none() || key.id.as_deref() == token.key.as_deref())
        });
        match (fitting.next(), fitting.next()) {
            (None, _) => Signed::UnknownKey,
            (Some(_), Some(_)) if token.key.is_none() => Signed::UnknownKey,
            (Some(key), _) if key.material.signed(token) => Signed::Yes,
            (Some(_), _) => Signed::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What a set of these keys says of a token that nobody signed: `No` by a key that it was held against.
    fn held_against(keys: Value, algorithm: Algorithm, key: Option<&str>) -> Signed {
        let keys = Keys::from(serde_json::from_value::<KeySet>(json!({ "keys": keys })).unwrap());
        let key = key.map(str::to_owned);
        keys.signed(&Token { algorithm, key, signed: "e30.e30", signature: vec![0; 64], claims: Vec::new() })
    }

    fn p256(more: Value) -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([1; COORDINATE_BYTES]);
        let mut key = json!({ "kty": "EC", "crv": "P-256", "kid": "one", "x": coordinate, "y": coordinate });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    #[test]
    fn a_key_is_for_signatures_and_of_the_tokens_algorithm() {
        let of = |more| held_against(json!([p256(more)]), Algorithm::Es256, Some("one"));
        for more in [json!({}), json!({"use": "sig"}), json!({"alg": "ES256"})] {
            assert_eq!(of(more.clone()), Signed::No, "{more}");
        }
        for more in [
            json!({"use": "enc"}),
            json!({"alg": "RS256"}),
            json!({"alg": "ECDH-ES"}),
            json!({"kid": "two"}),
            json!({"kid": null}),
            json!({"crv": "P-384"}),
            json!({"kty": "oct"}),
            json!({"x": "AAAA"}),
        ] {
            assert_eq!(of(more.clone()), Signed::UnknownKey, "{more}");
        }
        let as_rsa = held_against(json!([p256(json!({}))]), Algorithm::Rs256, Some("one"));
        assert_eq!(as_rsa, Signed::UnknownKey, "whatever the token says of it");
    }

    #[test]
    fn a_token_that_names_no_key_is_held_against_the_only_one() {
        let (one, two) = (p256(json!({})), p256(json!({"kid": "two"})));
        assert_eq!(held_against(json!([one]), Algorithm::Es256, None), Signed::No);
        assert_eq!(held_against(json!([one, two]), Algorithm::Es256, None), Signed::UnknownKey);
        assert_eq!(held_against(json!([one, two]), Algorithm::Es256, Some("two")), Signed::No);
        assert_eq!(held_against(json!([]), Algorithm::Es256, None), Signed::UnknownKey);
    }
}
