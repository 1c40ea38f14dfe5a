//! What a campaign is about (decision D12), which decides its lane and the consent it needs.

use tocsin_domain::Lane;

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

    /// Decision D11: 1 emergency, no consent needed; 2 school mission, the number was given to the school;
    /// 3 opt-in needed. A STOP is honoured in each.
    ///
    /// Every type of the list is a school's own business, so none has class 3, which is for types beyond
    /// it. Opt-in messages could not have it: they ask for the consent that it presupposes, and so must
    /// reach pending numbers.
    pub fn consent_class(self) -> i16 {
        match self {
            Self::Emergency => 1,
            Self::Priority
            | Self::General
            | Self::Attendance
            | Self::Behavior
            | Self::MissingAssignment
            | Self::SpecialEd
            | Self::MessageBuilder
            | Self::ProcessAlert
            | Self::OptIn => 2,
        }
    }
}
