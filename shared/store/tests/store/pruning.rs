//! What is kept for a while goes when it is over, and nothing else does.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_store::pruning::Older;

use crate::fixture::Setting;

fn older(now: DateTime<Utc>) -> Older {
    let days = |days| now - TimeDelta::days(days);
    Older {
        approvals: days(90),
        waiting_imports: days(7),
        imports: days(90),
        roster_changes: days(730),
        sessions: days(1),
        sign_ins: now,
    }
}

/// Rows at these ages in days, told apart by them.
async fn keep(setting: &Setting, sql: &str, ages: &[f64]) {
    let district = setting.district.0;
    for age in ages {
        let sql = sql
            .replace("DISTRICT", &format!("'{district}'"))
            .replace("AGE", &format!("{age} * interval '1 day'"));
        setting.run(&sql).await;
    }
}

async fn left(setting: &Setting, table: &str) -> i64 {
    setting.number(&format!("select count(*) from {table}")).await
}

#[tokio::test]
async fn what_is_over_for_its_time_goes_and_the_rest_stays() {
    let setting = Setting::with_connections(1).await;
    let now = setting.now().await;
    let approval = "insert into approvals (district_id, id, client_key, request_hash, request, subject, asked_by, asked_at, expires_at)
      values (DISTRICT, gen_random_uuid(), gen_random_uuid()::text, '', '{}', 'x', 'x', tocsin_now() - AGE - interval '30 min', tocsin_now() - AGE)";
    keep(&setting, approval, &[-0.01, 1.0, 89.9, 90.1, 400.0]).await;
    setting.run("update approvals set decision = 2, decided_at = asked_at, decided_by = 'x' where expires_at < tocsin_now() - interval '1 hour'").await;
    for (state, ages) in
        [(2, [1.0, 6.9, 7.1]), (3, [1.0, 8.0, 100.0]), (4, [1.0, 89.0, 91.0]), (6, [1.0, 89.0, 91.0])]
    {
        let import = format!(
            "insert into imports (district_id, id, state, created_at, created_by, file_name, strict, delivery, problems)
             values (DISTRICT, gen_random_uuid(), {state}, tocsin_now() - AGE, 'x', 'x', false, 'zip', 'names')"
        );
        keep(&setting, &import, &ages).await;
    }
    let change = "insert into roster_changes (district_id, student_id, school_source_id, at, actor, begins)
      values (DISTRICT, 1, 'x', tocsin_now() - AGE, 'x', true)";
    keep(&setting, change, &[1.0, 729.0, 731.0, 800.0]).await;
    let user = "insert into users (district_id, id, login, display_name, password_hash, roles, created_at, created_by, changed_at, changed_by, password_changed_at)
      values (DISTRICT, '00000000-0000-0000-0000-000000000001', 'a', 'a', 'x', '{}', now(), 'x', now(), 'x', now())";
    keep(&setting, user, &[0.0]).await;
    let session = "insert into sessions (token_hash, district_id, user_id, epoch, created_at, seen_at, ends_at)
      values (uuid_send(gen_random_uuid()), DISTRICT, '00000000-0000-0000-0000-000000000001', 0, now(), now(), tocsin_now() - AGE)";
    keep(&setting, session, &[-0.5, 0.9, 1.1]).await;
    let sent = "insert into sign_ins_begun (state_hash, browser_hash, issuer, nonce, verifier, next, ends_at)
      values (uuid_send(gen_random_uuid()), '', 'x', 'x', 'x', '/', tocsin_now() - AGE)";
    keep(&setting, sent, &[-0.001, 0.001]).await;
    let guess = "insert into guesses (subject, taken, until) values (uuid_send(gen_random_uuid()), 1, tocsin_now() - AGE)";
    keep(&setting, guess, &[-0.001, 0.001]).await;
    let audited = left(&setting, "audit").await;

    let removed = setting.store.prune(&older(now)).await.unwrap();
    assert_eq!(removed, 2 + 1 + 1 + 1 + 2 + 1 + 1 + 1);
    for (table, rows) in [
        ("approvals", 3),
        ("imports", 10),
        ("roster_changes", 2),
        ("sessions", 2),
        ("sign_ins_begun", 1),
        ("guesses", 1),
    ] {
        assert_eq!(left(&setting, table).await, rows, "{table}");
    }
    let names = "imports where state = 6 and reason = 'nobody applied it in time' and delivery is null and problems is null";
    assert_eq!(left(&setting, names).await, 1, "one that nobody applied holds no names any more");
    assert_eq!(left(&setting, "imports where state = 3").await, 3, "who applies it has it");
    assert_eq!(left(&setting, "audit").await, audited);
    assert_eq!(setting.store.prune(&older(now)).await.unwrap(), 0);
}
