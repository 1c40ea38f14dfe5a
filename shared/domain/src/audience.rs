//! Who a campaign is for, as its author says it (requirements 48 and 185).

use serde::{Deserialize, Serialize};

use crate::receipt::Addressed;

/// Every list that is given narrows the audience; one that is left out does not. Grades 3 and 4 of two
/// schools are the guardians of students who are in one of the schools and in one of the grades.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audience {
    /// Everybody in the district who has one of the roles.
    pub all: bool,
    /// Source ids of schools.
    pub schools: Vec<String>,
    pub grades: Vec<String>,
    pub roles: Vec<Role>,
    /// Source ids of people.
    pub people: Vec<String>,
    /// Only people who prefer this language.
    pub language: Option<String>,
    /// Also people and students who are no longer active.
    pub include_inactive: bool,
    /// Those of a canceled campaign's receipt, at the devices where they were tried; nothing else narrows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Addressed>,
}

/// In what capacity a person is reached. The numbers are those stored in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum Role {
    /// On behalf of a student.
    Guardian = 1,
    Student = 2,
    Staff = 3,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Guardian, Self::Student, Self::Staff];

    /// The number this role is stored as.
    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self {
            all: false,
            schools: Vec::new(),
            grades: Vec::new(),
            roles: vec![Role::Guardian],
            people: Vec::new(),
            language: None,
            include_inactive: false,
            receipt: None,
        }
    }
}

/// Why an audience is refused. [`AudienceError::field`] names the faulty one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudienceError {
    #[error("the audience selects nobody: set all to true, or list schools, grades or people")]
    Nobody,
    #[error("the audience is everybody and {0} as well: leave one of them out")]
    Contradiction(&'static str),
    #[error("roles is empty: list guardian, student or staff, or leave it out for guardians")]
    NoRoles,
    #[error("{0} has an empty entry: remove it")]
    EmptyEntry(&'static str),
    #[error("{0} stands beside receipt, which says whom already: leave it out")]
    BesideReceipt(&'static str),
}

impl AudienceError {
    /// The name of the faulty field of [`Audience`]; `audience` for all of it.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Nobody => "audience",
            Self::NoRoles => "roles",
            Self::Contradiction(field) | Self::EmptyEntry(field) | Self::BesideReceipt(field) => field,
        }
    }
}

impl Audience {
    /// What an audience is said by, beside a receipt.
    pub const FILTERS: [&'static str; 7] =
        ["all", "schools", "grades", "roles", "people", "language", "include_inactive"];

    pub fn of_receipt(addressed: Addressed) -> Self {
        Self { receipt: Some(addressed), ..Self::default() }
    }

    /// Does it say whom it means? Whether anybody is found is another matter: "no recipients" is a
    /// valid end of a campaign (requirement 190).
    pub fn validate(&self) -> Result<(), AudienceError> {
        if self.receipt.is_some() {
            return self.validate_beside_receipt();
        }
        let lists = [("schools", &self.schools), ("grades", &self.grades), ("people", &self.people)];
        for (field, list) in lists {
            if list.iter().any(|entry| entry.trim().is_empty()) {
                return Err(AudienceError::EmptyEntry(field));
            }
            if self.all && !list.is_empty() {
                return Err(AudienceError::Contradiction(field));
            }
        }
        if !self.all && lists.iter().all(|(_, list)| list.is_empty()) {
            return Err(AudienceError::Nobody);
        }
        if self.roles.is_empty() {
            return Err(AudienceError::NoRoles);
        }
        if self.language.as_deref().is_some_and(|language| language.trim().is_empty()) {
            return Err(AudienceError::EmptyEntry("language"));
        }
        Ok(())
    }

    fn validate_beside_receipt(&self) -> Result<(), AudienceError> {
        let defaults = Self::default();
        let is_default = [
            self.all == defaults.all,
            self.schools == defaults.schools,
            self.grades == defaults.grades,
            self.roles == defaults.roles,
            self.people == defaults.people,
            self.language == defaults.language,
            self.include_inactive == defaults.include_inactive,
        ];
        let given = Self::FILTERS.into_iter().zip(is_default).find(|(_, is_default)| !is_default);
        given.map_or(Ok(()), |(field, _)| Err(AudienceError::BesideReceipt(field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Audience, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_audience_says_whom_it_means() {
        for json in [
            r#"{"all":true}"#,
            r#"{"all":true,"roles":["staff"],"language":"es"}"#,
            r#"{"schools":["s1"]}"#,
            r#"{"schools":["s1"],"grades":["03","04"]}"#,
            r#"{"grades":["03"],"roles":["guardian","student"]}"#,
            r#"{"people":["p1"],"include_inactive":true}"#,
        ] {
            assert_eq!(read(json).unwrap().validate(), Ok(()), "{json}");
        }
    }

    #[test]
    fn an_audience_that_does_not_is_refused_with_its_field() {
        let cases = [
            ("{}", "audience"),
            (r#"{"language":"es"}"#, "audience"),
            (r#"{"roles":["staff"]}"#, "audience"),
            (r#"{"all":false,"schools":[]}"#, "audience"),
            (r#"{"all":true,"schools":["s1"]}"#, "schools"),
            (r#"{"all":true,"people":["p1"]}"#, "people"),
            (r#"{"all":true,"roles":[]}"#, "roles"),
            (r#"{"schools":["s1"," "]}"#, "schools"),
            (r#"{"grades":[""]}"#, "grades"),
            (r#"{"all":true,"language":""}"#, "language"),
        ];
        for (json, field) in cases {
            assert_eq!(read(json).unwrap().validate().map_err(|fault| fault.field()), Err(field), "{json}");
        }
    }

    #[test]
    fn what_is_left_out_has_its_default_and_strangers_are_refused() {
        assert_eq!(read("{}").unwrap(), Audience::default());
        assert_eq!(Audience::default().roles, [Role::Guardian]);
        assert!(read(r#"{"school":["s1"]}"#).is_err());
        assert!(read(r#"{"roles":["parent"]}"#).is_err());
    }

    #[test]
    fn a_receipt_stands_alone() {
        let receipt = r#""receipt":{"campaign":"01900000-0000-7000-8000-000000000001"}"#;
        let read_beside = |other: &str| read(&format!("{{{receipt}{other}}}")).unwrap().validate();
        assert_eq!(read_beside(""), Ok(()));
        for (other, field) in [
            (r#","all":true"#, "all"),
            (r#","schools":["s1"]"#, "schools"),
            (r#","grades":["03"]"#, "grades"),
            (r#","roles":["staff"]"#, "roles"),
            (r#","people":["p1"]"#, "people"),
            (r#","language":"es""#, "language"),
            (r#","include_inactive":true"#, "include_inactive"),
        ] {
            assert_eq!(read_beside(other), Err(AudienceError::BesideReceipt(field)), "{other}");
        }
        // The release before this one reads no such member, and need not: it is not written.
        assert!(!serde_json::to_string(&Audience::default()).unwrap().contains("receipt"));
    }

    #[test]
    fn roles_keep_their_numbers() {
        for (role, number) in Role::ALL.into_iter().zip(1..) {
            assert_eq!(role.number(), number);
            assert_eq!(Role::from_number(number), Some(role));
        }
        assert_eq!(Role::from_number(0), None);
    }
}
