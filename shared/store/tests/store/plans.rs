//! Every batched statement finds its rows by whole keys, whatever the planner knows of the tables.

use std::time::Duration;

use serde_json::Value;
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_store::plans::{
    BATCHED, COMMUNICATIONS, ENGINE_SESSION, LISTED, OF_RECIPIENT, TENANT_SESSION, WINDOWED, own_campaigns,
};
use tocsin_testkit::wait_until;
use tokio_postgres::Client;

use crate::fixture::{Setting, attempts, connect};

/// By which columns each table may be scanned: those that an index condition must hold at least.
const KEYS: &[(&str, &[&str])] = &[
    ("attempts", &["campaign_id", "job_id", "number"]),
    ("campaigns", &["id"]),
    ("claim_batches", &["id"]),
    ("class_members", &["district_id", "person_id"]),
    ("classes", &["district_id", "source_id"]),
    ("consents", &["district_id", "phone"]),
    ("contacts", &["district_id", "person_id"]),
    ("destinations", &["campaign_id", "job_id"]),
    ("events", &["id"]),
    ("devices", &["district_id", "person_id"]),
    ("district_limits", &["district_id", "channel"]),
    ("districts", &["id"]),
    ("inbox_messages", &["campaign_id", "job_id"]),
    ("jobs", &["campaign_id", "id"]),
    ("leases", &["account_id", "worker_id"]),
    ("people", &["district_id", "id"]),
    ("phone_duplicates", &["campaign_id", "job_id"]),
    ("planner_leases", &["duty"]),
    ("provider_accounts", &["id"]),
    ("recipient_people", &["campaign_id", "person_id"]),
    ("recipients", &["campaign_id", "id"]),
    ("release_batches", &["id"]),
    ("release_budgets", &["owner", "channel"]),
    ("release_places", &["campaign_id", "job_id"]),
    ("schools", &["district_id", "source_id"]),
    // Almost always empty: read whole, once a batch.
    ("stops", &[]),
    ("students", &["district_id", "person_id"]),
    ("suppressions", &["district_id", "channel", "address"]),
    ("unsubscribes", &["district_id", "address", "message_type"]),
    ("webhook_deliveries", &["district_id", "endpoint_id", "id"]),
    ("webhook_devices", &["campaign_id", "job_id"]),
];

/// Statements that find rows of a table by another index, or walk one campaign.
const EXCEPTIONS: &[(&str, &str, &[&str])] = &[
    ("due_jobs", "jobs", &["campaign_id", "channel", "due_at"]),
    ("expand", "destinations", &["campaign_id", "channel", "address"]),
    ("expand", "people", &["district_id", "source_id"]),
    ("expand_lists", "class_members", &["class_source_id"]),
    ("expand_lists", "contacts", &["student_id"]),
    ("expand_lists", "destinations", &["campaign_id", "channel", "address"]),
    ("expand_lists", "people", &["district_id", "source_id"]),
    // The attendance messages of a day.
    ("expand_attendance", "campaigns", &["district_id", "attendance_day"]),
    ("expand_attendance", "destinations", &["campaign_id", "channel", "address"]),
    ("expand_attendance", "devices", &["district_id", "address"]),
    ("expand_attendance", "people", &["district_id", "source_id"]),
    ("expand_attendance_lists", "campaigns", &["district_id", "attendance_day"]),
    ("expand_attendance_lists", "class_members", &["class_source_id"]),
    ("expand_attendance_lists", "contacts", &["student_id"]),
    ("expand_attendance_lists", "destinations", &["campaign_id", "channel", "address"]),
    ("expand_attendance_lists", "devices", &["district_id", "address"]),
    ("expand_attendance_lists", "people", &["district_id", "source_id"]),
    ("expand_receipt", "attempts", &["campaign_id", "job_id"]),
    ("expand_receipt", "destinations", &["campaign_id", "channel", "address"]),
    ("receipt_part", "attempts", &["campaign_id", "job_id"]),
    ("report_devices", "destinations", &["campaign_id", "channel", "address"]),
    ("order_recalls", "jobs", &["campaign_id"]),
    ("order_recalls", "attempts", &["campaign_id"]),
    ("audit_campaign", "recipients", &["campaign_id"]),
    ("audit_campaign", "jobs", &["campaign_id"]),
    ("audit_campaign", "attempts", &["campaign_id", "job_id"]),
    ("audit_campaign", "destinations", &["campaign_id", "channel", "address"]),
    ("audit_campaign", "tallies", &["campaign_id"]),
    ("kept_callbacks", "events", &["received_at"]),
    // The open campaigns, all of them.
    ("observe_work", "campaigns", &[]),
    ("observe_work", "jobs", &["campaign_id", "channel", "due_at"]),
    ("observe_work", "tallies", &["campaign_id"]),
    ("name_unmatched", "events", &["provider_id"]),
    ("sought", "destinations", &["campaign_id", "channel", "address"]),
    ("sought", "attempts", &["campaign_id", "job_id"]),
    // The open campaigns, all of them.
    ("sought", "campaigns", &[]),
    ("open_since", "attempts", &["campaign_id"]),
    ("suppress_anywhere", "devices", &["address"]),
    ("suppress_anywhere", "provider_accounts", &["name"]),
    ("requeue_overdue", "release_batches", &["requeue_at"]),
    ("free_places", "release_places", &["district_id", "channel"]),
    ("due_claim_batches", "claim_batches", &["check_at"]),
];

const JOBS: i32 = 50_000;

/// Statements that read the directory, which is whole before the first campaign.
const OF_DIRECTORY: [&str; 4] = ["expand", "expand_lists", "expand_attendance", "expand_attendance_lists"];

/// So many people of a district, each with a phone, and nobody to analyse them.
async fn fill_directory(setting: &Setting, people: std::ops::RangeInclusive<i32>) {
    let (from, to) = (people.start(), people.end());
    setting
        .run(&format!(
            "alter table people set (autovacuum_enabled = false);
             alter table devices set (autovacuum_enabled = false);
             insert into people (district_id, source_id, given_name, family_name, role, active)
               select '{district}', n::text, 'Sam', 'Staff', 3, true from generate_series({from}, {to}) n;
             insert into devices (district_id, person_id, channel, address, position)
               select '{district}', id, 2, '+1555' || lpad(id::text, 7, '0'), 0 from people
               on conflict do nothing",
            district = setting.district,
        ))
        .await;
}

/// One campaign of so many jobs, each with its recipient, destination and attempt, and nobody to analyse them.
async fn fill(setting: &Setting, campaign: CampaignId, jobs: std::ops::RangeInclusive<i32>) {
    let (from, to) = (jobs.start(), jobs.end());
    setting
        .run(&format!(
            "do $$ declare part text; begin
               for part in select c.relname from pg_class c where c.relkind = 'r'
                 and c.relname ~ '^(jobs|attempts|destinations|recipients|inbox_messages|events|phone_duplicates)_' loop
                 execute format('alter table %I set (autovacuum_enabled = false)', part);
               end loop;
             end $$;
             insert into recipients (campaign_id, district_id, person_id, id, no_device, name, merge_values)
               select '{campaign}', '{district}', n, n, false, 'Sam', '{{}}' from generate_series({from}, {to}) n;
             insert into destinations (campaign_id, district_id, device_id, job_id, channel, duplicate, address)
               select '{campaign}', '{district}', n, n, 2, false, '+1555' || lpad(n::text, 7, '0')
               from generate_series({from}, {to}) n;
             insert into jobs (campaign_id, district_id, id, recipient_id, generation, channel, lane, state, due_at)
               select '{campaign}', '{district}', n, n, 1, 2, 3, 1, now() from generate_series({from}, {to}) n;
             insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, job_id, account_id,
                 generation, version, number, state)
               select '{campaign}', '{district}', gen_random_uuid(), now(), now(), n, 1, 1, 1, 1, 1
               from generate_series({from}, {to}) n",
            district = setting.district,
        ))
        .await;
}

/// The plan that the engine's sessions use for a statement, whatever its parameters.
async fn plan(engine: &Client, name: &str, sql: &str, campaign: CampaignId) -> Value {
    engine.batch_execute(&format!("prepare {name} as {sql}")).await.unwrap();
    let types = "select unnest(parameter_types)::text from pg_prepared_statements where name = $1";
    let arguments: Vec<String> = engine
        .query(types, &[&name])
        .await
        .unwrap()
        .iter()
        // A partition is chosen by the campaign before the plan is shown.
        .map(|row| match row.get::<_, &str>(0) {
            "uuid" => format!("'{campaign}'"),
            _ => "null".to_owned(),
        })
        .collect();
    let explain = format!("explain (format json) execute {name}({})", arguments.join(", "));
    let plan: Value = engine.query_one(&explain, &[]).await.unwrap().get(0);
    engine.batch_execute(&format!("deallocate {name}")).await.unwrap();
    plan
}

fn scans<'a>(node: &'a Value, found: &mut Vec<&'a Value>) {
    if node["Relation Name"].is_string() && node["Node Type"] != "ModifyTable" {
        found.push(node);
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        scans(child, found);
    }
}

/// `jobs_2026_11` is a part of `jobs`.
fn table_of(relation: &str) -> &str {
    let is_part = |name: &&str| {
        relation
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('_'))
            .is_some_and(|rest| rest == "default" || rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let parents = [
        "recipient_people",
        "recipients",
        "destinations",
        "jobs",
        "attempts",
        "events",
        "inbox_messages",
        "phone_duplicates",
    ];
    parents.into_iter().find(is_part).unwrap_or(relation)
}

/// The columns that an index condition compares: what stands left of each operator.
fn compared(condition: &str) -> Vec<String> {
    condition
        .split(" AND ")
        .flat_map(|term| {
            let left = term.split([' ', '=', '<', '>']).next().unwrap_or_default();
            let left = match term.find("ROW(") {
                Some(at) => term[at + 4..].split(')').next().unwrap_or_default(),
                None => left,
            };
            let left = left.trim_end_matches("::text");
            left.split(',').map(|name| name.trim_matches([' ', '(', ')']).to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// Why a scan is not by a whole key, if so.
fn fault(statement: &str, scan: &Value) -> Option<String> {
    let table = table_of(scan["Relation Name"].as_str()?);
    let node = scan["Node Type"].as_str()?;
    let condition = scan["Index Cond"].as_str().unwrap_or_default();
    let columns = compared(condition);
    let holds = |key: &&[&str]| key.iter().all(|column| columns.iter().any(|compared| compared == column));
    let keys = KEYS.iter().filter(|(of, _)| *of == table).map(|(_, key)| *key);
    let others =
        EXCEPTIONS.iter().filter(|(by, of, _)| *by == statement && *of == table).map(|(.., key)| *key);
    let by_index = matches!(node, "Index Scan" | "Index Only Scan");
    let keyed = keys.chain(others).any(|key| holds(&key));
    (!by_index || !keyed).then(|| format!("{statement}: {node} on {table} by {condition:?}"))
}

/// As [`fault`]; a window of a campaign may be read by a bitmap of its index, too.
fn windowed_fault(statement: &str, scan: &Value) -> Option<String> {
    if scan["Node Type"] != "Bitmap Heap Scan" {
        return fault(statement, scan);
    }
    let mut by_index = scan.clone();
    by_index["Node Type"] = "Index Scan".into();
    by_index["Index Cond"] = scan["Recheck Cond"].clone();
    fault(statement, &by_index)
}

async fn assert_keyed(setting: &Setting, campaign: CampaignId, context: &str) {
    assert_keyed_but_for(setting, campaign, context, &[]).await;
}

async fn assert_keyed_but_for(setting: &Setting, campaign: CampaignId, context: &str, left_out: &[&str]) {
    let engine = connect(&setting.database.url).await;
    engine.batch_execute(ENGINE_SESSION).await.unwrap();
    let mut faults = Vec::new();
    for (name, sql) in BATCHED.iter().filter(|(name, _)| !left_out.contains(name)) {
        let plan = plan(&engine, name, sql, campaign).await;
        let mut found = Vec::new();
        scans(&plan[0]["Plan"], &mut found);
        faults.extend(found.into_iter().filter_map(|scan| fault(name, scan)));
    }
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{context}:\n{}", faults.join("\n"));
}

#[tokio::test]
async fn no_batched_statement_scans_but_by_whole_keys() {
    let setting = Setting::new().await;
    let campaign = setting.campaign(|_| ()).await;
    assert_keyed(&setting, campaign, "empty").await;
    fill_directory(&setting, 1..=JOBS).await;
    fill(&setting, campaign, 1..=JOBS).await;
    assert_keyed(&setting, campaign, "full, not analysed").await;
    setting.run("analyze").await;
    assert_keyed(&setting, campaign, "full, analysed").await;
}

/// The receipt's lists and the report's pages are the api's, whose sessions plan with all that PostgreSQL has, and see one district.
#[tokio::test]
async fn a_page_of_a_receipt_or_report_reads_its_window_by_indexes_however_large_the_campaign() {
    let setting = Setting::new().await;
    let campaign = setting.campaign(|_| ()).await;
    fill(&setting, campaign, 1..=JOBS).await;
    // Of an empty table PostgreSQL reads nothing, by whatever way.
    setting
        .run(&format!(
            "insert into inbox_messages (campaign_id, district_id, created_at, job_id, account, subject, body)
             select '{campaign}', '{}', now(), n, 'ana', 'Bus 7', 'is late' from generate_series(1, {JOBS}) n",
            setting.district
        ))
        .await;
    for context in ["not analysed", "analysed"] {
        let tenant = connect(&setting.database.url).await;
        tenant
            .batch_execute(&format!("{TENANT_SESSION}; set tocsin.district = '{}'", setting.district))
            .await
            .unwrap();
        let mut faults = Vec::new();
        for (name, sql) in WINDOWED {
            // In the midst of the campaign, a window of 10,000 and a page of 100.
            let after = match *name {
                "receipt_part" => "20000, 30000, 4, 101",
                "report_devices" => "20000, 22000",
                _ => "20000, 30000, 101",
            };
            tenant.batch_execute(&format!("prepare {name} as {sql}")).await.unwrap();
            let explain = format!("explain (format json) execute {name}('{campaign}', {after})");
            let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
            let mut found = Vec::new();
            scans(&plan[0]["Plan"], &mut found);
            assert!(!found.is_empty(), "{plan}");
            faults.extend(found.into_iter().filter_map(|scan| windowed_fault(name, scan)));
        }
        assert!(faults.is_empty(), "{context}:\n{}", faults.join("\n"));
        setting.run("analyze").await;
    }
}

/// However many recipients there are.
#[tokio::test]
async fn a_look_at_one_recipient_reads_the_jobs_of_no_other() {
    let setting = Setting::new().await;
    let (campaign, district) = (setting.campaign(|_| ()).await, setting.district);
    fill(&setting, campaign, 1..=5_000).await;
    setting
        .run(&format!(
            "insert into recipient_people (campaign_id, district_id, person_id, recipient_id)
               select campaign_id, district_id, id, id from recipients;
             update recipients set first_job = id;
             update campaigns set state = 3 where id = '{campaign}';
             analyze"
        ))
        .await;
    let tenant = connect(&setting.database.url).await;
    tenant.batch_execute(&format!("{TENANT_SESSION}; set tocsin.district = '{district}'")).await.unwrap();
    let person = format!(
        "'{district}', 7, now() - interval '7 days', now() + interval '7 days', null, null, null, null, 1, '{{}}', null, null,
         null, null, 100, false, null"
    );
    for (name, sql) in OF_RECIPIENT.iter().chain(COMMUNICATIONS) {
        let arguments = match *name {
            "told_devices" => format!("'{campaign}', 7, null, null, 500"),
            "recipient" => format!("'{campaign}', 7"),
            _ => person.clone(),
        };
        tenant.batch_execute(&format!("prepare {name} as {sql}")).await.unwrap();
        let explain = format!("explain (analyze, format json) execute {name}({arguments})");
        let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
        let mut found = Vec::new();
        scans(&plan[0]["Plan"], &mut found);
        for table in ["jobs", "recipients"] {
            let of_table =
                found.iter().filter(|scan| table_of(scan["Relation Name"].as_str().unwrap()) == table);
            let count = |scan: &Value, what: &str| scan[what].as_f64().unwrap_or_default();
            let read: Vec<_> = of_table
                .map(|scan| count(scan, "Actual Rows") + count(scan, "Rows Removed by Filter"))
                .collect();
            let one = read.contains(&1.0) && read.iter().all(|rows| *rows <= 1.0);
            assert!(one, "{name} reads {read:?} of {table}: {plan}");
        }
    }
}

/// Of a list's page, what is passed, and by which columns its table is read at least.
const PAGES: &[(&str, &str, &[&str])] = &[
    (
        "own_campaigns",
        "'{district}', 26, '{}', null, now(), null, null, null, null, null, false, '{}', null, '{person}'",
        &["district_id", "creator_id"],
    ),
    ("users", "'{district}', 'user5', 51", &["district_id", "login"]),
    (
        "own_keys",
        "'{district}', now() + interval '1 day', '{person}', 51",
        &["district_id", "created_at", "id"],
    ),
    ("audit_log", "'{district}', '2000-01-01', now(), 0, 51", &["district_id", "at"]),
    (
        "audit_of_action",
        "'{district}', '2000-01-01', now(), 0, 51, 'user.add'",
        &["district_id", "action", "at"],
    ),
    (
        "audit_of_actor",
        "'{district}', '2000-01-01', now(), 0, 51, 'actor 7', null",
        &["district_id", "actor", "at"],
    ),
    (
        "webhook_deliveries",
        "'{district}', '{person}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 51",
        &["district_id", "endpoint_id", "id"],
    ),
];

/// The lists that grow with a district, as the api's sessions read them: by an index that has their order, without a sort
/// of all there is.
#[tokio::test]
async fn a_page_of_a_list_is_read_by_an_index_in_its_order() {
    let setting = Setting::new().await;
    let campaign = setting.campaign(|_| ()).await;
    let (district, person) = (setting.district, uuid::Uuid::from_u128(7));
    setting
        .run(&format!(
            "insert into audit (district_id, at, actor, action, subject)
               select '{district}', now() - n * interval '1 minute', 'actor ' || n % 500,
                 case when n % 100 = 0 then 'user.add' else 'campaign.create' end, n::text
               from generate_series(1, {JOBS}) n;
             insert into users (district_id, id, login, display_name, password_hash, roles, created_at, created_by,
                 changed_at, changed_by, password_changed_at)
               select '{district}', gen_random_uuid(), 'user' || n, 'Sam', 'x', '{{}}', now(), 'a', now(), 'a', now()
               from generate_series(1, 20000) n;
             insert into api_keys (district_id, id, name, key_hash, created_at)
               select '{district}', gen_random_uuid(), 'key', sha256(n::text::bytea), now() - n * interval '1 s'
               from generate_series(1, 20000) n;
             insert into webhook_endpoints (district_id, id, url, description, events, enabled_at, secret_key, created_at,
                 created_by, changed_at, changed_by)
               values ('{district}', '{person}', 'https://hooks.example.org/', '', '{{campaign.closed}}', now(), 'key', now(),
                 'a', now(), 'a');
             insert into webhook_deliveries (district_id, endpoint_id, id, event_type, body, created_at, next_at)
               select '{district}', '{person}', gen_random_uuid(), 'campaign.closed', '', now(), now()
               from generate_series(1, 20000) n;
             insert into campaigns overriding system value select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(),
                 'number', 100 + n, 'client_key', n::text, 'creator_id', ('00000000-0000-0000-0000-' || lpad(to_hex(n % 500), 12, '0')),
                 'state', case when n % 50 = 0 then 1 else 5 end))).*
               from campaigns c, generate_series(1, 20000) n where c.id = '{campaign}';
             insert into contents (campaign_id, ordinal, district_id, body)
               select id, 1, district_id, 'Text' from campaigns where id <> '{campaign}'"
        ))
        .await;
    // These tables grow slowly, and are analysed long before a sort of them costs anything.
    setting.run("analyze").await;
    let tenant = connect(&setting.database.url).await;
    tenant.batch_execute(&format!("{TENANT_SESSION}; set tocsin.district = '{district}'")).await.unwrap();
    let mut faults = Vec::new();
    let own = own_campaigns();
    for (name, sql) in LISTED.iter().copied().chain([("own_campaigns", own.as_str())]) {
        let (_, passed, key) = PAGES.iter().find(|(of, ..)| *of == name).unwrap();
        let passed =
            passed.replace("{district}", &district.to_string()).replace("{person}", &person.to_string());
        tenant.batch_execute(&format!("prepare {name} as {sql}")).await.unwrap();
        let explain = format!("explain (format json) execute {name}({passed})");
        let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
        let mut found = Vec::new();
        scans(&plan[0]["Plan"], &mut found);
        assert!(!found.is_empty(), "{plan}");
        let sorts = plan.to_string().contains("\"Node Type\":\"Sort\"");
        for scan in found {
            let condition = scan["Index Cond"].as_str().unwrap_or_default();
            let columns = compared(condition);
            // Beside a row of the list only what it says of its texts is looked up.
            let key = if scan["Relation Name"] == "contents" { &["campaign_id"][..] } else { *key };
            let keyed = key.iter().all(|column| columns.iter().any(|is| is == column));
            if scan["Node Type"] != "Index Scan" || !keyed || sorts {
                faults.push(format!("{name}: {} by {condition:?}, sorted: {sorts}", scan["Node Type"]));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A session keeps its plans: those made when the first campaigns were small serve the large one, too.
#[tokio::test]
async fn no_small_campaign_leaves_a_plan_that_scans() {
    let setting = Setting::new().await;
    let campaign = setting.campaign(|_| ()).await;
    for jobs in [1, 5, 60] {
        setting
            .run(
                "truncate people, devices, recipients, destinations, jobs, attempts restart identity cascade",
            )
            .await;
        fill(&setting, campaign, 1..=jobs).await;
        setting.run("analyze").await;
        let context = format!("{jobs} jobs, analysed");
        assert_keyed_but_for(&setting, campaign, &context, &OF_DIRECTORY).await;
    }
    fill_directory(&setting, 61..=JOBS).await;
    fill(&setting, campaign, 61..=JOBS).await;
    assert_keyed_but_for(&setting, campaign, "full, with the figures of a small one", &OF_DIRECTORY).await;
}

#[test]
fn a_condition_is_read_for_the_columns_that_it_compares() {
    let cases = [
        ("((campaign_id = a.campaign_id) AND (id = a.job_id))", vec!["campaign_id", "id"]),
        ("(campaign_id = a.id)", vec!["campaign_id"]),
        (
            "((campaign_id = d.campaign_id) AND (channel = $5) AND (due_at <= $6) AND (ROW(due_at, id) > ROW(d.a, d.b)))",
            vec!["campaign_id", "channel", "due_at", "due_at", "id"],
        ),
        ("", vec![""]),
    ];
    for (condition, columns) in cases {
        assert_eq!(compared(condition), columns, "{condition}");
    }
}

/// So few that all their versions fit one page: room is a matter of vacuum, not of this rule.
const DEVICES: i32 = 12;

/// A claim and an end touch no index: `due_at` is set only while a job waits (docs/adr/0003-schema.md).
#[tokio::test]
async fn claims_and_ends_are_updates_within_the_page() {
    let setting = Setting::new().await;
    let campaign = setting.expanded(DEVICES).await;
    let jobs = setting.release(campaign, Channel::Sms).await;
    // A session tells what it updated when it ends.
    let before = updates_told(&setting, i64::from(DEVICES)).await;
    let worker = tocsin_store::Store::open(&setting.database.url, 1, tocsin_store::Access::Engine).unwrap();
    let id = setting.worker().await;
    let tried = attempts(&crate::fixture::granted(worker.claim(id, &jobs).await.unwrap()));
    let delivered =
        ReportKind::Status { outcome: Outcome::Delivered, provider_code: None, provider_id: None };
    let now = setting.now().await;
    worker.settle(crate::fixture::reports(&tried, &delivered, now), vec![], now).await.unwrap();
    drop(worker);
    let after = updates_told(&setting, before.0 + 2 * i64::from(DEVICES)).await;
    let (updates, within_page) = (after.0 - before.0, after.1 - before.1);
    assert_eq!((updates, within_page), (2 * i64::from(DEVICES), 2 * i64::from(DEVICES)));
}

/// Updates of jobs, and those within their page, once at least `expected` are told.
async fn updates_told(setting: &Setting, expected: i64) -> (i64, i64) {
    let told = async |column: &str| {
        setting
            .number(&format!("select sum({column}) from pg_stat_user_tables where relname like 'jobs\\_%'"))
            .await
    };
    wait_until("the statistics tell the updates", Duration::from_secs(60), async || {
        told("n_tup_upd").await >= expected
    })
    .await
    .unwrap();
    (told("n_tup_upd").await, told("n_tup_hot_upd").await)
}
