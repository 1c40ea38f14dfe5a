//! What a sound delivery comes to.

use chrono::NaiveDate;
use tocsin_roster::{FileMode, OneRosterVersion, OrgKind, ReadOptions, Role};

use crate::delivery::*;

#[test]
fn both_versions_of_one_district_come_to_the_same_rows() {
    let (old, new) = (Delivery::v1_1("").read(), Delivery::v1_2("", "").read());
    assert_eq!(old.version, OneRosterVersion::V1_1);
    assert_eq!(new.version, OneRosterVersion::V1_2);
    for roster in [&old, &new] {
        assert_eq!(places(roster), [""; 0]);
        assert_eq!(people(roster), ["stu", "par"]);
        assert_eq!(enrolments(roster), ["stu s1 active"]);
        assert_eq!(contacts(roster), ["stu par parent"]);
        assert_eq!(roster.students[0].grade.as_deref(), Some("03"));
    }
    assert_eq!(old.people, new.people);
    assert_eq!(old.devices, new.devices);
    assert_eq!(old.schools, new.schools);

    let parent = &old.people[1];
    assert_eq!((parent.given_name.as_str(), parent.family_name.as_str()), ("Ana", "Diaz"));
    assert_eq!(parent.role, Some(Role::Guardian));
    assert_eq!(parent.language.as_deref(), Some("es"));
    assert!(parent.active && !parent.deleted);

    let lincoln = &old.schools[1];
    assert_eq!((lincoln.source_id.as_str(), lincoln.kind), ("s1", OrgKind::School));
    assert_eq!(
        (lincoln.identifier.as_deref(), lincoln.parent_source_id.as_deref()),
        (Some("0101"), Some("d1"))
    );
}

#[test]
fn sms_phone_email_and_an_enabled_user_each_give_their_devices() {
    #[rustfmt::skip]
    let table: &[(&str, &[&str])] = &[
        // enabledUser, email, sms, phone
        ("false,,,", &[]),
        ("true,,,", &["inbox x"]),
        ("TRUE,,,", &["inbox x"]),
        ("false,x@EXAMPLE.org,,", &["email x@example.org"]),
        ("false,,6035550142,", &["voice +16035550142", "sms +16035550142"]),
        ("false,,6035550142,(603) 555-0142", &["voice +16035550142", "sms +16035550142"]),
        ("false,,6035550142,603-555-0142 x7", &["voice +16035550142x7", "sms +16035550142"]),
        ("false,,6035550142,6035550143", &["voice +16035550143", "sms +16035550142"]),
        ("false,,,6035550143", &["voice +16035550143"]),
        ("false,,,603.555.0143 ext. 12", &["voice +16035550143x12"]),
        ("false,,,6035550143; 6035550144/6035550145", &["voice +16035550143", "voice +16035550144", "voice +16035550145"]),
        ("false,,6035550142;6035550142,", &["voice +16035550142", "sms +16035550142"]),
        ("false,,,+44 121 234 5678", &["voice +441212345678"]),
    ];
    for (cells, expected) in table {
        let [enabled, email, sms, phone] = cells.split(',').collect::<Vec<_>>()[..] else {
            panic!("{cells}")
        };
        let roster =
            Delivery::v1_1(&format!("x,,,{enabled},s1,parent,x,X,Y,{email},{sms},{phone},stu,,,\n")).read();
        assert_eq!(places(&roster), [""; 0], "{cells}");
        assert_eq!(devices(&roster, "x"), *expected, "{cells}");
    }
}

#[test]
fn positions_count_from_one_within_person_and_channel() {
    let roster = Delivery::v1_1("x,,,true,s1,parent,x,X,Y,,6035550142,6035550143;6035550144,stu,,,\n").read();
    let positions: Vec<_> = roster
        .devices
        .iter()
        .filter(|device| device.person_source_id == "x")
        .map(|device| (device.channel.as_str(), device.position))
        .collect();
    assert_eq!(positions, [("voice", 1), ("voice", 2), ("sms", 1), ("inbox", 1)]);
}

#[test]
fn a_contact_is_found_whichever_row_names_the_other_and_counted_once() {
    for (student_names, parent_names) in [("p", ""), ("", "s"), ("p", "s")] {
        let rows = format!(
            "s,,,true,s1,student,s,S,T,,,,{student_names},,,\np,,,true,s1,relative,p,P,T,,,,{parent_names},,,\n"
        );
        let roster = Delivery::v1_1(&rows).read();
        assert_eq!(places(&roster), [""; 0]);
        assert_eq!(contacts(&roster), ["s p relative", "stu par parent"], "{rows}");
    }
}

#[test]
fn a_guardian_of_two_children_in_two_schools_is_a_contact_of_each() {
    let rows =
        "two,,,true,s2,student,two,T,D,,,,,11,,\ng,,,true,\"s1,s2\",guardian,g,G,D,,,,\"stu, two\",,,\n";
    let roster = Delivery::v1_1(rows).read();
    assert_eq!(contacts(&roster), ["stu g guardian", "stu par parent", "two g guardian"]);
    assert_eq!(enrolments(&roster), ["stu s1 active", "two s2 active"]);
}

#[test]
fn a_student_at_two_schools_is_enrolled_twice_and_at_the_district_only_for_want_of_a_school() {
    for (orgs, expected) in [
        ("\"s1,s2\"", vec!["stu s1 active", "x s1 active", "x s2 active"]),
        ("\"d1,s2\"", vec!["stu s1 active", "x s2 active"]),
        ("d1", vec!["stu s1 active", "x d1 active"]),
    ] {
        let roster = Delivery::v1_1(&format!("x,,,true,{orgs},student,x,X,Y,,,,,05,,\n")).read();
        assert_eq!(enrolments(&roster), expected, "{orgs}");
    }
}

#[test]
fn a_teacher_who_is_also_a_parent_is_staff_and_a_contact() {
    let user = "t,,,true,t,Tess,Diaz,,6035550150,,stu,,,\n";
    let roles = "r3,,,t,primary,teacher,,,s2\nr4,,,t,secondary,parent,,,s1\n";
    let roster = Delivery::v1_2(user, roles).read();
    assert_eq!(places(&roster), [""; 0]);
    assert_eq!(roster.people[2].role, Some(Role::Staff));
    assert_eq!(contacts(&roster), ["stu par parent", "stu t parent"]);
}

#[test]
fn a_role_counts_as_current_only_within_its_dates() {
    let today = NaiveDate::from_ymd_opt(2026, 10, 1);
    for (dates, today, state) in [
        ("2026-08-31,2027-06-15", today, "active"),
        ("2026-08-31,", today, "active"),
        ("2026-10-01,2026-10-01", today, "active"),
        ("2025-08-31,2026-06-15", today, "ended"),
        ("2027-01-01,", today, "ended"),
        ("2025-08-31,2026-06-15", None, "active"),
    ] {
        let delivery =
            Delivery::v1_2("x,,,true,x,X,Y,,,,,,,\n", &format!("r3,,,x,primary,student,{dates},s2\n"));
        let roster = delivery.read_with(&ReadOptions { today, ..ReadOptions::default() }).unwrap();
        assert_eq!(enrolments(&roster)[1], format!("x s2 {state}"), "{dates}");
    }
}

#[test]
fn a_byte_order_mark_any_column_order_and_extension_columns_change_nothing() {
    let users = "\u{feff}role,metadata.bus,familyName,givenName,username,enabledUser,sourcedId,orgSourcedIds,ext_language\r\n\
        student,7,Diaz,Sam,sam,True,stu,s1,es-mx\r\n";
    let roster = Delivery::v1_1("").file("users.csv", users).read();
    assert_eq!(places(&roster), [""; 0]);
    assert_eq!(people(&roster), ["stu"]);
    assert_eq!(roster.people[0].language.as_deref(), Some("es-MX"));
    assert_eq!(enrolments(&roster), ["stu s1 active"]);
}

#[test]
fn a_user_who_may_not_sign_in_has_no_inbox_but_can_be_called() {
    let roster = Delivery::v1_1("x,,,false,s1,parent,x,X,Y,,6035550150,,stu,,,\n").read();
    assert!(!roster.people[2].active);
    assert_eq!(devices(&roster, "x"), ["voice +16035550150", "sms +16035550150"]);
    assert_eq!(contacts(&roster), ["stu par parent", "stu x parent"]);
}

#[test]
fn a_person_to_be_deleted_needs_only_an_id_and_has_nothing() {
    let rows = "x,tobedeleted,2026-08-31T06:00:00Z,,,,,,,,6035550150,,stu,,,\n";
    let roster = Delivery::v1_1(rows).read();
    assert_eq!(places(&roster), [""; 0]);
    let gone = &roster.people[2];
    assert!(gone.deleted && !gone.active);
    assert_eq!(devices(&roster, "x"), [""; 0]);
    assert_eq!(contacts(&roster), ["stu par parent"]);
}

#[test]
fn the_manifest_says_which_files_are_there_and_how() {
    let roster = Delivery::v1_1("")
        .manifest("oneroster.version,1.1\nfile.orgs,bulk\nfile.users,delta\nfile.classes,absent\n")
        .read();
    assert_eq!(roster.mode("orgs.csv"), FileMode::Bulk);
    assert_eq!(roster.mode("users.csv"), FileMode::Delta);
    assert_eq!(roster.mode("roles.csv"), FileMode::Absent);
    assert_eq!(roster.files.iter().map(|file| file.rows).collect::<Vec<_>>(), [3, 2]);

    let users_only =
        Delivery::v1_1("").without("orgs.csv").manifest("file.orgs,absent\nfile.users,bulk\n").read();
    assert_eq!(users_only.schools, []);
    assert_eq!(enrolments(&users_only), ["stu s1 active"]);
    assert_eq!(places(&users_only), [""; 0]);
}

#[test]
fn a_delta_may_refer_to_rows_of_earlier_deliveries() {
    let old = Delivery::v1_1("x,active,2026-08-31T06:00:00Z,true,s9,parent,x,X,Y,,,,before,,,\n")
        .manifest("oneroster.version,1.1\nfile.orgs,delta\nfile.users,delta\n")
        .read();
    assert_eq!(places(&old), [""; 0]);
    assert_eq!(contacts(&old), ["before x parent", "stu par parent"]);

    let roles = format!("{ROLES}r9,active,,before,primary,student,,,s2\n");
    let new = Delivery::v1_2("", "")
        .file("roles.csv", roles)
        .manifest("oneroster.version,1.2\nfile.orgs,delta\nfile.users,delta\nfile.roles,delta\n")
        .read();
    assert_eq!(enrolments(&new), ["before s2 active"]);
    assert_eq!(new.people[0].role, None);
    assert_eq!(places(&new), ["users.csv:3 agentSourcedIds error"], "neither row says who is the student");
}

#[test]
fn each_contact_says_which_of_the_two_rows_names_the_other() {
    let more = "two,,,true,s1,student,two,Tom,Diaz,,,,\"par,x\",03,,\n\
        x,,,true,s1,parent,x,X,Y,,,,two,,,\n";
    assert_eq!(named(&Delivery::v1_1(more).read()), ["stu < par", "two > par", "two <> x"]);
    let users = "two,,,true,two,Tom,Diaz,,,,\"par,x\",03,,\nx,,,true,x,X,Y,,,,two,,,\n";
    let roles = "r3,,,two,primary,student,,,s1\nr4,,,x,primary,guardian,,,s1\n";
    assert_eq!(named(&Delivery::v1_2(users, roles).read()), ["stu < par", "two > par", "two <> x"]);
}

/// A delta of users alone (1.2), a role that was refused, a row that was left out: who is whose contact is
/// not told, and that is no sign that nobody is.
#[test]
fn a_name_that_makes_no_contact_yet_is_kept_as_a_mention() {
    let delta = "oneroster.version,1.2\nfile.orgs,absent\nfile.users,delta\nfile.roles,absent\n";
    let alone = Delivery::v1_2("", "").without("orgs.csv").without("roles.csv").manifest(delta).read();
    assert_eq!(named(&alone), ["par ? stu"]);
    let refused = Delivery::v1_1("x,,,true,s1,wizard,x,X,Y,,,,par,,,\n").read();
    assert_eq!(named(&refused), ["stu < par", "x ? par"]);
    let left_out =
        Delivery::v1_1("two,,,true,s1,student,two,Tom,Diaz,,,,x,03,,\nx,,,true,s1,parent,x,,,,,,,,,\n");
    assert_eq!(named(&left_out.read()), ["stu < par", "two ? x"]);
    let impossible = Delivery::v1_1("x,,,true,s1,parent,x,X,Y,,,,par,,,\n").read();
    assert_eq!(named(&impossible), ["stu < par"], "a parent is no contact of a parent, whoever says so");
}

#[test]
fn a_row_lists_its_contacts_where_the_file_has_the_column_and_it_can_be_read() {
    let lists = |roster: &tocsin_roster::Roster| {
        roster.people.iter().map(|person| person.lists_contacts).collect::<Vec<_>>()
    };
    assert_eq!(lists(&Delivery::v1_1("x,tobedeleted,,,,,,,,,,,,,,\n").read()), [true, true, false]);
    let without = format!("{USERS_1_1}{STUDENT_1_1}").replace("agentSourcedIds", "metadata.other");
    assert_eq!(lists(&Delivery::v1_1("").file("users.csv", without).read()), [false]);
    let mut unreadable = format!("{USERS_1_1}{STUDENT_1_1}x,,,true,s1,parent,x,X,Y,,,,").into_bytes();
    unreadable.extend_from_slice(b"st\xff,,,\n");
    let roster = Delivery::v1_1("").file("users.csv", unreadable).read();
    assert_eq!(
        (lists(&roster), places(&roster)),
        (vec![true, false], vec!["users.csv:3 agentSourcedIds error".to_owned()])
    );
}

#[test]
fn debug_output_holds_no_name_and_no_address() {
    let text = format!("{:?}", Delivery::v1_1("").read());
    for personal in ["Ana", "Diaz", "6035550142", "ana@example.org"] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
}
