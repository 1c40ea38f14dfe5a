//! A small district in which everything happens that expansion tells apart, and the messages it sends.

use anyhow::Result;
use chrono_tz::Tz;
use serde_json::{Value, json};
use tocsin::commands::district::add;
use tocsin::commands::keys::add_key;
use tocsin_domain::Channel;
use tocsin_domain::audience::Role;
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::Store;
use tocsin_store::directory::{
    ContactRow, Coverage, DeviceRow, Directory, Enrolments, Extent, PersonRow, SchoolRow, StudentRow,
};

/// Guardians of the one student. Of each ten one has no device, and one shares the phone of the one before.
pub const GUARDIANS: usize = 40;
pub const WITHOUT_DEVICE: usize = GUARDIANS / 10;
/// Second appearances of a shared phone on each of voice and sms.
pub const SHARED_PHONES: usize = GUARDIANS / 10;
/// Jobs of one channel, duplicates included.
pub const DEVICES: usize = GUARDIANS - WITHOUT_DEVICE;

const SCHOOL: &str = "school-1";
const STUDENT: &str = "student-1";

struct Guardian {
    id: String,
    /// Empty for whoever has no device.
    devices: Vec<(Channel, String)>,
}

/// Makes the district and returns an API key of it.
pub async fn found(store: &Store) -> Result<String> {
    let district = add(store, "Springfield".to_owned(), Some(Tz::America__Chicago), "US".to_owned()).await?;
    let guardians: Vec<Guardian> = (0..GUARDIANS).map(guardian).collect();
    let directory = directory(&guardians);
    store.import_directory(district.id, &directory, "system test", SystemClock.now()).await?;
    add_key(store, &district, "system test").await
}

/// A message to everybody. `message_type` decides the lane: emergency, priority or general.
pub fn message(message_type: &str, channels: &[Channel]) -> Value {
    json!({
        "subject": "School is closed",
        "message_type": message_type,
        "channels": channels,
        "audience": { "all": true },
        "body": "School is closed today, {{ student_given_name }} stays at home.",
        // The shortest wait that the API takes.
        "redial": { "attempts_max": 2, "wait_seconds": 10 },
        "created_by": "Principal Ortiz",
    })
}

fn guardian(number: usize) -> Guardian {
    // Phones of nobody: only the simulator is asked.
    let phone = |number: usize| format!("+1202{:07}", 2_000_000 + number);
    let phone = match number % 10 {
        1 => phone(number - 1),
        _ => phone(number),
    };
    let devices = match number % 10 {
        9 => Vec::new(),
        _ => vec![
            (Channel::Voice, phone.clone()),
            (Channel::Sms, phone),
            (Channel::Email, format!("guardian{number}@example.org")),
            (Channel::Inbox, format!("guardian{number}")),
        ],
    };
    Guardian { id: format!("guardian-{number}"), devices }
}

fn directory(guardians: &[Guardian]) -> Directory<'_> {
    Directory {
        coverage: Coverage {
            schools: Extent::Complete,
            people: Extent::Complete,
            enrolments: Enrolments::Complete,
            sessions: Extent::Complete,
            classes: Extent::Complete,
            class_members: Extent::Complete,
        },
        schools: vec![SchoolRow {
            source_id: SCHOOL,
            name: "Lincoln Elementary",
            kind: "school",
            identifier: None,
            parent_source_id: None,
            deleted: false,
        }],
        people: guardians
            .iter()
            .map(|guardian| person(&guardian.id, Role::Guardian))
            .chain([person(STUDENT, Role::Student)])
            .collect(),
        students: vec![StudentRow {
            person_source_id: STUDENT,
            school_source_id: SCHOOL,
            grade: Some("05"),
            active: true,
        }],
        contacts: guardians
            .iter()
            .map(|guardian| ContactRow {
                student_source_id: STUDENT,
                person_source_id: &guardian.id,
                relationship: "guardian",
                by_student: false,
                by_person: true,
            })
            .collect(),
        mentions: vec![],
        sessions: vec![],
        classes: vec![],
        class_members: vec![],
        devices: guardians.iter().flat_map(devices).collect(),
    }
}

fn devices(guardian: &Guardian) -> impl Iterator<Item = DeviceRow<'_>> {
    guardian.devices.iter().map(|(channel, address)| DeviceRow {
        person_source_id: &guardian.id,
        channel: *channel,
        address,
        extension: None,
        position: 1,
    })
}

fn person(source_id: &str, role: Role) -> PersonRow<'_> {
    PersonRow {
        source_id,
        given_name: "Sam",
        family_name: "Rivera",
        role: Some(role),
        language: None,
        time_zone: None,
        lists_contacts: true,
        deleted: false,
    }
}
