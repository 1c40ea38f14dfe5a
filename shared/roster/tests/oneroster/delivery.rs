//! Small deliveries, written as a folder or a zip.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use tocsin_roster::{Problem, ProblemKind, ReadOptions, Roster, RosterError, read};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub const ORGS: &str = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\n\
    d1,,,Sample District,district,0100,\n\
    s1,,,Lincoln Elementary,school,0101,d1\n\
    s2,,,Lakeview High,school,0102,d1\n";

pub const USERS_1_1: &str = "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,givenName,\
    familyName,email,sms,phone,agentSourcedIds,grades,metadata.language,metadata.timeZone\n";

pub const USERS_1_2: &str = "sourcedId,status,dateLastModified,enabledUser,username,givenName,\
    familyName,email,sms,phone,agentSourcedIds,grades,metadata.language,metadata.timeZone\n";

pub const ROLES: &str =
    "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId\n";

/// Line 2 of users.csv in every small delivery of 1.1.
pub const STUDENT_1_1: &str = "stu,,,true,s1,student,stu,Sam,Diaz,,,,,03,,\n";
/// Line 3.
pub const PARENT_1_1: &str = "par,,,true,s1,parent,par,Ana,Diaz,ana@example.org,6035550142,,stu,,es,\n";

pub const STUDENT_1_2: &str = "stu,,,true,stu,Sam,Diaz,,,,,03,,\n";
pub const PARENT_1_2: &str = "par,,,true,par,Ana,Diaz,ana@example.org,6035550142,,stu,,es,\n";
pub const ROLES_OF_BOTH: &str = "r1,,,stu,primary,student,,,s1\nr2,,,par,primary,parent,,,s1\n";

#[derive(Clone, Default)]
pub struct Delivery {
    files: Vec<(String, Vec<u8>)>,
}

impl Delivery {
    /// A student and a parent in 1.1; `more` rows follow from line 4 of users.csv on.
    pub fn v1_1(more: &str) -> Self {
        let users = format!("{USERS_1_1}{STUDENT_1_1}{PARENT_1_1}{more}");
        Self::default().file("orgs.csv", ORGS).file("users.csv", users)
    }

    /// The same in 1.2; more users follow from line 4 on, and so do more roles.
    pub fn v1_2(more_users: &str, more_roles: &str) -> Self {
        let users = format!("{USERS_1_2}{STUDENT_1_2}{PARENT_1_2}{more_users}");
        let roles = format!("{ROLES}{ROLES_OF_BOTH}{more_roles}");
        Self::default().file("orgs.csv", ORGS).file("users.csv", users).file("roles.csv", roles)
    }

    pub fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.retain(|(file, _)| file != name);
        self.files.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.files.retain(|(file, _)| file != name);
        self
    }

    pub fn manifest(self, rows: &str) -> Self {
        self.file("manifest.csv", format!("propertyName,value\nmanifest.version,1.0\n{rows}"))
    }

    pub fn write_folder(&self, folder: &tempfile::TempDir) -> PathBuf {
        for (name, content) in &self.files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder.path().to_owned()
    }

    pub fn write_zip(&self, folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("delivery.zip");
        let mut archive = ZipWriter::new(File::create(&path).unwrap());
        for (name, content) in &self.files {
            archive.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
            archive.write_all(content).unwrap();
        }
        archive.finish().unwrap();
        path
    }

    /// Reads the delivery both ways, which must come to the same.
    pub fn read_with(&self, options: &ReadOptions) -> Result<Roster, RosterError> {
        let folder = tempfile::tempdir().unwrap();
        let from_folder = read(&self.write_folder(&folder), options);
        let zip = tempfile::tempdir().unwrap();
        let from_zip = read(&self.write_zip(&zip), options);
        match (&from_folder, &from_zip) {
            (Ok(one), Ok(other)) => assert_eq!(one, other),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
            (one, other) => panic!("folder {one:?}, zip {other:?}"),
        }
        from_folder
    }

    pub fn read(&self) -> Roster {
        self.read_with(&ReadOptions::default()).unwrap()
    }
}

/// Where the problems are, and of which kind: `users.csv:4 phone error`.
pub fn places(roster: &Roster) -> Vec<String> {
    let place = |problem: &Problem| {
        let kind = match problem.kind {
            ProblemKind::Error => "error",
            ProblemKind::Warning => "warning",
        };
        format!("{}:{} {} {kind}", problem.file, problem.line, problem.column.unwrap_or("-"))
    };
    roster.problems.iter().map(place).collect()
}

/// The devices of a person as `channel address`, with the extension behind an x.
pub fn devices(roster: &Roster, person: &str) -> Vec<String> {
    let of_person = roster.devices.iter().filter(|device| device.person_source_id == person);
    of_person
        .map(|device| {
            let extension = device.extension.as_ref().map(|digits| format!("x{digits}")).unwrap_or_default();
            format!("{} {}{extension}", device.channel, device.address)
        })
        .collect()
}

/// The contacts as `student person relationship`.
pub fn contacts(roster: &Roster) -> Vec<String> {
    let text = |contact: &tocsin_roster::ContactOf| {
        let relationship = contact.relationship.as_str();
        format!("{} {} {relationship}", contact.student_source_id, contact.person_source_id)
    };
    roster.contacts.iter().map(text).collect()
}

/// The contacts as `student person` with who names whom, then the mentions as `owner? named`.
pub fn named(roster: &Roster) -> Vec<String> {
    let contact = |contact: &tocsin_roster::ContactOf| {
        let sides = match (contact.by_student, contact.by_person) {
            (true, true) => "<>",
            (true, false) => ">",
            (false, true) => "<",
            (false, false) => "named by nobody",
        };
        format!("{} {sides} {}", contact.student_source_id, contact.person_source_id)
    };
    let mention = |mention: &tocsin_roster::Mention| {
        format!("{} ? {}", mention.owner_source_id, mention.named_source_id)
    };
    roster.contacts.iter().map(contact).chain(roster.mentions.iter().map(mention)).collect()
}

/// The enrolments as `person school active` or `… ended`.
pub fn enrolments(roster: &Roster) -> Vec<String> {
    let text = |student: &tocsin_roster::Student| {
        let state = if student.active { "active" } else { "ended" };
        format!("{} {} {state}", student.person_source_id, student.school_source_id)
    };
    roster.students.iter().map(text).collect()
}

pub fn people(roster: &Roster) -> Vec<&str> {
    roster.people.iter().map(|person| person.source_id.as_str()).collect()
}
