//! Work stays recallable (promise 7): what is queued for an account, and what its provider holds beside it, is no more
//! than the account drains soon.

use anyhow::Result;
use tocsin_domain::Lane;

use super::{Promise, hold};
use crate::broker::PublishedJob;
use crate::database::Database;
use crate::world::Account;

/// About two seconds' worth, and a few jobs for the slowest.
const WINDOW_SECONDS: f64 = 2.0;
const WINDOW_MIN: i64 = 4;

/// After a release, of the lanes that were released.
pub async fn judge(database: &Database, accounts: &[Account], published: &[PublishedJob]) -> Result<()> {
    let rows = database.query(QUEUED, &[]).await?;
    for account in accounts {
        let of_it = |id: i32| accounts.iter().any(|other| other.id.0 == id && account.includes(other));
        for lane in Lane::ALL.map(Lane::number) {
            if !published.iter().any(|job| job.lane.number() == lane && of_it(job.account.0)) {
                continue;
            }
            let sum = |column: &str, of_lane: &dyn Fn(i16) -> bool| -> i64 {
                let counted =
                    rows.iter().filter(|row| of_it(row.get("account_id")) && of_lane(row.get("lane")));
                counted.map(|row| row.get::<_, i64>(column)).sum()
            };
            let queued = sum("queued", &|of| of == lane);
            let window = account
                .rate_per_second
                .map_or(i64::MAX, |rate| ((rate * WINDOW_SECONDS).ceil() as i64).max(WINDOW_MIN));
            hold(Promise::StaysRecallable, queued <= window, || {
                format!("{queued} jobs of lane {lane} are queued for {}, which drains {window}", account.name)
            })?;
            let (not_later, holds) = (sum("queued", &|of| of <= lane), sum("holds", &|_| true));
            let depth = account.depth.map_or(i64::MAX, i64::from);
            hold(Promise::StaysRecallable, not_later.saturating_add(holds) <= depth.max(holds), || {
                format!(
                    "{not_later} jobs are queued for {}, which holds {holds}: its depth is {depth}",
                    account.name
                )
            })?;
        }
    }
    Ok(())
}

/// By account or number, lane by lane. Job state 2 is queued; attempt states 1 and 2 are asking and accepted, in lane 0.
const QUEUED: &str = "
select account_id, lane, count(*) as queued, 0::bigint as holds from jobs where state = 2 group by 1, 2
union all
select account_id, 0::smallint, 0::bigint, count(*) from attempts where state in (1, 2) group by 1";
