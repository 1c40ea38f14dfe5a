//! A signed token as it is written (RFC 7515, compact), before anything of it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::claims::TokenFault;

/// The two that every issuer has one of. What is not named here is no algorithm: not `none`, and none whose key is a
/// secret, which somebody could make of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub algorithm: Algorithm,
    pub key: Option<String>,
    /// What the signature is over.
    pub signed: &'a str,
    pub signature: Vec<u8>,
    /// JSON, of whoever wrote it.
    pub claims: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood, of which we understand nothing.
    crit: Option<serde_json::Value>,
}

impl<'a> Token<'a> {
    pub fn read(text: &'a str) -> Result<Self, TokenFault> {
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        Ok(Self {
            algorithm: Algorithm::named(&header.alg).ok_or(TokenFault::Algorithm)?,
            key: header.kid,
            signed,
            signature: decode(signature)?,
            claims: decode(claims)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(header: &str) -> String {
        format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn a_token_names_an_algorithm_whose_key_is_public() {
        let token = text(r#"{"alg":"ES256","kid":"one"}"#);
        let token = Token::read(&token).unwrap();
        assert_eq!((token.algorithm, token.key.as_deref()), (Algorithm::Es256, Some("one")));
        assert_eq!((token.claims.as_slice(), token.signature.as_slice()), (&b"{}"[..], &b"sig"[..]));
        for (text, fault) in [
            (text(r#"{"alg":"none"}"#), TokenFault::Algorithm),
            (text(r#"{"alg":"None"}"#), TokenFault::Algorithm),
            (text(r#"{"alg":"HS256"}"#), TokenFault::Algorithm),
            (text(r#"{"alg":"PS256"}"#), TokenFault::Algorithm),
            (text(r#"{"alg":"rs256"}"#), TokenFault::Algorithm),
            (text(r#"{"alg":"RS256","crit":["exp"]}"#), TokenFault::Critical),
            (text("{}"), TokenFault::Malformed),
            (text("no JSON"), TokenFault::Malformed),
            (String::new(), TokenFault::Malformed),
            ("e30".to_owned(), TokenFault::Malformed),
            ("e30.e30".to_owned(), TokenFault::Malformed),
            ("e30.e30.e30.e30.e30".to_owned(), TokenFault::Malformed),
            ("*.e30.c2ln".to_owned(), TokenFault::Malformed),
        ] {
            assert_eq!(Token::read(&text).err(), Some(fault), "{text}");
        }
    }
}
