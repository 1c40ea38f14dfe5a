//! Cancel means stop (promise 3): after its commit no claim is granted, and no request starts but of what was granted
//! before; nor of that, on a worker that has heard of it.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptKey, CampaignId};
use tocsin_store::tenant::receipt::Receipt;

use super::{Promise, hold};
use crate::clock::SKEW_MAX;
use crate::database::Database;
use crate::provider::Request;

#[derive(Debug, Default)]
pub struct Cancels {
    /// What was granted when the cancel was committed.
    committed: HashMap<CampaignId, HashSet<AttemptKey>>,
    /// Those whose cancel was answered.
    answered: HashSet<CampaignId>,
}

impl Cancels {
    pub fn committed(&mut self, campaign: CampaignId, granted: impl Iterator<Item = AttemptKey>) {
        let of_campaign = granted.filter(|attempt| attempt.job.campaign == campaign).collect();
        self.committed.entry(campaign).or_insert(of_campaign);
    }

    /// Is any cancel committed and not known to be answered?
    pub fn any_unanswered(&self) -> bool {
        self.answered.len() < self.committed.len()
    }

    /// `canceled` is answered when nothing waits, no attempt is asking and every recall is answered or past its
    /// deadline.
    pub async fn answered(&mut self, database: &Database, now: DateTime<Utc>) -> Result<()> {
        // Whoever ordered a recall, and whoever looks whether its time is over, may have clocks of their own.
        let now = now + SKEW_MAX * 2;
        for row in database.query(ANSWERED, &[&now]).await? {
            let campaign = CampaignId(row.get("id"));
            if self.answered.insert(campaign) {
                let open: i64 = row.get("open");
                hold(Promise::CancelMeansStop, open == 0, || {
                    format!("campaign {campaign} was answered canceled with {open} jobs or attempts open")
                })?;
            }
        }
        Ok(())
    }

    pub fn granted(&self, attempt: AttemptKey) -> Result<()> {
        hold(Promise::CancelMeansStop, !self.committed.contains_key(&attempt.job.campaign), || {
            format!("attempt {attempt} was granted after the commit of its campaign's cancel")
        })
    }

    /// `heard`: did the worker know?
    pub fn requested(&self, request: &Request, heard: bool) -> Result<()> {
        let attempt = request.attempt;
        let before = self.committed.get(&attempt.job.campaign);
        hold(Promise::CancelMeansStop, before.is_none_or(|before| before.contains(&attempt)), || {
            format!("a request of attempt {attempt} started, which was not in flight at the cancel's commit")
        })?;
        hold(Promise::CancelMeansStop, !heard, || {
            format!("a request of attempt {attempt} started on a worker that had heard of the cancel")
        })
    }
}

/// Campaign states 7 canceled, 10 discarded; job states 1 waiting, 2 queued; attempt states 1 asking, 2 accepted; recall
/// 1 ordered. Only calls (channel 1) can be recalled.
const ANSWERED: &str = "
select c.id,
  (select count(*) from jobs j where j.campaign_id = c.id and j.state in (1, 2))
  + (select count(*) from attempts a join jobs j on j.campaign_id = a.campaign_id and j.id = a.job_id
     where a.campaign_id = c.id and (a.state = 1 or (a.recall = 1 and a.recall_until > $1)
       or (a.state = 2 and a.recall = 0 and a.provider_id is not null and j.channel = 1))) as open
from campaigns c where c.state in (7, 10) and c.canceled_at is not null";

/// The parts of a receipt are the whole audience: every device, and everybody without one.
pub fn partition(campaign: CampaignId, receipt: &Receipt, audience: usize) -> Result<()> {
    let Receipt { contacted, in_flight_or_unknown, recalled, never_tried } = receipt;
    let parts = contacted + in_flight_or_unknown + recalled + never_tried;
    hold(Promise::CancelMeansStop, usize::try_from(parts) == Ok(audience), || {
        format!("the receipt of campaign {campaign} is of {parts}: its audience is {audience}; {receipt:?}")
    })
}
