//! Does a message go out only after another person has said yes (docs/adr/0040-second-person-and-tests.md)?

use tocsin_domain::Lane;
use tocsin_domain::audience::Audience;
use tocsin_domain::second_person::Reach;
use tocsin_store::{StoreError, Tenant};

use crate::problem::{Kind, Problem};

/// Corrections of corrections that are followed back. What is corrected more often is held for the whole district.
const CORRECTIONS_MAX: usize = 8;

/// It does, if it is an emergency, the district decided so, and it leaves no school out. Of what is no emergency
/// nothing is asked.
pub(crate) async fn is_needed(tenant: &Tenant, lane: Lane, audience: &Audience) -> Result<bool, StoreError> {
    if lane != Lane::Emergency || !tenant.sending_policy().await?.second_person {
        return Ok(false);
    }
    is_district_wide(tenant, audience).await
}

async fn is_district_wide(tenant: &Tenant, audience: &Audience) -> Result<bool, StoreError> {
    let mut audience = audience.clone();
    for _ in 0..CORRECTIONS_MAX {
        let Some(addressed) = audience.receipt else {
            return match Reach::of(&audience) {
                Reach::EverySchool => Ok(true),
                Reach::Schools(named) if named.is_empty() => Ok(false),
                Reach::Schools(named) => tenant.are_all_schools(&Vec::from_iter(named)).await,
            };
        };
        match tenant.campaign(addressed.campaign).await? {
            // An alarm is taken back at once: it goes to nobody whom the alarm did not reach.
            Some(corrected) if corrected.lane == Lane::Emergency => return Ok(false),
            Some(corrected) => audience = corrected.audience,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// For what cannot wait for somebody: an edit, a series.
pub(crate) async fn refuse(tenant: &Tenant, lane: Lane, audience: &Audience) -> Result<(), Problem> {
    if !is_needed(tenant, lane, audience).await? {
        return Ok(());
    }
    let remedy = "an emergency to the whole district goes out only after a second person has said yes to it as it is: \
                  make it as a campaign of its own, which asks one; of what is edited cancel the old one";
    Err(Problem::new(Kind::SecondPersonNeeded, remedy))
}
