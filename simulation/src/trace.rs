//! What a run did, in its order, as one number: two runs of a seed are the same run if theirs are equal.

use std::hash::{DefaultHasher, Hash, Hasher};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Trace(u64);

impl Trace {
    pub fn note(&mut self, what: impl Hash) {
        // The same in every process: its keys are fixed.
        let mut hasher = DefaultHasher::new();
        (self.0, what).hash(&mut hasher);
        self.0 = hasher.finish();
    }
}
