//! The issuer's keys, and tokens that are signed by them or as whoever forges them would.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use serde_json::{Value, json};
use sha2::Sha256;

/// Made for these tests, and for nothing else: making one takes seconds.
const RSA: &[u8] = include_bytes!("rsa.der");

pub(super) struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    random: SystemRandom,
    /// Part of the keys' ids.
    generation: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    Es256,
    Rs256,
}

impl Keys {
    /// Those of another generation have other ids; the key on P-256 is another, too.
    pub fn of(generation: u32) -> Result<Self> {
        let random = SystemRandom::new();
        let drawn = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .ok()
            .context("no key could be made")?;
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, drawn.as_ref(), &random)
            .map_err(|fault| anyhow::anyhow!("{fault}"))?;
        let rsa = RsaKeyPair::from_pkcs8(RSA).map_err(|fault| anyhow::anyhow!("{fault}"))?;
        Ok(Self { rsa, p256, random, generation })
    }

    /// What the issuer publishes, a key that nobody knows among it.
    pub fn set(&self) -> Value {
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let (x, y) = self.p256.public_key().as_ref()[1..].split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "keys": [
            { "kty": "OKP", "kid": "new", "use": "sig", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
            { "kty": "RSA", "kid": self.id(Signing::Rs256), "use": "sig", "alg": "RS256", "n": text(&n), "e": text(&e) },
            { "kty": "EC", "kid": self.id(Signing::Es256), "use": "sig", "crv": "P-256", "x": text(x), "y": text(y) },
        ]})
    }

    pub fn id(&self, signing: Signing) -> String {
        let kind = match signing {
            Signing::Es256 => "es",
            Signing::Rs256 => "rs",
        };
        format!("{kind}-{}", self.generation)
    }

    /// A token under the key's id, or another.
    pub fn sign(&self, signing: Signing, id: &str, claims: &Value) -> Result<String> {
        let algorithm = match signing {
            Signing::Es256 => "ES256",
            Signing::Rs256 => "RS256",
        };
        let signed = unsigned(&json!({ "alg": algorithm, "kid": id, "typ": "JWT" }), claims);
        let signature = match signing {
            Signing::Es256 => {
                let signature = self.p256.sign(&self.random, signed.as_bytes());
                signature.ok().context("not signed")?.as_ref().to_vec()
            }
            Signing::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, signed.as_bytes(), &mut signature)
                    .ok()
                    .context("not signed")?;
                signature
            }
        };
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Of somebody who takes the public key for a secret that both know.
    pub fn sign_with_what_is_public(&self, claims: &Value) -> Result<String> {
        let header = json!({ "alg": "HS256", "kid": self.id(Signing::Rs256) });
        let signed = unsigned(&header, claims);
        let mut mac = Hmac::<Sha256>::new_from_slice(self.rsa.public().as_ref()).context("a key")?;
        mac.update(signed.as_bytes());
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
    }
}

/// Of somebody who says that nobody needs to sign.
pub(super) fn without_signature(claims: &Value) -> String {
    format!("{}.", unsigned(&json!({ "alg": "none" }), claims))
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
