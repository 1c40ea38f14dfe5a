//! A district with as many guardians as a scenario wants, each with one phone that takes texts.

use anyhow::{Result, ensure};
use tocsin_domain::audience::Role;
use tocsin_domain::{Channel, DistrictId};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::Store;
use tocsin_store::directory::{
    ContactRow, Coverage, DeviceRow, Directory, Enrolments, Extent, PersonRow, SchoolRow, StudentRow,
};
use tocsin_store::districts::District;
use uuid::Uuid;

const SCHOOL: &str = "school-1";
const STUDENT: &str = "student-1";

/// Makes the district.
pub async fn make(store: &Store, guardians: usize) -> Result<DistrictId> {
    let district = District {
        id: DistrictId(Uuid::now_v7()),
        name: format!("load test {guardians}"),
        time_zone: Some("America/Chicago".to_owned()),
        default_region: "US".to_owned(),
    };
    ensure!(store.add_district(&district, SystemClock.now()).await?, "the district exists");
    let ids: Vec<String> = (0..guardians).map(|number| format!("guardian-{number}")).collect();
    // Not phones of anybody: the simulator alone is asked.
    let phones: Vec<String> =
        (0..guardians).map(|number| format!("+1202{:07}", 2_000_000 + number)).collect();
    let student = person(STUDENT, Role::Student);
    let directory = Directory {
        coverage: Coverage {
            schools: Extent::Complete,
            people: Extent::Complete,
            enrolments: Enrolments::Complete,
        },
        schools: vec![SchoolRow {
            source_id: SCHOOL,
            name: "Load Test School",
            kind: "school",
            identifier: None,
            parent_source_id: None,
            deleted: false,
        }],
        people: ids.iter().map(|id| person(id, Role::Guardian)).chain([student]).collect(),
        students: vec![StudentRow {
            person_source_id: STUDENT,
            school_source_id: SCHOOL,
            grade: Some("05"),
            active: true,
        }],
        contacts: ids
            .iter()
            .map(|id| ContactRow {
                student_source_id: STUDENT,
                person_source_id: id,
                relationship: "guardian",
                by_student: false,
                by_person: true,
            })
            .collect(),
        mentions: vec![],
        devices: ids
            .iter()
            .zip(&phones)
            .map(|(id, phone)| DeviceRow {
                person_source_id: id,
                channel: Channel::Sms,
                address: phone,
                extension: None,
                position: 1,
            })
            .collect(),
    };
    store.import_directory(district.id, &directory, "load test", SystemClock.now()).await?;
    Ok(district.id)
}

fn person(source_id: &str, role: Role) -> PersonRow<'_> {
    PersonRow {
        source_id,
        given_name: "Load",
        family_name: "Test",
        role: Some(role),
        language: None,
        time_zone: None,
        lists_contacts: true,
        deleted: false,
    }
}
