//! Due jobs that no account may send: what their rows say, how often they are written, and when they go out.

use chrono::{DateTime, Utc};
use tocsin_domain::{Channel, Lane, WaitReason};
use tocsin_planner::Releaser;
use tocsin_runtime::Progress;
use tocsin_testkit::fixture::account_name;
use tokio_postgres::{Client, NoTls};

use crate::stage::{Planning, Stage};

/// Due since when, why it waits, and which transaction wrote it last.
type Row = (DateTime<Utc>, i16, String);

async fn waiting(sql: &Client) -> Vec<Row> {
    let rows = sql
        .query("select due_at, wait_reason, xmin::text from jobs where state = 1 order by id", &[])
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

fn reasons(rows: &[Row]) -> Vec<WaitReason> {
    rows.iter().map(|(_, reason, _)| WaitReason::from_number(*reason).unwrap()).collect()
}

async fn ticks(planning: &Planning, releaser: &mut Releaser) {
    planning.renew().await;
    while releaser.tick(&planning.planner).await.unwrap() == Progress::More {}
    releaser.tick(&planning.planner).await.unwrap();
}

#[tokio::test]
async fn a_due_job_that_no_account_may_send_says_so_once_until_one_may() {
    let stage = Stage::new().await;
    let (sql, connection) = tokio_postgres::connect(&stage.database.url, NoTls).await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "ends with the test's client")]
    tokio::spawn(connection);
    stage.fixture.guardians(9, Channel::Sms).await.unwrap();
    stage.fixture.campaign(Lane::General, &[Channel::Sms]).await.unwrap();
    stage.fixture.expand_all().await.unwrap();
    let due = waiting(&sql).await;
    let store = stage.fixture.store();
    let account = stage.fixture.account(Channel::Sms).unwrap();
    // Room for four jobs, once it sends again.
    stage.slow(Channel::Sms).await;
    store.stop_account(account, "refused", store.now().await.unwrap()).await.unwrap();

    let planning = stage.leading().await;
    let mut releaser = Releaser::new(Channel::Sms, planning.duties.clone());
    ticks(&planning, &mut releaser).await;
    let told = waiting(&sql).await;
    assert_eq!(reasons(&told), [WaitReason::NoAccount; 9]);
    assert!(told.iter().zip(&due).all(|(told, due)| told.0 == due.0), "they stay due");
    ticks(&planning, &mut releaser).await;
    let mut another = Releaser::new(Channel::Sms, planning.duties.clone());
    ticks(&planning, &mut another).await;
    assert_eq!(waiting(&sql).await, told, "no row is written again, by whatever planner");

    store.resume_account(&account_name(Channel::Sms), store.now().await.unwrap()).await.unwrap();
    // One that never told them anything.
    let mut fresh = Releaser::new(Channel::Sms, planning.duties.clone());
    ticks(&planning, &mut fresh).await;
    assert_eq!(stage.queued(Channel::Sms, Lane::General).await, 4);
    assert_eq!(reasons(&waiting(&sql).await), [WaitReason::Turn; 5], "the others wait for their turn");
}
