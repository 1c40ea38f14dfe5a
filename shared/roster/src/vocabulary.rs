//! The words of OneRoster that Tocsin understands (wire.md F).

use serde::{Deserialize, Serialize};

pub(crate) const MANIFEST: &str = "manifest.csv";
pub(crate) const ORGS: &str = "orgs.csv";
pub(crate) const USERS: &str = "users.csv";
pub(crate) const ROLES: &str = "roles.csv";
pub(crate) const SESSIONS: &str = "academicSessions.csv";
pub(crate) const CLASSES: &str = "classes.csv";
pub(crate) const ENROLLMENTS: &str = "enrollments.csv";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OneRosterVersion {
    #[serde(rename = "1.1")]
    V1_1,
    #[serde(rename = "1.2")]
    V1_2,
}

/// What a file of the delivery says about rows that are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileMode {
    /// The file is not part of this delivery and says nothing.
    Absent,
    /// The complete set: a row that is missing is gone.
    Bulk,
    /// Changes only: a row that is missing is as it was.
    Delta,
}

/// What a person is to the district. OneRoster's finer roles fall into these three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Student,
    Staff,
    Guardian,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Staff => "staff",
            Self::Guardian => "guardian",
        }
    }
}

/// What a contact is to the student.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relationship {
    Parent,
    Guardian,
    Relative,
    /// The student's row names the person, whose own role does not say how they are related.
    Other,
}

impl Relationship {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Guardian => "guardian",
            Self::Relative => "relative",
            Self::Other => "other",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrgKind {
    Department,
    School,
    District,
    Local,
    State,
    National,
}

impl OrgKind {
    pub(crate) const WORDS: &str = "department, school, district, local, state or national";

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Department => "department",
            Self::School => "school",
            Self::District => "district",
            Self::Local => "local",
            Self::State => "state",
            Self::National => "national",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Department, Self::School, Self::District, Self::Local, Self::State, Self::National]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

/// One OneRoster role word: the group it falls into and, for contacts, the relationship it states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoleWord {
    pub role: Role,
    pub relationship: Option<Relationship>,
}

impl RoleWord {
    pub(crate) const WORDS: &str = "student, parent, guardian, relative, teacher, aide, proctor, counselor, \
         principal, administrator, siteAdministrator, districtAdministrator or systemAdministrator";

    /// Both versions' words are taken in both, whatever their case: a later word in an older file is
    /// no reason to lose a person.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let (role, relationship) = match word.to_ascii_lowercase().as_str() {
            "student" => (Role::Student, None),
            "parent" => (Role::Guardian, Some(Relationship::Parent)),
            "guardian" => (Role::Guardian, Some(Relationship::Guardian)),
            "relative" => (Role::Guardian, Some(Relationship::Relative)),
            "administrator"
            | "aide"
            | "counselor"
            | "districtadministrator"
            | "principal"
            | "proctor"
            | "siteadministrator"
            | "systemadministrator"
            | "teacher" => (Role::Staff, None),
            _ => return None,
        };
        Some(Self { role, relationship })
    }
}
