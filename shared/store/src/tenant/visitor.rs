//! The district that is looked at.

use super::Tenant;
use crate::StoreError;
use crate::districts::District;

impl Tenant {
    /// The district itself; None if there is no such one.
    pub async fn own_district(&self) -> Result<Option<District>, StoreError> {
        let rows = self
            .rows(
                "own_district",
                "-- store.own_district
                 select id, name, time_zone, default_region, weight from districts where id = $1",
                &[&self.district.0],
            )
            .await?;
        Ok(rows.first().map(District::read))
    }
}
