//! Importing a directory: what is delivered, what is missing, what is only changed.

mod by_hand;
mod classes;
mod links_told;
mod setting;

use setting::*;
use tocsin_domain::audience::Role;
use tocsin_store::directory::{ContactRow, Coverage, DeviceRow, Directory, Enrolments, SchoolRow};

#[tokio::test]
async fn a_second_bulk_delivery_of_the_same_writes_no_row() {
    let setting = Setting::new().await;
    let first = setting.import(&springfield()).await;
    let delivered = [first.schools, first.people, first.students, first.contacts, first.devices]
        .map(|table| (table.delivered, table.added, table.changed, table.gone));
    assert_eq!(delivered, [(2, 2, 0, 0), (5, 5, 0, 0), (3, 3, 0, 0), (3, 3, 0, 0), (4, 4, 0, 0)]);
    assert_eq!(first.unresolved, 0);
    setting.client.batch_execute("delete from audit").await.unwrap();
    let before = setting.everything().await;

    let second = setting.import(&springfield()).await;
    assert_eq!((second.changes(), second.people.unchanged()), (0, 5));
    let audit =
        setting.texts("select action || ' by ' || actor || (details -> 'people' ->> 'delivered') from audit");
    assert_eq!(audit.await, ["directory.import by test5"]);
    setting.client.batch_execute("delete from audit").await.unwrap();
    assert_eq!(setting.everything().await, before);
}

#[tokio::test]
async fn a_changed_phone_replaces_that_device_and_no_other() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let kept = "select id::text from devices where address <> '+15550000001'";
    let before = setting.texts(kept).await;

    let mut changed = springfield();
    changed.devices[0].address = "+15550000077";
    changed.devices[1].extension = Some("12");
    let report = setting.import(&changed).await;
    assert_eq!((report.devices.added, report.devices.changed, report.devices.gone), (1, 1, 1));
    assert_eq!(report.changes(), 3);
    assert_eq!(
        setting.devices().await,
        ["g1 1 +15550000077", "g2 1 +15550000002x12", "g2 3 g2@example.org", "t1 1 +15550000009"]
    );
    assert_eq!(setting.texts(&kept.replace("001", "077")).await, before);
}

#[tokio::test]
async fn who_is_missing_from_a_bulk_delivery_is_inactive_and_reached_by_nobody() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let mut less = springfield();
    less.schools.truncate(1);
    less.people.retain(|row| !["g2", "s2"].contains(&row.source_id));
    less.students.truncate(1);
    less.contacts.truncate(1);
    less.devices.retain(|row| row.person_source_id != "g2");
    let report = setting.import(&less).await;

    assert_eq!(setting.texts("select source_id from schools where active").await, ["n"]);
    assert_eq!(setting.active_people().await, ["g1", "s1", "t1"]);
    assert_eq!(setting.active_students().await, ["s1 at n in 03"]);
    assert_eq!(setting.contacts().await, ["g1 for s1"]);
    assert_eq!(setting.devices().await, ["g1 1 +15550000001", "t1 1 +15550000009"]);
    assert_eq!(report.deactivated(), 1 + 2 + 2);
    assert_eq!((report.contacts.gone, report.devices.gone), (2, 2));

    let back = setting.import(&springfield()).await;
    assert_eq!((back.people.added, back.people.changed), (0, 2));
    assert_eq!(setting.active_people().await.len(), 5);
}

#[tokio::test]
async fn a_delta_touches_only_what_it_names() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let changes = Directory {
        schools: vec![SchoolRow { deleted: true, ..school("w") }, SchoolRow { deleted: true, ..school("x") }],
        people: vec![
            person("g1", Role::Guardian),
            deleted("g2"),
            person("s2", Role::Student),
            deleted("stranger"),
        ],
        students: vec![enrolled("s2", "w", "06")],
        devices: vec![phone("g1", "+15550000077")],
        ..nothing(DELTA)
    };
    let report = setting.import(&changes).await;

    assert_eq!(setting.texts("select source_id from schools where active").await, ["n"]);
    assert_eq!(setting.active_people().await, ["g1", "s1", "s2", "t1"]);
    assert_eq!(setting.active_students().await, ["s1 at n in 03", "s1 at w in 03", "s2 at w in 06"]);
    assert_eq!(setting.contacts().await, ["g1 for s1"]);
    assert_eq!(setting.devices().await, ["g1 1 +15550000077", "t1 1 +15550000009"]);
    assert_eq!(report.deactivated(), 1 + 1 + 1);
    assert_eq!(report.unresolved, 0);
    assert_eq!(setting.import(&changes).await.changes(), 0);
}

/// What a delta says of contacts. Before it s1 names g1 and g2, and g2 names s1 and s2; nobody else names anybody.
#[tokio::test]
async fn a_row_of_a_delta_replaces_the_contacts_that_it_named_and_no_others() {
    let all = &["g1 for s1", "g2 for s1", "g2 for s2"][..];
    type Case = (&'static str, &'static [&'static str], Vec<ContactRow<'static>>, &'static [&'static str]);
    let cases: Vec<Case> = vec![
        ("a student's list is emptied, g2 still names the student", &["s1"], vec![], &all[1..]),
        ("a student's list drops g1", &["s1"], vec![by_student("g2", "s1")], &all[1..]),
        (
            "a student's list drops g2, who still names the student",
            &["s1"],
            vec![by_student("g1", "s1")],
            all,
        ),
        ("a guardian's list is emptied, s1 still names g2", &["g2"], vec![], &all[..2]),
        ("a guardian's list drops s2", &["g2"], vec![by_person("g2", "s1")], &all[..2]),
        ("a guardian's row that never named anybody", &["g1"], vec![], all),
        ("a student's row that never named anybody", &["s2"], vec![], all),
        ("both rows come and neither names the other", &["s1", "g2"], vec![], &[]),
        ("one of both still does", &["s1", "g2"], vec![by_person("g2", "s1")], &all[1..2]),
        (
            "a new contact",
            &["g1"],
            vec![by_person("g1", "s2")],
            &["g1 for s1", "g1 for s2", "g2 for s1", "g2 for s2"],
        ),
    ];
    for (case, rows, contacts, expected) in cases {
        let setting = Setting::new().await;
        setting.import(&springfield()).await;
        setting.import(&Directory { contacts, ..rows_of(rows) }).await;
        assert_eq!(setting.contacts().await, expected, "{case}");
    }
}

#[tokio::test]
async fn a_contact_that_both_rows_named_is_over_when_the_second_takes_it_back() {
    for rows in [["s1", "g2"], ["g2", "s1"]] {
        let setting = Setting::new().await;
        setting.import(&springfield()).await;
        let first = setting.import(&rows_of(&rows[..1])).await;
        assert!(setting.contacts().await.contains(&"g2 for s1".to_owned()), "{rows:?}");
        assert_eq!((first.contacts.changed, first.contacts.gone), (1, 1), "{rows:?}");
        assert_eq!(setting.import(&rows_of(&rows[..1])).await.changes(), 0, "{rows:?}");
        setting.import(&rows_of(&rows[1..])).await;
        assert!(!setting.contacts().await.contains(&"g2 for s1".to_owned()), "{rows:?}");
    }
}

#[tokio::test]
async fn a_list_that_was_not_read_and_an_entry_that_was_not_understood_end_no_contact() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let before = setting.contacts().await;
    let mut unread = rows_of(&["s1", "g2"]);
    unread.people.iter_mut().for_each(|person| person.lists_contacts = false);
    setting.import(&unread).await;
    assert_eq!(setting.contacts().await, before);
    let mentions = vec![mention("s1", "g1"), mention("g2", "s2"), mention("g2", "nobody")];
    setting.import(&Directory { mentions, ..rows_of(&["s1", "g2"]) }).await;
    assert_eq!(setting.contacts().await, ["g1 for s1", "g2 for s2"]);
}

/// As the release before wrote them: of either side it may be said that it names the other.
#[tokio::test]
async fn a_contact_of_which_nobody_knows_who_named_it_is_over_when_both_rows_came_without_it() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    setting
        .client
        .batch_execute("update contacts set by_student = default, by_person = default")
        .await
        .unwrap();
    setting.import(&rows_of(&["s1"])).await;
    assert_eq!(setting.contacts().await, ["g1 for s1", "g2 for s1", "g2 for s2"]);
    setting.import(&rows_of(&["g1"])).await;
    assert_eq!(setting.contacts().await, ["g2 for s1", "g2 for s2"]);
    setting.import(&springfield()).await;
    setting.import(&rows_of(&["s1"])).await;
    assert_eq!(
        setting.contacts().await,
        ["g2 for s1", "g2 for s2"],
        "a complete delivery tells who named whom"
    );
}

#[tokio::test]
async fn links_to_people_who_are_not_there_are_left_out_and_counted() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let changes = Directory {
        people: vec![deleted("g1")],
        students: vec![enrolled("nobody", "n", None), enrolled("s2", "w", None)],
        contacts: vec![by_person("g1", "s2"), by_person("nobody", "s2"), by_person("t1", "s2")],
        ..nothing(Coverage { enrolments: Enrolments::Changes, ..DELTA })
    };
    let report = setting.import(&changes).await;
    assert_eq!(report.unresolved, 3);
    assert!(setting.contacts().await.contains(&"t1 for s2".to_owned()));
    // The student's own row did not come, so the grade stored at the other school is the student's.
    assert!(setting.active_students().await.contains(&"s2 at w in 05".to_owned()));
}

#[tokio::test]
async fn a_role_that_is_not_told_is_the_one_stored_or_what_contacts_say() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let people = ["t1", "g1", "new-parent", "new-child", "new"].map(|id| person(id, None)).to_vec();
    let contacts = vec![contact("new-parent", "new-child"), contact("t1", "new-child")];
    setting.import(&Directory { people, contacts, ..nothing(DELTA) }).await;
    let roles = setting.texts(
        "select source_id || ' ' || role from people
         where source_id like 'new%' or source_id in ('t1', 'g1')",
    );
    assert_eq!(roles.await, ["g1 1", "new 3", "new-child 2", "new-parent 1", "t1 3"]);
}

/// Enrolments of a person whose role word could not be read are not taken for ended.
#[tokio::test]
async fn enrolments_end_by_what_the_delivery_covers() {
    let before = ["s1 at n in 03", "s1 at w in 03", "s2 at n in 05"];
    let cases = [
        ("complete", Enrolments::Complete, Some(Role::Student), &["s1 at n in 04"][..]),
        ("of people", Enrolments::OfPeople, Some(Role::Student), &["s1 at n in 04", "s2 at n in 05"]),
        ("of people, role not told", Enrolments::OfPeople, None, &["s1 at n in 04", before[1], before[2]]),
        ("changes", Enrolments::Changes, Some(Role::Student), &["s1 at n in 04", before[1], before[2]]),
    ];
    for (case, enrolments, role, expected) in cases {
        let setting = Setting::new().await;
        setting.import(&springfield()).await;
        assert_eq!(setting.active_students().await, before, "{case}");
        let people = vec![person("s1", role)];
        let students = vec![enrolled("s1", "n", "04")];
        setting.import(&Directory { people, students, ..nothing(Coverage { enrolments, ..DELTA }) }).await;
        assert_eq!(setting.active_students().await, expected, "{case}");
    }
}

#[tokio::test]
async fn one_refused_row_leaves_everything_as_it_was() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let before = setting.everything().await;
    // One is refused by the last table that is written, when all others are.
    setting
        .client
        .batch_execute("alter table devices add constraint refused check (address <> '+15550000666')")
        .await
        .unwrap();
    let mut last = nothing(BULK);
    last.people.push(person("new", Role::Staff));
    last.devices.push(phone("new", "+15550000666"));
    let mut twice = springfield();
    twice.people.push(person("t1", Role::Staff));
    let mut unstorable = springfield();
    unstorable.devices[3].address = "+1555\0";
    for (case, refused) in [("last", last), ("twice", twice), ("unstorable", unstorable)] {
        let result = setting.store.import_directory(setting.district, &refused, "test", now()).await;
        assert!(result.is_err(), "{case}");
        assert_eq!(setting.everything().await, before, "{case}");
    }
    assert_eq!(setting.import(&springfield()).await.changes(), 0);
}

#[tokio::test]
async fn a_preview_reports_the_same_and_changes_nothing() {
    let setting = Setting::new().await;
    let before = setting.everything().await;
    let preview = setting.store.preview_directory(setting.district, &springfield()).await.unwrap();
    assert_eq!(setting.everything().await, before);
    assert_eq!(setting.import(&springfield()).await, preview);
}

#[tokio::test]
async fn an_import_leaves_other_districts_alone() {
    let setting = Setting::new().await;
    let other = add_district(&setting.store, "Shelbyville").await;
    setting.import(&springfield()).await;
    let mine = setting.everything().await;
    setting.store.import_directory(other, &springfield(), "test", now()).await.unwrap();
    setting.store.import_directory(other, &nothing(BULK), "test", now()).await.unwrap();
    let after = setting.everything().await;
    assert!(mine.iter().all(|row| after.contains(row)));
    assert_eq!(setting.active_people().await.len(), 5);
}

#[tokio::test]
async fn one_address_twice_is_one_device_the_first() {
    let setting = Setting::new().await;
    let mut directory = springfield();
    let again = DeviceRow { extension: Some("9"), position: 2, ..directory.devices[0] };
    directory.devices.insert(0, again);
    let report = setting.import(&directory).await;
    assert_eq!(report.devices.delivered, 4);
    assert!(setting.devices().await.contains(&"g1 1 +15550000001".to_owned()));
}
