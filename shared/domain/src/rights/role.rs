//! Named sets of rights: those that every district has, and those that it makes.

use std::collections::BTreeSet;

use super::{MessageTypes, Right};

pub const ROLE_NAME_CHARS_MAX: usize = 50;

/// A set of rights under a name, which is its key within the district.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub rights: BTreeSet<Right>,
    /// Counts where [`Right::Send`] is among the rights.
    pub types: MessageTypes,
}

/// The roles that every district has and none changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BuiltIn {
    Administrator,
    Communications,
    Secretary,
    Viewer,
    Portal,
}

impl BuiltIn {
    pub const ALL: [Self; 5] =
        [Self::Administrator, Self::Communications, Self::Secretary, Self::Viewer, Self::Portal];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Communications => "communications",
            Self::Secretary => "secretary",
            Self::Viewer => "viewer",
            Self::Portal => "portal",
        }
    }

    /// What it is for, in a sentence.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Administrator => "May do everything.",
            Self::Communications => {
                "Sends to the whole district, emergencies too, and sees and cancels everybody's messages."
            }
            Self::Secretary => "Sends a school's everyday messages and sees their own.",
            Self::Viewer => "Sees everybody's messages and reports, and changes nothing.",
            Self::Portal => "For the key of a portal, which shows people their inboxes.",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    pub fn role(self) -> Role {
        use Right::{
            AllMessages, CancelAll, Consents, EditAllScheduled, Inboxes, OwnMessages, ReadDirectory, Reports,
            Send, SendEmergency,
        };
        let (rights, types): (&[Right], _) = match self {
            Self::Administrator => (Right::ALL, MessageTypes::All),
            Self::Communications => (
                &[
                    OwnMessages,
                    AllMessages,
                    EditAllScheduled,
                    CancelAll,
                    Send,
                    SendEmergency,
                    Reports,
                    ReadDirectory,
                    Consents,
                ],
                MessageTypes::All,
            ),
            Self::Secretary => {
                let types = ["general", "attendance", "behavior", "missing_assignment"];
                let types = MessageTypes::Only(types.map(str::to_owned).into());
                (&[OwnMessages, Send, Reports, ReadDirectory], types)
            }
            Self::Viewer => (&[OwnMessages, AllMessages, Reports], MessageTypes::default()),
            Self::Portal => (&[Inboxes], MessageTypes::default()),
        };
        Role { name: self.as_str().to_owned(), rights: rights.iter().copied().collect(), types }
    }
}

/// Can a district's own role be called that? Else why not, after the name of the field.
pub fn check_role_name(name: &str) -> Result<(), String> {
    if BuiltIn::named(name).is_some() {
        return Err("is a role that every district has, and that none changes: use another name".to_owned());
    }
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter);
    if name.is_empty() || name.chars().count() > ROLE_NAME_CHARS_MAX || !name.chars().all(fits) {
        return Err(format!(
            "is no name of a role: use 1 to {ROLE_NAME_CHARS_MAX} lower-case letters, digits, - and _"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::Grant;

    #[test]
    fn only_administrators_can_raise_themselves() {
        for role in BuiltIn::ALL {
            let may = Grant::of([&role.role()]).may(Right::Administration);
            assert_eq!(may, role == BuiltIn::Administrator, "{}", role.as_str());
        }
    }

    #[test]
    fn a_viewer_and_a_portal_send_nothing() {
        for role in [BuiltIn::Viewer, BuiltIn::Portal] {
            let grant = Grant::of([&role.role()]);
            assert!(["general", "attendance", "emergency"].iter().all(|kind| grant.may_send(kind).is_err()));
        }
    }

    #[test]
    fn own_roles_take_no_built_in_name_and_no_odd_letters() {
        for (name, fits) in [
            ("nurse", true),
            ("bus_office-2", true),
            ("administrator", false),
            ("Nurse", false),
            ("a b", false),
            ("", false),
            ("../x", false),
        ] {
            assert_eq!(check_role_name(name).is_ok(), fits, "{name:?}");
        }
        assert!(check_role_name(&"x".repeat(51)).is_err());
    }
}
