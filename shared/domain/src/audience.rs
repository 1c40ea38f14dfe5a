//! Who a campaign is for, as its author says it (requirements 48 and 185).

use serde::{Deserialize, Serialize};

use crate::receipt::Addressed;

/// Every list that is given narrows the audience; one that is left out does not. Grades 3 and 4 of two
/// schools are the guardians of students who are in one of the schools and in one of the grades. Classes and
/// school years are those that a student is taught in, and that staff teach in. A list of students means their guardians or
/// them, by the roles, on behalf of these students alone, and no staff. Several such groups side by side are `any_of`: whoever is
/// in one of them is addressed, and once.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audience {
    /// Everybody in the district who has one of the roles.
    pub all: bool,
    /// Source ids of schools.
    pub schools: Vec<String>,
    pub grades: Vec<String>,
    /// Source ids of classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Each named by the year in which it ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub school_years: Vec<i16>,
    /// Source ids of students.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub students: Vec<String>,
    pub roles: Vec<Role>,
    /// Source ids of people.
    pub people: Vec<String>,
    /// Only people who prefer this language.
    pub language: Option<String>,
    /// Also people, students and classes that are no longer active.
    pub include_inactive: bool,
    /// The union of these, each as an audience of its own; nothing else stands beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Audience>,
    /// Those of a canceled campaign's receipt, at the devices where they were tried; nothing else narrows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Addressed>,
}

/// In what capacity a person is reached.
// The numbers are those stored in the database.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
            classes: Vec::new(),
            school_years: Vec::new(),
            students: Vec::new(),
            roles: vec![Role::Guardian],
            people: Vec::new(),
            language: None,
            include_inactive: false,
            any_of: Vec::new(),
            receipt: None,
        }
    }
}

/// Groups of one union: more are a list of people that ought to be one.
pub const GROUPS_MAX: usize = 50;
/// A year outside is a slip.
const SCHOOL_YEARS: std::ops::RangeInclusive<i16> = 1990..=2200;

/// Why an audience is refused. [`AudienceError::field`] names the faulty one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudienceError {
    #[error(
        "the audience selects nobody: set all to true, or list schools, grades, classes, school_years, students or people"
    )]
    Nobody,
    #[error("the audience is everybody and {0} as well: leave one of them out")]
    Contradiction(&'static str),
    #[error("roles is empty: list guardian, student or staff, or leave it out for guardians")]
    NoRoles,
    #[error(
        "students have guardians and no staff: take staff out of roles, or add a group of theirs to any_of"
    )]
    StaffOfStudents,
    #[error("{0} has an empty entry: remove it")]
    EmptyEntry(&'static str),
    #[error("{0} stands beside receipt, which says whom already: leave it out")]
    BesideReceipt(&'static str),
    #[error("{0} stands beside any_of, whose groups say whom already: put it into each of them")]
    BesideGroups(&'static str),
    #[error("{0} stands within any_of: groups have no groups, and a receipt stands alone")]
    WithinGroups(&'static str),
    #[error("any_of has {0} groups: at most {GROUPS_MAX} are taken")]
    TooManyGroups(usize),
    #[error("{0} is no school year: name it by the year in which it ends, such as 2027")]
    NoYear(i16),
    #[error("{fault}")]
    InGroup { at: usize, fault: Box<AudienceError> },
}

impl AudienceError {
    /// The path of the faulty field of [`Audience`]; `audience` for all of it.
    pub fn field(&self) -> String {
        match self {
            Self::Nobody => "audience".to_owned(),
            Self::NoRoles | Self::StaffOfStudents => "roles".to_owned(),
            Self::TooManyGroups(_) => "any_of".to_owned(),
            Self::NoYear(_) => "school_years".to_owned(),
            Self::Contradiction(field)
            | Self::EmptyEntry(field)
            | Self::BesideReceipt(field)
            | Self::BesideGroups(field)
            | Self::WithinGroups(field) => (*field).to_owned(),
            Self::InGroup { at, fault } => match fault.field().as_str() {
                "audience" => format!("any_of[{at}]"),
                field => format!("any_of[{at}].{field}"),
            },
        }
    }
}

impl Audience {
    /// What an audience is said by, beside a receipt or groups.
    pub const FILTERS: [&'static str; 10] = [
        "all",
        "schools",
        "grades",
        "classes",
        "school_years",
        "students",
        "roles",
        "people",
        "language",
        "include_inactive",
    ];

    /// These people, whatever they are.
    pub fn of_people(people: Vec<String>) -> Self {
        Self { people, roles: Role::ALL.to_vec(), ..Self::default() }
    }

    pub fn of_receipt(addressed: Addressed) -> Self {
        Self { receipt: Some(addressed), ..Self::default() }
    }

    /// The schools by which it says whom it means; empty: whatever the school. None: it says so by people, students,
    /// classes or a receipt.
    pub fn by_schools(&self) -> Option<&[String]> {
        let others = [&self.people, &self.students, &self.classes];
        let chosen = self.receipt.is_some() || others.iter().any(|list| !list.is_empty());
        (!self.schools.is_empty() || !chosen).then_some(&self.schools)
    }

    /// The groups whose union is addressed: those of `any_of`, or this one.
    pub fn groups(&self) -> &[Self] {
        if self.any_of.is_empty() { std::slice::from_ref(self) } else { &self.any_of }
    }

    /// Does it say whom it means? Whether anybody is found is another matter: "no recipients" is a
    /// valid end of a campaign (requirement 190).
    pub fn validate(&self) -> Result<(), AudienceError> {
        if self.receipt.is_some() {
            return match self.beside() {
                Some(field) => Err(AudienceError::BesideReceipt(field)),
                None if !self.any_of.is_empty() => Err(AudienceError::BesideReceipt("any_of")),
                None => Ok(()),
            };
        }
        if self.any_of.is_empty() {
            return self.validate_group();
        }
        if let Some(field) = self.beside() {
            return Err(AudienceError::BesideGroups(field));
        }
        if self.any_of.len() > GROUPS_MAX {
            return Err(AudienceError::TooManyGroups(self.any_of.len()));
        }
        for (at, group) in self.any_of.iter().enumerate() {
            let valid = match (&group.receipt, group.any_of.is_empty()) {
                (Some(_), _) => Err(AudienceError::WithinGroups("receipt")),
                (None, false) => Err(AudienceError::WithinGroups("any_of")),
                (None, true) => group.validate_group(),
            };
            valid.map_err(|fault| AudienceError::InGroup { at, fault: Box::new(fault) })?;
        }
        Ok(())
    }

    fn validate_group(&self) -> Result<(), AudienceError> {
        let lists = [
            ("schools", &self.schools),
            ("grades", &self.grades),
            ("classes", &self.classes),
            ("students", &self.students),
            ("people", &self.people),
        ];
        for (field, list) in lists {
            if list.iter().any(|entry| entry.trim().is_empty()) {
                return Err(AudienceError::EmptyEntry(field));
            }
            if self.all && !list.is_empty() {
                return Err(AudienceError::Contradiction(field));
            }
        }
        if let Some(year) = self.school_years.iter().find(|year| !SCHOOL_YEARS.contains(*year)) {
            return Err(AudienceError::NoYear(*year));
        }
        if self.all && !self.school_years.is_empty() {
            return Err(AudienceError::Contradiction("school_years"));
        }
        if !self.all && lists.iter().all(|(_, list)| list.is_empty()) && self.school_years.is_empty() {
            return Err(AudienceError::Nobody);
        }
        if self.roles.is_empty() {
            return Err(AudienceError::NoRoles);
        }
        if !self.students.is_empty() && self.roles.iter().all(|role| *role == Role::Staff) {
            return Err(AudienceError::StaffOfStudents);
        }
        if self.language.as_deref().is_some_and(|language| language.trim().is_empty()) {
            return Err(AudienceError::EmptyEntry("language"));
        }
        Ok(())
    }

    /// The first filter that is not as it is when it is left out.
    fn beside(&self) -> Option<&'static str> {
        let defaults = Self::default();
        let is_default = [
            self.all == defaults.all,
            self.schools == defaults.schools,
            self.grades == defaults.grades,
            self.classes == defaults.classes,
            self.school_years == defaults.school_years,
            self.students == defaults.students,
            self.roles == defaults.roles,
            self.people == defaults.people,
            self.language == defaults.language,
            self.include_inactive == defaults.include_inactive,
        ];
        let given = Self::FILTERS.into_iter().zip(is_default).find(|(_, is_default)| !is_default);
        given.map(|(field, _)| field)
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
            r#"{"classes":["c1"],"roles":["student","staff"]}"#,
            r#"{"school_years":[2027]}"#,
            r#"{"students":["st1","st2"],"roles":["guardian","student","staff"]}"#,
            r#"{"students":["st1"],"people":["p1"]}"#,
            r#"{"any_of":[{"schools":["s1"]},{"people":["p1"],"roles":["staff"],"language":"es"}]}"#,
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
            (r#"{"all":true,"classes":["c1"]}"#, "classes"),
            (r#"{"all":true,"school_years":[2027]}"#, "school_years"),
            (r#"{"school_years":[27]}"#, "school_years"),
            (r#"{"students":[""]}"#, "students"),
            (r#"{"all":true,"students":["st1"]}"#, "students"),
            (r#"{"students":["st1"],"roles":["staff"]}"#, "roles"),
            (r#"{"students":["st1"],"roles":["staff","staff"]}"#, "roles"),
            (r#"{"any_of":[{"schools":["s1"]},{}]}"#, "any_of[1]"),
            (r#"{"any_of":[{"schools":["s1"," "]}]}"#, "any_of[0].schools"),
            (r#"{"any_of":[{"all":true}],"schools":["s1"]}"#, "schools"),
            (r#"{"any_of":[{"all":true}],"language":"es"}"#, "language"),
            (r#"{"any_of":[{"any_of":[{"all":true}]}]}"#, "any_of[0].any_of"),
        ];
        for (json, field) in cases {
            let fault = read(json).unwrap().validate().map_err(|fault| fault.field());
            assert_eq!(fault, Err(field.to_owned()), "{json}");
        }
        let many = Audience { all: true, ..Audience::default() };
        let many = Audience { any_of: vec![many; GROUPS_MAX + 1], ..Audience::default() };
        assert_eq!(many.validate(), Err(AudienceError::TooManyGroups(GROUPS_MAX + 1)));
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
            (r#","students":["st1"]"#, "students"),
            (r#","people":["p1"]"#, "people"),
            (r#","language":"es""#, "language"),
            (r#","include_inactive":true"#, "include_inactive"),
            (r#","any_of":[{"all":true}]"#, "any_of"),
        ] {
            assert_eq!(read_beside(other), Err(AudienceError::BesideReceipt(field)), "{other}");
        }
        // The release before this one reads no such members, and need not: they are not written.
        let written = serde_json::to_string(&Audience::default()).unwrap();
        for member in ["receipt", "any_of", "classes", "school_years", "students"] {
            assert!(!written.contains(member), "{written}");
        }
    }

    #[test]
    fn who_is_named_is_of_no_school_in_particular() {
        for (json, schools) in [
            (r#"{"all":true}"#, Some(0)),
            (r#"{"grades":["03"]}"#, Some(0)),
            (r#"{"schools":["s1"],"classes":["c1"]}"#, Some(1)),
            (r#"{"people":["p1"]}"#, None),
            (r#"{"students":["st1"],"grades":["03"]}"#, None),
            (r#"{"classes":["c1"]}"#, None),
            (r#"{"receipt":{"campaign":"01900000-0000-7000-8000-000000000001"}}"#, None),
        ] {
            assert_eq!(read(json).unwrap().by_schools().map(<[String]>::len), schools, "{json}");
        }
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
