//! What becomes of a call that an answering machine takes (requirements 75 and 181).

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Policies from before the message could be left were written with true and false. These stand for the two
/// choices there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Machines {
    /// Nobody asks who answers: a call that was connected counts as heard.
    #[default]
    Ignored,
    /// The message is left after the greeting.
    LeaveMessage,
    /// The call is tried again; the last try leaves the message.
    Redial,
}

impl Machines {
    pub const ALL: [Self; 3] = [Self::Ignored, Self::LeaveMessage, Self::Redial];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::LeaveMessage => "leave_message",
            Self::Redial => "redial",
        }
    }
}

impl Serialize for Machines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ignored => serializer.serialize_bool(false),
            Self::LeaveMessage => serializer.serialize_str(self.as_str()),
            Self::Redial => serializer.serialize_bool(true),
        }
    }
}

impl<'de> Deserialize<'de> for Machines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Machines;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or \"leave_message\"")
    }

    fn visit_bool<E: de::Error>(self, redial: bool) -> Result<Machines, E> {
        Ok(if redial { Machines::Redial } else { Machines::Ignored })
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Machines, E> {
        match name {
            "leave_message" => Ok(Machines::LeaveMessage),
            _ => Err(E::invalid_value(de::Unexpected::Str(name), &self)),
        }
    }
}
