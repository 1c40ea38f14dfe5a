//! Sample rosters, read back.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use proptest::prelude::*;
use tocsin_domain::Channel;
use tocsin_roster::sample::{Fault, SampleOptions, SampleReport, generate, is_sample};
use tocsin_roster::{OneRosterVersion, ReadOptions, Roster, read};

fn make(students: usize, seed: u64, version: OneRosterVersion, out: &Path) -> (SampleReport, Roster) {
    let report = generate(&SampleOptions { students, seed, version, out }).unwrap();
    (report, read(out, &ReadOptions::default()).unwrap())
}

/// Counts what was read the way the generator reports what it planned.
fn count(roster: &Roster, report: &SampleReport) -> SampleReport {
    let on = |channel| roster.devices.iter().filter(|device| device.channel == channel).count();
    let reachable: HashSet<_> = roster.devices.iter().map(|device| &device.person_source_id).collect();
    SampleReport {
        schools: roster.schools.len(),
        people: roster.people.len(),
        students: roster.students.len(),
        contacts: roster.contacts.len(),
        voice: on(Channel::Voice),
        sms: on(Channel::Sms),
        email: on(Channel::Email),
        inbox: on(Channel::Inbox),
        without_device: roster.people.len() - reachable.len(),
        errors: usize::try_from(roster.counts.errors).unwrap(),
        warnings: usize::try_from(roster.counts.warnings).unwrap(),
        faults: faults_found(roster),
        files: report
            .files
            .iter()
            .map(|(name, _)| {
                let read = roster.files.iter().find(|read| read.file == *name);
                // The manifest is read, and not listed.
                (
                    *name,
                    read.map_or(
                        MANIFEST_ROWS[usize::from(roster.version == OneRosterVersion::V1_2)],
                        |read| read.rows,
                    ),
                )
            })
            .collect(),
    }
}

/// In version 1.1 and 1.2.
const MANIFEST_ROWS: [u64; 2] = [11, 12];

/// The problems by the fault that is reported there; one that no fault explains fails the test.
fn faults_found(roster: &Roster) -> Vec<(Fault, usize)> {
    let mut found = Fault::ALL.map(|fault| (fault, 0)).to_vec();
    for problem in &roster.problems {
        let at = (problem.file, problem.column, problem.kind);
        let known = found.iter_mut().find(|(fault, _)| fault.reported_at() == at);
        known.unwrap_or_else(|| panic!("unannounced: {problem}")).1 += 1;
    }
    found
}

#[test]
fn samples_of_every_size_read_as_announced() {
    for (students, seed) in [(1, 3), (50, 9), (5_000, 2_026)] {
        let folder = tempfile::tempdir().unwrap();
        let (report, roster) = make(students, seed, OneRosterVersion::V1_2, folder.path());
        assert_eq!(count(&roster, &report), report, "{students} students");
        assert_eq!(report.students, students);
        let each = students.div_ceil(500);
        let complete = report.faults.iter().all(|(_, count)| *count == each);
        assert!(complete || students == 1, "{:?}", report.faults);
        assert!(is_sample(folder.path()).unwrap());
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        assert!(!is_sample(folder.path()).unwrap(), "a folder with somebody's file in it");
    }
}

/// The seed's bytes are part of the contract: figures and pictures in the documents are of them.
#[test]
fn a_seed_makes_the_same_bytes_on_every_platform_and_release() {
    let folder = tempfile::tempdir().unwrap();
    make(1_000, 42, OneRosterVersion::V1_2, folder.path());
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in ["manifest.csv", "orgs.csv", "users.csv", "roles.csv"] {
        for byte in std::fs::read(folder.path().join(file)).unwrap() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(format!("{hash:016x}"), "f03a80724dc2848b");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_sample_reads_as_exactly_what_its_report_says(
        students in 0usize..160,
        seed: u64,
        new: bool,
        zipped: bool,
    ) {
        let version = if new { OneRosterVersion::V1_2 } else { OneRosterVersion::V1_1 };
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join(if zipped { "sample.zip" } else { "sample" });
        let (report, roster) = make(students, seed, version, &out);
        prop_assert_eq!(count(&roster, &report), report.clone());
        prop_assert_eq!(report.students, students);
        prop_assert_eq!(roster.version, version);
    }
}

#[test]
fn one_seed_makes_one_sample() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, seed| {
        let out = folder.path().join(name);
        let version = OneRosterVersion::V1_2;
        generate(&SampleOptions { students: 50, seed, version, out: &out }).unwrap();
        std::fs::read(out).unwrap()
    };
    assert!(write("one.zip", 7) == write("same.zip", 7));
    assert!(write("one.zip", 7) != write("other.zip", 8));
}

#[test]
fn a_sample_district_is_a_plausible_one() {
    let folder = tempfile::tempdir().unwrap();
    let (report, roster) = make(1_000, 1, OneRosterVersion::V1_1, &folder.path().join("sample"));
    assert!((1_400..1_800).contains(&report.contacts), "{} contacts", report.contacts);
    assert!(report.without_device > 20);
    assert!(report.faults.iter().all(|(_, count)| *count == 2));

    let mut owners: HashMap<&str, HashSet<&str>> = HashMap::new();
    for device in roster.devices.iter().filter(|device| device.channel == Channel::Voice) {
        owners.entry(&device.address).or_default().insert(&device.person_source_id);
    }
    assert!(owners.values().any(|owners| owners.len() > 1), "no phone is shared");
    let mut readers: HashMap<&str, usize> = HashMap::new();
    for device in roster.devices.iter().filter(|device| device.channel == Channel::Email) {
        *readers.entry(&device.address).or_default() += 1;
    }
    assert!(readers.values().any(|readers| *readers > 1), "no mail address is shared");
    assert!(roster.devices.iter().any(|device| device.extension.is_some()));

    let school: HashMap<_, _> =
        roster.students.iter().map(|row| (&row.person_source_id, &row.school_source_id)).collect();
    let mut schools_of: HashMap<&str, HashSet<&str>> = HashMap::new();
    for contact in &roster.contacts {
        schools_of.entry(&contact.person_source_id).or_default().insert(school[&contact.student_source_id]);
    }
    assert!(schools_of.values().any(|schools| schools.len() > 1), "no guardian has children in two schools");

    let languages: HashSet<_> =
        roster.people.iter().filter_map(|person| person.language.as_deref()).collect();
    assert!(["en", "es", "vi", "so", "ar"].iter().all(|language| languages.contains(language)));
    assert!(roster.people.iter().any(|person| person.time_zone.is_some()));
}
