//! Lists read their index along, from the place where the page before ended, however many campaigns a district has.

use std::time::Instant;

use serde_json::Value;
use tocsin_domain::CampaignId;
use tocsin_store::plans::{
    ACTIVITIES, APPROVAL_MAILS, ENGINE_SESSION, PAGED, TENANT_SESSION, UPCOMING, lists,
};
use tocsin_store::tenant::campaigns::lists::{Direction, Group, ListQuery, Sort};
use tocsin_store::tenant::upcoming::UpcomingQuery;

use crate::fixture::{Setting, connect};

const CAMPAIGNS: i32 = 20_000;

/// So many campaigns, of which few are not over, and two hundred series.
async fn fill(setting: &Setting) {
    setting
        .run(&format!(
            "insert into campaigns (id, district_id, client_key, request_hash, state, lane, mode, consent_class, message_type,
               subject, channels, audience, redial, created_by, created_at, scheduled_at, expires_at, ended_at, closed_at)
             select gen_random_uuid(), '{district}', n::text, '', case when n % 200 = 0 then 1 when n % 201 = 0 then 3 else 5 end,
               3, 1, 2, (array['general', 'attendance', 'behavior'])[n % 3 + 1], 'Subject ' || md5(n::text), '{{2}}',
               jsonb_build_object('all', n % 2 = 0, 'schools', jsonb_build_array('s' || n % 40), 'grades', '[]'::jsonb,
                 'people', '[]'::jsonb, 'roles', '[\"staff\"]'::jsonb, 'language', null, 'include_inactive', false),
               '{{\"attempts_max\": 3, \"wait_seconds\": 300, \"machines\": false}}', 'author ' || n % 50, now() - n * interval '1 hour',
               now() - n * interval '1 hour', now(), now(), now()
             from generate_series(1, {CAMPAIGNS}) n;
             insert into contents (campaign_id, ordinal, district_id, body)
               select id, 1, district_id, 'Text' from campaigns;
             insert into series (id, district_id, client_key, request_hash, state, recurrence, time_zone, late_seconds_max,
               next_on, next_at, lane, mode, message_type, subject, channels, audience, contents, expires_in_seconds,
               created_by, created_at)
             select gen_random_uuid(), '{district}', n::text, '', 1,
               '{{\"frequency\": \"daily\", \"starts_on\": \"2026-09-01\", \"at\": \"08:00\"}}', 'America/Chicago', 3600,
               '2026-09-01', now() + n * interval '1 hour', 3, 1, 'general', 'Series ' || n, '{{2}}',
               '{{\"schools\": [], \"people\": []}}', '[]', 3600, 'author', now()
             from generate_series(1, 200) n;
             analyze",
            district = setting.district,
        ))
        .await;
}

fn indexes(node: &Value, found: &mut Vec<String>) {
    if let Some(name) = node["Index Name"].as_str() {
        found.push(name.to_owned());
    }
    if node["Node Type"] == "Seq Scan" || node["Node Type"] == "Sort" {
        found.push(node["Node Type"].as_str().unwrap_or_default().to_owned());
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        indexes(child, found);
    }
}

/// Where a page in the midst begins.
fn middle(name: &str) -> &'static str {
    match name.split('_').nth(1) {
        Some("created") if !name.contains("created_by") => "'80000000-0000-0000-0000-000000000000'",
        Some("date") => "(now() - interval '10000 hours')::text",
        Some("number") => "'10000'",
        Some("state") => "'5'",
        _ if name.contains("created_by") => "'author 25'",
        _ => "'subject 8'",
    }
}

#[tokio::test]
async fn a_page_in_any_order_is_read_along_its_index() {
    let setting = Setting::new().await;
    fill(&setting).await;
    let tenant = connect(&setting.database.url).await;
    let session = format!("{TENANT_SESSION}; set tocsin.district = '{}'", setting.district);
    tenant.batch_execute(&session).await.unwrap();
    // Of columns with few values PostgreSQL takes what is behind a value for little, or for nothing, and may sort it.
    let few = |name: &str| name.ends_with("_1") && (name.contains("state") || name.contains("message_type"));
    for (name, index, sql) in lists().into_iter().filter(|(name, ..)| !few(name)) {
        tenant.batch_execute(&format!("prepare {name} as {sql}")).await.unwrap();
        let later = sql.contains("$16");
        let keys = if later { format!(", {}, gen_random_uuid()", middle(&name)) } else { String::new() };
        let nothing = "'{}', null, now(), null, null, null, null, null, false, '{}', null, null";
        let district = setting.district;
        let explain = format!("explain (format json) execute {name}('{district}', 26, {nothing}{keys})");
        let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
        let mut found = Vec::new();
        indexes(&plan[0]["Plan"], &mut found);
        // Of one district alone the numbers of all are as good.
        let numbers = |it: &str| index == "campaigns_by_number" && it == "campaigns_number_key";
        assert!(found.iter().any(|it| it == index || numbers(it)), "{name}: {found:?}");
        assert!(!found.iter().any(|it| it == "Seq Scan" || it == "Sort"), "{name}: {plan}");
    }
    tenant.batch_execute(&format!("prepare upcoming as {UPCOMING}")).await.unwrap();
    let explain = format!(
        "explain (format json) execute upcoming('{}', false, null, null, null, null, null, 26, null)",
        setting.district
    );
    let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
    let mut found = Vec::new();
    indexes(&plan[0]["Plan"], &mut found);
    // So few of the rows that any index which leads to them will do, and they may be sorted.
    for table in ["campaigns_", "series_"] {
        assert!(found.iter().any(|it| it.starts_with(table)), "upcoming: {found:?}");
    }
    assert!(!found.iter().any(|it| it == "Seq Scan"), "upcoming: {plan}");
}

const ROWS: i32 = 20_000;
/// Of a page, and one more.
const PAGE: i32 = 51;

/// So many rows of each of these lists, of this district and of another; of each the middle half-way.
async fn fill_pages(setting: &Setting) {
    let other = uuid::Uuid::from_u128(99);
    setting
        .run(&format!(
            "insert into districts (id, name, created_at) values ('{other}', 'Other', now());
             create temp table d as select unnest(array['{district}', '{other}']::uuid[]) as id;
             create temp table n as select generate_series(1, {ROWS}) as n;
             insert into series (id, district_id, client_key, request_hash, state, recurrence, time_zone, late_seconds_max,
               next_on, next_at, lane, mode, message_type, subject, channels, audience, contents, expires_in_seconds,
               created_by, created_at)
             select gen_random_uuid(), d.id, n::text, '', 1,
               '{{\"frequency\": \"daily\", \"starts_on\": \"2026-09-01\", \"at\": \"08:00\"}}', 'America/Chicago', 3600,
               '2026-09-01', now() + n * interval '1 hour', 3, 1, 'general', 'Series', '{{2}}',
               '{{\"schools\": [], \"people\": []}}', '[]', 3600, 'author', now()
             from d, n;
             insert into occurrences (series_id, on_day, district_id, at, recorded_at)
               select '{one}', '2000-01-01'::date + n, '{district}', now(), now() from n;
             insert into occurrences (series_id, on_day, district_id, at, recorded_at)
               select id, '2026-01-01', district_id, now(), now() from series;
             insert into templates (district_id, id, name, message_type, subject, channels, contents, created_by, created_at)
               select d.id, gen_random_uuid(), 'Template ' || lpad(n::text, 5, '0'), 'general', 'S', '{{2}}', '[]', 'a', now()
               from d, n;
             insert into approvals (district_id, id, client_key, request_hash, request, subject, asked_by, asked_at, expires_at)
               select d.id, gen_random_uuid(), n::text, '', '{{}}', 'S', 'a', now(), now() from d, n;
             insert into consents (district_id, phone, state, changed_at, source)
               select d.id, '+1555' || lpad(n::text, 7, '0'), case when n % 100 = 0 then 3 else 2 end, now(), 'text' from d, n;
             insert into consent_history (district_id, phone, to_state, source, at)
               select d.id, '+1555' || lpad((n % 20)::text, 7, '0'), 2, 'text', now() from d, n;
             insert into suppressions (district_id, channel, address, outcome, reason, created_at)
               select d.id, 3, lpad(n::text, 7, '0') || '@example.org', 32, 'complaint', now() from d, n;
             insert into unsubscribes (district_id, address, message_type, created_at)
               select d.id, lpad(n::text, 7, '0') || '@example.org', 'general', now() from d, n;
             analyze",
            district = setting.district,
            one = uuid::Uuid::from_u128(1),
        ))
        .await;
}

/// How many rows each scan of a plan that was carried out met, kept or not.
fn met(node: &Value, most: &mut Vec<(String, f64)>) {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    if let Some(table) = node["Relation Name"].as_str() {
        let rows = number("Actual Rows") + number("Rows Removed by Filter");
        most.push((table.to_owned(), rows * number("Actual Loops")));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        met(child, most);
    }
}

/// As [`a_page_in_any_order_is_read_along_its_index`], of the lists with one order, and carried out: a page costs what it
/// shows.
#[tokio::test]
async fn a_page_of_every_list_meets_no_more_rows_than_it_shows() {
    let setting = Setting::new().await;
    fill_pages(&setting).await;
    let tenant = connect(&setting.database.url).await;
    let session = format!("{TENANT_SESSION}; set tocsin.district = '{}'", setting.district);
    tenant.batch_execute(&session).await.unwrap();
    let (of, one) = (format!("'{}'", setting.district), uuid::Uuid::from_u128(1));
    let middle = "'80000000-0000-0000-0000-000000000000'";
    let cases = [
        (
            "list_series",
            format!("{of}, {middle}, '{{}}', false, {PAGE}, null, true, true"),
            "series_by_district",
        ),
        ("past_occurrences", format!("'{one}', '2020-01-01', {PAGE}"), "occurrences_pkey"),
        ("templates", format!("{of}, 'Template 10000', {PAGE}"), "templates_in_order"),
        ("approvals", format!("{of}, {middle}, null, now(), {PAGE}"), "approvals_pkey"),
        ("consents", format!("{of}, '+15550010000', {PAGE}"), "consents_pkey"),
        ("consents_in_state", format!("{of}, '+15550010000', {PAGE}, 3::smallint"), "consents_by_state"),
        ("consent_history", format!("{of}, '+15550000007', {PAGE}"), "consent_history_by_phone"),
        ("suppressions", format!("{of}, 3::smallint, '0010000', {PAGE}"), "suppressions_pkey"),
        ("unsubscribes", format!("{of}, '0010000', '', {PAGE}"), "unsubscribes_pkey"),
    ];
    for (name, sql) in PAGED {
        let (_, passed, index) = cases.iter().find(|(of, ..)| of == name).unwrap();
        tenant.batch_execute(&format!("prepare {name} as {sql}")).await.unwrap();
        let explain = format!("explain (analyze, format json) execute {name}({passed})");
        let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
        let (mut found, mut rows) = (Vec::new(), Vec::new());
        indexes(&plan[0]["Plan"], &mut found);
        met(&plan[0]["Plan"], &mut rows);
        assert!(found.iter().any(|it| it == index), "{name}: {found:?}");
        // A table that is read whole is told by what was met; of none there are rows but of the list.
        assert!(!found.iter().any(|it| it == "Sort"), "{name}: {plan}");
        assert_eq!(plan[0]["Plan"]["Actual Rows"].as_f64(), Some(f64::from(PAGE)), "{name}: {plan}");
        assert!(rows.iter().all(|(_, rows)| *rows <= f64::from(PAGE)), "{name}: {rows:?}");
    }
}

#[tokio::test]
async fn what_was_done_about_a_person_is_read_by_indexes() {
    let setting = Setting::new().await;
    setting
        .run(&format!(
            "insert into audit (district_id, at, actor, action, subject)
               select '{district}', now() - n * interval '1 minute', 'a',
                 case when n % 2 = 0 then 'directory.contact.add' else 'campaign.create' end, 'p' || n % 5000
               from generate_series(1, {ROWS}) n;
             insert into people (district_id, source_id, given_name, family_name, role, active)
               select '{district}', 'p' || n, 'Sam', 'Lee', 1, true from generate_series(1, {ROWS}) n;
             insert into devices (district_id, person_id, channel, address, position)
               select district_id, id, 2, '+1555' || lpad(substr(source_id, 2), 7, '0'), 0 from people where source_id like 'p%'
               on conflict do nothing;
             insert into consent_history (district_id, phone, to_state, source, at)
               select '{district}', '+1555' || lpad(n::text, 7, '0'), 2, 'text', now() from generate_series(1, {ROWS}) n;
             insert into contacts (district_id, person_id, student_id, relationship)
               select p.district_id, p.id, s.id, 'parent' from people p
               join people s on s.source_id = 'p' || substr(p.source_id, 2)::int + 1 where p.source_id like 'p%';
             insert into audit (district_id, at, actor, action, subject)
               select district_id, now(), 'a', 'directory.contact.add',
                 source_id || ' for p' || substr(source_id, 2)::int + 1 from people where source_id like 'p%';
             insert into roster_changes (district_id, student_id, contact_id, at, actor, begins)
               select district_id, student_id, person_id, now(), 'a', true from contacts;
             analyze",
            district = setting.district
        ))
        .await;
    let tenant = connect(&setting.database.url).await;
    let session = format!("{TENANT_SESSION}; set tocsin.district = '{}'", setting.district);
    tenant.batch_execute(&format!("{session}; prepare activities as {ACTIVITIES}")).await.unwrap();
    let explain = format!(
        "explain (analyze, format json) execute activities('{}', 'p42', true, 100)",
        setting.district
    );
    let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
    let (mut found, mut rows) = (Vec::new(), Vec::new());
    indexes(&plan[0]["Plan"], &mut found);
    met(&plan[0]["Plan"], &mut rows);
    for index in
        ["audit_of_people", "consent_history_by_phone", "roster_changes_pkey", "roster_changes_of_contact"]
    {
        assert!(found.iter().any(|it| it == index), "{found:?}");
    }
    // Four of the audit, one of the consents; of the contact and of the student beside them two of the audit and two of
    // deliveries. And the way there.
    assert_eq!(plan[0]["Plan"]["Actual Rows"].as_f64(), Some(9.0), "{plan}");
    assert!(rows.iter().all(|(_, rows)| *rows <= 10.0), "{rows:?}");
}

/// Mails of approvals that are over stay behind, and are not met again each second.
#[tokio::test]
async fn mails_that_are_over_are_not_looked_through() {
    let setting = Setting::new().await;
    setting
        .run(&format!(
            "insert into approvals (district_id, id, client_key, request_hash, request, subject, asked_by, asked_at, expires_at)
               select '{district}', gen_random_uuid(), n::text, '', '{{}}', 'S', 'a', now(), now() - n * interval '1 minute'
               from generate_series(1, {ROWS}) n;
             insert into approval_mails (district_id, approval_id, user_id, ordinal, due_at, useless_at)
               select district_id, id, gen_random_uuid(), 1, asked_at, expires_at from approvals;
             analyze",
            district = setting.district
        ))
        .await;
    let engine = connect(&setting.database.url).await;
    engine.batch_execute(&format!("{ENGINE_SESSION}; prepare mails as {APPROVAL_MAILS}")).await.unwrap();
    let explain = "explain (analyze, format json) execute mails(now(), '{email-1}', 16, 3::smallint)";
    let plan: Value = engine.query_one(explain, &[]).await.unwrap().get(0);
    let mut rows = Vec::new();
    met(&plan[0]["Plan"], &mut rows);
    assert!(!rows.is_empty(), "{plan}");
    let large = ["approvals", "approval_mails"];
    assert!(rows.iter().all(|(table, rows)| !large.contains(&table.as_str()) || *rows == 0.0), "{rows:?}");
}

/// Walks every order to its end, and prints what a page took (`--nocapture`); that each campaign comes once is held.
#[tokio::test]
async fn twenty_thousand_campaigns_are_walked_once_in_every_order() {
    let setting = Setting::new().await;
    fill(&setting).await;
    let (tenant, now) = (setting.tenant(), setting.now().await);
    let mut took = Vec::new();
    for sort in [Sort::Date, Sort::Subject, Sort::State] {
        let mut query = ListQuery {
            sort,
            group: Some(Group::Sent),
            direction: Direction::Ascending,
            campaigns_max: 500,
            ..ListQuery::default()
        };
        let mut seen: Vec<CampaignId> = Vec::new();
        loop {
            let begun = Instant::now();
            let page = tenant.campaigns(&query, now).await.unwrap();
            took.push(begun.elapsed());
            seen.extend(page.iter().map(|listed| listed.campaign.id));
            match page.last() {
                Some(last) if page.len() == 500 => query.after = Some(last.place.clone()),
                _ => break,
            }
        }
        let walked = seen.len();
        seen.sort_unstable();
        seen.dedup();
        let over = setting.number("select count(*) from campaigns where state = 5").await;
        assert_eq!((walked, seen.len()), (usize::try_from(over).unwrap(), seen.len()), "{sort:?}");
    }
    let text = |text: &str| Some(text.to_owned());
    let hard = [
        ListQuery { subject: text("nothing has this"), ..ListQuery::default() },
        ListQuery { author: text("author 49"), school: text("s39"), ..ListQuery::default() },
        ListQuery { group: Some(Group::InProgress), ..ListQuery::default() },
        ListQuery { number: Some(77), ..ListQuery::default() },
    ];
    for query in hard {
        for sort in Sort::ALL {
            let begun = Instant::now();
            tenant.campaigns(&ListQuery { sort, campaigns_max: 51, ..query.clone() }, now).await.unwrap();
            took.push(begun.elapsed());
        }
    }
    let begun = Instant::now();
    tenant.upcoming(&UpcomingQuery { rows_max: 26, ..UpcomingQuery::default() }).await.unwrap();
    took.push(begun.elapsed());
    took.sort_unstable();
    println!(
        "pages: {}, p50 {:?}, p95 {:?}, most {:?}",
        took.len(),
        took[took.len() / 2],
        took[took.len() * 95 / 100],
        took.last()
    );
}
