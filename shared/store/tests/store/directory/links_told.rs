//! Contacts and enrolments that began or ended, by hand or by a delivery, as a person's page tells of them.

use tocsin_domain::audience::Role;
use tocsin_store::directory::Directory;
use tocsin_store::tenant::directory::Change;
use tocsin_store::tenant::directory::activities::{Activity, Consents, Hand, Link, LinkChange, What};

use super::setting::*;

impl Setting {
    /// What is told of a person, in no order: `began` or `ended`, by whom, with what.
    async fn told(&self, person: &str) -> Vec<String> {
        let tenant = self.store.tenant(self.district);
        let found = tenant.activities(person, Consents::Shown, 100).await.unwrap();
        let words = |activity: Activity| {
            let What::Linked { link, change, by } = activity.what else { return None };
            let change = match change {
                LinkChange::Began => "began",
                LinkChange::Ended => "ended",
            };
            let by = match by {
                Hand::District => activity.by,
                Hand::Roster => format!("roster of {}", activity.by),
            };
            let link = match link {
                Link::Contact(name) => format!("contact {name}"),
                Link::Student(name) => format!("student {name}"),
                Link::School(name) => format!("school {name}"),
            };
            Some(format!("{change} by {by}: {link}"))
        };
        let mut told: Vec<String> = found.into_iter().filter_map(words).collect();
        told.sort();
        told
    }
}

/// With names by which its people are told apart.
fn named() -> Directory<'static> {
    let mut whole = springfield();
    (whole.people[0].family_name, whole.people[2].family_name) = ("Bo", "One");
    whole
}

#[tokio::test]
async fn what_a_delivery_begins_and_ends_of_contacts_and_enrolments_is_told_of_both_sides() {
    let setting = Setting::new().await;
    setting.store.preview_directory(setting.district, &named()).await.unwrap();
    assert_eq!(setting.texts("select actor from roster_changes").await, [""; 0], "nothing of a preview");
    setting.import(&named()).await;
    let began = ["contact Ana Lee", "contact Ana One", "school North", "school North"];
    assert_eq!(setting.told("s1").await, began.map(|what| format!("began by roster of test: {what}")));
    assert_eq!(setting.told("g1").await, ["began by roster of test: student Ana Bo"]);
    assert_eq!(setting.told("t1").await, [""; 0]);

    let mut less = named();
    less.contacts.remove(0);
    less.students.remove(1);
    setting.import(&less).await;
    setting.import(&less).await;
    let ended = ["contact Ana One", "school North"].map(|what| format!("ended by roster of test: {what}"));
    let told = setting.told("s1").await;
    assert_eq!((told.len(), &told[4..]), (6, &ended[..]), "once: {told:?}");
    let of_contact = ["began", "ended"].map(|change| format!("{change} by roster of test: student Ana Bo"));
    assert_eq!(setting.told("g1").await, of_contact);

    // What comes back began again, and what only changes its grade did not.
    let mut back = named();
    back.contacts.remove(0);
    back.students[0].grade = Some("04");
    setting.import(&back).await;
    assert_eq!(setting.told("s1").await.len(), 7);
    assert_eq!(setting.told("s2").await.len(), 2);
}

#[tokio::test]
async fn what_is_done_by_hand_about_contacts_and_enrolments_is_told_of_both_sides() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    setting.client.batch_execute("delete from roster_changes").await.unwrap();
    let tenant = setting.store.tenant(setting.district);
    assert_eq!(tenant.add_contact("g1", "s2", "aunt", "ann", now()).await.unwrap(), Change::Done);
    assert_eq!(tenant.end_contact("g2", "s2", "ann", now()).await.unwrap(), Change::Done);
    assert_eq!(tenant.enrol("s2", "w", None, "ann", now()).await.unwrap(), Change::Done);
    assert_eq!(tenant.end_enrolment("s2", "w", "ann", now()).await.unwrap(), Change::Done);
    assert_eq!(
        setting.told("s2").await,
        [
            "began by ann: contact Ana Lee",
            "began by ann: school North",
            "ended by ann: contact Ana Lee",
            "ended by ann: school North",
        ]
    );
    assert_eq!(setting.told("g1").await, ["began by ann: student Ana Lee"]);
    assert_eq!(setting.told("g2").await, ["ended by ann: student Ana Lee"]);
    assert_eq!(setting.told("s1").await, [""; 0], "nobody else's");
    assert_eq!(setting.told("nobody").await, [""; 0]);
}

#[tokio::test]
async fn of_whoever_is_forgotten_no_contact_is_told_any_more() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    assert_eq!(setting.told("s2").await.len(), 2);
    setting.store.forget(setting.district, "g2", "ann", now()).await.unwrap().unwrap();
    assert_eq!(setting.told("s2").await, ["began by roster of test: school North"]);
    // A delivery that was applied while somebody was forgotten may have noted them after all.
    let stray = "insert into roster_changes (district_id, student_id, contact_id, at, actor, begins)
                 select district_id, id, 999999, now(), 'test', true from people where source_id = 's2'";
    setting.client.batch_execute(stray).await.unwrap();
    assert_eq!(setting.told("s2").await, ["began by roster of test: school North"]);
    setting.store.forget(setting.district, "s2", "ann", now()).await.unwrap().unwrap();
    let left = "select 'left' from roster_changes r where not exists (select from people p where p.id = r.student_id)";
    assert_eq!(setting.texts(left).await, [""; 0]);
}

/// Two districts may have people of the same source ids.
#[tokio::test]
async fn another_districts_contacts_are_not_told() {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let other = add_district(&setting.store, "Shelbyville").await;
    let mut theirs = springfield();
    theirs.contacts.clear();
    theirs.people.push(person("s9", Role::Student));
    setting.store.import_directory(other, &theirs, "theirs", now()).await.unwrap();
    let tenant = setting.store.tenant(other);
    let found = tenant.activities("g1", Consents::Shown, 100).await.unwrap();
    assert_eq!(found, [], "their g1 is a contact of nobody");
    assert!(setting.told("s1").await.iter().all(|told| told.contains("roster of test")));
}
