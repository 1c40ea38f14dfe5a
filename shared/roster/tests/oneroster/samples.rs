//! Sample rosters, read back.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use proptest::prelude::*;
use tocsin_domain::Channel;
use tocsin_roster::sample::{SampleOptions, SampleReport, generate};
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
        faults: report.faults.clone(),
    }
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
        prop_assert_eq!(roster.problems.len(), report.faults.iter().map(|(_, count)| count).sum::<usize>());
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
    assert!(report.faults.iter().all(|(_, count)| *count == 3));

    let mut owners: HashMap<&str, HashSet<&str>> = HashMap::new();
    for device in roster.devices.iter().filter(|device| device.channel == Channel::Voice) {
        owners.entry(&device.address).or_default().insert(&device.person_source_id);
    }
    assert!(owners.values().any(|owners| owners.len() > 1), "no phone is shared");
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
