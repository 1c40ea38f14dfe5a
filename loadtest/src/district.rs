//! Districts with as many guardians as a scenario wants, each with a phone.

use std::ops::Range;

use anyhow::Result;
use chrono_tz::Tz;
use tocsin::client::Client;
use tocsin::commands::district::add;
use tocsin::commands::keys::add_key;
use tocsin_domain::audience::Role;
use tocsin_domain::{Channel, DistrictId};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::Store;
use tocsin_store::directory::{
    ContactRow, Coverage, DeviceRow, Directory, Enrolments, Extent, PersonRow, SchoolRow, StudentRow,
};
use uuid::Uuid;

use crate::progress::Progress;

/// Begins the name of every district that a load test makes: by it a database is known that holds nobody's messages.
pub const NAME_PREFIX: &str = "load test ";

const SCHOOL: &str = "school-1";
const STUDENT: &str = "student-1";
/// Guardians made at once: a million rows of each table at a time would be most of this process's memory.
const SLICE: usize = 100_000;
const AREA_FIRST: usize = 201;
const AREAS: usize = 789;
/// 555-0100 to 555-0199 are set aside for fiction; beyond 78,900 guardians the rest of exchange 555 follows.
const LINE_FIRST: usize = 100;

/// A district and the access to it.
#[derive(Debug)]
pub struct District {
    pub id: DistrictId,
    pub client: Client,
    pub guardians: usize,
    /// The number of the first of them.
    first: usize,
}

impl District {
    /// The source id of a guardian, counted from 0, and over again after the last.
    pub fn guardian(&self, nth: usize) -> String {
        source_id(self.first + nth % self.guardians)
    }
}

/// Who lives in a district: those with these numbers, with a phone on each of the channels.
#[derive(Debug, Clone)]
pub struct Guardians<'a> {
    pub numbers: Range<usize>,
    pub channels: &'a [Channel],
}

/// Makes a district of these guardians with an API key, whose API is at `api_url`.
pub async fn make(
    store: &Store,
    api_url: &str,
    guardians: Guardians<'_>,
    progress: &Progress,
) -> Result<District> {
    let Guardians { numbers, channels } = guardians;
    let name = format!("{NAME_PREFIX}{}", Uuid::now_v7());
    let district = add(store, name, Some(Tz::America__Chicago), "US".to_owned()).await?;
    let (first, guardians) = (numbers.start, numbers.len());
    for from in numbers.clone().step_by(SLICE) {
        let slice = from..(from + SLICE).min(numbers.end);
        let rows = if from == numbers.start { Delivery::First } else { Delivery::More };
        progress.at(slice.end - numbers.start);
        import(store, district.id, Guardians { numbers: slice, channels }, rows).await?;
    }
    let key = add_key(store, &district, "load test").await?;
    Ok(District { id: district.id, client: Client::new(api_url.to_owned(), key)?, guardians, first })
}

fn source_id(number: usize) -> String {
    format!("guardian-{number}")
}

/// A number of nobody.
fn phone(number: usize) -> String {
    format!("+1{}555{:04}", AREA_FIRST + number % AREAS, (LINE_FIRST + number / AREAS) % 10_000)
}

/// Whether a slice is the district's first, with its school and student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    First,
    More,
}

async fn import(
    store: &Store,
    district: DistrictId,
    guardians: Guardians<'_>,
    delivery: Delivery,
) -> Result<()> {
    let Guardians { numbers, channels } = guardians;
    let ids: Vec<String> = numbers.clone().map(source_id).collect();
    let phones: Vec<String> = numbers.map(phone).collect();
    let first = delivery == Delivery::First;
    let (extent, enrolments) = match delivery {
        Delivery::First => (Extent::Complete, Enrolments::Complete),
        Delivery::More => (Extent::Changes, Enrolments::Changes),
    };
    let school = SchoolRow {
        source_id: SCHOOL,
        name: "Load Test School",
        kind: "school",
        identifier: None,
        parent_source_id: None,
        deleted: false,
    };
    let student =
        StudentRow { person_source_id: STUDENT, school_source_id: SCHOOL, grade: Some("05"), active: true };
    let directory = Directory {
        coverage: Coverage {
            schools: extent,
            people: extent,
            enrolments,
            sessions: extent,
            classes: extent,
            class_members: extent,
        },
        schools: first.then_some(school).into_iter().collect(),
        people: ids
            .iter()
            .map(|id| person(id, Role::Guardian))
            .chain(first.then(|| person(STUDENT, Role::Student)))
            .collect(),
        students: first.then_some(student).into_iter().collect(),
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
        sessions: vec![],
        classes: vec![],
        class_members: vec![],
        devices: ids
            .iter()
            .zip(&phones)
            .flat_map(|(id, phone)| {
                channels.iter().map(move |channel| DeviceRow {
                    person_source_id: id,
                    channel: *channel,
                    address: phone,
                    extension: None,
                    position: 1,
                })
            })
            .collect(),
    };
    store.import_directory(district, &directory, "load test", SystemClock.now()).await?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_is_nobodys_and_given_once() {
        let numbers: Vec<String> = (0..200_000).map(phone).collect();
        assert!(numbers.iter().all(|number| number.len() == 12 && &number[5..8] == "555"));
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len());
        assert!(numbers[..78_900].iter().all(|number| number[8..].starts_with("01")));
    }
}
