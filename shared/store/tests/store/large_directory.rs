//! A district of tens of thousands: pages of its directory are read by indexes, whatever is searched for, and its
//! audiences are counted soon.

use std::collections::BTreeSet;

use serde_json::Value;
use tocsin_domain::Channel;
use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_store::plans::{DIRECTORY, TENANT_SESSION, WAITING, people};
use tocsin_store::tenant::audience::SizeQuery;
use tocsin_store::tenant::directory::people::{Breadth, PeopleQuery, Place, Search};

use crate::fixture::{Setting, connect};

const PEOPLE: i64 = 30_000;

/// A third are students at 100 schools, half are their guardians, the rest is staff, each with up to three devices;
/// half of the rows of each table are another district's.
async fn fill(setting: &Setting) {
    let other = uuid::Uuid::from_u128(99);
    setting
        .run(&format!(
            "insert into districts (id, name, created_at) values ('{other}', 'Other', now());
             insert into schools (district_id, source_id, name, kind)
               select d, 's' || lpad(n::text, 4, '0'), 'School', 'school'
               from unnest(array['{district}', '{other}']::uuid[]) d, generate_series(1, 3000) n;
             insert into classes (district_id, source_id, title, school_source_id, session_source_ids)
               select d, 'c' || lpad(n::text, 6, '0'), 'Class', 's' || lpad((n % 3000 + 1)::text, 4, '0'), '{{}}'
               from unnest(array['{district}', '{other}']::uuid[]) d, generate_series(1, 20000) n;
             insert into people (district_id, source_id, given_name, family_name, role, active, language)
               select d, 'p' || n, 'G' || md5('g' || n), case n % 10 when 0 then 'Z' else 'F' end || md5('f' || n),
                 case when n <= {students} then 2 when n <= {students} * 5 / 2 then 1 else 3 end, n % 50 <> 0,
                 case when n % 4 = 0 then 'es' end
               from unnest(array['{district}', '{other}']::uuid[]) d, generate_series(1, {PEOPLE}) n;
             analyze people;
             insert into students (district_id, person_id, school_source_id, grade, active)
               select district_id, id, 's' || lpad((id % 100 + 1)::text, 4, '0'), lpad((id % 13)::text, 2, '0'), id % 30 <> 0
               from people where role = 2;
             insert into contacts (district_id, person_id, student_id, relationship)
               select distinct g.district_id, g.id, s.id, 'parent' from people g
               cross join unnest(array[7, 11]) factor
               join people s on s.district_id = g.district_id and s.role = 2
                 and s.source_id = 'p' || (substr(g.source_id, 2)::int * factor % {students} + 1)
               where g.role = 1;
             insert into devices (district_id, person_id, channel, address, position)
               select district_id, id, c, case c when 3 then 'a' || id || '@example.org' else '+1555' || lpad(id::text, 7, '0') end, 1
               from people cross join generate_series(1, 3) c where (id + c) % 7 <> 0 and id % 40 <> 0;
             insert into imports (district_id, id, state, created_at, created_by, file_name, strict)
               select d, gen_random_uuid(), 4, now(), 'a', 'roster.zip', false
               from unnest(array['{district}', '{other}']::uuid[]) d, generate_series(1, 5000) n;
             analyze",
            district = setting.district,
            students = PEOPLE / 3,
        ))
        .await;
}

/// What a plan scans, as `node table index`, and whether it sorts.
fn scans(node: &Value, found: &mut Vec<String>) {
    let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
    let reads = node["Relation Name"].is_string() || node["Index Name"].is_string();
    if text("Node Type").contains("Scan") && reads || text("Node Type") == "Sort" {
        found.push(format!("{} {} {}", text("Node Type"), text("Relation Name"), text("Index Name")));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        scans(child, found);
    }
}

struct Explained {
    scans: Vec<String>,
    plan: Value,
}

impl Explained {
    fn has(&self, part: &str) -> bool {
        self.scans.iter().any(|scan| scan.starts_with(part))
    }
}

/// A table of this size is read whole soon enough, so which plan is chosen hangs on its statistics; what is asked is whether
/// there is an index for all that is looked for.
async fn explain(setting: &Setting, name: &str, sql: &str, passed: &str) -> Explained {
    let tenant = connect(&setting.database.url).await;
    let session =
        format!("{TENANT_SESSION}; set enable_seqscan = off; set tocsin.district = '{}'", setting.district);
    tenant.batch_execute(&format!("{session}; prepare {name} as {sql}")).await.unwrap();
    let plan = tenant.query_one(&format!("explain (format json) execute {name}({passed})"), &[]).await;
    let plan: Value = plan.unwrap_or_else(|fault| panic!("{name}: {fault}")).get(0);
    let mut found = Vec::new();
    scans(&plan[0]["Plan"], &mut found);
    Explained { scans: found, plan }
}

#[tokio::test]
async fn pages_of_a_large_directory_are_read_by_indexes() {
    let setting = Setting::new().await;
    fill(&setting).await;
    let district = setting.district;
    let groups =
        r#"'[{"ordinal": 0, "guardians": true, "students": true, "staff": true, "inactive": false}]'"#;
    let cases = [
        ("schools", format!("'{district}', 's0100', 51"), "schools_pkey"),
        ("classes", format!("'{district}', 'c000100', 51"), "classes_pkey"),
        ("classes_of_school", format!("'{district}', '', 51, 's0100'"), "classes"),
        ("imports", format!("'{district}', 'f0000000-0000-0000-0000-000000000000', 51"), "imports_pkey"),
        ("kept_audience_size", format!("'{district}', 'x'"), "audience_counts_pkey"),
        (
            "audience_estimate",
            format!("400, '{district}', 0, 6, '{{1,2,3,4}}', 'general', 1::smallint, {groups}"),
            "people_pkey",
        ),
    ];
    for (name, sql) in DIRECTORY {
        let (_, passed, index) = cases.iter().find(|(of, ..)| of == name).unwrap();
        let explained = explain(&setting, name, sql, passed).await;
        let small = ["districts", "audience_counts"];
        let whole = explained
            .scans
            .iter()
            .find(|scan| scan.starts_with("Seq Scan") && !small.iter().any(|table| scan.contains(table)));
        assert_eq!(whole, None, "{name}: {}", explained.plan);
        let read = explained.scans.iter().any(|scan| scan.contains(index));
        assert!(read || *name == "kept_audience_size", "{name}: {:?}", explained.scans);
        if !["classes_of_school", "audience_estimate"].contains(name) {
            assert!(!explained.has("Sort"), "{name}: {}", explained.plan);
        }
    }
    let campaign = setting.campaign(|_| ()).await;
    let waiting =
        explain(&setting, "waiting", WAITING, &format!("'{campaign}', '{{1,2}}', 1000, now()")).await;
    assert!(!waiting.has("Seq Scan"), "{}", waiting.plan);
}

fn searching(text: &str) -> Option<Search> {
    Some(Search {
        names: vec![text.to_owned()],
        source_id: text.to_owned(),
        addresses: vec![text.to_owned()],
    })
}

#[tokio::test]
async fn a_page_of_people_is_read_along_their_names_or_of_the_few_that_are_found() {
    let setting = Setting::new().await;
    fill(&setting).await;
    let district = setting.district;
    let text = |text: &str| Some(text.to_owned());
    let base = PeopleQuery { people_max: 51, ..PeopleQuery::default() };
    let place = Place { family: "f8".to_owned(), given: String::new(), id: 0 };
    // The parameters that follow the district's; those of the search are taken thrice or so.
    let cases = [
        (base.clone(), "51", true),
        (PeopleQuery { after: Some(place), ..base.clone() }, "'f8', '', 0, 51", true),
        (PeopleQuery { role: Some(Role::Staff), ..base.clone() }, "3::smallint, 51", true),
        (PeopleQuery { active: Some(false), ..base.clone() }, "false, 51", true),
        (PeopleQuery { school: text("s0005"), ..base.clone() }, "'s0005', 51", false),
        (
            PeopleQuery { school: text("s0005"), grade: text("04"), ..base.clone() },
            "'s0005', '04', 51",
            false,
        ),
    ];
    for (nth, (query, passed, in_order)) in cases.iter().enumerate() {
        let sql = people(query, Breadth::Narrow);
        let explained =
            explain(&setting, &format!("people_{nth}"), &sql, &format!("'{district}', {passed}")).await;
        assert!(!explained.has("Seq Scan"), "{query:?}: {}", explained.plan);
        assert_eq!(explained.has("Sort"), !in_order, "{query:?}: {}", explained.plan);
        assert_eq!(
            explained.scans.iter().any(|scan| scan.contains("people_by_name")),
            *in_order,
            "{query:?}: {:?}",
            explained.scans
        );
    }
    let query = PeopleQuery { search: searching("gab"), ..base };
    let range = "'gab', 'gac'";
    let sql = people(&query, Breadth::Narrow);
    let passed = format!("'{district}', {range}, 51, {range}, {range}, {range}, 51, 51");
    let explained = explain(&setting, "narrow", &sql, &passed).await;
    assert!(!explained.has("Seq Scan"), "{}", explained.plan);
    for index in ["people_by_name", "people_by_given_name", "people_by_source", "devices_by_address"] {
        assert!(explained.scans.iter().any(|scan| scan.contains(index)), "{index}: {:?}", explained.scans);
    }
    let sql = people(&query, Breadth::Wide);
    let wide = "'g', 'h'";
    let passed = format!("'{district}', {wide}, 51, 51, {wide}, 51, {wide}, 51, {wide}, 51, 51");
    let explained = explain(&setting, "wide", &sql, &passed).await;
    assert!(!explained.has("Seq Scan"), "{}", explained.plan);
}

#[tokio::test]
async fn a_search_finds_each_once_in_the_order_of_names_however_many_there_are() {
    let setting = Setting::new().await;
    fill(&setting).await;
    // All of the given names; all of the family names but a tenth; all phones, emails and ids; and few of each.
    for begins in ["g", "f", "z", "p", "p1", "a", "a12", "+15550", "+1555001", "gab", "zab", "nothing"] {
        let mut found: Vec<Place> = Vec::new();
        loop {
            let query = PeopleQuery {
                search: searching(begins),
                active: Some(true),
                after: found.last().cloned(),
                people_max: 5_000,
                ..PeopleQuery::default()
            };
            let page = setting.tenant().people(&query).await.unwrap();
            found.extend(page.iter().map(|person| person.place.clone()));
            if page.len() < 5_000 {
                break;
            }
        }
        let expected = format!(
            "select p.id from people p where p.district_id = '{}' and p.active and (starts_with(p.family_key, '{begins}')
               or starts_with(p.given_key, '{begins}') or starts_with(p.source_id, '{begins}')
               or exists (select from devices d where d.district_id = p.district_id and d.person_id = p.id
                 and starts_with(d.address, '{begins}')))
             order by p.family_key, p.given_key, p.id",
            setting.district
        );
        let expected: Vec<i64> =
            setting.owner.query(&expected, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        let found: Vec<i64> = found.iter().map(|place| place.id).collect();
        assert_eq!(found.len(), expected.len(), "{begins}");
        assert_eq!(found, expected, "{begins}");
    }
}

fn everybody(roles: &[Role]) -> Audience {
    Audience { all: true, roles: roles.to_vec(), ..Audience::default() }
}

#[tokio::test]
async fn an_estimate_is_near_and_says_that_it_is_one() {
    let setting = Setting::new().await;
    fill(&setting).await;
    let tenant = setting.tenant();
    let spanish = Audience { language: Some("es".to_owned()), ..everybody(&[Role::Guardian, Role::Staff]) };
    let schools = (1..=30).map(|n| format!("s{n:04}")).collect();
    let of_schools = Audience { all: false, schools, ..everybody(&Role::ALL) };
    let audiences =
        [everybody(&Role::ALL), everybody(&[Role::Guardian]), everybody(&[Role::Staff]), spanish, of_schools];
    let mut told = BTreeSet::new();
    for audience in audiences {
        for mode in DedupeMode::ALL {
            let query =
                SizeQuery { audience: &audience, channels: &Channel::ALL, mode, message_type: "general" };
            let exact = tenant.audience_size(&query).await.unwrap();
            let estimate = tenant.audience_estimate(&query).await.unwrap();
            let context = format!("{mode:?} {audience:?}: {exact:?}, {estimate:?}");
            assert!(!estimate.exact && estimate.met > 100, "{context}");
            let near = |about: u64, exact: u64| (about as f64 / exact as f64 - 1.0).abs() < 0.15;
            assert!(near(estimate.size.recipients, exact.recipients), "{context}");
            for (channel, count) in &exact.devices {
                assert!(*count == 0 || near(estimate.size.devices[channel], *count), "{channel}: {context}");
            }
            told.insert(estimate.size.recipients);
        }
    }
    assert_eq!(told.len(), 5, "both modes have the same people");
}

#[tokio::test]
async fn of_a_small_district_everybody_is_asked() {
    let setting = Setting::new().await;
    setting.staff(900).await;
    let audience = everybody(&[Role::Staff]);
    let channels = [Channel::Sms];
    let query = SizeQuery {
        audience: &audience,
        channels: &channels,
        mode: DedupeMode::PerDevice,
        message_type: "general",
    };
    let estimate = setting.tenant().audience_estimate(&query).await.unwrap();
    assert!(estimate.exact, "{estimate:?}");
    assert_eq!(estimate.size, setting.tenant().audience_size(&query).await.unwrap());
}

#[tokio::test]
async fn a_count_is_kept_until_the_directory_changes() {
    let setting = Setting::new().await;
    setting.staff(5).await;
    let (tenant, now) = (setting.tenant(), setting.now().await);
    let audience = everybody(&[Role::Staff]);
    let channels = [Channel::Sms, Channel::Voice];
    let query = SizeQuery {
        audience: &audience,
        channels: &channels,
        mode: DedupeMode::PerDevice,
        message_type: "general",
    };
    assert_eq!(tenant.kept_audience_size(&query).await.unwrap(), None);
    let counted = tenant.keep_audience_size(&query, now).await.unwrap();
    assert_eq!(counted.recipients, 5);
    assert_eq!(tenant.kept_audience_size(&query).await.unwrap().as_ref(), Some(&counted));
    // The order of channels makes no other question; another type does.
    let turned = [Channel::Voice, Channel::Sms];
    let same = SizeQuery { channels: &turned, ..query };
    assert_eq!(tenant.kept_audience_size(&same).await.unwrap().as_ref(), Some(&counted));
    let other = SizeQuery { message_type: "attendance", ..query };
    assert_eq!(tenant.kept_audience_size(&other).await.unwrap(), None);
    setting.staff(2).await;
    setting.run("update districts set directory_version = directory_version + 1").await;
    assert_eq!(tenant.kept_audience_size(&query).await.unwrap(), None, "it was of another directory");
    assert_eq!(tenant.keep_audience_size(&query, now).await.unwrap().recipients, 7);
    assert_eq!(tenant.kept_audience_size(&query).await.unwrap().map(|size| size.recipients), Some(7));
}
