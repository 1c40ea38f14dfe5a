//! Who may call back: an HMAC over the request, or a password.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use reqwest::header::HeaderName;
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use super::profile::{Faults, Section};
use super::template::{Field, Part, Template};
use crate::keys::{hmac_sha1, hmac_sha256};
use crate::passwords::{Passwords, basic_password, bearer_token};
use crate::{RawRequest, Secret, VerifyError, VerifyFault};

const SIGNED_FIELDS: [Field; 3] = [Field::Body, Field::Timestamp, Field::Url];
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);
/// Milliseconds since 1970 have been larger since 1970, seconds will be in the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    HmacSha256,
    HmacSha1,
    Basic,
    Bearer,
}

impl Scheme {
    pub const ALL: [(&'static str, Self); 4] = [
        ("hmac-sha256", Self::HmacSha256),
        ("hmac-sha1", Self::HmacSha1),
        ("basic", Self::Basic),
        ("bearer", Self::Bearer),
    ];
}

/// How a gateway's callbacks are signed.
#[derive(Debug, Clone)]
pub(super) enum SignedWith {
    Hmac(Signature),
    Basic,
    Bearer,
}

#[derive(Debug, Clone)]
pub(super) struct Signature {
    sha1: bool,
    header: HeaderName,
    base64: bool,
    /// In front of the signature, as `sha256=`.
    prefix: String,
    /// What is signed.
    signed: Template,
    timestamp: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Timestamp {
    header: HeaderName,
    /// None: it is signed, and its age does not matter.
    tolerance: Option<TimeDelta>,
}

impl SignedWith {
    pub fn read(scheme: Scheme, section: &mut Section, faults: &mut Faults) -> Option<Self> {
        let sha1 = match scheme {
            Scheme::HmacSha256 => false,
            Scheme::HmacSha1 => true,
            Scheme::Basic => return Some(Self::Basic),
            Scheme::Bearer => return Some(Self::Bearer),
        };
        let header = |text: &str| {
            let remedy = "use the name of a header, as X-Signature".to_owned();
            HeaderName::try_from(text).map_err(|_| (format!("{text:?} is no name of a header"), remedy))
        };
        let name = section.required("header", "set it to the header of the signature", faults, header);
        let base64 = section.one_of("encoding", &[("hex", false), ("base64", true)], false, faults);
        let prefix = section.text("prefix", faults).unwrap_or_default();
        let signed = section.parsed("signed", faults, |text| Template::parse(text, &SIGNED_FIELDS));
        let signed = signed.or_else(|| Template::parse("{body}", &SIGNED_FIELDS).ok())?;
        let stamp = section.parsed("timestamp_header", faults, header);
        let tolerance = section.seconds("tolerance_seconds", faults);
        if !signed.names(Field::Body) && !signed.names(Field::Url) {
            let remedy = "put {body} into it, or {url} where reports come by GET";
            faults.add(section.key("signed"), "covers nothing of the report", remedy);
        }
        if signed.names(Field::Timestamp) && stamp.is_none() {
            let remedy = "name the header of the {timestamp} that is signed";
            faults.add(section.key("timestamp_header"), "missing", remedy);
        }
        if (stamp.is_some() || tolerance.is_some()) && !signed.names(Field::Timestamp) {
            let remedy = "put {timestamp} into it: a time that is not signed anybody can write";
            faults.add(section.key("signed"), "does not cover the timestamp", remedy);
        }
        let tolerance = tolerance.map(|seconds| TimeDelta::seconds(i64::from(seconds)));
        let timestamp = stamp.map(|header| Timestamp { header, tolerance });
        Some(Self::Hmac(Signature { sha1, header: name?, base64, prefix, signed, timestamp }))
    }

    /// `{url}` does not cover a body.
    pub fn covers_only_the_address(&self) -> bool {
        matches!(self, Self::Hmac(signature) if !signature.signed.names(Field::Body))
    }

    /// `{body}` does not cover the parameters of a query.
    pub fn covers_only_the_body(&self) -> bool {
        matches!(self, Self::Hmac(signature) if !signature.signed.names(Field::Url))
    }
}

/// A way to sign, with the account's keys: more than one while a key is changed.
pub(super) enum Verifier {
    Sha256(Signature, Vec<Hmac<Sha256>>),
    Sha1(Signature, Vec<Hmac<Sha1>>),
    Basic(Passwords),
    Bearer(Passwords),
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Verifier {
    pub fn new(signed: &SignedWith, keys: &[Secret]) -> Self {
        match signed {
            SignedWith::Hmac(signature) if signature.sha1 => {
                Self::Sha1(signature.clone(), keys.iter().map(hmac_sha1).collect())
            }
            SignedWith::Hmac(signature) => {
                Self::Sha256(signature.clone(), keys.iter().map(hmac_sha256).collect())
            }
            SignedWith::Basic => Self::Basic(Passwords::new(keys)),
            SignedWith::Bearer => Self::Bearer(Passwords::new(keys)),
        }
    }

    pub fn verify(&self, raw: &RawRequest, now: DateTime<Utc>) -> Result<(), VerifyError> {
        match self {
            Self::Sha256(signature, keys) => signature.verify(keys, raw, now),
            Self::Sha1(signature, keys) => signature.verify(keys, raw, now),
            Self::Basic(passwords) => passwords.verify(raw, basic_password),
            Self::Bearer(passwords) => passwords.verify(raw, bearer_token),
        }
    }
}

impl Signature {
    fn verify<M: Mac + Clone>(
        &self,
        keys: &[M],
        raw: &RawRequest,
        now: DateTime<Utc>,
    ) -> Result<(), VerifyError> {
        let refused = |fault| VerifyError { fault, http_status: 403 };
        let header = raw.header(self.header.as_str()).ok_or_else(|| refused(VerifyFault::Missing))?;
        let text = header.trim().strip_prefix(&self.prefix).ok_or_else(|| refused(VerifyFault::Malformed))?;
        let given = if self.base64 { STANDARD.decode(text).ok() } else { hex::decode(text).ok() };
        let given = given.ok_or_else(|| refused(VerifyFault::Malformed))?;
        let stamp = match &self.timestamp {
            None => None,
            Some(stamp) => {
                let text = raw.header(stamp.header.as_str()).ok_or_else(|| refused(VerifyFault::Missing))?;
                let at = instant(text).ok_or_else(|| refused(VerifyFault::Malformed))?;
                Some((text, at, stamp.tolerance))
            }
        };
        let stamped = stamp.map_or("", |(text, ..)| text);
        let matches = keys.iter().fold(Choice::from(0), |matches, key| {
            let mut tag = key.clone();
            feed(&self.signed, raw, stamped, |part| tag.update(part));
            matches | tag.finalize().into_bytes().as_slice().ct_eq(&given)
        });
        if !bool::from(matches) {
            return Err(refused(VerifyFault::Mismatch));
        }
        match stamp {
            Some((_, at, Some(tolerance))) if at < now - tolerance || at > now + AHEAD_MAX => {
                Err(refused(VerifyFault::Stale))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Feeds what is signed. The body's bytes go in as they are: it need not be text.
fn feed(signed: &Template, raw: &RawRequest, stamp: &str, mut update: impl FnMut(&[u8])) {
    signed.each(|part| match part {
        Part::Text(text) => update(text.as_bytes()),
        Part::Field(Field::Body) => update(&raw.body),
        Part::Field(Field::Url) => update(raw.url.as_bytes()),
        Part::Field(_) => update(stamp.as_bytes()),
    });
}

/// Seconds or milliseconds since 1970, or RFC 3339.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    match text.trim().parse::<i64>() {
        Ok(number) if number >= MILLISECONDS_FROM => DateTime::from_timestamp_millis(number),
        Ok(number) => DateTime::from_timestamp(number, 0),
        Err(_) => DateTime::parse_from_rfc3339(text.trim()).ok().map(|at| at.to_utc()),
    }
}
