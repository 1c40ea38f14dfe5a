//! A district to import into, and the rows to import.

use chrono::{DateTime, Utc};
use tocsin_domain::audience::Role;
use tocsin_domain::{Channel, DistrictId};
use tocsin_store::directory::{
    ContactRow, Coverage, DeviceRow, Directory, DirectoryReport, Enrolments, Extent, MentionRow, PersonRow,
    SchoolRow, StudentRow,
};
use tocsin_store::districts::District;
use tocsin_store::{Access, Store};
use tocsin_testkit::TestDatabase;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

pub const BULK: Coverage = Coverage {
    schools: Extent::Complete,
    people: Extent::Complete,
    enrolments: Enrolments::Complete,
    sessions: Extent::Complete,
    classes: Extent::Complete,
    class_members: Extent::Complete,
};
pub const DELTA: Coverage = Coverage {
    schools: Extent::Changes,
    people: Extent::Changes,
    enrolments: Enrolments::OfPeople,
    sessions: Extent::Changes,
    classes: Extent::Changes,
    class_members: Extent::Changes,
};

pub struct Setting {
    pub store: Store,
    pub district: DistrictId,
    pub client: Client,
    _database: TestDatabase,
}

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

impl Setting {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await.unwrap();
        let store = Store::open(&database.url, 1, Access::Engine).unwrap();
        let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
        #[allow(clippy::disallowed_methods, reason = "ends with the test's client")]
        tokio::spawn(connection);
        let district = add_district(&store, "Springfield").await;
        Self { store, district, client, _database: database }
    }

    pub async fn import(&self, directory: &Directory<'_>) -> DirectoryReport {
        self.store.import_directory(self.district, directory, "test", now()).await.unwrap()
    }

    /// The rows of a query's one text column, of all districts, in order.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let rows = self.client.query(&format!("{query} order by 1"), &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub async fn devices(&self) -> Vec<String> {
        self.texts(
            "select p.source_id || ' ' || d.channel || ' ' || d.address || coalesce('x' || d.extension, '')
             from devices d join people p on p.id = d.person_id",
        )
        .await
    }

    pub async fn contacts(&self) -> Vec<String> {
        self.texts(
            "select p.source_id || ' for ' || s.source_id from contacts c
             join people p on p.id = c.person_id join people s on s.id = c.student_id",
        )
        .await
    }

    pub async fn active_people(&self) -> Vec<String> {
        self.texts("select source_id from people where active").await
    }

    pub async fn active_students(&self) -> Vec<String> {
        self.texts(
            "select p.source_id || ' at ' || s.school_source_id || coalesce(' in ' || s.grade, '')
             from students s join people p on p.id = s.person_id where s.active",
        )
        .await
    }

    /// Every row of every table of the directory, with its id and its version.
    pub async fn everything(&self) -> Vec<String> {
        self.texts(
            "select 'school ' || s::text || xmin from schools s union all
             select 'person ' || p::text || xmin from people p union all
             select 'student ' || s::text || xmin from students s union all
             select 'contact ' || c::text || xmin from contacts c union all
             select 'device ' || d::text || xmin from devices d union all
             select 'change ' || r::text || xmin from roster_changes r union all
             select 'audit ' || a::text || xmin from audit a",
        )
        .await
    }
}

pub async fn add_district(store: &Store, name: &str) -> DistrictId {
    let id = DistrictId(Uuid::new_v4());
    let (name, default_region) = (name.to_owned(), "US".to_owned());
    let district = District { id, name, time_zone: None, default_region, weight: 1 };
    assert!(store.add_district(&district, now()).await.unwrap());
    id
}

pub fn school(source_id: &'static str) -> SchoolRow<'static> {
    SchoolRow {
        source_id,
        name: "North",
        kind: "school",
        identifier: None,
        parent_source_id: None,
        deleted: false,
    }
}

pub fn person(source_id: &'static str, role: impl Into<Option<Role>>) -> PersonRow<'static> {
    PersonRow {
        source_id,
        given_name: "Ana",
        family_name: "Lee",
        role: role.into(),
        language: Some("es"),
        time_zone: None,
        lists_contacts: true,
        deleted: false,
    }
}

pub fn deleted(source_id: &'static str) -> PersonRow<'static> {
    PersonRow { deleted: true, ..person(source_id, None) }
}

pub fn enrolled(
    person_source_id: &'static str,
    school_source_id: &'static str,
    grade: impl Into<Option<&'static str>>,
) -> StudentRow<'static> {
    StudentRow { person_source_id, school_source_id, grade: grade.into(), active: true }
}

/// Named by both rows.
pub fn contact(person_source_id: &'static str, student_source_id: &'static str) -> ContactRow<'static> {
    ContactRow {
        student_source_id,
        person_source_id,
        relationship: "parent",
        by_student: true,
        by_person: true,
    }
}

pub fn by_student(person_source_id: &'static str, student_source_id: &'static str) -> ContactRow<'static> {
    ContactRow { by_person: false, ..contact(person_source_id, student_source_id) }
}

pub fn by_person(person_source_id: &'static str, student_source_id: &'static str) -> ContactRow<'static> {
    ContactRow { by_student: false, ..contact(person_source_id, student_source_id) }
}

pub fn mention(owner_source_id: &'static str, named_source_id: &'static str) -> MentionRow<'static> {
    MentionRow { owner_source_id, named_source_id }
}

pub fn phone(person_source_id: &'static str, address: &'static str) -> DeviceRow<'static> {
    DeviceRow { person_source_id, channel: Channel::Voice, address, extension: None, position: 1 }
}

pub fn nothing(coverage: Coverage) -> Directory<'static> {
    Directory {
        coverage,
        schools: Vec::new(),
        people: Vec::new(),
        students: Vec::new(),
        contacts: Vec::new(),
        mentions: Vec::new(),
        devices: Vec::new(),
        sessions: Vec::new(),
        classes: Vec::new(),
        class_members: Vec::new(),
    }
}

/// A delta of these people's rows, which say nothing of schools and devices and list nobody.
pub fn rows_of(people: &[&'static str]) -> Directory<'static> {
    let role = |id: &str| if id.starts_with('s') { Role::Student } else { Role::Guardian };
    let people = people.iter().map(|id| person(id, role(id))).collect();
    Directory { people, ..nothing(Coverage { enrolments: Enrolments::Changes, ..DELTA }) }
}

/// Two schools; student s1 at both with the parents g1 and g2, s2 at one with g2; teacher t1. The rows of s1
/// and g2 name their contacts.
pub fn springfield() -> Directory<'static> {
    Directory {
        coverage: BULK,
        schools: vec![school("n"), school("w")],
        people: vec![
            person("s1", Role::Student),
            person("s2", Role::Student),
            person("g1", Role::Guardian),
            person("g2", Role::Guardian),
            person("t1", Role::Staff),
        ],
        students: vec![enrolled("s1", "n", "03"), enrolled("s1", "w", "03"), enrolled("s2", "n", "05")],
        contacts: vec![by_student("g1", "s1"), contact("g2", "s1"), by_person("g2", "s2")],
        mentions: Vec::new(),
        devices: vec![
            phone("g1", "+15550000001"),
            phone("g2", "+15550000002"),
            DeviceRow { channel: Channel::Email, address: "g2@example.org", ..phone("g2", "") },
            phone("t1", "+15550000009"),
        ],
        sessions: Vec::new(),
        classes: Vec::new(),
        class_members: Vec::new(),
    }
}
