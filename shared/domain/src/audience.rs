//! Who a campaign is for, as its author says it (requirements 48 and 185).

use serde::{Deserialize, Serialize};

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
}

impl AudienceError {
    /// The name of the faulty field of [`Audience`]; `audience` for all of it.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Nobody => "audience",
            Self::NoRoles => "roles",
            Self::Contradiction(field) | Self::EmptyEntry(field) => field,
        }
    }
}

impl Audience {
    /// Does it say whom it means? Whether anybody is found is another matter: "no recipients" is a
    /// valid end of a campaign (requirement 190).
    pub fn validate(&self) -> Result<(), AudienceError> {
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
    fn roles_keep_their_numbers() {
        for (role, number) in Role::ALL.into_iter().zip(1..) {
            assert_eq!(role.number(), number);
            assert_eq!(Role::from_number(number), Some(role));
        }
        assert_eq!(Role::from_number(0), None);
    }
}
