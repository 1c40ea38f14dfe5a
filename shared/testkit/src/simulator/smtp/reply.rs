//! What the server says: a code, the enhanced code that makes it precise, and words.

use std::borrow::Cow;

use smtp_proto::{
    AUTH_LOGIN, AUTH_PLAIN, EXT_8BIT_MIME, EXT_AUTH, EXT_ENHANCED_STATUS_CODES, EXT_PIPELINING, EXT_SIZE,
    EXT_SMTP_UTF8, EXT_START_TLS, EhloResponse,
};

use super::HOST;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub code: u16,
    /// `2.1.0`, or nothing where there is none.
    enhanced: &'static str,
    words: Cow<'static, str>,
}

impl Reply {
    pub fn new(code: u16, enhanced: &'static str, words: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced, words: words.into() }
    }

    pub fn write(&self, to: &mut Vec<u8>) {
        let Self { code, enhanced, words } = self;
        let space = if enhanced.is_empty() { "" } else { " " };
        to.extend_from_slice(format!("{code} {enhanced}{space}{words}\r\n").as_bytes());
    }
}

/// What the server can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub starttls: bool,
    pub size_max: usize,
}

impl Offer {
    /// The reply to EHLO.
    pub fn write(self, to: &mut Vec<u8>) {
        let mut offer = EhloResponse::new(HOST);
        offer.capabilities = EXT_PIPELINING
            | EXT_8BIT_MIME
            | EXT_SMTP_UTF8
            | EXT_ENHANCED_STATUS_CODES
            | EXT_SIZE
            | EXT_AUTH
            | if self.starttls { EXT_START_TLS } else { 0 };
        offer.auth_mechanisms = AUTH_PLAIN | AUTH_LOGIN;
        offer.size = self.size_max;
        // Writing to a vector cannot fail.
        let _ = offer.write(to);
    }
}
