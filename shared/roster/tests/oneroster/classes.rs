//! Sessions, classes and enrolments.

use chrono::NaiveDate;
use tocsin_roster::{FileMode, ReadOptions, Roster};

use crate::delivery::*;

const SESSIONS: &str = "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear\n\
    y27,,,2026-27,schoolYear,2026-08-01,2027-06-30,,2027\nf26,,,Fall,term,2026-08-01,2026-12-20,y27,2027\n";
const CLASSES: &str = "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,\
    schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods\n\
    alg,,,Algebra,03,c1,A1,scheduled,,s1,\"f26\",,,\n";
const ENROLLMENTS: &str = "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate\n\
    e1,,,alg,s1,stu,student,,2026-08-01,2026-12-20\ne2,,,alg,s1,tea,teacher,true,,\n";
const TEACHER: &str = "tea,,,true,s1,teacher,tea,Tia,Orr,,,,,,,\n";

fn taught(more_classes: &str, more_enrollments: &str) -> Delivery {
    Delivery::v1_1(TEACHER)
        .file("academicSessions.csv", SESSIONS)
        .file("classes.csv", format!("{CLASSES}{more_classes}"))
        .file("enrollments.csv", format!("{ENROLLMENTS}{more_enrollments}"))
}

fn members(roster: &Roster) -> Vec<String> {
    let word = |active| if active { "active" } else { "over" };
    roster
        .class_members
        .iter()
        .map(|it| {
            format!(
                "{} in {} {} {}",
                it.person_source_id,
                it.class_source_id,
                it.role.as_str(),
                word(it.active)
            )
        })
        .collect()
}

#[test]
fn classes_and_who_is_in_them_are_read_with_their_terms() {
    let roster = taught("", "").read();
    assert_eq!(places(&roster), [""; 0]);
    assert_eq!(roster.sessions[1].school_year, Some(2027));
    assert_eq!(roster.classes[0].session_source_ids, ["f26"]);
    assert_eq!(roster.classes[0].school_source_id, "s1");
    assert_eq!(members(&roster), ["stu in alg student active", "tea in alg staff active"]);
    assert_eq!(roster.mode("classes.csv"), FileMode::Bulk);
    assert_eq!(Delivery::v1_1("").read().mode("classes.csv"), FileMode::Absent);
}

#[test]
fn an_enrolment_is_over_on_its_last_day_which_is_the_first_without_it() {
    for (today, state) in [("2026-07-31", "over"), ("2026-12-19", "active"), ("2026-12-20", "over")] {
        let today: NaiveDate = today.parse().unwrap();
        let options = ReadOptions { today: Some(today), ..ReadOptions::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = taught("", "").write_zip(&folder);
        let of_path = tocsin_roster::read(&path, &options).unwrap();
        assert_eq!(members(&of_path)[0], format!("stu in alg student {state}"), "{today}");
        let sent = tocsin_roster::read_zip(std::fs::read(&path).unwrap(), &options).unwrap();
        assert_eq!(sent, of_path);
    }
}

#[test]
fn what_refers_to_nothing_is_left_out_and_told_by_its_row() {
    let roster = taught(
        "art,,,Art,,c1,,scheduled,,s9,f26,,,\ngym,,,Gym,,c1,,scheduled,,s1,\"f26,f99\",,,\n",
        "e3,,,art,s1,stu,student,,,\ne4,,,alg,s1,ghost,student,,,\ne5,,,none,s1,stu,student,,,\n\
         e1,,,gym,s1,stu,student,,,\ne6,,,gym,s1,par,parent,,,\n",
    )
    .read();
    assert_eq!(
        places(&roster),
        [
            "classes.csv:3 schoolSourcedId error",
            "classes.csv:4 termSourcedIds error",
            // That of the class that was left out is told where the class stands.
            "enrollments.csv:5 userSourcedId error",
            "enrollments.csv:6 classSourcedId error",
            "enrollments.csv:7 sourcedId error",
            "enrollments.csv:8 role error",
        ]
    );
    assert_eq!(members(&roster).len(), 2);
    assert_eq!(roster.classes[1].session_source_ids, ["f26"]);
}

#[test]
fn in_a_delta_a_row_that_is_to_be_deleted_needs_its_id_alone() {
    let roster = Delivery::default()
        .manifest("oneroster.version,1.1\nfile.orgs,absent\nfile.users,absent\nfile.enrollments,delta\n")
        .file(
            "enrollments.csv",
            format!(
                "{}e1,tobedeleted,2026-09-01T00:00:00Z,,,,,,,\n",
                ENROLLMENTS.lines().next().unwrap().to_owned() + "\n"
            ),
        )
        .read();
    assert_eq!(places(&roster), [""; 0]);
    assert!(roster.class_members[0].deleted);
}
