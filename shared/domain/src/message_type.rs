//! What a campaign is about (decision D12), which decides its lane and the consent it needs.

use crate::Lane;
use crate::consent::ConsentClass;

/// Decision D12's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MessageType {
    Emergency,
    Priority,
    #[default]
    General,
    Attendance,
    Behavior,
    MissingAssignment,
    SpecialEd,
    MessageBuilder,
    ProcessAlert,
    OptIn,
}

impl MessageType {
    pub const ALL: [Self; 10] = [
        Self::Emergency,
        Self::Priority,
        Self::General,
        Self::Attendance,
        Self::Behavior,
        Self::MissingAssignment,
        Self::SpecialEd,
        Self::MessageBuilder,
        Self::ProcessAlert,
        Self::OptIn,
    ];

    /// The type of that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Priority => "priority",
            Self::General => "general",
            Self::Attendance => "attendance",
            Self::Behavior => "behavior",
            Self::MissingAssignment => "missing_assignment",
            Self::SpecialEd => "special_ed",
            Self::MessageBuilder => "message_builder",
            Self::ProcessAlert => "process_alert",
            Self::OptIn => "opt_in",
        }
    }

    pub fn lane(self) -> Lane {
        match self {
            Self::Emergency => Lane::Emergency,
            Self::Priority => Lane::Priority,
            Self::General
            | Self::Attendance
            | Self::Behavior
            | Self::MissingAssignment
            | Self::SpecialEd
            | Self::MessageBuilder
            | Self::ProcessAlert
            | Self::OptIn => Lane::General,
        }
    }

    /// Is a person told but once a day by messages of this type about one student (requirement 179)?
    pub fn tells_once_a_day(self) -> bool {
        self == Self::Attendance
    }

    /// The consent that its texts need in a district that says of `opt_in_needed` types that they need an opt-in.
    pub fn consent_class_where(self, opt_in_needed: &[String]) -> ConsentClass {
        match opt_in_needed.iter().any(|name| name == self.as_str()) {
            true => ConsentClass::OptIn,
            false => self.consent_class(),
        }
    }

    /// The consent that its texts need where the district does not say that they need an opt-in (decision D11):
    /// all but emergencies are a school's own business.
    pub fn consent_class(self) -> ConsentClass {
        match self {
            Self::Emergency => ConsentClass::Emergency,
            Self::OptIn => ConsentClass::AsksOptIn,
            Self::Priority
            | Self::General
            | Self::Attendance
            | Self::Behavior
            | Self::MissingAssignment
            | Self::SpecialEd
            | Self::MessageBuilder
            | Self::ProcessAlert => ConsentClass::SchoolMission,
        }
    }

    /// May the district say that its texts need an opt-in? Else why not.
    pub fn may_need_opt_in(self) -> Result<(), &'static str> {
        match self.consent_class() {
            ConsentClass::SchoolMission | ConsentClass::OptIn => Ok(()),
            ConsentClass::Emergency => Err("emergencies need no consent"),
            ConsentClass::AsksOptIn => Err("opt-in messages ask for the opt-in that they would need"),
        }
    }
}
