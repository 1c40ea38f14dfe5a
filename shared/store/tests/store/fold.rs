//! Two planners fold at once.

use std::collections::HashSet;
use std::time::Duration;

use tocsin_domain::{CampaignId, Channel, WaitReason};
use tokio::time::timeout;

use crate::counters::assert_counters;
use crate::fixture::{Setting, connect, keys};
use crate::held::{FIRST, Point, SECOND, side_by_side};

const BOUND: Duration = Duration::from_secs(30);

/// What each of the two changes waits for the gate when it is the first's.
const GATES: &str = "
create function wait_at_the_gate() returns trigger language plpgsql as $$
begin
  if current_setting('application_name') = 'first' then perform pg_advisory_xact_lock_shared(4711); end if;
  return null;
end $$;
create trigger gate after delete on tallies for each row execute function wait_at_the_gate();
create trigger gate after delete on flow for each row execute function wait_at_the_gate();";

/// Campaigns with more rows than a fold leaves alone, and some flow.
async fn crowded(setting: &Setting) -> Vec<CampaignId> {
    let mut campaigns = Vec::new();
    for _ in 0..2 {
        let campaign = setting.expanded(4).await;
        for _ in 0..20 {
            let released = setting.release(campaign, Channel::Sms).await;
            let now = setting.now().await;
            setting.store.give_back(&keys(&released), now, WaitReason::Limiter).await.unwrap();
        }
        let released = setting.release(campaign, Channel::Sms).await;
        for job in released {
            setting.claim(&[job]).await;
        }
        setting
            .run(&format!(
                "insert into tallies (campaign_id, district_id, channel, open)
                 select '{campaign}', '{}', 2, n % 2 * 2 - 1 from generate_series(1, 40) n",
                setting.district
            ))
            .await;
        campaigns.push(campaign);
    }
    campaigns
}

async fn rows(setting: &Setting, table: &str) -> i64 {
    setting.number(&format!("select count(*) from {table}")).await
}

#[tokio::test]
async fn two_folds_at_once_take_different_rows_and_neither_waits() {
    let setting = Setting::new().await;
    let campaigns = crowded(&setting).await;
    setting.run(GATES).await;
    let before = (rows(&setting, "tallies").await, rows(&setting, "flow").await);
    let (one, other) = (setting.actor(FIRST), setting.actor(SECOND));
    let meanwhile = async |_| ();
    let (first, second, waited) = side_by_side(
        &setting,
        Point::BeforeItsCommit,
        async { one.fold().await.unwrap() },
        async { other.fold().await.unwrap() },
        meanwhile,
    )
    .await;
    assert!(waited.first, "the first is held with its tallies");
    assert!(!waited.second, "the second passes over them");
    let after = (rows(&setting, "tallies").await, rows(&setting, "flow").await);
    assert_eq!(before.0 + before.1 - after.0 - after.1, first + second);
    assert!(after.0 < 20 && after.1 <= 1, "{after:?}");
    for campaign in campaigns {
        assert_counters(&setting, campaign, "folded by two").await;
    }
}

/// Deleting in no order, two folds of the same rows could each hold what the other waits for.
#[tokio::test]
async fn a_fold_waits_for_no_row_that_another_holds() {
    for table in ["tallies", "flow"] {
        let setting = Setting::new().await;
        let campaigns = crowded(&setting).await;
        let other = connect(&setting.database.url).await;
        let held =
            format!("begin; select from {table} where ctid in (select ctid from {table} limit 3) for update");
        other.batch_execute(&held).await.unwrap();
        let kept: HashSet<String> = all_ctids(&setting, table).await;
        timeout(BOUND, setting.store.fold()).await.expect("it waits").unwrap();
        let left = all_ctids(&setting, table).await;
        assert_eq!(kept.intersection(&left).count(), 3, "{table}");
        other.batch_execute("commit").await.unwrap();
        for campaign in campaigns {
            assert_counters(&setting, campaign, table).await;
        }
    }
}

async fn all_ctids(setting: &Setting, table: &str) -> HashSet<String> {
    let found = setting.owner.query(&format!("select ctid::text from {table}"), &[]).await.unwrap();
    found.iter().map(|row| row.get(0)).collect()
}
