//! Bad rows: each fault is one problem with file, line and column, and costs as little as can be.

use crate::delivery::*;

type List = &'static [&'static str];

/// What a fault is expected to cost, beyond the problem itself.
struct Expected {
    place: &'static str,
    people: List,
    devices_of_x: List,
    contacts: List,
}

const WITH_X: List = &["stu", "par", "x"];
const WITHOUT_X: List = &["stu", "par"];
const ONE: List = &["stu par parent"];
const BOTH: List = &["stu par parent", "stu x parent"];

fn check(row: &str, delivery: &Delivery, expected: &Expected) {
    let roster = delivery.read();
    assert_eq!(places(&roster), [expected.place], "{row}");
    assert_eq!(people(&roster), expected.people, "{row}");
    assert_eq!(devices(&roster, "x"), expected.devices_of_x, "{row}");
    assert_eq!(contacts(&roster), expected.contacts, "{row}");
    assert_eq!(roster.counts.errors + roster.counts.warnings, 1, "{row}");
}

/// A parent in line 4 of users.csv, with one fault. The cells 1.1 has and 1.2 has not are marked.
#[rustfmt::skip]
const PARENT_ROWS: &[(&str, Expected)] = &[
    ("x,,,true,{s1,parent,}x,X,Y,,,555-01,stu,,,", Expected {
        place: "users.csv:4 phone error", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,6035550150,555-01,stu,,,", Expected {
        place: "users.csv:4 phone error", people: WITH_X,
        devices_of_x: &["voice +16035550150", "sms +16035550150", "inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,,6035550150; 12,stu,,,", Expected {
        place: "users.csv:4 phone error", people: WITH_X, devices_of_x: &["voice +16035550150", "inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,none,,stu,,,", Expected {
        place: "users.csv:4 sms error", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,6035550150 x3,,stu,,,", Expected {
        place: "users.csv:4 sms error", people: WITH_X, devices_of_x: &["voice +16035550150x3", "inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,x.example.org,,,stu,,,", Expected {
        place: "users.csv:4 email error", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,,perhaps,{s1,parent,}x,X,Y,,,,stu,,,", Expected {
        place: "users.csv:4 enabledUser error", people: WITH_X, devices_of_x: &[], contacts: BOTH }),
    ("x,,,,{s1,parent,}x,X,Y,,,,stu,,,", Expected {
        place: "users.csv:4 enabledUser error", people: WITH_X, devices_of_x: &[], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,,,,,,stu,,,", Expected {
        place: "users.csv:4 givenName error", people: WITHOUT_X, devices_of_x: &[], contacts: ONE }),
    ("x,,,true,{s1,parent,}x,X,,,,,stu,,,", Expected {
        place: "users.csv:4 familyName warning", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,,,\"stu,gone\",,,", Expected {
        place: "users.csv:4 agentSourcedIds error", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,,,\"stu,par\",,,", Expected {
        place: "users.csv:4 agentSourcedIds error", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,,,stu,,Spanish,", Expected {
        place: "users.csv:4 metadata.language warning", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,,,stu,,,Central", Expected {
        place: "users.csv:4 metadata.timeZone warning", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,deleted,,true,{s1,parent,}x,X,Y,,,,stu,,,", Expected {
        place: "users.csv:4 status warning", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,31.8.2026,true,{s1,parent,}x,X,Y,,,,stu,,,", Expected {
        place: "users.csv:4 dateLastModified warning", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
    ("x,,,true,{s1,parent,}x,X,Y,,,,stu,,,,", Expected {
        place: "users.csv:4 - error", people: WITHOUT_X, devices_of_x: &[], contacts: ONE }),
    ("x,,,true,{s1,parent,}x,X", Expected {
        place: "users.csv:4 - error", people: WITHOUT_X, devices_of_x: &[], contacts: ONE }),
    ("x,,,true,{s1,parent,}x,\"X,Y,,,,stu,,,", Expected {
        place: "users.csv:4 - error", people: WITHOUT_X, devices_of_x: &[], contacts: ONE }),
    ("x,,,true,{s1,parent,}x,\"X\"X,Y,,,,stu,,,", Expected {
        place: "users.csv:4 - error", people: WITHOUT_X, devices_of_x: &[], contacts: ONE }),
    ("x,,,true,{s1,parent,}x,X,Y,x@exa\u{0}mple.org,,,stu,,,", Expected {
        place: "users.csv:4 email error", people: WITH_X, devices_of_x: &["inbox x"], contacts: BOTH }),
];

#[test]
fn a_bad_parent_row_of_1_1_costs_as_little_as_can_be() {
    for (row, expected) in PARENT_ROWS {
        let row = row.replace(['{', '}'], "");
        check(&row, &Delivery::v1_1(&format!("{row}\n")), expected);
    }
}

#[test]
fn a_bad_parent_row_of_1_2_costs_as_little_as_can_be() {
    for (row, expected) in PARENT_ROWS {
        let row = row.replace("{s1,parent,}", "");
        check(&row, &Delivery::v1_2(&format!("{row}\n"), "r3,,,x,primary,parent,,,s1\n"), expected);
    }
}

#[test]
fn one_bad_row_does_not_keep_the_next_from_being_read() {
    for bad in ["y,\"open", "y,,", ",,,true,s1,parent,y,Y,Y,,,,,,,", "y,,,true,s1,parent,y,\"Y\"Z,Y,,,,,,,"] {
        let good = "x,,,true,s1,parent,x,X,\"Y\",,,,stu,,,";
        let roster = Delivery::v1_1(&format!("{bad}\n{good}\n")).read();
        assert_eq!(people(&roster), WITH_X, "{bad}");
        assert_eq!(roster.problems.len(), 1, "{bad}");
        assert_eq!(roster.problems[0].line, 4, "{bad}");
        assert_eq!(roster.files[1].rows_left_out, 1, "{bad}");
    }
}

#[test]
fn role_and_school_columns_of_1_1_are_checked() {
    #[rustfmt::skip]
    let table: &[(&str, List, List, List)] = &[
        // row, problems, people, enrolments
        ("x,,,true,s1,pupil,x,X,Y,,,,,,,", &["users.csv:4 role error"], WITH_X, &["stu s1 active"]),
        ("x,,,true,s1,,x,X,Y,,,,,,,", &["users.csv:4 role error"], WITH_X, &["stu s1 active"]),
        ("x,,,true,,student,x,X,Y,,,,,,,", &["users.csv:4 orgSourcedIds error"], WITH_X, &["stu s1 active"]),
        ("x,,,true,,teacher,x,X,Y,,,,,,,", &["users.csv:4 orgSourcedIds warning"], WITH_X, &["stu s1 active"]),
        ("x,,,true,s9,student,x,X,Y,,,,,,,", &["users.csv:4 orgSourcedIds error"], WITH_X, &["stu s1 active"]),
        ("x,,,true,\"s9,s2\",student,x,X,Y,,,,,,,", &["users.csv:4 orgSourcedIds error"], WITH_X, &["stu s1 active", "x s2 active"]),
        ("x,inactive,,true,s2,student,x,X,Y,,,,,,,", &[], WITH_X, &["stu s1 active", "x s2 ended"]),
        ("stu,,,true,s2,student,stu,X,Y,,,,,,,", &["users.csv:4 sourcedId error"], WITHOUT_X, &["stu s1 active"]),
        (",,,true,s2,student,stu,X,Y,,,,,,,", &["users.csv:4 sourcedId error"], WITHOUT_X, &["stu s1 active"]),
    ];
    for (row, problems, expected_people, expected_enrolments) in table {
        let roster = Delivery::v1_1(&format!("{row}\n")).read();
        assert_eq!(places(&roster), *problems, "{row}");
        assert_eq!(people(&roster), *expected_people, "{row}");
        assert_eq!(enrolments(&roster), *expected_enrolments, "{row}");
    }
}

#[test]
fn rows_of_roles_csv_are_checked() {
    let x = "x,,,true,x,X,Y,,,,,,,\n";
    #[rustfmt::skip]
    let table: &[(&str, &str, List, List)] = &[
        // users, roles, problems, enrolments
        (x, "r3,,,x,primary,pupil,,,s1", &["roles.csv:4 role error"], &["stu s1 active"]),
        (x, "r3,,,x,primary,,,,s1", &["roles.csv:4 role error"], &["stu s1 active"]),
        (x, "r3,,,x,first,student,,,s2", &["roles.csv:4 roleType warning"], &["stu s1 active", "x s2 active"]),
        (x, "r3,,,x,primary,student,soon,,s2", &["roles.csv:4 beginDate warning"], &["stu s1 active", "x s2 active"]),
        (x, "r3,,,x,primary,student,,2026-13-01,s2", &["roles.csv:4 endDate warning"], &["stu s1 active", "x s2 active"]),
        (x, "r3,,,x,primary,student,,,", &["roles.csv:4 orgSourcedId error"], &["stu s1 active"]),
        (x, "r3,,,x,primary,student,,,s9", &["roles.csv:4 orgSourcedId error"], &["stu s1 active"]),
        (x, "r3,tobedeleted,,x,primary,student,,,s2", &[], &["stu s1 active", "x s2 ended"]),
        (x, "r2,,,x,primary,student,,,s2", &["roles.csv:4 sourcedId error", "users.csv:4 - error"], &["stu s1 active"]),
        (x, "", &["users.csv:4 - error"], &["stu s1 active"]),
        ("", "r3,,,,primary,student,,,s2", &["roles.csv:4 userSourcedId error"], &["stu s1 active"]),
        ("", "r3,,,gone,primary,student,,,s2", &["roles.csv:4 userSourcedId error"], &["stu s1 active"]),
        ("", "r3,,,stu,secondary,student,,s2", &["roles.csv:4 - error"], &["stu s1 active"]),
    ];
    for (users, roles, problems, expected) in table {
        let roster = Delivery::v1_2(users, &format!("{roles}\n")).read();
        assert_eq!(places(&roster), *problems, "{roles}");
        assert_eq!(enrolments(&roster), *expected, "{roles}");
    }
}

#[test]
fn rows_of_orgs_csv_are_checked() {
    for (row, problem, schools) in [
        ("s3,,,Hill,academy,,d1", "orgs.csv:5 type warning", 4),
        ("s3,,,,school,,d1", "orgs.csv:5 name warning", 4),
        ("s3,,,Hill,school,,d9", "orgs.csv:5 parentSourcedId error", 4),
        ("s3,,,Hill,school,,s3", "orgs.csv:5 parentSourcedId error", 4),
        ("s1,,,Hill,school,,d1", "orgs.csv:5 sourcedId error", 3),
        (",,,Hill,school,,d1", "orgs.csv:5 sourcedId error", 3),
        ("s3,,,Hill,school,d1", "orgs.csv:5 - error", 3),
    ] {
        let roster = Delivery::v1_1("").file("orgs.csv", format!("{ORGS}{row}\n")).read();
        assert_eq!(places(&roster), [problem], "{row}");
        assert_eq!(roster.schools.len(), schools, "{row}");
    }
}

#[test]
fn a_circle_of_parents_is_cut_once() {
    let circle = "a,,,A,school,,b\nb,,,B,school,,c\nc,,,C,school,,a\n";
    let roster = Delivery::v1_1("").file("orgs.csv", format!("{ORGS}{circle}")).read();
    assert_eq!(places(&roster), ["orgs.csv:5 parentSourcedId error"]);
    let parents: Vec<_> =
        roster.schools[3..].iter().map(|school| school.parent_source_id.as_deref()).collect();
    assert_eq!(parents, [None, Some("c"), Some("a")]);
}

#[test]
fn text_that_is_not_utf_8_costs_its_field() {
    for (column, row, expected_people, expected_devices) in [
        ("email", &b"x,,,false,s1,parent,x,X,Y,\xe9@example.org,6035550150,,stu,,,\n"[..], WITH_X, 2),
        ("familyName", b"x,,,false,s1,parent,x,X,\xe9,,6035550150,,stu,,,\n", WITH_X, 2),
        ("sourcedId", b"\xe9,,,false,s1,parent,x,X,Y,,6035550150,,stu,,,\n", WITHOUT_X, 0),
    ] {
        let users = [USERS_1_1.as_bytes(), STUDENT_1_1.as_bytes(), PARENT_1_1.as_bytes(), row].concat();
        let roster = Delivery::v1_1("").file("users.csv", users).read();
        assert_eq!(places(&roster)[0], format!("users.csv:4 {column} error"));
        assert_eq!(people(&roster), expected_people, "{column}");
        assert_eq!(devices(&roster, "x").len(), expected_devices, "{column}");
    }
}

#[test]
fn an_overlong_id_costs_the_row() {
    let row = format!("{},,,true,s1,parent,x,X,Y,,,,stu,,,\n", "x".repeat(256));
    let roster = Delivery::v1_1(&row).read();
    assert_eq!(places(&roster), ["users.csv:4 sourcedId error"]);
    assert_eq!(people(&roster), WITHOUT_X);
}

#[test]
fn staff_and_students_are_no_contacts_by_the_wrong_list() {
    for row in [
        "x,,,true,s1,teacher,x,X,Y,,,,stu,,,",
        "x,,,true,s1,student,x,X,Y,,,,stu,,,",
        "x,,,true,s1,guardian,x,X,Y,,,,par,,,",
    ] {
        let roster = Delivery::v1_1(&format!("{row}\n")).read();
        assert_eq!(places(&roster), ["users.csv:4 agentSourcedIds error"], "{row}");
        assert_eq!(contacts(&roster), ONE, "{row}");
    }
}

#[test]
fn a_student_may_name_staff_and_people_of_refused_roles_as_contacts() {
    for role in ["teacher", "stepmother"] {
        let rows = format!("s,,,true,s1,student,s,S,T,,,,x,,,\nx,,,true,s1,{role},x,X,Y,,6035550150,,,,,\n");
        let roster = Delivery::v1_1(&rows).read();
        assert_eq!(contacts(&roster), ["s x other", "stu par parent"], "{role}");
    }
}

#[test]
fn a_misspelled_column_is_reported_once_and_an_extension_never() {
    let users = USERS_1_1.replace("email", "Email").replace("metadata.language", "metadata.tongue");
    let roster = Delivery::v1_1("").file("users.csv", format!("{users}{STUDENT_1_1}{PARENT_1_1}")).read();
    assert_eq!(places(&roster), ["users.csv:1 - warning"]);
    assert!(roster.problems[0].what.contains("\"Email\""));
    assert_eq!(devices(&roster, "par"), ["voice +16035550142", "sms +16035550142", "inbox par"]);
}

#[test]
fn a_file_that_is_there_and_said_to_be_absent_is_not_read() {
    let roster = Delivery::v1_1("").manifest("file.orgs,absent\nfile.users,bulk\n").read();
    assert_eq!(places(&roster), ["manifest.csv:3 value warning"]);
    assert_eq!(roster.schools, []);
}

#[test]
fn problems_hold_no_value_of_the_row() {
    let rows = "x,gone-mad,yesterday,maybe,s-secret,stepmother,x,Xenia,,xenia at home,603555,16035559999999,\"nobody\",,Klingon,Mars\n\
        y,,,true,s1,parent,y,\"Yara\"n,Y,,,,stu,,,\n";
    let roster = Delivery::v1_1(rows).read();
    assert!(roster.problems.len() > 8);
    for problem in &roster.problems {
        for value in [
            "gone-mad",
            "yesterday",
            "maybe",
            "secret",
            "stepmother",
            "Xenia",
            "xenia",
            "603555",
            "nobody",
            "Klingon",
            "Mars",
            "Yara",
        ] {
            assert!(!problem.what.contains(value), "{value} in {problem}");
        }
    }
}
