//! The planned district as the CSV files of either version, row by row.

use std::io;

use super::faults::Fault;
use super::households::Plan;
use super::person::Planned;
use crate::vocabulary::{MANIFEST, ORGS, OneRosterVersion, ROLES, USERS};

const DISTRICT_ID: &str = "org-district";

/// How a manifest says that the delivery is a sample, written by this module.
const SYSTEM: [&str; 2] = ["source.systemCode", "tocsin-sample"];

/// The files of OneRoster a sample does not have, and its manifest says so.
const ABSENT: [&str; 5] = ["academicSessions", "classes", "courses", "demographics", "enrollments"];

pub(crate) fn names(version: OneRosterVersion) -> &'static [&'static str] {
    match version {
        OneRosterVersion::V1_1 => &[MANIFEST, ORGS, USERS],
        OneRosterVersion::V1_2 => &[MANIFEST, ORGS, USERS, ROLES],
    }
}

/// Whether a manifest is one of ours.
pub(crate) fn is_of_a_sample(manifest: &str) -> bool {
    let marker = SYSTEM.join(",");
    manifest.lines().any(|line| line.trim_end() == marker)
}

/// Writes one file and returns its rows, the header not counted.
pub(crate) fn write(
    file: &str,
    plan: &Plan,
    version: OneRosterVersion,
    out: impl io::Write,
) -> io::Result<u64> {
    // Flexible, as one kind of broken row has a field too many.
    let inner = csv::WriterBuilder::new().flexible(true).terminator(csv::Terminator::CRLF).from_writer(out);
    let mut writer = Writer { inner, records: 0 };
    match file {
        MANIFEST => write_manifest(version, &mut writer)?,
        ORGS => write_orgs(plan, &mut writer)?,
        ROLES => write_roles(plan, &mut writer)?,
        _ => write_users(plan, version, &mut writer)?,
    }
    writer.inner.flush()?;
    Ok(writer.records.saturating_sub(1))
}

/// A CSV writer that counts.
struct Writer<W: io::Write> {
    inner: csv::Writer<W>,
    /// The header among them.
    records: u64,
}

impl<W: io::Write> Writer<W> {
    fn write_record<F: AsRef<[u8]>>(&mut self, fields: impl IntoIterator<Item = F>) -> io::Result<()> {
        self.records += 1;
        Ok(self.inner.write_record(fields)?)
    }
}

fn write_manifest(version: OneRosterVersion, writer: &mut Writer<impl io::Write>) -> io::Result<()> {
    let (number, roles) = match version {
        OneRosterVersion::V1_1 => ("1.1", None),
        OneRosterVersion::V1_2 => ("1.2", Some("bulk")),
    };
    writer.write_record(["propertyName", "value"])?;
    writer.write_record(["manifest.version", "1.0"])?;
    writer.write_record(["oneroster.version", number])?;
    for file in ABSENT {
        writer.write_record([&format!("file.{file}"), "absent"])?;
    }
    writer.write_record(["file.orgs", "bulk"])?;
    if let Some(mode) = roles {
        writer.write_record(["file.roles", mode])?;
    }
    writer.write_record(["file.users", "bulk"])?;
    writer.write_record(["source.systemName", "Tocsin sample"])?;
    writer.write_record(SYSTEM)
}

fn write_orgs(plan: &Plan, writer: &mut Writer<impl io::Write>) -> io::Result<()> {
    writer.write_record([
        "sourcedId",
        "status",
        "dateLastModified",
        "name",
        "type",
        "identifier",
        "parentSourcedId",
    ])?;
    writer.write_record([DISTRICT_ID, "", "", "Sample Unified School District", "district", "0100", ""])?;
    for (index, school) in plan.schools.all.iter().enumerate() {
        let identifier = format!("{:04}", 101 + index);
        writer.write_record([&school.id, "", "", &school.name, "school", &identifier, DISTRICT_ID])?;
    }
    Ok(())
}

fn write_roles(plan: &Plan, writer: &mut Writer<impl io::Write>) -> io::Result<()> {
    writer.write_record([
        "sourcedId",
        "status",
        "dateLastModified",
        "userSourcedId",
        "roleType",
        "role",
        "beginDate",
        "endDate",
        "orgSourcedId",
        "userProfileSourcedId",
    ])?;
    for person in plan.households().flat_map(|household| household.people) {
        let role = match person.role {
            "administrator" => "siteAdministrator",
            role => role,
        };
        let id = format!("role-{}", person.id);
        writer.write_record([&id, "", "", &person.id, "primary", role, "", "", &person.org, ""])?;
    }
    Ok(())
}

fn write_users(
    plan: &Plan,
    version: OneRosterVersion,
    writer: &mut Writer<impl io::Write>,
) -> io::Result<()> {
    let has_role = version == OneRosterVersion::V1_1;
    let mut header = vec!["sourcedId", "status", "dateLastModified", "enabledUser"];
    if has_role {
        header.extend(["orgSourcedIds", "role"]);
    }
    header.extend([
        "username",
        "userIds",
        "givenName",
        "familyName",
        "middleName",
        "identifier",
        "email",
        "sms",
    ]);
    header.extend([
        "phone",
        "agentSourcedIds",
        "grades",
        "password",
        "metadata.language",
        "metadata.timeZone",
    ]);
    writer.write_record(&header)?;

    for household in plan.households() {
        for (person, agents) in household.people.iter().zip(household.agents()) {
            let agents = agents.join(",");
            let row = user_row(person, &agents, has_role);
            writer.write_record(&row)?;
            if person.fault == Some(Fault::RepeatedId) {
                writer.write_record(&row)?;
            }
        }
    }
    Ok(())
}

fn user_row<'a>(person: &'a Planned, agents: &'a str, has_role: bool) -> Vec<&'a str> {
    let email = match person.fault {
        Some(Fault::BadEmail) => "at school dot example",
        _ => person.email.as_deref().unwrap_or_default(),
    };
    let mut row = vec![person.id.as_str(), "", "", if person.enabled { "true" } else { "false" }];
    if has_role {
        row.extend([person.org.as_str(), person.role]);
    }
    row.extend([&person.id, "", &person.given_name, &person.family_name, "", "", email, &person.mobile_text]);
    row.extend([&person.landline_text, agents, person.grade, "", person.language, person.time_zone]);
    if person.fault == Some(Fault::WrongFieldCount) {
        row.push("");
    }
    row
}
