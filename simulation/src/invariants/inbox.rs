//! The portal inbox: whoever was sent a message has it, once, and nobody else has one.

use std::collections::BTreeMap;

use anyhow::Result;
use tocsin_domain::{CampaignId, Channel, JobKey};

use super::{Promise, hold};
use crate::database::Database;
use crate::provider::Request;

pub async fn judge(database: &Database, requests: &[Request]) -> Result<()> {
    let sent: BTreeMap<JobKey, String> = requests
        .iter()
        .filter(|request| request.channel == Channel::Inbox)
        .map(|request| (request.attempt.job, request.to.clone()))
        .collect();
    let rows = database.query(MESSAGES, &[]).await?;
    let kept: BTreeMap<JobKey, String> = rows
        .iter()
        .map(|row| {
            let job = JobKey { campaign: CampaignId(row.get("campaign_id")), job: row.get("job_id") };
            (job, row.get("account"))
        })
        .collect();
    let missing = sent.iter().find(|(job, to)| kept.get(job) != Some(to));
    hold(Promise::NothingLost, missing.is_none(), || format!("{missing:?} was sent, and is in no inbox"))?;
    let unsent = kept.iter().find(|(job, _)| !sent.contains_key(job));
    hold(Promise::NothingTwice, unsent.is_none(), || format!("{unsent:?} is in an inbox, and was never sent"))
}

const MESSAGES: &str = "select campaign_id, job_id, account from inbox_messages";
