//! Counts that are kept: true until the directory changes.

use chrono::{DateTime, Utc};

use super::{Size, SizeQuery};
use crate::tenant::{Tenant, to_json};
use crate::{StoreError, row};

/// Of one district. Whoever tries filters for an hour leaves fewer.
const KEPT_MAX: i64 = 500;

impl Tenant {
    /// The exact count, if it was made of the directory as it is now.
    pub async fn kept_audience_size(&self, query: &SizeQuery<'_>) -> Result<Option<Size>, StoreError> {
        const NAME: &str = "kept_audience_size";
        let rows = self.rows(NAME, KEPT_AUDIENCE_SIZE, &[&self.district.0, &query.asked(NAME)?]).await?;
        let read = |found: &tokio_postgres::Row| {
            Ok(Size {
                recipients: found.get::<_, i64>("recipients").unsigned_abs(),
                no_device: found.get::<_, i64>("no_device").unsigned_abs(),
                devices: row::from_json(NAME, "devices by channel", found.get("devices"))?,
            })
        };
        rows.first().map(read).transpose()
    }

    /// Counts, and keeps the count for whoever asks the same.
    pub async fn keep_audience_size(
        &self,
        query: &SizeQuery<'_>,
        now: DateTime<Utc>,
    ) -> Result<Size, StoreError> {
        const NAME: &str = "keep_audience_size";
        let (size, version) = self.sized(query).await?;
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (recipients, no_device) = (count(size.recipients), count(size.no_device));
        let (asked, devices) = (query.asked(NAME)?, to_json(NAME, &size.devices)?);
        self.rows(
            NAME,
            KEEP_AUDIENCE_SIZE,
            &[&self.district.0, &asked, &version, &now, &recipients, &no_device, &devices, &KEPT_MAX],
        )
        .await?;
        Ok(size)
    }
}

impl SizeQuery<'_> {
    /// The same for the same question.
    fn asked(&self, statement: &'static str) -> Result<String, StoreError> {
        let mut channels: Vec<i16> = self.channels.iter().map(|channel| channel.number()).collect();
        channels.sort_unstable();
        let asked = (self.audience, channels, self.mode.number(), self.message_type);
        Ok(to_json(statement, &asked)?.to_string())
    }
}

pub(crate) const KEPT_AUDIENCE_SIZE: &str = "-- store.kept_audience_size
select k.recipients, k.no_device, k.devices from audience_counts k
join districts d on d.id = k.district_id and d.directory_version = k.directory_version
where k.district_id = $1 and k.asked = sha256(convert_to($2::text, 'UTF8'))";

/// The newest stay.
const KEEP_AUDIENCE_SIZE: &str = "-- store.keep_audience_size
with kept as (
  insert into audience_counts as k (district_id, asked, directory_version, counted_at, recipients, no_device, devices)
  values ($1, sha256(convert_to($2::text, 'UTF8')), $3, $4, $5, $6, $7)
  on conflict (district_id, asked) do update set directory_version = $3, counted_at = $4, recipients = $5,
    no_device = $6, devices = $7
  where k.directory_version <= $3
)
delete from audience_counts where district_id = $1 and asked in (
  select asked from audience_counts where district_id = $1 order by counted_at desc offset $8)";
