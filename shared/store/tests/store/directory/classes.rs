//! Sessions, classes and their members, complete and as changes.

use tocsin_domain::audience::Role;
use tocsin_store::directory::{ClassMemberRow, ClassRow, Directory, SessionRow};

use super::setting::*;

fn term(source_id: &'static str, year: i16) -> SessionRow<'static> {
    SessionRow {
        source_id,
        title: "Fall",
        kind: "term",
        starts_on: None,
        ends_on: None,
        school_year: Some(year),
        parent_source_id: None,
        deleted: false,
    }
}

fn class<'a>(source_id: &'a str, terms: &'a [String]) -> ClassRow<'a> {
    ClassRow {
        source_id,
        title: "Algebra",
        code: None,
        school_source_id: "n",
        session_source_ids: terms,
        deleted: false,
    }
}

fn member(
    source_id: &'static str,
    class: &'static str,
    person: &'static str,
    role: Role,
) -> ClassMemberRow<'static> {
    ClassMemberRow {
        source_id,
        class_source_id: class,
        person_source_id: person,
        role,
        active: true,
        deleted: false,
    }
}

fn taught(terms: &[String]) -> Directory<'_> {
    Directory {
        sessions: vec![term("f26", 2027), term("s27", 2027)],
        classes: vec![class("algebra", terms), class("art", &terms[..1])],
        class_members: vec![
            member("e1", "algebra", "s1", Role::Student),
            member("e2", "algebra", "t1", Role::Staff),
            member("e3", "art", "s2", Role::Student),
        ],
        ..springfield()
    }
}

async fn members(setting: &Setting) -> Vec<String> {
    setting
        .texts(
            "select p.source_id || ' in ' || m.class_source_id || ' as ' || m.role from class_members m
             join people p on p.id = m.person_id where m.active",
        )
        .await
}

async fn years(setting: &Setting) -> Vec<String> {
    setting.texts("select source_id || coalesce(' ' || school_year, '') from classes where active").await
}

#[tokio::test]
async fn classes_have_the_year_of_their_terms_and_a_second_delivery_writes_nothing() {
    let setting = Setting::new().await;
    let terms = ["f26".to_owned(), "s27".to_owned()];
    let report = setting.import(&taught(&terms)).await;
    assert_eq!((report.sessions.added, report.classes.added, report.class_members.added), (2, 2, 3));
    assert_eq!(report.unresolved, 0);
    assert_eq!(years(&setting).await, ["algebra 2027", "art 2027"]);
    assert_eq!(members(&setting).await, ["s1 in algebra as 2", "s2 in art as 2", "t1 in algebra as 3"]);
    assert_eq!(setting.import(&taught(&terms)).await.changes(), 0);
    // A session that comes alone tells the year of classes that are as they were.
    setting.import(&Directory { sessions: vec![term("f26", 2028)], ..nothing(DELTA) }).await;
    assert_eq!(years(&setting).await, ["algebra 2028", "art 2028"]);
}

#[tokio::test]
async fn what_is_missing_from_a_complete_delivery_is_over_and_from_changes_it_is_not() {
    let setting = Setting::new().await;
    let terms = ["f26".to_owned()];
    setting.import(&taught(&terms)).await;
    let gone = ClassMemberRow { deleted: true, ..member("e1", "", "", Role::Student) };
    let report = setting.import(&Directory { class_members: vec![gone], ..nothing(DELTA) }).await;
    assert_eq!((report.class_members.gone, report.unresolved), (1, 0));
    assert_eq!(members(&setting).await, ["s2 in art as 2", "t1 in algebra as 3"]);
    let stray =
        vec![member("e9", "no-class", "s1", Role::Student), member("e8", "art", "nobody", Role::Student)];
    let report = setting.import(&Directory { class_members: stray, ..nothing(DELTA) }).await;
    assert_eq!((report.class_members.added, report.unresolved), (0, 2));
    let mut less = taught(&terms);
    less.classes.truncate(1);
    less.class_members.truncate(2);
    setting.import(&less).await;
    assert_eq!(years(&setting).await, ["algebra 2027"]);
    assert_eq!(members(&setting).await, ["s1 in algebra as 2", "t1 in algebra as 3"]);
}
