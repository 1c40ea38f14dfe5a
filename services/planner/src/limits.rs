//! What districts and campaigns allow of a channel, kept by release: how many of each campaign's jobs it may release
//! in this tick (docs/adr/0016-senders.md). The smallest limit holds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tocsin_domain::fair::{Demand, allot};
use tocsin_domain::limits::DistrictLimit;
use tocsin_domain::{CampaignId, Channel, DistrictId, JobKey, Lane};
use tocsin_store::budgets::{BudgetDraw, PlaceWish};
use tocsin_store::release::{OpenCampaign, Release};
use uuid::Uuid;

use crate::{Planner, PlannerError};

/// Whose limits there are on a channel.
#[derive(Debug, Clone)]
pub struct Limits {
    channel: Channel,
    districts: HashMap<DistrictId, DistrictLimit>,
}

impl Limits {
    pub fn of(channel: Channel, districts: HashMap<DistrictId, DistrictLimit>) -> Self {
        Self { channel, districts }
    }

    /// Does anything but accounts limit this campaign here?
    pub fn limit(&self, campaign: &OpenCampaign) -> bool {
        self.district(campaign).is_some() || campaign.limits.contains_key(&self.channel)
    }

    fn district(&self, campaign: &OpenCampaign) -> Option<&DistrictLimit> {
        self.districts.get(&campaign.district).filter(|limit| limit.holds_for(campaign.lane))
    }
}

/// What may be released of limited campaigns. Drawn before jobs are chosen; what is not used is given back.
#[derive(Debug)]
pub struct Allowance {
    channel: Channel,
    lane: Lane,
    /// Rates by owner, and what is left of what each gave.
    budgets: BTreeMap<Uuid, Budget>,
    /// Free places of districts.
    places: HashMap<DistrictId, u32>,
    /// The owners whose budgets a campaign draws from: its own, its district's.
    owners: HashMap<CampaignId, Vec<Uuid>>,
    limited: HashSet<CampaignId>,
}

#[derive(Debug, Clone, Copy)]
struct Budget {
    rate_per_second: f64,
    left: u32,
}

impl Allowance {
    /// Draws what `campaigns`, all of one lane, may have of `jobs_max` jobs.
    pub async fn draw(
        planner: &Planner,
        limits: &Limits,
        lane: Lane,
        campaigns: &[&OpenCampaign],
        jobs_max: u32,
    ) -> Result<Self, PlannerError> {
        let channel = limits.channel;
        let mut allowance = Self {
            channel,
            lane,
            budgets: BTreeMap::new(),
            places: HashMap::new(),
            owners: HashMap::new(),
            limited: HashSet::new(),
        };
        let mut crowded: BTreeSet<DistrictId> = BTreeSet::new();
        for campaign in campaigns.iter().filter(|campaign| limits.limit(campaign)) {
            allowance.limited.insert(campaign.id);
            let district = limits.district(campaign);
            let own = campaign.limits.get(&channel).map(|limit| (campaign.id.0, limit.rate_per_second));
            let of_district = district.and_then(|limit| Some((campaign.district.0, limit.rate_per_second?)));
            for (owner, rate_per_second) in own.into_iter().chain(of_district) {
                allowance.budgets.insert(owner, Budget { rate_per_second, left: 0 });
                allowance.owners.entry(campaign.id).or_default().push(owner);
            }
            if district.is_some_and(|limit| limit.concurrency.is_some()) {
                crowded.insert(campaign.district);
            }
        }
        if !allowance.budgets.is_empty() {
            let jobs = i32::try_from(jobs_max).unwrap_or(i32::MAX);
            let got = allowance.ask(planner, |_| jobs).await?;
            allowance.budgets.values_mut().zip(got).for_each(|(budget, got)| budget.left = got);
        }
        if !crowded.is_empty() {
            let districts: Vec<DistrictId> = crowded.into_iter().collect();
            allowance.places = planner.store.free_places(channel, lane, &districts).await?;
        }
        Ok(allowance)
    }

    /// Does anything but accounts limit this campaign?
    pub fn limits(&self, campaign: CampaignId) -> bool {
        self.limited.contains(&campaign)
    }

    /// Lowers what each demand wants to what its campaign may have, what a district may have being shared among its
    /// campaigns.
    pub fn lower(&self, demands: &mut [Demand], turn: u64) {
        for demand in &mut *demands {
            let owners = self.owners.get(&demand.campaign).into_iter().flatten();
            let left = owners.filter_map(|owner| self.budgets.get(owner)).map(|budget| budget.left).min();
            demand.wants = left.map_or(demand.wants, |left| demand.wants.min(left));
        }
        let limited: BTreeSet<DistrictId> = demands
            .iter()
            .map(|demand| demand.district)
            .filter(|district| self.budgets.contains_key(&district.0) || self.places.contains_key(district))
            .collect();
        for district in limited {
            let budget = self.budgets.get(&district.0).map(|budget| budget.left);
            let most =
                budget.into_iter().chain(self.places.get(&district).copied()).min().unwrap_or(u32::MAX);
            let of_it: Vec<usize> =
                (0..demands.len()).filter(|at| demands[*at].district == district).collect();
            let theirs: Vec<Demand> = of_it.iter().map(|at| demands[*at]).collect();
            for (at, part) in of_it.into_iter().zip(allot(most, &theirs, turn)) {
                demands[at].wants = part;
            }
        }
    }

    /// Those of `releases` that may be made: where districts limit what is under way, those that got a place.
    pub async fn admit(
        &mut self,
        planner: &Planner,
        campaigns: &[&OpenCampaign],
        releases: Vec<Release>,
    ) -> Result<Vec<Release>, PlannerError> {
        if self.budgets.is_empty() && self.places.is_empty() {
            return Ok(releases);
        }
        let district_of: HashMap<CampaignId, DistrictId> =
            campaigns.iter().map(|campaign| (campaign.id, campaign.district)).collect();
        let wish = |release: &Release| {
            let district = *district_of.get(&release.key.campaign)?;
            let crowded = self.places.contains_key(&district);
            crowded.then_some(PlaceWish { district, key: release.key, generation: release.generation })
        };
        let wishes: Vec<PlaceWish> = releases.iter().filter_map(wish).collect();
        let mut refused: HashSet<JobKey> = wishes.iter().map(|wish| wish.key).collect();
        if !wishes.is_empty() {
            for key in planner.store.take_places(self.channel, self.lane, &wishes).await? {
                refused.remove(&key);
            }
        }
        let admitted: Vec<Release> =
            releases.into_iter().filter(|release| !refused.contains(&release.key)).collect();
        for release in &admitted {
            let campaign = release.key.campaign;
            for owner in self.owners.get(&campaign).into_iter().flatten() {
                if let Some(budget) = self.budgets.get_mut(owner) {
                    budget.left = budget.left.saturating_sub(1);
                }
            }
            if let Some(places) =
                district_of.get(&campaign).and_then(|district| self.places.get_mut(district))
            {
                *places = places.saturating_sub(1);
            }
        }
        Ok(admitted)
    }

    /// Gives back what was not used. If this planner dies before, it is lost: a second's worth and a half at most.
    pub async fn give_back(self, planner: &Planner) -> Result<(), PlannerError> {
        if self.budgets.values().any(|budget| budget.left > 0) {
            self.ask(planner, |budget| i32::try_from(budget.left).map_or(0, i32::wrapping_neg)).await?;
        }
        Ok(())
    }

    async fn ask(&self, planner: &Planner, jobs: impl Fn(&Budget) -> i32) -> Result<Vec<u32>, PlannerError> {
        let draw = |(owner, budget): (&Uuid, &Budget)| BudgetDraw {
            owner: *owner,
            rate_per_second: budget.rate_per_second,
            jobs: jobs(budget),
        };
        let draws: Vec<BudgetDraw> = self.budgets.iter().map(draw).collect();
        Ok(planner.store.draw_budgets(self.channel, &draws).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(district: u128, campaign: u128) -> Demand {
        let (district, campaign) =
            (DistrictId(Uuid::from_u128(district)), CampaignId(Uuid::from_u128(campaign)));
        Demand { district, weight: 1, campaign, wants: 100 }
    }

    #[test]
    fn the_smallest_limit_holds_and_a_districts_is_shared_by_its_campaigns() {
        let budget = |left| Budget { rate_per_second: 1.0, left };
        let id = Uuid::from_u128;
        let allowance = Allowance {
            channel: Channel::Voice,
            lane: Lane::General,
            budgets: [(id(1), budget(10)), (id(11), budget(2)), (id(21), budget(7))].into(),
            places: [(DistrictId(id(3)), 4)].into(),
            owners: [
                (CampaignId(id(11)), vec![id(11), id(1)]),
                (CampaignId(id(12)), vec![id(1)]),
                (CampaignId(id(21)), vec![id(21)]),
            ]
            .into(),
            limited: HashSet::new(),
        };
        let mut demands =
            [demand(1, 11), demand(1, 12), demand(2, 21), demand(2, 22), demand(3, 31), demand(3, 32)];
        allowance.lower(&mut demands, 0);
        assert_eq!(demands.map(|demand| demand.wants), [2, 8, 7, 100, 2, 2]);
    }
}
