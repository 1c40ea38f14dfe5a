//! The priority class a job travels in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How urgent it is.
// Ordered by urgency: emergency first. The discriminants are the numbers stored in the database.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum Lane {
    Emergency = 1,
    Priority = 2,
    General = 3,
}

impl Lane {
    pub const ALL: [Self; 3] = [Self::Emergency, Self::Priority, Self::General];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Priority => "priority",
            Self::General => "general",
        }
    }

    /// The number this lane is stored as.
    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names none of the three lanes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown lane {0:?}: use emergency, priority or general")]
pub struct UnknownLane(pub String);

impl std::str::FromStr for Lane {
    type Err = UnknownLane;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text).ok_or_else(|| UnknownLane(text.to_owned()))
    }
}
