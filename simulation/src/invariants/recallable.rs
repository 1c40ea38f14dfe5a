//! Work stays recallable (promise 7): what is queued for an account, and what its provider holds beside it, is no more
//! than the account drains soon.

use anyhow::Result;

use super::{Promise, hold};
use crate::broker::PublishedJob;
use crate::database::Database;
use crate::world::Account;

/// About two seconds' worth, and a few jobs for the slowest.
const WINDOW_SECONDS: f64 = 2.0;
const WINDOW_MIN: i64 = 4;

/// After a release, of the lanes that were released.
pub async fn judge(database: &Database, accounts: &[Account], published: &[PublishedJob]) -> Result<()> {
    for row in database.query(QUEUED, &[]).await? {
        let (id, lane): (i32, i16) = (row.get("account_id"), row.get("lane"));
        let (queued, not_later, holds): (i64, i64, i64) =
            (row.get("queued"), row.get("not_later"), row.get("holds"));
        let released = published.iter().any(|job| (job.account.0, job.lane.number()) == (id, lane));
        let Some(account) = accounts.iter().find(|account| account.id.0 == id && released) else { continue };
        let window = ((account.rate_per_second * WINDOW_SECONDS).ceil() as i64).max(WINDOW_MIN);
        hold(Promise::StaysRecallable, queued <= window, || {
            format!("{queued} jobs of lane {lane} are queued for {}, which drains {window}", account.name)
        })?;
        let depth = account.depth.map_or(i64::MAX, i64::from);
        hold(Promise::StaysRecallable, not_later.saturating_add(holds) <= depth.max(holds), || {
            format!(
                "{not_later} jobs are queued for {}, which holds {holds}: its depth is {depth}",
                account.name
            )
        })?;
    }
    Ok(())
}

/// Job state 2 is queued; attempt states 1 and 2 are asking and accepted.
const QUEUED: &str = "
with queued as (
  select account_id, lane, count(*) as queued from jobs where state = 2 group by 1, 2
)
select q.account_id, q.lane, q.queued,
  (select sum(queued)::bigint from queued e where e.account_id = q.account_id and e.lane <= q.lane) as not_later,
  (select count(*) from attempts a where a.account_id = q.account_id and a.state in (1, 2)) as holds
from queued q";
