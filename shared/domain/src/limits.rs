//! What a district or the author of a campaign allows of a channel, over all accounts: nobody but release keeps it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::{Channel, Lane};

/// Jobs that may be released a second. Less than one in an hour would be a campaign that never ends.
pub const RATE_PER_SECOND: RangeInclusive<f64> = 0.000_3..=10_000.0;
/// Release looks at each place of a district several times a second.
pub const CONCURRENCY: RangeInclusive<u32> = 1..=2_000;

/// Beside one job a budget holds what it gets in this time, so that ticks that come late cost nothing of the rate.
const SAVED_SECONDS: f64 = 0.5;

/// What a district allows of one channel. None is no limit.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct DistrictLimit {
    pub rate_per_second: Option<f64>,
    /// Jobs that are queued, or claimed and not settled.
    pub concurrency: Option<u32>,
    /// Do emergencies neither heed it nor use it up?
    pub spares_emergencies: bool,
}

impl DistrictLimit {
    pub fn holds_for(&self, lane: Lane) -> bool {
        !(self.spares_emergencies && lane == Lane::Emergency)
    }
}

/// What the author of a campaign allows, by channel.
pub type CampaignLimits = BTreeMap<Channel, CampaignLimit>;

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CampaignLimit {
    pub rate_per_second: f64,
}

/// The most jobs that may be saved up: no more than these and the rate's are released in any time.
pub fn capacity(rate_per_second: f64) -> f64 {
    1.0 + rate_per_second * SAVED_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emergencies_heed_a_limit_that_does_not_spare_them() {
        let limit = |spares_emergencies| DistrictLimit { spares_emergencies, ..DistrictLimit::default() };
        for lane in Lane::ALL {
            assert!(limit(false).holds_for(lane));
            assert_eq!(limit(true).holds_for(lane), lane != Lane::Emergency);
        }
    }
}
