//! The planned district as the CSV files of either version.

use std::io;

use super::district::{DISTRICT_ID, District, Planned, SaidBy};
use super::faults::Fault;
use crate::vocabulary::{MANIFEST, ORGS, OneRosterVersion, ROLES, USERS};

/// The files of OneRoster a sample does not have, and its manifest says so.
const ABSENT: [&str; 5] = ["academicSessions", "classes", "courses", "demographics", "enrollments"];

pub(crate) fn names(version: OneRosterVersion) -> &'static [&'static str] {
    match version {
        OneRosterVersion::V1_1 => &[MANIFEST, ORGS, USERS],
        OneRosterVersion::V1_2 => &[MANIFEST, ORGS, USERS, ROLES],
    }
}

pub(crate) fn write(
    file: &str,
    district: &District,
    version: OneRosterVersion,
    out: impl io::Write,
) -> io::Result<()> {
    // Flexible, as one kind of broken row has a field too many.
    let mut writer =
        csv::WriterBuilder::new().flexible(true).terminator(csv::Terminator::CRLF).from_writer(out);
    match file {
        MANIFEST => write_manifest(version, &mut writer)?,
        ORGS => write_orgs(district, &mut writer)?,
        ROLES => write_roles(district, &mut writer)?,
        _ => write_users(district, version, &mut writer)?,
    }
    writer.flush()
}

type Writer<W> = csv::Writer<W>;

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
    writer.write_record(["source.systemCode", "tocsin-sample"])?;
    Ok(())
}

fn write_orgs(district: &District, writer: &mut Writer<impl io::Write>) -> io::Result<()> {
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
    for (index, school) in district.schools.iter().enumerate() {
        let identifier = format!("{:04}", 101 + index);
        writer.write_record([&school.id, "", "", &school.name, "school", &identifier, DISTRICT_ID])?;
    }
    Ok(())
}

fn write_roles(district: &District, writer: &mut Writer<impl io::Write>) -> io::Result<()> {
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
    for person in &district.people {
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
    district: &District,
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

    let agents = agents(district);
    for (person, agents) in district.people.iter().zip(&agents) {
        let agents = agents.join(",");
        let row = user_row(person, &agents, has_role);
        writer.write_record(&row)?;
        if person.fault == Some(Fault::RepeatedId) {
            writer.write_record(&row)?;
        }
    }
    Ok(())
}

/// What each person's row lists under agentSourcedIds.
fn agents(district: &District) -> Vec<Vec<&str>> {
    let mut agents = vec![Vec::new(); district.people.len()];
    for link in &district.links {
        if matches!(link.said_by, SaidBy::Student | SaidBy::Both) {
            agents[link.student].push(district.people[link.contact].id.as_str());
        }
        if matches!(link.said_by, SaidBy::Contact | SaidBy::Both) {
            agents[link.contact].push(district.people[link.student].id.as_str());
        }
    }
    for (agents, person) in agents.iter_mut().zip(&district.people) {
        if person.fault == Some(Fault::DanglingAgent) {
            agents.push("grd-moved-away");
        }
    }
    agents
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
