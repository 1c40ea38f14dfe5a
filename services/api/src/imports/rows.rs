//! A roster as the rows that the store imports: for the command line and for deliveries over REST.

use tocsin_roster::{FileMode, OneRosterVersion, Role, Roster};
use tocsin_store::directory::{
    ClassMemberRow, ClassRow, ContactRow, Coverage, DeviceRow, Directory, Enrolments, Extent, MentionRow,
    PersonRow, SchoolRow, SessionRow, StudentRow,
};

/// Borrows the roster's rows. Whoever is not deleted is an active person, portal account or not: a guardian
/// without one must still be called.
pub fn directory_of(roster: &Roster) -> Directory<'_> {
    Directory {
        coverage: coverage_of(roster),
        schools: roster
            .schools
            .iter()
            .map(|school| SchoolRow {
                source_id: &school.source_id,
                name: &school.name,
                kind: school.kind.as_str(),
                identifier: school.identifier.as_deref(),
                parent_source_id: school.parent_source_id.as_deref(),
                deleted: school.deleted,
            })
            .collect(),
        people: roster
            .people
            .iter()
            .map(|person| PersonRow {
                source_id: &person.source_id,
                given_name: &person.given_name,
                family_name: &person.family_name,
                role: person.role.map(stored_role),
                language: person.language.as_deref(),
                time_zone: person.time_zone.as_deref(),
                lists_contacts: person.lists_contacts,
                deleted: person.deleted,
            })
            .collect(),
        students: roster
            .students
            .iter()
            .map(|student| StudentRow {
                person_source_id: &student.person_source_id,
                school_source_id: &student.school_source_id,
                grade: student.grade.as_deref(),
                active: student.active,
            })
            .collect(),
        contacts: roster
            .contacts
            .iter()
            .map(|contact| ContactRow {
                student_source_id: &contact.student_source_id,
                person_source_id: &contact.person_source_id,
                relationship: contact.relationship.as_str(),
                by_student: contact.by_student,
                by_person: contact.by_person,
            })
            .collect(),
        mentions: roster
            .mentions
            .iter()
            .map(|mention| MentionRow {
                owner_source_id: &mention.owner_source_id,
                named_source_id: &mention.named_source_id,
            })
            .collect(),
        devices: roster
            .devices
            .iter()
            .map(|device| DeviceRow {
                person_source_id: &device.person_source_id,
                channel: device.channel,
                address: &device.address,
                extension: device.extension.as_deref(),
                position: device.position,
            })
            .collect(),
        sessions: roster
            .sessions
            .iter()
            .map(|session| SessionRow {
                source_id: &session.source_id,
                title: &session.title,
                kind: &session.kind,
                starts_on: session.starts_on,
                ends_on: session.ends_on,
                school_year: session.school_year,
                parent_source_id: session.parent_source_id.as_deref(),
                deleted: session.deleted,
            })
            .collect(),
        classes: roster
            .classes
            .iter()
            .map(|class| ClassRow {
                source_id: &class.source_id,
                title: &class.title,
                code: class.code.as_deref(),
                school_source_id: &class.school_source_id,
                session_source_ids: &class.session_source_ids,
                deleted: class.deleted,
            })
            .collect(),
        class_members: roster
            .class_members
            .iter()
            .map(|member| ClassMemberRow {
                source_id: &member.source_id,
                class_source_id: &member.class_source_id,
                person_source_id: &member.person_source_id,
                role: stored_role(member.role),
                active: member.active,
                deleted: member.deleted,
            })
            .collect(),
    }
}

/// Enrolments stand in the users' rows in 1.1, where a changed row lists all of its person's schools, and in
/// roles.csv in 1.2, where each row is one of them.
fn coverage_of(roster: &Roster) -> Coverage {
    let extent = |file| match roster.mode(file) {
        FileMode::Bulk => Extent::Complete,
        FileMode::Delta | FileMode::Absent => Extent::Changes,
    };
    let enrolments = match (roster.version, roster.mode("users.csv"), roster.mode("roles.csv")) {
        (OneRosterVersion::V1_1, FileMode::Bulk, _) | (OneRosterVersion::V1_2, _, FileMode::Bulk) => {
            Enrolments::Complete
        }
        (OneRosterVersion::V1_1, FileMode::Delta | FileMode::Absent, _) => Enrolments::OfPeople,
        (OneRosterVersion::V1_2, _, FileMode::Delta | FileMode::Absent) => Enrolments::Changes,
    };
    Coverage {
        schools: extent("orgs.csv"),
        people: extent("users.csv"),
        enrolments,
        sessions: extent("academicSessions.csv"),
        classes: extent("classes.csv"),
        class_members: extent("enrollments.csv"),
    }
}

fn stored_role(role: Role) -> tocsin_domain::audience::Role {
    match role {
        Role::Student => tocsin_domain::audience::Role::Student,
        Role::Staff => tocsin_domain::audience::Role::Staff,
        Role::Guardian => tocsin_domain::audience::Role::Guardian,
    }
}
