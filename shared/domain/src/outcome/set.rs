//! Some of the outcomes, such as those that a policy tries again.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Outcome;

/// A set of outcomes: a bit for each number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OutcomeSet(u128);

impl OutcomeSet {
    /// Those that are tried again where nothing else is said (decision D6 and the transient ones of 145).
    pub fn transient() -> Self {
        Outcome::all().filter(|outcome| outcome.redialable()).collect()
    }

    pub fn contains(self, outcome: Outcome) -> bool {
        self.0 & (1 << outcome.number()) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Outcome> {
        Outcome::all().filter(move |outcome| self.contains(*outcome))
    }

    pub(crate) fn is_transient(&self) -> bool {
        *self == Self::transient()
    }
}

impl FromIterator<Outcome> for OutcomeSet {
    fn from_iter<T: IntoIterator<Item = Outcome>>(outcomes: T) -> Self {
        Self(outcomes.into_iter().fold(0, |set, outcome| set | 1 << outcome.number()))
    }
}

impl std::fmt::Debug for OutcomeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for OutcomeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for OutcomeSet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OutcomeSet".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        std::collections::BTreeSet::<Outcome>::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for OutcomeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Outcome>::deserialize(deserializer).map(|outcomes| outcomes.into_iter().collect())
    }
}
