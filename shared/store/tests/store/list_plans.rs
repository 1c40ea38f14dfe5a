//! Lists read their index along, from the place where the page before ended, however many campaigns a district has.

use std::time::Instant;

use serde_json::Value;
use tocsin_domain::CampaignId;
use tocsin_store::plans::{TENANT_SESSION, UPCOMING, lists};
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
    for (name, sql) in UPCOMING.iter().filter(|(name, _)| *name == "upcoming") {
        tenant.batch_execute(&format!("prepare {name} as {sql}")).await.unwrap();
        let explain = format!(
            "explain (format json) execute {name}('{}', false, null, null, null, null, null, 26, null)",
            setting.district
        );
        let plan: Value = tenant.query_one(&explain, &[]).await.unwrap().get(0);
        let mut found = Vec::new();
        indexes(&plan[0]["Plan"], &mut found);
        // So few of the rows that any index which leads to them will do, and they may be sorted.
        for table in ["campaigns_", "series_"] {
            assert!(found.iter().any(|it| it.starts_with(table)), "{name}: {found:?}");
        }
        assert!(!found.iter().any(|it| it == "Seq Scan"), "{name}: {plan}");
    }
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
