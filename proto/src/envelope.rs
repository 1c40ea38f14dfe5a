//! A message together with the bytes it came in.

use bytes::Bytes;
use prost::{Message, Name};

/// The bytes are not the message they were taken for. Such a message goes to dead letters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtoError {
    #[error("decode {message}")]
    Decode { message: &'static str, source: prost::DecodeError },
}

/// A decoded message and its original bytes.
///
/// prost drops the fields it does not know, so encoding a decoded message again would lose what a
/// newer release wrote. Whatever is passed on (a redelivery, a dead letter, a release of a message
/// that another process wrote) is therefore the bytes, never the message encoded anew: that is how
/// unknown fields survive.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope<T> {
    pub message: T,
    bytes: Bytes,
}

impl<T: Message + Name + Default> Envelope<T> {
    /// A message of our own making.
    pub fn new(message: T) -> Self {
        let bytes = Bytes::from(message.encode_to_vec());
        Self { message, bytes }
    }

    /// Reads a received message. Its `bytes` fields are slices of `bytes`, not copies.
    pub fn decode(bytes: Bytes) -> Result<Self, ProtoError> {
        let message =
            T::decode(bytes.clone()).map_err(|source| ProtoError::Decode { message: T::NAME, source })?;
        Ok(Self { message, bytes })
    }

    /// What to send: the original bytes, byte for byte.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}
