//! Months without open campaigns, dropped: their recipients, devices, attempts, events and inbox messages go, and what was
//! counted stays.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

/// A month of which the growing tables have partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month {
    /// `2026_11`.
    pub name: String,
    pub campaigns: i64,
    /// On the disk, indexes included.
    pub bytes: i64,
}

impl Store {
    /// The months that may be dropped: over, without an open campaign, and with none that closed after `cutoff`.
    pub async fn droppable_months(&self, cutoff: DateTime<Utc>) -> Result<Vec<Month>, StoreError> {
        let rows = self.rows("droppable_months", DROPPABLE_MONTHS, &[&cutoff]).await?;
        Ok(rows
            .iter()
            .map(|found| Month {
                name: found.get("month"),
                campaigns: found.get("campaigns"),
                bytes: found.get("bytes"),
            })
            .collect())
    }

    /// Drops a month, if it still may be. Returns how many partitions that were.
    pub async fn drop_month(&self, month: &Month, cutoff: DateTime<Utc>) -> Result<i32, StoreError> {
        let rows = self.rows("drop_month", DROP_MONTH, &[&month.name, &cutoff]).await?;
        Ok(rows.first().map_or(0, |found| found.get(0)))
    }
}

const DROPPABLE_MONTHS: &str = "-- store.droppable_months
select m.month, (select count(*) from campaigns where id >= m.first_id and id < m.next_id) as campaigns,
  (select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
   from pg_class p join pg_inherits i on i.inhparent = p.oid join pg_class c on c.oid = i.inhrelid
   where p.relkind = 'p' and p.relnamespace = 'public'::regnamespace
     and c.relname = p.relname || '_' || m.month) as bytes
from tocsin_months() m where tocsin_may_drop(m.first_id, m.next_id, $1)
order by m.month";

const DROP_MONTH: &str = "-- store.drop_month
select tocsin_drop_month($1, $2)";
