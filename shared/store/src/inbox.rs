//! The portal inbox: what the inbox channel writes instead of asking a provider.

use chrono::{DateTime, Utc};
use tocsin_domain::JobKey;
use uuid::Uuid;

use crate::{Store, StoreError};

/// One message for one portal account.
#[derive(Debug, Clone)]
pub struct InboxMessage {
    pub key: JobKey,
    pub account: String,
    pub subject: String,
    pub body: String,
}

impl Store {
    /// Puts messages into their inboxes. A job writes one message however often it is tried.
    pub async fn deliver_to_inbox(
        &self,
        messages: &[InboxMessage],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let campaigns: Vec<Uuid> = messages.iter().map(|message| message.key.campaign.0).collect();
        let jobs: Vec<i32> = messages.iter().map(|message| message.key.job).collect();
        let accounts: Vec<&str> = messages.iter().map(|message| message.account.as_str()).collect();
        let subjects: Vec<&str> = messages.iter().map(|message| message.subject.as_str()).collect();
        let bodies: Vec<&str> = messages.iter().map(|message| message.body.as_str()).collect();
        self.count(
            "deliver_to_inbox",
            DELIVER_TO_INBOX,
            &[&campaigns, &jobs, &accounts, &subjects, &bodies, &now],
        )
        .await
        .map(drop)
    }
}

pub(crate) const DELIVER_TO_INBOX: &str = "-- store.deliver_to_inbox
insert into inbox_messages (campaign_id, district_id, created_at, job_id, account, subject, body)
select u.campaign_id, c.district_id, $6, u.job_id, u.account, u.subject, u.body
from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[])
  u(campaign_id, job_id, account, subject, body)
cross join lateral (select district_id from campaigns where id = u.campaign_id limit 1) c
order by u.campaign_id, u.job_id
on conflict (campaign_id, job_id) do nothing";
