//! Who may post to an account by a password: Basic (RFC 7617) or Bearer (RFC 6750) authentication.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::{RawRequest, Secret, VerifyError, VerifyFault};

/// What curl shows as a wrong password.
const UNAUTHORIZED: u16 = 401;

/// More than one while a password is changed. Held as digests, so that all are compared in the same time.
pub(crate) struct Passwords(Vec<[u8; 32]>);

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Passwords").field(&self.0.len()).finish()
    }
}

impl Passwords {
    pub fn new(passwords: &[Secret]) -> Self {
        Self(passwords.iter().map(|password| digest(password.reveal().as_bytes())).collect())
    }

    /// `password` finds it in the header.
    pub fn verify(&self, raw: &RawRequest, password: fn(&str) -> Option<Vec<u8>>) -> Result<(), VerifyError> {
        let refused = |fault| VerifyError { fault, http_status: UNAUTHORIZED };
        let given = raw.header("authorization").ok_or_else(|| refused(VerifyFault::Missing))?;
        let password = password(given).ok_or_else(|| refused(VerifyFault::Malformed))?;
        let given = digest(&password);
        let matches =
            self.0.iter().fold(Choice::from(0), |matches, password| matches | password.ct_eq(&given));
        if bool::from(matches) { Ok(()) } else { Err(refused(VerifyFault::Mismatch)) }
    }
}

fn digest(password: &[u8]) -> [u8; 32] {
    Sha256::digest(password).into()
}

/// `Basic <base64 of name:password>`. The name before the password says nothing: any will do.
pub(crate) fn basic_password(header: &str) -> Option<Vec<u8>> {
    let credentials = STANDARD.decode(after_scheme(header, "basic")?).ok()?;
    let colon = credentials.iter().position(|byte| *byte == b':')?;
    Some(credentials[colon + 1..].to_vec())
}

/// `Bearer <token>`.
pub(crate) fn bearer_token(header: &str) -> Option<Vec<u8>> {
    after_scheme(header, "bearer").map(|token| token.as_bytes().to_vec())
}

/// The scheme's case does not matter.
fn after_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = header.trim().split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}
