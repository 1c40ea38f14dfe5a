//! Outside bytes, changed in every way that breaks parsers, against every parser that reads them.
//!
//! In this process and on stable Rust, without coverage: what is fuzzed are short functions over serde_json, mail-parser and
//! url-encoded forms, whose authors fuzz them with coverage, so that changed captures and a dictionary reach our own
//! branches; and nothing but cargo is needed, so that a part of it runs with every test. The targets are plain functions of
//! bytes: whoever wants coverage calls them from a libFuzzer harness.

mod corpus;
mod mutate;
mod random;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use corpus::{folder, seeds};
pub use mutate::Mutator;
pub use targets::{Target, targets};

/// Runs a target on one input. False: it panicked.
pub fn survives(target: &Target, input: &[u8]) -> bool {
    // What a target holds is not changed by a run.
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok()
}
