//! Filters over many rows: windows are passed over, and nothing is shown twice or left out.

use tocsin_domain::{CampaignId, Outcome};
use tocsin_store::tenant::matching::{Filter, Standing};
use tocsin_store::tenant::recipients::After;

use crate::fixture::Setting;

/// Rows in more windows than one answer looks at.
const JOBS: i32 = 230_000;
/// One in so many is busy, so that whole windows hold none.
const BUSY_EVERY: i32 = 25_000;
const WITHOUT_DEVICE_EVERY: i32 = 40_000;

async fn filled(setting: &Setting) -> CampaignId {
    let campaign = setting.campaign(|_| {}).await;
    setting
        .run(&format!(
            "insert into recipients (campaign_id, district_id, person_id, id, no_device, name, merge_values)
               select '{campaign}', '{district}', n, n, n % {WITHOUT_DEVICE_EVERY} = 0, 'Sam', '{{}}'
               from generate_series(1, {JOBS}) n;
             insert into destinations (campaign_id, district_id, device_id, job_id, channel, duplicate, address)
               select '{campaign}', '{district}', n, n, 2, false, '+1555' || lpad(n::text, 7, '0')
               from generate_series(1, {JOBS}) n;
             insert into jobs (campaign_id, district_id, id, recipient_id, generation, channel, lane, state, outcome)
               select '{campaign}', '{district}', n, n, 1, 2, 3, 4, case when n % {BUSY_EVERY} = 0 then {busy} else {delivered} end
               from generate_series(1, {JOBS}) n;
             update campaigns set jobs_made = {JOBS}, recipients_made = {JOBS} where id = '{campaign}'",
            district = setting.district,
            busy = Outcome::Busy.number(),
            delivered = Outcome::Delivered.number(),
        ))
        .await;
    campaign
}

/// Every match by pages of `rows_max`, and how many answers it took.
async fn all(setting: &Setting, campaign: CampaignId, filter: &Filter, rows_max: u32) -> (Vec<i32>, usize) {
    let (mut found, mut answers, mut after) = (Vec::new(), 0, After::default());
    loop {
        let page = setting.tenant().recipients_matching(campaign, filter, after, rows_max).await.unwrap();
        assert!(page.rows.len() <= rows_max as usize);
        found.extend(page.rows.iter().map(|row| row.recipient));
        answers += 1;
        let Some(next) = page.next else { return (found, answers) };
        assert!((next.recipient, next.job) > (after.recipient, after.job), "no way on from {after:?}");
        after = next;
    }
}

#[tokio::test]
async fn what_matches_is_found_once_however_far_apart_and_in_bounded_answers() {
    let setting = Setting::with_connections(1).await;
    let campaign = filled(&setting).await;
    let busy = Filter::Devices { channel: None, standing: Standing::EndedAs(vec![Outcome::Busy]) };
    let expected: Vec<i32> = (1..=JOBS / BUSY_EVERY).map(|nth| nth * BUSY_EVERY).collect();
    for rows_max in [1, 2, 50] {
        let (found, answers) = all(&setting, campaign, &busy, rows_max).await;
        assert_eq!(found, expected, "pages of {rows_max}");
        assert!(answers > 1, "one answer looked at everything");
    }
    let open = Filter::Devices { channel: None, standing: Standing::Open };
    assert_eq!(all(&setting, campaign, &open, 50).await.0, Vec::<i32>::new());
    let none = all(&setting, campaign, &Filter::WithoutDevice, 50).await.0;
    assert_eq!(
        none,
        (1..=JOBS / WITHOUT_DEVICE_EVERY).map(|nth| nth * WITHOUT_DEVICE_EVERY).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn the_progress_of_a_list_is_the_sum_of_its_tallies_and_no_other_districts() {
    let setting = Setting::with_connections(1).await;
    let campaign = setting.expanded(5).await;
    let idle = setting.campaign(|_| {}).await;
    let progress = setting.tenant().progress(&[campaign, idle]).await.unwrap();
    assert_eq!(progress.len(), 1);
    assert_eq!(
        (progress[&campaign].recipients, progress[&campaign].devices, progress[&campaign].open),
        (5, 5, 5)
    );
    let stranger = setting.store.tenant(tocsin_domain::DistrictId(uuid::Uuid::new_v4()));
    assert!(stranger.progress(&[campaign]).await.unwrap().is_empty());
    assert!(stranger.own_district().await.unwrap().is_none());
}
