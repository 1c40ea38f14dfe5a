//! Who opted out of texts, or whose address is suppressed, is not contacted by any claim that is granted after.

use std::collections::HashSet;

use anyhow::Result;
use tocsin_domain::{Channel, DistrictId};
use tocsin_store::claim::Granted;

use super::{Promise, hold};
use crate::database::district;
use crate::world::Campaign;

#[derive(Debug, Default)]
pub struct Barred {
    addresses: HashSet<(DistrictId, Channel, String)>,
}

impl Barred {
    pub fn bar(&mut self, district: DistrictId, channel: Channel, address: String) {
        self.addresses.insert((district, channel, address));
    }

    pub fn granted(&self, campaigns: &[Campaign], channel: Channel, granted: &Granted) -> Result<()> {
        let campaign = campaigns.iter().find(|campaign| campaign.id == granted.attempt.job.campaign);
        let barred = campaign.is_some_and(|campaign| {
            let of = district(campaign.submission.district);
            self.addresses.contains(&(of, channel, granted.address.clone()))
        });
        hold(Promise::NobodyBarred, !barred, || {
            format!("attempt {} is to an address that is", granted.attempt)
        })
    }
}
