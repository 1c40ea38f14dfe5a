//! Who is a contact of whom. Either side's `agentSourcedIds` may say so, and often both do (wire.md F).

use std::collections::{HashMap, HashSet};

use crate::problem::{Problem, ProblemKind, ProblemLog};
use crate::roster::{ContactOf, Mention};
use crate::vocabulary::{FileMode, Relationship, USERS};

/// What the roles of a person tell about which side of a contact the person stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Student,
    Contact(Relationship),
    Staff,
    /// Every role stated was refused, which is reported already.
    Refused,
    /// This delivery does not say: the role came, or will come, with another one.
    Unsaid,
    /// To be deleted, and every contact with it.
    Deleted,
}

/// One entry of one row's `agentSourcedIds`, checked once all users are known.
pub(crate) struct Claim {
    pub line: u64,
    /// The entry's place in the list, from 1: problems name it instead of the id.
    pub entry: usize,
    pub owner: usize,
    pub target: String,
}

/// The users read, by index and by source id.
pub(crate) struct Users<'a> {
    pub mode: FileMode,
    pub source_ids: Vec<&'a str>,
    pub sides: &'a [Side],
    pub left_out: &'a HashSet<String>,
}

enum Link {
    /// The row's own person is the student.
    OwnerIsStudent(Relationship),
    TargetIsStudent(Relationship),
    /// It cannot be told, for a fault that is reported elsewhere, or for this one.
    Open(Option<&'static str>),
    Fault(&'static str),
}

/// What the claims come to.
#[derive(Default)]
pub(crate) struct Linked {
    /// Each once, by student and person.
    pub contacts: Vec<ContactOf>,
    pub mentions: Vec<Mention>,
}

pub(crate) fn link(claims: &[Claim], users: &Users<'_>, log: &mut ProblemLog) -> Linked {
    let by_id: HashMap<&str, usize> =
        users.source_ids.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let mut contacts = Vec::with_capacity(claims.len());
    let mut mentions = Vec::new();
    for claim in claims {
        let owner = users.source_ids[claim.owner];
        let target = claim.target.as_str();
        let target_side = match by_id.get(target) {
            Some(&index) => Some(users.sides[index]),
            None if users.left_out.contains(target) => Some(Side::Deleted),
            None if users.mode == FileMode::Bulk => None,
            None => Some(Side::Unsaid),
        };
        let decided = match target_side {
            Some(side) => decide(users.sides[claim.owner], side),
            None => Link::Fault("names no row of users.csv"),
        };
        let (student, person, relationship) = match decided {
            Link::OwnerIsStudent(relationship) => (owner, target, relationship),
            Link::TargetIsStudent(relationship) => (target, owner, relationship),
            Link::Open(fault) => {
                fault.into_iter().for_each(|fault| log.add(problem(claim, fault)));
                let (owner_source_id, named_source_id) = (owner.to_owned(), target.to_owned());
                mentions.push(Mention { owner_source_id, named_source_id });
                continue;
            }
            Link::Fault(fault) => {
                log.add(problem(claim, fault));
                continue;
            }
        };
        let by_student = student == owner;
        contacts.push(ContactOf {
            student_source_id: student.to_owned(),
            person_source_id: person.to_owned(),
            relationship,
            by_student,
            by_person: !by_student,
        });
    }
    mentions.sort_by(|a, b| {
        (&a.owner_source_id, &a.named_source_id).cmp(&(&b.owner_source_id, &b.named_source_id))
    });
    mentions.dedup();
    Linked { contacts: once_each(contacts), mentions }
}

/// Which of the two is the student; `owner` is the row, `target` the entry in its list.
fn decide(owner: Side, target: Side) -> Link {
    match (owner, target) {
        (Side::Deleted, _) | (_, Side::Deleted) => Link::Open(None),
        (Side::Student, Side::Contact(relationship)) => Link::OwnerIsStudent(relationship),
        (Side::Student, Side::Staff | Side::Refused | Side::Unsaid) => {
            Link::OwnerIsStudent(Relationship::Other)
        }
        (Side::Student, Side::Student) => Link::Fault("names another student, who is no contact"),
        (Side::Contact(relationship), Side::Student | Side::Unsaid) => Link::TargetIsStudent(relationship),
        (Side::Contact(_), Side::Contact(_) | Side::Staff) => Link::Fault("names somebody who is no student"),
        (Side::Refused | Side::Unsaid, Side::Student) => Link::TargetIsStudent(Relationship::Other),
        (Side::Unsaid, Side::Contact(relationship)) => Link::OwnerIsStudent(relationship),
        (Side::Contact(_) | Side::Refused, Side::Refused)
        | (Side::Refused, Side::Contact(_) | Side::Staff | Side::Unsaid)
        | (Side::Unsaid, Side::Refused) => Link::Open(None),
        (Side::Unsaid, Side::Staff | Side::Unsaid) => {
            Link::Open(Some("does not tell the student from the contact: send their roles with it"))
        }
        (Side::Staff, _) => Link::Fault("is for parents, guardians and relatives; staff have no such list"),
    }
}

fn problem(claim: &Claim, fault: &str) -> Problem {
    Problem {
        file: USERS,
        line: claim.line,
        column: Some("agentSourcedIds"),
        kind: ProblemKind::Error,
        what: format!("entry {} {fault}: correct or remove it; this contact was left out", claim.entry),
    }
}

/// Where both rows say it, the closer relationship stands.
fn once_each(mut contacts: Vec<ContactOf>) -> Vec<ContactOf> {
    fn key(contact: &ContactOf) -> (&str, &str, Relationship) {
        (&contact.student_source_id, &contact.person_source_id, contact.relationship)
    }
    contacts.sort_by(|a, b| key(a).cmp(&key(b)));
    contacts.dedup_by(|later, earlier| {
        let same = (&later.student_source_id, &later.person_source_id)
            == (&earlier.student_source_id, &earlier.person_source_id);
        if same {
            earlier.by_student |= later.by_student;
            earlier.by_person |= later.by_person;
        }
        same
    });
    contacts
}
