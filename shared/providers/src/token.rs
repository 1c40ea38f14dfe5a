//! The callback token: which attempt a callback is about, in an address nobody can make up. And the unsubscribe token:
//! by which mail a reader unsubscribes.
//!
//! Layout: campaign (16 bytes) ‖ job (4) ‖ attempt (2) ‖ lane (1) ‖ HMAC-SHA256 of these, cut to 12
//! bytes; integers big-endian; base64url without padding: 47 characters. The lane is in it so that
//! the ingress can choose its status queue before it reads anything (promise 5).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tocsin_domain::{AttemptKey, CampaignId, JobKey, Lane};
use uuid::Uuid;

use crate::Secret;
use crate::keys::hmac_sha256;

const CLAIMS_BYTES: usize = 23;
const TAG_BYTES: usize = 12;
/// An unsubscribe token has no lane: emergencies have none of it.
const MAIL_BYTES: usize = 22;
/// Keeps the two kinds of token apart under one key.
const UNSUBSCRIBE: &[u8] = b"unsubscribe ";
pub(crate) const TOKEN_BYTES: usize = CLAIMS_BYTES + TAG_BYTES;

/// Keys to mint and read tokens. While keys are rotated both are read; only the current one mints.
#[derive(Clone)]
pub struct TokenKeys {
    current: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("rotating", &self.previous.is_some()).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("not a callback token")]
    Malformed,
    #[error("the callback token was not minted here")]
    Forged,
}

impl TokenKeys {
    pub fn new(current: &Secret, previous: Option<&Secret>) -> Self {
        Self { current: hmac_sha256(current), previous: previous.map(hmac_sha256) }
    }

    pub fn mint(&self, attempt: AttemptKey, lane: Lane) -> String {
        let mut token = [0; TOKEN_BYTES];
        token[..16].copy_from_slice(attempt.job.campaign.0.as_bytes());
        token[16..20].copy_from_slice(&attempt.job.job.to_be_bytes());
        token[20..22].copy_from_slice(&attempt.number.to_be_bytes());
        // Lanes are numbered 1 to 3.
        token[22] = lane.number() as u8;
        let (claims, tag) = token.split_at_mut(CLAIMS_BYTES);
        let full = self.current.clone().chain_update(claims).finalize().into_bytes();
        tag.copy_from_slice(&full[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// For the mail of `attempt`: whoever has it may end mails of that type to that address, and nothing else.
    pub fn mint_unsubscribe(&self, attempt: AttemptKey) -> String {
        let mut token = [0; MAIL_BYTES + TAG_BYTES];
        token[..16].copy_from_slice(attempt.job.campaign.0.as_bytes());
        token[16..20].copy_from_slice(&attempt.job.job.to_be_bytes());
        token[20..22].copy_from_slice(&attempt.number.to_be_bytes());
        let (claims, tag) = token.split_at_mut(MAIL_BYTES);
        let full =
            self.current.clone().chain_update(UNSUBSCRIBE).chain_update(&*claims).finalize().into_bytes();
        tag.copy_from_slice(&full[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Compares in constant time.
    pub fn read_unsubscribe(&self, text: &str) -> Result<AttemptKey, TokenError> {
        let mut token = [0; MAIL_BYTES + TAG_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut token) {
            Ok(decoded) if decoded == token.len() => {}
            Ok(_) | Err(_) => return Err(TokenError::Malformed),
        }
        let (claims, tag) = token.split_at(MAIL_BYTES);
        let signed_by = |key: &Hmac<Sha256>| {
            key.clone().chain_update(UNSUBSCRIBE).chain_update(claims).verify_truncated_left(tag).is_ok()
        };
        if !signed_by(&self.current) && !self.previous.as_ref().is_some_and(signed_by) {
            return Err(TokenError::Forged);
        }
        parse_attempt(claims).map(|(attempt, _)| attempt).ok_or(TokenError::Malformed)
    }

    /// Compares in constant time.
    pub fn read(&self, text: &str) -> Result<(AttemptKey, Lane), TokenError> {
        let mut token = [0; TOKEN_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut token) {
            Ok(TOKEN_BYTES) => {}
            Ok(_) | Err(_) => return Err(TokenError::Malformed),
        }
        let (claims, tag) = token.split_at(CLAIMS_BYTES);
        let signed_by =
            |key: &Hmac<Sha256>| key.clone().chain_update(claims).verify_truncated_left(tag).is_ok();
        if !signed_by(&self.current) && !self.previous.as_ref().is_some_and(signed_by) {
            return Err(TokenError::Forged);
        }
        parse_claims(claims).ok_or(TokenError::Malformed)
    }
}

/// Where a vendor reports about the attempt of `token`: `{public_url}/callbacks/{account}/{token}`.
pub fn callback_url(public_url: &str, account: &str, token: &str) -> String {
    format!("{}/callbacks/{account}/{token}", public_url.trim_end_matches('/'))
}

/// Where the call of `token` is told what to say, and below which its keys are posted:
/// `{public_url}/calls/{account}/{token}`.
pub fn call_url(public_url: &str, account: &str, token: &str) -> String {
    format!("{}/calls/{account}/{token}", public_url.trim_end_matches('/'))
}

/// Where the reader of a mail unsubscribes: `{public_url}/unsubscribe/{token}`.
pub fn unsubscribe_url(public_url: &str, token: &str) -> String {
    format!("{}/unsubscribe/{token}", public_url.trim_end_matches('/'))
}

/// The last path segment of a callback URL: the token, if it is one of ours.
pub fn token_of_url(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit('/').next().unwrap_or(path)
}

fn parse_claims(claims: &[u8]) -> Option<(AttemptKey, Lane)> {
    let (attempt, rest) = parse_attempt(claims)?;
    Some((attempt, Lane::from_number(i16::from(*rest.first()?))?))
}

fn parse_attempt(claims: &[u8]) -> Option<(AttemptKey, &[u8])> {
    let (campaign, rest) = claims.split_first_chunk::<16>()?;
    let (job, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<2>()?;
    let job = JobKey { campaign: CampaignId(Uuid::from_bytes(*campaign)), job: i32::from_be_bytes(*job) };
    Some((AttemptKey { job, number: i16::from_be_bytes(*number) }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: &str, previous: Option<&str>) -> TokenKeys {
        TokenKeys::new(&Secret::new(current), previous.map(Secret::new).as_ref())
    }

    fn attempt() -> AttemptKey {
        let campaign = CampaignId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        AttemptKey { job: JobKey { campaign, job: 70_001 }, number: 3 }
    }

    #[test]
    fn a_token_returns_what_was_minted_for_every_lane() {
        let keys = keys("k1", None);
        for lane in Lane::ALL {
            let token = keys.mint(attempt(), lane);
            assert_eq!(token.len(), 47);
            assert_eq!(keys.read(&token), Ok((attempt(), lane)));
        }
    }

    #[test]
    fn a_token_of_the_previous_key_is_read_and_of_an_older_one_refused() {
        let token = keys("k1", None).mint(attempt(), Lane::General);
        assert!(keys("k2", Some("k1")).read(&token).is_ok());
        assert_eq!(keys("k3", Some("k2")).read(&token), Err(TokenError::Forged));
    }

    #[test]
    fn a_token_changed_in_any_character_is_refused() {
        let keys = keys("k1", None);
        let token = keys.mint(attempt(), Lane::Emergency);
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(keys.read(&changed).is_err(), "character {index}");
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let keys = keys("k1", None);
        let long = "A".repeat(48);
        for text in ["", "abc", "%%%", "favicon.ico", long.as_str()] {
            assert_eq!(keys.read(text), Err(TokenError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn an_unsubscribe_token_returns_what_was_minted_and_stands_for_no_other() {
        let keys = keys("k1", None);
        let token = keys.mint_unsubscribe(attempt());
        assert_eq!(keys.read_unsubscribe(&token), Ok(attempt()));
        assert!(self::keys("k2", Some("k1")).read_unsubscribe(&token).is_ok(), "while the keys are rotated");
        assert_eq!(self::keys("k2", None).read_unsubscribe(&token), Err(TokenError::Forged));
        assert_eq!(keys.read(&token), Err(TokenError::Malformed));
        let callback = keys.mint(attempt(), Lane::General);
        assert_eq!(keys.read_unsubscribe(&callback), Err(TokenError::Malformed));
        // Not the callback's tag either, without its lane.
        let mut bytes = URL_SAFE_NO_PAD.decode(&callback).unwrap();
        bytes.remove(MAIL_BYTES);
        assert_eq!(keys.read_unsubscribe(&URL_SAFE_NO_PAD.encode(bytes)), Err(TokenError::Forged));
        for index in 0..token.len() - 1 {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert!(keys.read_unsubscribe(std::str::from_utf8(&changed).unwrap()).is_err(), "{index}");
        }
    }

    #[test]
    fn the_callback_url_ends_with_the_token() {
        let url = callback_url("https://bell.example/", "sms-1", "tok");
        assert_eq!(url, "https://bell.example/callbacks/sms-1/tok");
        assert_eq!(token_of_url(&url), "tok");
        assert_eq!(token_of_url("https://bell.example/callbacks/sms-1/tok?a=/b#c"), "tok");
    }
}
