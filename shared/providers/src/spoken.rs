//! What a call says and asks, for vendors that fetch it, or post its keys, while the call goes on.

use std::fmt;

use crate::Reply;

/// A call's message. Its `Debug` shows nothing of it.
#[derive(Clone, Copy)]
pub struct Spoken<'a> {
    pub body: &'a str,
    /// BCP 47 tag of the language of `body`.
    pub language: Option<&'a str>,
    /// A recording to play in place of `body`.
    pub audio_url: Option<&'a str>,
    /// Whoever answers is asked to press a key, which is posted below this address. None: nobody is asked.
    pub keys_below: Option<&'a str>,
}

impl fmt::Debug for Spoken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spoken").field("language", &self.language).finish_non_exhaustive()
    }
}

/// What a call does after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterKey {
    Say(Reply),
    /// Says its message again; `otherwise` if the message is not to be had.
    Repeat {
        otherwise: Reply,
    },
}
