//! Districts apart (promise 13): what the database itself refuses.

use chrono::TimeDelta;
use tocsin_domain::rights::{MessageTypes, Right, Role};
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::fixture::Fixture;
use uuid::Uuid;

use tocsin_store::events::{About, Event};
use tocsin_store::issuers::SentAway;
use tocsin_store::tenant::approvals::{NewApproval, NewsOfApproval};
use tocsin_store::tenant::sending::SendingChange;
use tocsin_store::tenant::sessions::NewSession;
use tocsin_store::tenant::users::{NewUser, Saved};

use crate::fixture::{Setting, attempts, connect};

/// Every table and partition of Tocsin; not the migrator's own.
const TABLES: &str = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p')
      and c.relname not in ('refinery_schema_history', 'clock') order by 1";

/// What every district may know of: accounts that serve them all.
const SHARED: [&str; 1] = ["provider_accounts"];

async fn tables(setting: &Setting) -> Vec<String> {
    setting.owner.query(TABLES, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// A row of the district in every table that the engine and the api write.
async fn filled() -> Setting {
    let setting = Setting::new().await;
    let campaign = setting.expanded(3).await;
    let tried = attempts(&setting.claim(&setting.release(campaign, Channel::Sms).await).await);
    let now = setting.now().await;
    let message = tocsin_store::inbox::InboxMessage {
        key: tried[0].job,
        account: "ann".to_owned(),
        subject: "Early dismissal".to_owned(),
        body: "School closes at noon.".to_owned(),
    };
    setting.store.deliver_to_inbox(&[message], now).await.unwrap();
    let event = Event {
        id: Uuid::now_v7(),
        ordinal: 0,
        about: About::Attempt(tried[0]),
        received_at: now,
        reported_at: None,
        sequence: None,
        outcome: Some(Outcome::Delivered),
        account: "sms".to_owned(),
        provider_id: None,
        provider_code: None,
        raw: None,
    };
    let unmatched = Event { id: Uuid::now_v7(), about: About::Missing(tried[0]), ..event.clone() };
    assert_eq!(setting.store.record_events(&[event.clone(), unmatched.clone()]).await.unwrap(), 2);
    assert_eq!(setting.store.record_events(&[event, unmatched]).await.unwrap(), 0, "a redelivery");
    setting.report(&tried[..1], ReportKind::Lost).await;
    setting.cancel(campaign).await;
    setting.store.opt_out(setting.district, "+15550000001", "STOP", now).await.unwrap();
    setting.store.add_api_key(setting.district, Uuid::now_v7(), "key", &[1; 32], now).await.unwrap();
    signed_in(&setting).await;
    with_webhook(&setting).await;
    with_attachment(&setting).await;
    setting.student(&[1]).await;
    let policy = tocsin_domain::policy::MessagePolicy::default_for(tocsin_domain::Lane::General);
    let kept =
        tocsin_store::tenant::policies::KeptPolicy { policy, updated_at: now, updated_by: "ana".to_owned() };
    setting.tenant().put_policy("general", &kept).await.unwrap();
    setting
        .run(&format!(
            "insert into suppressions (district_id, channel, address, outcome, reason, created_at)
             values ('{}', 2, '+15550000002', 32, 'test', tocsin_now())",
            setting.district
        ))
        .await;
    setting
}

/// A file, and a count that is kept.
async fn with_attachment(setting: &Setting) {
    let (now, tenant, id) = (setting.now().await, setting.tenant(), Uuid::now_v7());
    let new = tocsin_store::tenant::attachments::NewAttachment {
        id,
        name: "menu.txt",
        media_type: "text/plain",
        actor: "ana",
    };
    tenant.begin_attachment(new, now).await.unwrap();
    tenant.add_attachment_chunk(id, 0, b"menu").await.unwrap();
    tenant.finish_attachment(id, 4, &[7; 32]).await.unwrap();
    let audience = tocsin_domain::audience::Audience { all: true, ..Default::default() };
    let query = tocsin_store::tenant::audience::SizeQuery {
        audience: &audience,
        channels: &Channel::ALL,
        mode: Default::default(),
        message_type: "general",
    };
    tenant.keep_audience_size(&query, now).await.unwrap();
}

/// An endpoint with a delivery, and what was told of the campaign.
async fn with_webhook(setting: &Setting) {
    let (now, tenant, id) = (setting.now().await, setting.tenant(), Uuid::new_v4());
    let events = ["device.outcome".to_owned()];
    let new = tocsin_store::tenant::webhooks::NewEndpoint {
        id,
        url: "https://hooks.example.org/",
        description: "",
        events: &events,
        disabled: None,
        secret_key: "key",
    };
    assert!(tenant.add_webhook(&new, now).await.unwrap());
    let test =
        tocsin_store::tenant::webhooks::NewDelivery { id: Uuid::now_v7(), event: "webhook.test", body: "{}" };
    assert!(tenant.deliver_to_webhook(id, test, now).await.unwrap());
    assert!(setting.store.follow_campaigns(now, now).await.unwrap() > 0);
    setting
        .run(
            "insert into webhook_devices (campaign_id, job_id, district_id, outcome)
             select campaign_id, id, district_id, 107 from jobs limit 1;
             insert into roster_changes (district_id, student_id, contact_id, at, actor, begins)
             select district_id, id, id, now(), 'ann', true from people limit 1",
        )
        .await;
}

/// A user with a session, a role, and a guess.
async fn signed_in(setting: &Setting) {
    let (now, tenant) = (setting.now().await, setting.tenant());
    let user = NewUser {
        id: Uuid::now_v7(),
        login: "ana@example.org".to_owned(),
        display_name: "Ana".to_owned(),
        password_hash: "hash".to_owned(),
        roles: vec!["viewer".to_owned()],
    };
    assert_eq!(tenant.add_user(&user, now).await.unwrap(), Saved::Done);
    let session = NewSession {
        token_hash: &[2; 32],
        user: user.id,
        password_hash: "hash",
        ends_at: now + TimeDelta::hours(1),
        replaces: None,
        through: None,
    };
    assert!(tenant.begin_session(&session, now).await.unwrap());
    let role = Role { name: "nurse".to_owned(), rights: [Right::Send].into(), types: MessageTypes::All };
    assert!(tenant.put_role(&role, now).await.unwrap());
    let change = SendingChange { undo_seconds: Some(60), ..SendingChange::default() };
    tenant.put_sending_policy(&change, "ana", now).await.unwrap();
    let asked = NewApproval {
        id: Uuid::now_v7(),
        client_key: "k".to_owned(),
        request_hash: vec![4; 32],
        request: serde_json::json!({}),
        subject: "Lockdown".to_owned(),
        asked_by: "ana".to_owned(),
        asked_at: now,
        expires_at: now + TimeDelta::minutes(30),
        event: NewsOfApproval { id: Uuid::now_v7(), event: "approval.requested", body: "{}".to_owned() },
        page_url: None,
        approving_roles: vec!["viewer"],
    };
    tenant.ask_approval(&asked).await.unwrap();
    let sent = SentAway {
        state_hash: &[5; 32],
        browser_hash: &[6; 32],
        issuer: "office",
        nonce: "n",
        verifier: "v",
        next: "/",
        district: Some(setting.district),
        ends_at: now + TimeDelta::minutes(10),
    };
    setting.store.keep_sign_in(&sent, now).await.unwrap();
    let span = std::time::Duration::from_secs(60);
    assert_eq!(setting.store.take_guess(&[(vec![3; 32], 1)], now, span).await.unwrap(), None);
}

#[tokio::test]
async fn row_level_security_is_forced_on_every_table_and_every_partition() {
    let setting = Setting::new().await;
    let until = setting.now().await + TimeDelta::days(400);
    let made = setting.store.make_partitions(until).await.unwrap();
    assert!(made >= 60, "{made} partitions");
    assert_eq!(setting.store.make_partitions(until).await.unwrap(), 0);
    let open = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p')
          and c.relname not in ('refinery_schema_history', 'clock')
          and not (c.relrowsecurity and c.relforcerowsecurity)";
    assert_eq!(setting.number(open).await, 0);
    assert!(tables(&setting).await.len() > 90);
}

#[tokio::test]
async fn another_district_sees_nothing_in_any_table_and_writes_nothing() {
    let setting = filled().await;
    let other = Fixture::new(&setting.database).await.unwrap().district();
    let app = connect(&setting.database.url).await;
    app.batch_execute("set role tocsin_app").await.unwrap();
    let empty: Vec<String> = Vec::new();
    for tenant in [Some(other.to_string()), None] {
        let district = tenant.clone().unwrap_or_default();
        app.execute("select set_config('tocsin.district', $1, false)", &[&district]).await.unwrap();
        let mut seen = Vec::new();
        for table in tables(&setting).await {
            let filter = match table.as_str() {
                "districts" => format!("where id = '{}'", setting.district),
                _ if SHARED.contains(&table.as_str()) => continue,
                // The other district's own rows are its own.
                "people" | "students" | "schools" => {
                    format!("where district_id = '{}'", setting.district)
                }
                _ => String::new(),
            };
            // Without the right to read a table it shows nothing either.
            let query = format!("select count(*) from {table} {filter}");
            if app.query_one(&query, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) > 0) {
                seen.push(table);
            }
        }
        assert_eq!(seen, empty, "as {tenant:?}");
    }
    for tenant in [Some(other), None] {
        let district = tenant.map(|other| other.to_string()).unwrap_or_default();
        app.execute("select set_config('tocsin.district', $1, false)", &[&district]).await.unwrap();
        for table in tables(&setting).await {
            // The owner reads past all policies, so this is a row as the district has it.
            let copy = format!("select to_jsonb(t) - 'number' as row from {table} t limit 1");
            let Some(row) = setting.owner.query_opt(&copy, &[]).await.unwrap() else { continue };
            let row: serde_json::Value = row.get("row");
            // What is generated cannot be given.
            let columns = format!(
                "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
                 where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped and attgenerated = ''"
            );
            let columns: String = setting.owner.query_one(&columns, &[]).await.unwrap().get(0);
            let insert = format!(
                "insert into {table} ({columns}) overriding system value
                 select {columns} from jsonb_populate_record(null::{table}, $1)"
            );
            let refused = app.execute(&insert, &[&row]).await.unwrap_err();
            let code = refused.code().unwrap().code();
            assert_eq!(code, "42501", "{table} as {district}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_district_sees_its_own_rows() {
    let setting = filled().await;
    let app = connect(&setting.database.url).await;
    app.batch_execute(&format!("set role tocsin_app; set tocsin.district = '{}'", setting.district))
        .await
        .unwrap();
    for table in [
        "campaigns",
        "contents",
        "recipients",
        "destinations",
        "jobs",
        "attempts",
        "tallies",
        "people",
        "policies",
        "users",
        "sessions",
        "roles",
        "approvals",
        "approval_mails",
        "attachments",
        "attachment_chunks",
        "audience_counts",
        "webhook_endpoints",
        "webhook_deliveries",
        "roster_changes",
    ] {
        let count = format!("select count(*) from {table}");
        let own: i64 = app.query_one(&count, &[]).await.unwrap().get(0);
        assert!(own > 0 && own == setting.number(&count).await, "{table}");
    }
    let unmatched =
        app.query_one("select count(*) from events where campaign_id is null", &[]).await.unwrap();
    assert_eq!(unmatched.get::<_, i64>(0), 0, "a report that matches nothing is nobody's");
}

#[tokio::test]
async fn the_engine_sees_every_district_without_one_being_set() {
    let setting = filled().await;
    let engine = connect(&setting.database.url).await;
    engine.batch_execute("set role tocsin_engine").await.unwrap();
    for table in tables(&setting).await {
        let count = format!("select count(*) from {table}");
        let seen: i64 = engine.query_one(&count, &[]).await.unwrap().get(0);
        assert_eq!(seen, setting.number(&count).await, "{table}");
    }
}
