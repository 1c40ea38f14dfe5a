//! Deliveries that cannot be understood as a whole, and say why.

use std::fs::File;
use std::io::Write;

use tocsin_roster::{ReadOptions, RosterError, read};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::delivery::*;

#[test]
fn a_delivery_that_cannot_be_understood_is_refused_with_its_reason() {
    let old = || Delivery::v1_1("");
    let new = || Delivery::v1_2("", "");
    let users = |column: &str, other: &str| {
        old().file("users.csv", format!("{}{STUDENT_1_1}", USERS_1_1.replace(column, other)))
    };
    for (delivery, reason) in [
        (old().without("orgs.csv"), "orgs.csv is missing"),
        (old().without("users.csv"), "users.csv is missing"),
        (new().without("roles.csv").manifest("oneroster.version,1.2\n"), "roles.csv is missing"),
        (Delivery::default(), "orgs.csv is missing"),
        (users("sourcedId", "sourcedID"), "users.csv has no column sourcedId"),
        (users("role", "Role"), "users.csv has no column role"),
        (users("givenName", " givenName"), "users.csv has no column givenName"),
        (users("email", "sms"), "users.csv has the column sms more than once"),
        (old().file("users.csv", ""), "users.csv has no readable header row"),
        (old().file("users.csv", b"\xff\xfes\0o\0"), "users.csv has no readable header row"),
        (old().file("orgs.csv", "sourcedId,name\n"), "orgs.csv has no column type"),
        (new().file("roles.csv", "sourcedId,role\n"), "roles.csv has no column userSourcedId"),
        (old().file("manifest.csv", "name,value\n"), "manifest.csv has no column propertyName"),
        (old().manifest("oneroster.version,1.0\n"), "oneroster.version must be 1.1 or 1.2"),
        (old().manifest("file.users,full\n"), "file.users must be absent, bulk or delta"),
        (old().manifest("file.users,absent\nfile.orgs,absent\n"), "no file Tocsin reads"),
    ] {
        let error = delivery.read_with(&ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error} / {reason}");
    }
}

#[test]
fn a_path_that_is_no_delivery_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing");
    assert!(matches!(read(&missing, &ReadOptions::default()), Err(RosterError::Open { .. })));
    let text = folder.path().join("users.csv");
    std::fs::write(&text, USERS_1_1).unwrap();
    assert!(matches!(read(&text, &ReadOptions::default()), Err(RosterError::NotAZip { .. })));
}

#[test]
fn an_unknown_default_region_is_refused() {
    let options = ReadOptions { default_region: "Narnia".to_owned(), ..ReadOptions::default() };
    assert!(matches!(Delivery::v1_1("").read_with(&options), Err(RosterError::UnknownRegion(_))));
}

#[test]
fn an_archive_of_too_many_entries_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.zip");
    let mut archive = ZipWriter::new(File::create(&path).unwrap());
    for number in 0..1_001 {
        archive.start_file(format!("{number}.csv"), SimpleFileOptions::default()).unwrap();
    }
    archive.finish().unwrap();
    assert!(matches!(
        read(&path, &ReadOptions::default()),
        Err(RosterError::TooManyEntries { entries: 1_001, .. })
    ));
}

#[test]
fn files_in_a_folder_of_the_archive_are_not_its_root() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nested.zip");
    let mut archive = ZipWriter::new(File::create(&path).unwrap());
    archive.start_file("roster/orgs.csv", SimpleFileOptions::default()).unwrap();
    archive.write_all(ORGS.as_bytes()).unwrap();
    archive.finish().unwrap();
    assert!(matches!(
        read(&path, &ReadOptions::default()),
        Err(RosterError::MissingFile { file: "orgs.csv" })
    ));
}
