//! Who may do what (requirements 30, 39, 44, 46, 178 and 186): tool rights, and roles that are named sets of them.

mod actor;
mod role;

use std::collections::BTreeSet;
use std::fmt;

pub use self::actor::{Actor, ActorKind, Outlook};
pub use self::role::{BuiltIn, ROLE_NAME_CHARS_MAX, Role, check_role_name};

/// The message type that needs a right of its own.
pub const EMERGENCY: &str = "emergency";

macro_rules! rights {
    ($($(#[doc = $doc:literal])* $name:ident => $text:literal, $title:literal;)*) => {
        /// One thing that somebody may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Right { $($(#[doc = $doc])* $name),* }

        impl Right {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in the API and in the store, which stays as it is.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// As a user reads it.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

rights! {
    /// Those whose creator one is.
    OwnMessages => "messages.own", "See own messages";
    /// Everybody's, as an administrator's log does (requirements 44 and 46).
    AllMessages => "messages.all", "See all messages";
    /// Requirement 30.
    ViewAllScheduled => "scheduled.view_all", "See all scheduled messages";
    /// Requirement 30; to cancel one is to edit it.
    EditAllScheduled => "scheduled.edit_all", "Edit and cancel all scheduled messages";
    /// Decision D5: others' messages too, whatever their state.
    CancelAll => "messages.cancel_all", "Cancel all messages";
    /// By message type, but for emergencies.
    Send => "send", "Send messages";
    SendEmergency => "send.emergency", "Send emergencies";
    Reports => "reports", "Get reports";
    ReadDirectory => "directory.read", "See the directory";
    EditDirectory => "directory.edit", "Edit the directory";
    /// What a portal needs, which shows people what is theirs.
    Inboxes => "inboxes", "Read and mark people's inboxes";
    Consents => "consents", "See and change consents and suppressions";
    Settings => "settings", "See and change what the district decides";
    /// Users, roles, keys and webhooks. Whoever has it can give themselves all others.
    Administration => "administration", "Manage users, roles, API keys and webhooks";
    Audit => "audit", "Read the audit";
}

impl Right {
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|right| right.as_str() == name)
    }

    /// Rights that come with this one.
    fn with(self) -> &'static [Self] {
        match self {
            Self::AllMessages => &[Self::OwnMessages, Self::ViewAllScheduled],
            Self::EditAllScheduled => &[Self::ViewAllScheduled],
            Self::EditDirectory => &[Self::ReadDirectory],
            Self::OwnMessages
            | Self::ViewAllScheduled
            | Self::CancelAll
            | Self::Send
            | Self::SendEmergency
            | Self::Reports
            | Self::ReadDirectory
            | Self::Inboxes
            | Self::Consents
            | Self::Settings
            | Self::Administration
            | Self::Audit => &[],
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Of which types somebody may send messages, emergencies aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageTypes {
    All,
    Only(BTreeSet<String>),
}

impl Default for MessageTypes {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl MessageTypes {
    pub fn holds(&self, message_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(types) => types.contains(message_type),
        }
    }

    fn join(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
            (Self::Only(own), Self::Only(others)) => own.extend(others.iter().cloned()),
        }
    }
}

/// All that somebody's roles give together. By default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    rights: BTreeSet<Right>,
    types: MessageTypes,
}

impl Grant {
    pub fn all() -> Self {
        Self::of([&BuiltIn::Administrator.role()])
    }

    pub fn of<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Self {
        let mut grant = Self::default();
        for role in roles {
            for right in &role.rights {
                grant.rights.insert(*right);
                grant.rights.extend(right.with());
            }
            // A role that gives no right to send says nothing of what others may send.
            if role.rights.contains(&Right::Send) {
                grant.types.join(&role.types);
            }
        }
        grant
    }

    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    pub fn rights(&self) -> impl Iterator<Item = Right> + '_ {
        self.rights.iter().copied()
    }

    /// May messages of that type be sent? Else which right is missing (requirements 178 and 186).
    pub fn may_send(&self, message_type: &str) -> Result<(), Right> {
        let (needed, enough) = if message_type == EMERGENCY {
            (Right::SendEmergency, true)
        } else {
            (Right::Send, self.types.holds(message_type))
        };
        if self.may(needed) && enough { Ok(()) } else { Err(needed) }
    }

    /// May messages of that type be looked for (requirements 39 and 186)? Whoever sees everybody's may look for any.
    pub fn may_filter_by(&self, message_type: &str) -> bool {
        self.may(Right::AllMessages) || self.may_send(message_type).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(rights: &[Right], types: MessageTypes) -> Role {
        Role { name: "own".to_owned(), rights: rights.iter().copied().collect(), types }
    }

    fn only(types: &[&str]) -> MessageTypes {
        MessageTypes::Only(types.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn without_a_role_nothing_may_be_done() {
        let nothing = Grant::of([]);
        assert!(Right::ALL.iter().all(|right| !nothing.may(*right)));
        assert_eq!(nothing.may_send("general"), Err(Right::Send));
        assert_eq!(nothing.may_send(EMERGENCY), Err(Right::SendEmergency));
        assert!(!nothing.may_filter_by("general"));
    }

    #[test]
    fn an_administrator_may_do_everything() {
        let all = Grant::all();
        assert!(Right::ALL.iter().all(|right| all.may(*right)));
        assert!(["general", "special_ed", EMERGENCY].iter().all(|kind| all.may_send(kind).is_ok()));
    }

    #[test]
    fn an_emergency_needs_its_own_right_and_no_other_does() {
        let sender = Grant::of([&role(&[Right::Send], MessageTypes::All)]);
        assert_eq!(sender.may_send("priority"), Ok(()));
        assert_eq!(sender.may_send(EMERGENCY), Err(Right::SendEmergency));
        // Named in a role's list it is not given either.
        let named = Grant::of([&role(&[Right::Send], only(&[EMERGENCY]))]);
        assert_eq!(named.may_send(EMERGENCY), Err(Right::SendEmergency));
        let alarm = Grant::of([&role(&[Right::SendEmergency], MessageTypes::default())]);
        assert_eq!((alarm.may_send(EMERGENCY), alarm.may_send("general")), (Ok(()), Err(Right::Send)));
    }

    #[test]
    fn roles_add_up_and_types_come_from_roles_that_send() {
        let attendance = role(&[Right::Send], only(&["attendance"]));
        let behavior = role(&[Right::Send, Right::Reports], only(&["behavior"]));
        let silent = role(&[Right::Audit], MessageTypes::All);
        let grant = Grant::of([&attendance, &behavior, &silent]);
        assert_eq!(grant.may_send("attendance").and(grant.may_send("behavior")), Ok(()));
        assert_eq!(grant.may_send("general"), Err(Right::Send));
        assert!(grant.may(Right::Reports) && grant.may(Right::Audit) && !grant.may(Right::AllMessages));
        assert!(grant.may_filter_by("attendance") && !grant.may_filter_by("general"));
    }

    #[test]
    fn what_edits_sees_too() {
        for (right, with) in [
            (Right::EditAllScheduled, Right::ViewAllScheduled),
            (Right::AllMessages, Right::OwnMessages),
            (Right::AllMessages, Right::ViewAllScheduled),
            (Right::EditDirectory, Right::ReadDirectory),
        ] {
            let grant = Grant::of([&role(&[right], MessageTypes::default())]);
            assert!(grant.may(with), "{right} without {with}");
        }
    }

    #[test]
    fn names_lead_back_to_their_rights() {
        for right in Right::ALL {
            assert_eq!(Right::named(right.as_str()), Some(*right));
        }
        assert_eq!(Right::named("everything"), None);
    }
}
