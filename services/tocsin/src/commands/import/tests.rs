//! Imports from files to rows.

use std::fs;

use chrono::{DateTime, Utc};
use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;
use tocsin_roster::OneRosterVersion;
use tocsin_roster::sample::{SampleOptions, generate};
use tocsin_store::Access;
use tocsin_testkit::{ManualClock, TestDatabase};
use tokio_postgres::{Client, NoTls};

use super::*;
use crate::commands::district::add;

const ORGS: &str = "sourcedId,name,type\nd,Springfield,district\nn,North,school\n";
const USERS: &str = "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,email,sms,phone,\
                     agentSourcedIds,grades\n\
                     s1,true,n,student,s1,Bo,Lee,,,,g1,03\n\
                     g1,false,n,parent,,Ana,Lee,ana@example.org,,202-555-0142,,\n";
const BROKEN: &str = "t1,true,n,teacher,,Cy,Orr,cy@nowhere,,,,\n";

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

struct Setting {
    folder: TempDir,
    store: Store,
    database: TestDatabase,
}

impl Setting {
    async fn new() -> Self {
        let database = TestDatabase::create().await.unwrap();
        let store = Store::open(&database.url, 1, Access::Engine).unwrap();
        add(&store, "Springfield".to_owned(), None, "US".to_owned()).await.unwrap();
        Self { folder: tempfile::tempdir().unwrap(), store, database }
    }

    fn write(&self, users: &str) {
        fs::write(self.folder.path().join("orgs.csv"), ORGS).unwrap();
        fs::write(self.folder.path().join("users.csv"), users).unwrap();
    }

    /// Runs `tocsin import oneroster <folder> --district Springfield` and `more`.
    async fn import(&self, more: &[&str]) -> Result<(Verdict, String)> {
        let folder = self.folder.path().display().to_string();
        let words = [&["import", "oneroster", &folder, "--district", "Springfield"], more].concat();
        let Source::Oneroster(args) = Command::try_parse_from(words)?.args.source;
        let clock = ManualClock::at(now());
        let mut out = Vec::new();
        let verdict = import_oneroster(&args, &self.store, &clock, &mut out).await?;
        Ok((verdict, String::from_utf8(out)?))
    }

    async fn count(&self, what: &str) -> usize {
        count(&self.database, what).await
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn count(database: &TestDatabase, what: &str) -> usize {
    let (client, connection): (Client, _) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    let counted = async {
        let row = client.query_one(&format!("select count(*) from {what}"), &[]).await.unwrap();
        drop(client);
        row.get::<_, i64>(0)
    };
    let (count, _) = tokio::join!(counted, connection);
    usize::try_from(count).unwrap()
}

#[tokio::test]
async fn a_roster_is_imported_without_its_bad_rows_and_says_so() {
    let setting = Setting::new().await;
    setting.write(&format!("{USERS}{BROKEN}"));
    let all = setting.folder.path().join("problems.csv");
    let (verdict, said) = setting.import(&["--problems", &all.display().to_string()]).await.unwrap();
    assert!(matches!(verdict, Verdict::Imported(report) if report.people.added == 3), "{said}");
    for line in [
        "imported into \"Springfield\"",
        "           delivered     added   changed      gone unchanged",
        "people             3         3         0         0         0",
        "1 error, 0 warnings:",
        "  error users.csv:4 email: ",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    assert!(!said.contains("nowhere"), "problems repeat no value of the row");
    let problems = fs::read_to_string(all).unwrap();
    assert!(problems.contains("\nusers.csv,4,email,error,"), "{problems}");
    // A guardian who may not sign in is called all the same, and has no inbox.
    assert_eq!(setting.count("people where active and role = 1").await, 1);
    assert_eq!(setting.count("contacts where relationship = 'parent'").await, 1);
    assert_eq!(setting.count("devices where address = '+12025550142' and channel = 1").await, 1);
    assert_eq!(setting.count("devices where channel = 4").await, 2);
    assert_eq!(setting.count("audit where action = 'directory.import'").await, 1);
}

#[tokio::test]
async fn what_is_refused_or_only_shown_changes_nothing() {
    let setting = Setting::new().await;
    let header_only = USERS.lines().next().unwrap();
    let broken = format!("{USERS}{BROKEN}");
    let cases: [(&str, &[&str], &str, &str); 4] = [
        (&broken, &["--strict"], "refused", "1 error under --strict"),
        (&broken, &["--strict", "--dry-run"], "refused", "under --strict"),
        (header_only, &[], "refused", "holds nobody"),
        (USERS, &["--dry-run"], "previewed", ""),
    ];
    for (users, more, word, reason) in cases {
        setting.write(users);
        let (_, said) = setting.import(&[more, &["--json"]].concat()).await.unwrap();
        let answer: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(answer["verdict"], word, "{more:?}");
        assert!(answer["reason"].as_str().unwrap_or_default().contains(reason), "{answer}");
        assert_eq!(answer["report"].is_null(), word == "refused", "{more:?}");
        assert_eq!(setting.count("people").await + setting.count("audit").await, 0, "{more:?}");
    }
    setting.write(USERS);
    let (verdict, _) = setting.import(&["--strict"]).await.unwrap();
    assert!(matches!(verdict, Verdict::Imported(_)));
}

#[tokio::test]
async fn what_cannot_be_read_or_written_fails_before_anything_is_stored() {
    let setting = Setting::new().await;
    let missing = setting.import(&[]).await.unwrap_err();
    assert!(missing.to_string().contains("orgs.csv is missing"), "{missing}");
    setting.write(USERS);
    let nowhere = setting.folder.path().join("no/such/folder.csv").display().to_string();
    let unwritable = setting.import(&["--problems", &nowhere]).await.unwrap_err();
    assert!(unwritable.to_string().contains("cannot write the problems"), "{unwritable}");
    assert_eq!(setting.count("people").await, 0);
}

#[tokio::test]
async fn a_sample_of_2000_students_is_stored_as_its_report_counts_it() {
    for version in [OneRosterVersion::V1_1, OneRosterVersion::V1_2] {
        let setting = Setting::new().await;
        let out = setting.folder.path();
        let sample = generate(&SampleOptions { students: 2_000, seed: 7, version, out }).unwrap();
        let (verdict, said) = setting.import(&[]).await.unwrap();
        let Verdict::Imported(report) = verdict else { panic!("{said}") };
        let stored = [
            setting.count("schools where active").await,
            setting.count("people where active").await,
            setting.count("students where active").await,
            setting.count("contacts").await,
            setting.count("devices where channel = 1").await,
            setting.count("devices where channel = 2").await,
            setting.count("devices where channel = 3").await,
            setting.count("devices where channel = 4").await,
        ];
        let expected = [
            sample.schools,
            sample.people,
            sample.students,
            sample.contacts,
            sample.voice,
            sample.sms,
            sample.email,
            sample.inbox,
        ];
        assert_eq!(stored, expected);
        assert_eq!((report.unresolved, report.deactivated()), (0, 0));
        let (again, _) = setting.import(&[]).await.unwrap();
        assert!(matches!(again, Verdict::Imported(report) if report.changes() == 0));
    }
}
