//! One user row to be, and what reading it must come to.

use super::faults::Fault;

/// Phones are ten digits; `*_text` is how the row spells them.
#[derive(Default)]
pub(crate) struct Planned {
    pub id: String,
    pub role: &'static str,
    pub org: String,
    pub given_name: String,
    pub family_name: String,
    pub grade: &'static str,
    pub enabled: bool,
    pub email: Option<String>,
    pub mobile: Option<String>,
    pub mobile_text: String,
    /// How many different numbers `landline_text` holds.
    pub landlines: usize,
    pub landline_text: String,
    pub language: &'static str,
    pub time_zone: &'static str,
    pub fault: Option<Fault>,
}

impl Planned {
    pub(crate) fn is_student(&self) -> bool {
        self.role == "student"
    }

    pub(crate) fn is_guardian(&self) -> bool {
        matches!(self.role, "parent" | "guardian" | "relative")
    }

    /// Whether reading leaves the whole row out.
    pub(crate) fn is_lost(&self) -> bool {
        self.fault.is_some_and(Fault::loses_the_row)
    }

    /// Voice devices: a mobile is one where nothing else is.
    pub(crate) fn voice(&self) -> usize {
        if self.landlines > 0 { self.landlines } else { usize::from(self.mobile.is_some()) }
    }
}

/// People whose rows name each other.
pub(crate) struct Household {
    pub people: Vec<Planned>,
    pub links: Vec<Link>,
}

/// Student and contact, as indices into the household's people, with who says so.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub student: usize,
    pub contact: usize,
    pub said_by: SaidBy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaidBy {
    Student,
    Contact,
    Both,
}

impl Household {
    /// What each person's row lists under agentSourcedIds.
    pub(crate) fn agents(&self) -> Vec<Vec<&str>> {
        let mut agents = vec![Vec::new(); self.people.len()];
        for link in &self.links {
            if matches!(link.said_by, SaidBy::Student | SaidBy::Both) {
                agents[link.student].push(self.people[link.contact].id.as_str());
            }
            if matches!(link.said_by, SaidBy::Contact | SaidBy::Both) {
                agents[link.contact].push(self.people[link.student].id.as_str());
            }
        }
        for (agents, person) in agents.iter_mut().zip(&self.people) {
            if person.fault == Some(Fault::DanglingAgent) {
                agents.push("grd-moved-away");
            }
        }
        agents
    }
}
