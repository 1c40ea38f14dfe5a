//! Due jobs that no account may send say so on their rows, and stop saying so when an account serves them again.
//! Each row is read and written once for either, a page a tick; where every campaign is served there is nothing to do.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, Channel, Lane, WaitReason};
use tocsin_store::accounts::Account;
use tocsin_store::release::{Draw, Due, Hold, OpenCampaign, Persons, Position};

use crate::hold::hold;
use crate::windows::Windows;
use crate::{Planner, PlannerError};

/// Due jobs of a campaign that are looked at in one tick.
const PAGE: u32 = 2_000;

/// How far each campaign's due jobs of one channel have been told.
#[derive(Debug, Default)]
pub struct Unserved {
    told: HashMap<CampaignId, Told>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nobody serves them, up to there.
    NoAccount(Position),
    /// They are served again, up to there.
    Served(Position),
    /// None of them says otherwise.
    Nothing,
}

impl Unserved {
    /// `open` are the campaigns that this planner releases, `accounts` those of the channel that may send.
    pub async fn tell(
        &mut self,
        planner: &Planner,
        channel: Channel,
        open: &[&OpenCampaign],
        accounts: &[Account],
        now: DateTime<Utc>,
    ) -> Result<(), PlannerError> {
        let known: HashSet<CampaignId> = open.iter().map(|campaign| campaign.id).collect();
        self.told.retain(|campaign, _| known.contains(campaign));
        let windows = Windows::of(accounts, &[], channel, Lane::General);
        let draws: Vec<Draw> =
            open.iter().filter_map(|campaign| self.draw(campaign.id, windows.serve_any(campaign))).collect();
        if draws.is_empty() {
            return Ok(());
        }
        let due = planner.store.due_jobs(channel, &draws, Persons::Unread, now).await?;
        let mut holds = Vec::new();
        for draw in &draws {
            let page: Vec<&Due> = due.iter().filter(|job| job.key.campaign == draw.campaign).collect();
            holds.extend(self.read(draw, &page));
        }
        hold(planner, &holds).await?;
        Ok(())
    }

    /// What is still to be looked at.
    fn draw(&mut self, campaign: CampaignId, served: bool) -> Option<Draw> {
        let told = self.told.get(&campaign).copied();
        let next = match (told, served) {
            (Some(Told::NoAccount(after)), false) => Told::NoAccount(after),
            (_, false) => Told::NoAccount(Position::HEAD),
            (Some(Told::Nothing), true) => return None,
            (Some(Told::Served(after)), true) => Told::Served(after),
            (Some(Told::NoAccount(_)) | None, true) => Told::Served(Position::HEAD),
        };
        self.told.insert(campaign, next);
        let (Told::NoAccount(after) | Told::Served(after)) = next else { return None };
        // Another planner may have told them before: the first one shows it, for they are told in this order.
        let first = told.is_none() && served;
        Some(Draw { campaign, after, jobs_max: if first { 1 } else { PAGE } })
    }

    /// The jobs of a page that say what is not so.
    fn read(&mut self, draw: &Draw, page: &[&Due]) -> Vec<Hold> {
        let Some(told) = self.told.get_mut(&draw.campaign) else { return Vec::new() };
        let last = page.last().map_or(draw.after, |job| Position { due_at: job.due_at, job: job.key.job });
        let says_no_account = |job: &&&Due| job.reason == Some(WaitReason::NoAccount);
        let (wrong, reason): (Vec<&&Due>, _) = match told {
            Told::NoAccount(after) => {
                *after = last;
                (page.iter().filter(|job| !says_no_account(job)).collect(), WaitReason::NoAccount)
            }
            Told::Served(_) | Told::Nothing => {
                let wrong: Vec<&&Due> = page.iter().filter(says_no_account).collect();
                let through = page.len() < draw.jobs_max as usize || (draw.jobs_max == 1 && wrong.is_empty());
                *told = if through { Told::Nothing } else { Told::Served(last) };
                (wrong, WaitReason::Turn)
            }
        };
        let hold = |job: &&Due| Hold { key: job.key, generation: job.generation, due_at: job.due_at, reason };
        wrong.into_iter().map(hold).collect()
    }
}
