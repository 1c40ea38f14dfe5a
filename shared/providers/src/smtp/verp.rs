//! The return path that tells whose bounce it is: `bounce+<token>@<domain>`.
//!
//! Base32 in small letters and not the token's own base64: mail servers may change the case of an address, and some
//! do. The local part has 63 characters, of 64 that it may have (RFC 5321).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use lettre::Address;

use crate::token::TOKEN_BYTES;

const PREFIX: &str = "bounce+";

/// None: `token` is none of ours.
pub fn return_path(token: &str, domain: &str) -> Option<Address> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == TOKEN_BYTES)?;
    let user = format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
    Address::new(user, domain).ok()
}

/// The token of a return path, in whatever case it came back.
pub fn token(address: &str) -> Option<String> {
    let (user, _) = address.rsplit_once('@')?;
    let (prefix, text) = user.split_at_checked(PREFIX.len())?;
    if !prefix.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
    (bytes.len() == TOKEN_BYTES).then(|| URL_SAFE_NO_PAD.encode(bytes))
}

/// The first token in a header's value: addresses in brackets or bare, with names or without.
pub(super) fn token_in(value: &str) -> Option<String> {
    let of_address = |c: char| c.is_ascii_alphanumeric() || "+-._@".contains(c);
    value.split(|c| !of_address(c)).find_map(token)
}
