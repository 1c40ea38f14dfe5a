//! Other messages' work that is served before this campaign's or beside it.

use crate::Lane;

/// A district's jobs in one lane that are still to be tried for the first time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rival {
    pub lane: Lane,
    /// Is it the campaign's own district?
    pub own: bool,
    pub weight: u32,
    pub campaigns: u32,
    pub jobs: u64,
}

/// All of them, on one channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rivals {
    /// Of earlier lanes: served first.
    first: f64,
    /// Of the same lane, with the weight that each has.
    beside: Vec<Beside>,
    /// The own district's weight.
    weight: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Beside {
    own: bool,
    campaigns: f64,
    weight: f64,
    jobs: f64,
}

impl Rivals {
    /// `weight` is the district's own.
    pub fn of(lane: Lane, weight: u32, all: &[Rival]) -> Self {
        let first: u64 = all.iter().filter(|rival| rival.lane < lane).map(|rival| rival.jobs).sum();
        let beside = all
            .iter()
            .filter(|rival| rival.lane == lane && rival.jobs > 0)
            .map(|rival| Beside {
                own: rival.own,
                campaigns: f64::from(rival.campaigns.max(1)),
                weight: f64::from(rival.weight.max(1)),
                jobs: rival.jobs as f64,
            })
            .collect();
        Self { first: first as f64, beside, weight: f64::from(weight.max(1)) }
    }

    /// Jobs that will take part of the capacity.
    pub fn ahead(&self) -> u64 {
        (self.first + self.beside.iter().map(|rival| rival.jobs).sum::<f64>()) as u64
    }

    /// What has still to be served before anything of this campaign, when so many jobs were served until its begin.
    pub fn take_first(&mut self, served: f64) -> f64 {
        let first = std::mem::take(&mut self.first);
        self.served_alone((served - first).max(0.0));
        (first - served).max(0.0)
    }

    /// The campaign's part of all capacity, and of what its district allows.
    pub fn share(&self) -> (f64, f64) {
        let siblings = |own: f64, rival: &Beside| own + if rival.own { rival.campaigns } else { 0.0 };
        let of_district = 1.0 / (1.0 + self.beside.iter().fold(0.0, siblings));
        let others: f64 = self.beside.iter().filter(|rival| !rival.own).map(|rival| rival.weight).sum();
        let weight = self.weight.max(1.0);
        (weight / (weight + others) * of_district, of_district)
    }

    /// So many jobs of this campaign were served, and of each rival what its weight gives it beside.
    pub fn served_beside(&mut self, jobs: f64) {
        let (_, of_district) = self.share();
        let own_part = self.weight.max(1.0) * of_district;
        for rival in &mut self.beside {
            rival.jobs -= jobs * if rival.own { rival.campaigns } else { rival.weight / own_part };
        }
        self.beside.retain(|rival| rival.jobs > 0.0);
    }

    /// So many jobs were served while this campaign had none that were due.
    pub fn served_alone(&mut self, jobs: f64) {
        let all: f64 = self.beside.iter().map(|rival| rival.weight).sum();
        for rival in &mut self.beside {
            rival.jobs -= jobs * rival.weight / all.max(f64::MIN_POSITIVE);
        }
        self.beside.retain(|rival| rival.jobs > 0.0);
    }
}
