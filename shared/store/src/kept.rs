//! Callbacks that told no attempt's outcome and were kept as they came: counted from their rows.

use chrono::{DateTime, NaiveDate, Utc};

use crate::{Store, StoreError};

/// What a callback is kept as whose adapter could not understand it: in the place of a provider's word.
pub const UNPARSED: &str = "unparsed";

/// Those of one provider account on one day, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub day: NaiveDate,
    pub account: String,
    /// Reports and texts that could not be parsed.
    pub unparsed: i64,
    /// Texts to our numbers that were understood, whatever they say.
    pub texts: i64,
    /// Of these, texts that speak of stopping in words of their own.
    pub for_review: i64,
}

impl Store {
    /// By day and account, since `since`.
    pub async fn kept_callbacks(&self, since: DateTime<Utc>) -> Result<Vec<Kept>, StoreError> {
        let rows = self.rows("kept_callbacks", KEPT_CALLBACKS, &[&since, &UNPARSED]).await?;
        Ok(rows
            .iter()
            .map(|found| Kept {
                day: found.get("day"),
                account: found.get("account"),
                unparsed: found.get("unparsed"),
                texts: found.get("texts"),
                for_review: found.get("for_review"),
            })
            .collect())
    }
}

/// Reads `events_without_outcome` alone. A callback that was understood and says nothing of an attempt has no word.
pub(crate) const KEPT_CALLBACKS: &str = "-- store.kept_callbacks
select (received_at at time zone 'UTC')::date as day, account, count(*) filter (where provider_code = $2) as unparsed,
  count(*) filter (where provider_code <> $2) as texts, count(*) filter (where provider_code = 'review') as for_review
from events
where outcome is null and provider_code is not null and received_at >= $1
group by 1, 2 order by 1, 2";
