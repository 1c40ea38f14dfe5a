//! What goes over the queue: the messages of `proto/tocsin/v1`, and the [`Envelope`] they travel in.
//!
//! Nothing here knows what the numbers mean; `tocsin-domain` does.

mod callback;
mod envelope;

pub mod v1 {
    //! Generated from `proto/tocsin/v1/queue.proto`, where each field is explained.
    include!(concat!(env!("OUT_DIR"), "/tocsin.v1.rs"));
}

pub use envelope::{Envelope, ProtoError};

/// The most jobs of one [`v1::Jobs`].
pub const JOBS_MAX: usize = 64;
