//! What a district adds, ends and prefers by hand, before and after deliveries that know nothing of it.

use tocsin_domain::Channel;
use tocsin_domain::audience::Role;
use tocsin_store::Tenant;
use tocsin_store::directory::Directory;
use tocsin_store::tenant::directory::Change;
use tocsin_store::tenant::directory::changes::{Naming, NewDevice, NewPerson};
use tocsin_store::tenant::directory::preferences::{DevicePreference, Preferences};

use super::setting::*;

/// Springfield as delivered, and its district's own view of it.
async fn springfield_imported() -> (Setting, Tenant) {
    let setting = Setting::new().await;
    setting.import(&springfield()).await;
    let tenant = setting.store.tenant(setting.district);
    (setting, tenant)
}

fn uncle() -> NewPerson<'static> {
    NewPerson {
        source_id: "uncle",
        given_name: "Uli",
        family_name: "Lee",
        role: Role::Guardian,
        language: Some("vi"),
        time_zone: None,
    }
}

fn device(address: &str) -> NewDevice<'_> {
    NewDevice { channel: Channel::Voice, address, extension: None }
}

#[tokio::test]
async fn whom_and_what_the_district_added_no_delivery_takes_away() {
    let (setting, tenant) = springfield_imported().await;
    assert!(tenant.add_person(&uncle(), "test", now()).await.unwrap());
    assert!(!tenant.add_person(&uncle(), "test", now()).await.unwrap(), "there is one already");
    assert_eq!(tenant.add_device("uncle", &device("+15550000070"), "t", now()).await.unwrap(), Change::Done);
    assert_eq!(tenant.add_device("g1", &device("+15550000071"), "t", now()).await.unwrap(), Change::Done);
    assert_eq!(tenant.add_contact("uncle", "s1", "relative", "t", now()).await.unwrap(), Change::Done);
    assert_eq!(tenant.enrol("s2", "w", Some("05"), "t", now()).await.unwrap(), Change::Done);
    let own = |report: tocsin_store::directory::DirectoryReport| report.changes();
    assert_eq!(own(setting.import(&springfield()).await), 0);
    setting.import(&nothing(DELTA)).await;
    assert!(setting.active_people().await.contains(&"uncle".to_owned()));
    assert!(setting.contacts().await.contains(&"uncle for s1".to_owned()));
    assert!(setting.active_students().await.contains(&"s2 at w in 05".to_owned()));
    let devices = setting.devices().await;
    assert!(devices.contains(&"uncle 1 +15550000070".to_owned()), "{devices:?}");
    assert!(devices.contains(&"g1 1 +15550000071".to_owned()), "{devices:?}");

    // Whoever the district has gone on without, is without what the district added.
    let mut less = springfield();
    less.people.retain(|row| row.source_id != "g1");
    less.contacts.remove(0);
    less.devices.retain(|row| row.person_source_id != "g1");
    setting.import(&less).await;
    assert!(!setting.devices().await.contains(&"g1 1 +15550000071".to_owned()));

    assert_eq!(tenant.end_enrolment("s2", "w", "t", now()).await.unwrap(), Change::Done);
    assert_eq!(
        tenant.remove_device("uncle", Channel::Voice, "+15550000070", "t", now()).await.unwrap(),
        Change::Done
    );
    assert!(!setting.devices().await.contains(&"uncle 1 +15550000070".to_owned()));
}

/// Custody: the contact is over at once, and no delivery brings it back.
#[tokio::test]
async fn a_contact_that_was_ended_by_hand_is_not_named_again_by_any_delivery() {
    let (setting, tenant) = springfield_imported().await;
    let ended = async || tenant.end_contact("g2", "s1", "office", now()).await.unwrap();
    assert_eq!(ended().await, Change::Done);
    assert_eq!(ended().await, Change::Unchanged);
    let without = ["g1 for s1", "g2 for s2"];
    assert_eq!(setting.contacts().await, without);
    for delivery in [springfield(), Directory { contacts: vec![contact("g2", "s1")], ..rows_of(&["g2"]) }] {
        let report = setting.import(&delivery).await;
        assert!(!setting.contacts().await.contains(&"g2 for s1".to_owned()), "{delivery:?}");
        assert_eq!(report.unresolved, 0, "it is known, and not wanted");
    }
    let seen = tenant.person("s1").await.unwrap().unwrap().contacts;
    let stopped: Vec<_> = seen.iter().map(|one| (one.source_id.as_str(), one.ended_at.is_some())).collect();
    assert_eq!(stopped, [("g1", false), ("g2", true)]);
    assert_eq!(tenant.add_contact("g2", "s1", "parent", "office", now()).await.unwrap(), Change::Done);
    assert!(setting.contacts().await.contains(&"g2 for s1".to_owned()), "lifted");
    setting.import(&springfield()).await;
    assert!(setting.contacts().await.contains(&"g2 for s1".to_owned()));
    assert_eq!(tenant.end_contact("t1", "s1", "office", now()).await.unwrap(), Change::Unknown);
}

#[tokio::test]
async fn whom_the_district_stopped_no_delivery_makes_active() {
    let (setting, tenant) = springfield_imported().await;
    assert_eq!(tenant.set_active("g2", false, "t", now()).await.unwrap(), Change::Done);
    setting.import(&springfield()).await;
    assert!(!setting.active_people().await.contains(&"g2".to_owned()));
    assert_eq!(setting.devices().await.len(), 4, "whoever is taken back has what they had");
    assert_eq!(tenant.set_active("g2", true, "t", now()).await.unwrap(), Change::Done);
    assert_eq!(setting.import(&springfield()).await.changes(), 0);
    // Somebody who left the roster and is taken back is the district's own from then on.
    let mut less = springfield();
    less.people.retain(|row| row.source_id != "t1");
    less.devices.retain(|row| row.person_source_id != "t1");
    setting.import(&less).await;
    assert_eq!(tenant.set_active("t1", true, "t", now()).await.unwrap(), Change::Done);
    setting.import(&less).await;
    assert!(setting.active_people().await.contains(&"t1".to_owned()));
}

#[tokio::test]
async fn what_the_roster_says_is_changed_there() {
    let (setting, tenant) = springfield_imported().await;
    let naming = Naming { given_name: Some("Anna"), ..Naming::default() };
    assert_eq!(tenant.rename_person("g1", &naming, "t", now()).await.unwrap(), Change::OfRoster);
    let of_roster = tenant.remove_device("g1", Channel::Voice, "+15550000001", "t", now()).await.unwrap();
    assert_eq!(of_roster, Change::OfRoster);
    assert_eq!(tenant.end_enrolment("s1", "n", "t", now()).await.unwrap(), Change::OfRoster);
    tenant.add_person(&uncle(), "t", now()).await.unwrap();
    assert_eq!(tenant.rename_person("uncle", &naming, "t", now()).await.unwrap(), Change::Done);
    assert_eq!(tenant.rename_person("uncle", &naming, "t", now()).await.unwrap(), Change::Unchanged);
    for unknown in [
        tenant.rename_person("nobody", &naming, "t", now()).await.unwrap(),
        tenant.set_active("nobody", true, "t", now()).await.unwrap(),
        tenant.add_device("nobody", &device("+15550000070"), "t", now()).await.unwrap(),
        tenant.add_contact("g1", "t1", "other", "t", now()).await.unwrap(),
        tenant.enrol("s1", "nowhere", None, "t", now()).await.unwrap(),
    ] {
        assert_eq!(unknown, Change::Unknown);
    }
    let other = setting.store.tenant(add_district(&setting.store, "Shelbyville").await);
    assert_eq!(other.set_active("g1", false, "t", now()).await.unwrap(), Change::Unknown);
    assert_eq!(other.person("g1").await.unwrap(), None);
}

#[tokio::test]
async fn preferences_outlast_every_delivery_and_come_back_with_the_device() {
    let (setting, tenant) = springfield_imported().await;
    let wanted = Preferences {
        language: Some(Some("vi".to_owned())),
        time_zone: Some(Some("America/Denver".to_owned())),
        devices: vec![DevicePreference {
            channel: Channel::Voice,
            address: "+15550000001".to_owned(),
            declined: vec!["general".to_owned()],
        }],
    };
    assert_eq!(tenant.prefer("g1", &wanted, "t", now()).await.unwrap(), Change::Done);
    assert_eq!(setting.import(&springfield()).await.changes(), 0);
    let mut changed = springfield();
    changed.devices.remove(0);
    setting.import(&changed).await;
    assert!(!setting.devices().await.contains(&"g1 1 +15550000001".to_owned()));
    setting.import(&springfield()).await;
    let person = tenant.person("g1").await.unwrap().unwrap();
    assert_eq!(
        (person.language.as_deref(), person.time_zone.as_deref()),
        (Some("vi"), Some("America/Denver"))
    );
    assert_eq!(person.devices[0].declined, ["general"]);
    let roster_again = Preferences { language: Some(None), ..Preferences::default() };
    tenant.prefer("g1", &roster_again, "t", now()).await.unwrap();
    assert_eq!(tenant.person("g1").await.unwrap().unwrap().language.as_deref(), Some("es"));
}

#[tokio::test]
async fn a_change_by_hand_is_audited_and_raises_the_directorys_version_and_one_that_changes_nothing_is_neither()
 {
    let (setting, tenant) = springfield_imported().await;
    let version = async || {
        let row = setting.client.query_one("select directory_version from districts", &[]).await.unwrap();
        row.get::<_, i64>(0)
    };
    let before = version().await;
    tenant.set_active("g1", false, "office", now()).await.unwrap();
    assert_eq!(version().await, before + 1);
    tenant.set_active("g1", false, "office", now()).await.unwrap();
    assert_eq!(version().await, before + 1);
    setting.import(&springfield()).await;
    assert_eq!(version().await, before + 1, "a delivery that changed nothing");
    let audit =
        setting.texts("select action || ' ' || subject || ' by ' || actor from audit where actor = 'office'");
    assert_eq!(audit.await, ["directory.person.active g1 by office"]);
}
