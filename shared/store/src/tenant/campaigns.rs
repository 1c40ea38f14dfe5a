//! Making, listing and showing campaigns.

pub mod editing;
pub mod lists;
mod making;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use tocsin_domain::counters::{Totals, progress_percent};
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::limits::CampaignLimits;
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::window::CallingWindow;
use tocsin_domain::{CampaignId, CampaignState, Channel, Lane, SeriesId};
use uuid::Uuid;

pub(crate) use self::making::{CREATE_CAMPAIGN, CampaignRow};
use super::Tenant;
use crate::expand::mode;
use crate::{StoreError, row};

/// A validated campaign, ready to be stored.
#[derive(Debug, Clone)]
pub struct NewCampaign {
    pub id: CampaignId,
    /// The caller's own key: posting twice with it makes one campaign.
    pub client_key: String,
    /// SHA-256 of the request, so that a key used for another request is told apart.
    pub request_hash: Vec<u8>,
    pub lane: Lane,
    pub mode: DedupeMode,
    /// 1 emergency, 2 school mission, 3 opt-in needed (decision D11).
    pub consent_class: i16,
    pub message_type: String,
    pub subject: String,
    pub channels: Vec<Channel>,
    pub audience: Audience,
    /// It goes to the district's test people, who are its audience.
    pub test: bool,
    pub redial: RedialPolicy,
    /// None: at any hour.
    pub calling_window: Option<CallingWindow>,
    pub limits: CampaignLimits,
    pub contents: Vec<Content>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// What storing a campaign came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub id: CampaignId,
    /// The Message ID that users see.
    pub number: i64,
    /// False: the key was known, this is the campaign it made.
    pub made: bool,
}

/// A campaign in a list.
#[derive(Debug, Clone)]
pub struct CampaignSummary {
    pub id: CampaignId,
    pub number: i64,
    pub state: CampaignState,
    pub lane: Lane,
    pub message_type: String,
    pub subject: String,
    pub channels: Vec<Channel>,
    pub mode: DedupeMode,
    pub audience: Audience,
    /// It goes to the district's test people.
    pub test: bool,
    /// The canceled campaign whose recipients this one is for, if it is a correction.
    pub corrects: Option<CampaignId>,
    /// Whose occurrence it is.
    pub series: Option<SeriesId>,
    /// Counts edits.
    pub version: i32,
    pub modified_by: Option<String>,
    pub modified_at: Option<DateTime<Utc>>,
    pub redial: RedialPolicy,
    pub calling_window: Option<CallingWindow>,
    pub limits: CampaignLimits,
    pub created_by: String,
    /// The user or API key whose own message it is; None: nobody's.
    pub creator: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// When its audience was worked out whole.
    pub expanded_at: Option<DateTime<Utc>>,
    /// Recipients or devices made so far, whichever are more.
    pub size: i32,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub closed_at: Option<DateTime<Utc>>,
    /// Since when its recipients, devices and attempts are gone; its counts stay.
    pub rows_dropped_at: Option<DateTime<Utc>>,
    /// When somebody last had its providers asked what became of its messages.
    pub refresh_asked_at: Option<DateTime<Utc>>,
    pub failure_reason: Option<String>,
    pub cancel_epoch: Option<i64>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub canceled_by: Option<String>,
    pub cancel_reason: Option<String>,
}

/// Delivery information of one channel (requirement 51), summed from the tallies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelCounts {
    pub channel: Channel,
    pub devices: i64,
    pub duplicates: i64,
    pub open: i64,
    pub attempts: i64,
    pub successful: i64,
    pub error: i64,
    pub canceled: i64,
    pub not_dispatched: i64,
    /// At which somebody pressed 0 to confirm.
    pub confirmed: i64,
    /// Unique addresses, whatever became of them (requirements 67 to 69).
    pub addresses: i64,
    /// Of these, by requirements 70 and 71: without the canceled, and without texts to those who opted out.
    pub addresses_attempted: i64,
    /// Of these, delivered to (requirement 66).
    pub addresses_contacted: i64,
    /// Of these, something came of it (requirement 55).
    pub addresses_with_result: i64,
    /// Requirement 52, from the start of sending; None while a device is still to be tried for the first
    /// time, and where none was tried.
    pub first_attempt: Option<Duration>,
}

/// People and channels of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    pub recipients: i64,
    pub no_device: i64,
    /// Unique people (requirement 72).
    pub contacted_by_phone: i64,
    pub channels: Vec<ChannelCounts>,
}

impl Counts {
    /// The numbers of the delivery summary (requirements 49, 50 and 65 to 73).
    pub fn totals(&self) -> Totals {
        // A sum of changes is below zero only while one of them is missing, until the auditor has corrected it.
        let number = |count: i64| u64::try_from(count).unwrap_or_default();
        let of = |channel: Channel, count: fn(&ChannelCounts) -> i64| {
            number(self.channels.iter().filter(|counts| counts.channel == channel).map(count).sum())
        };
        let all = |counts: &ChannelCounts| counts.addresses;
        let attempted = |counts: &ChannelCounts| counts.addresses_attempted;
        let emails = of(Channel::Email, all);
        let emails_with_result = of(Channel::Email, |counts| counts.addresses_with_result);
        Totals {
            recipients: number(self.recipients),
            no_device: number(self.no_device),
            inbox: of(Channel::Inbox, |counts| counts.addresses_contacted),
            emails,
            voice: of(Channel::Voice, all),
            text: of(Channel::Sms, all),
            inbox_attempted: of(Channel::Inbox, attempted),
            emails_attempted: of(Channel::Email, attempted),
            voice_attempted: of(Channel::Voice, attempted),
            text_attempted: of(Channel::Sms, attempted),
            contacted_by_phone: number(self.contacted_by_phone),
            not_contacted_by_phone: number(self.recipients - self.contacted_by_phone),
            email_progress_percent: progress_percent(emails_with_result, emails),
        }
    }
}

impl Tenant {
    /// Stores a campaign and its content. With a key that was used before it returns that campaign, or
    /// [`StoreError::KeyReused`] if the request was another one.
    pub async fn create_campaign(&self, new: &NewCampaign) -> Result<Stored, StoreError> {
        self.use_attachments(&new.contents, new.created_at).await?;
        let row = CampaignRow::of(self.district, new)?;
        let rows = self.rows("create_campaign", CREATE_CAMPAIGN, &row.parameters()).await?;
        if let Some(made) = rows.first() {
            return Ok(Stored { id: new.id, number: made.get("number"), made: true });
        }
        match self.campaign_by_key(&new.client_key, &new.request_hash).await? {
            Some(known) => Ok(known),
            None => Err(StoreError::KeyReused { key: new.client_key.clone() }),
        }
    }

    /// The campaign that `client_key` made, or None. [`StoreError::KeyReused`] if it made it of another
    /// request.
    pub async fn campaign_by_key(
        &self,
        client_key: &str,
        request_hash: &[u8],
    ) -> Result<Option<Stored>, StoreError> {
        let rows = self
            .rows(
                "campaign_by_key",
                "-- store.campaign_by_key
                 select id, number, request_hash from campaigns where district_id = $1 and client_key = $2",
                &[&self.district.0, &client_key],
            )
            .await?;
        match rows.first() {
            None => Ok(None),
            Some(known) if known.get::<_, &[u8]>("request_hash") == request_hash => {
                Ok(Some(Stored { id: CampaignId(known.get("id")), number: known.get("number"), made: false }))
            }
            Some(_) => Err(StoreError::KeyReused { key: client_key.to_owned() }),
        }
    }

    /// Who made the campaign, and its state: what decides who sees it. None: there is none of that id.
    pub async fn made_by(
        &self,
        campaign: CampaignId,
    ) -> Result<Option<(Option<Uuid>, CampaignState)>, StoreError> {
        const NAME: &str = "made_by";
        let sql = "-- store.made_by
                   select creator_id, state from campaigns where id = $1";
        let rows = self.rows(NAME, sql, &[&campaign.0]).await?;
        let read = |found: &tokio_postgres::Row| {
            Ok((found.get("creator_id"), row::campaign_state(NAME, found.get("state"))?))
        };
        rows.first().map(read).transpose()
    }

    pub async fn campaign(&self, campaign: CampaignId) -> Result<Option<CampaignSummary>, StoreError> {
        let rows = self
            .rows(
                "campaign",
                "-- store.campaign
                 select * from campaigns where id = $1",
                &[&campaign.0],
            )
            .await?;
        rows.first().map(read_summary).transpose()
    }

    /// The campaign as its author submitted it, but for its key.
    pub async fn as_it_was_made(&self, campaign: CampaignId) -> Result<Option<NewCampaign>, StoreError> {
        const NAME: &str = "as_it_was_made";
        let sql = "-- store.as_it_was_made
                   select * from campaigns where id = $1";
        let rows = self.rows(NAME, sql, &[&campaign.0]).await?;
        let Some(found) = rows.first() else { return Ok(None) };
        let summary = read_summary(found)?;
        Ok(Some(NewCampaign {
            id: campaign,
            client_key: String::new(),
            request_hash: Vec::new(),
            lane: summary.lane,
            mode: summary.mode,
            consent_class: found.get("consent_class"),
            message_type: summary.message_type,
            subject: summary.subject,
            channels: summary.channels,
            audience: summary.audience,
            test: summary.test,
            redial: summary.redial,
            calling_window: summary.calling_window,
            limits: summary.limits,
            contents: self.contents(campaign).await?,
            created_by: summary.created_by,
            created_at: summary.created_at,
            scheduled_at: summary.scheduled_at,
            expires_at: summary.expires_at,
        }))
    }

    /// The campaign's content, as sent.
    pub async fn contents(&self, campaign: CampaignId) -> Result<Vec<Content>, StoreError> {
        const NAME: &str = "contents";
        let rows = self
            .rows(
                NAME,
                "-- store.contents
                 select channel, language, subject, audio_url, attachments, body from contents where campaign_id = $1
                 order by ordinal",
                &[&campaign.0],
            )
            .await?;
        rows.iter().map(|found| row::content(NAME, found)).collect()
    }

    /// The campaign's counters, from the tallies.
    pub async fn counts(&self, campaign: CampaignId) -> Result<Counts, StoreError> {
        const NAME: &str = "counts";
        let rows = self.rows(NAME, COUNTS, &[&campaign.0]).await?;
        let mut counts = Counts::default();
        for found in rows {
            let number: i16 = found.get("channel");
            if number == 0 {
                counts.recipients = found.get("recipients");
                counts.no_device = found.get("no_device");
                counts.contacted_by_phone = found.get("contacted_by_phone");
                continue;
            }
            counts.channels.push(ChannelCounts {
                channel: row::channel(NAME, number)?,
                devices: found.get("devices"),
                duplicates: found.get("duplicates"),
                open: found.get("open"),
                attempts: found.get("attempts"),
                successful: found.get("successful"),
                error: found.get("error"),
                canceled: found.get("canceled"),
                not_dispatched: found.get("not_dispatched"),
                confirmed: found.get("confirmed"),
                addresses: found.get("addresses"),
                addresses_attempted: found.get("addresses_attempted"),
                addresses_contacted: found.get("addresses_contacted"),
                addresses_with_result: found.get("addresses_with_result"),
                first_attempt: found
                    .get::<_, Option<f64>>("first_attempt_seconds")
                    .map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
            });
        }
        Ok(counts)
    }
}

pub(super) fn read_summary(found: &tokio_postgres::Row) -> Result<CampaignSummary, StoreError> {
    const NAME: &str = "campaign";
    let audience: Audience = row::from_json(NAME, "an audience", found.get("audience"))?;
    Ok(CampaignSummary {
        id: CampaignId(found.get("id")),
        number: found.get("number"),
        state: row::campaign_state(NAME, found.get("state"))?,
        lane: row::lane(NAME, found.get("lane"))?,
        message_type: found.get("message_type"),
        subject: found.get("subject"),
        channels: found
            .get::<_, Vec<i16>>("channels")
            .into_iter()
            .map(|number| row::channel(NAME, number))
            .collect::<Result<_, _>>()?,
        mode: mode(NAME, found.get("mode"))?,
        corrects: audience.receipt.map(|addressed| addressed.campaign),
        audience,
        test: found.get("test"),
        series: found.get::<_, Option<Uuid>>("series_id").map(SeriesId),
        version: found.get("version"),
        modified_by: found.get("modified_by"),
        modified_at: found.get("modified_at"),
        redial: row::from_json(NAME, "a redial policy", found.get("redial"))?,
        calling_window: row::calling_window(NAME, found)?,
        limits: row::campaign_limits(NAME, found)?,
        created_by: found.get("created_by"),
        creator: found.get("creator_id"),
        created_at: found.get("created_at"),
        scheduled_at: found.get("scheduled_at"),
        expires_at: found.get("expires_at"),
        expanded_at: found.get("expanded_at"),
        size: found.get::<_, i32>("recipients_made").max(found.get("jobs_made")),
        started_at: found.get("started_at"),
        ended_at: found.get("ended_at"),
        closed_at: found.get("closed_at"),
        rows_dropped_at: found.get("rows_dropped_at"),
        refresh_asked_at: found.get("refresh_asked_at"),
        failure_reason: found.get("failure_reason"),
        cancel_epoch: found.get("cancel_epoch"),
        canceled_at: found.get("canceled_at"),
        canceled_by: found.get("canceled_by"),
        cancel_reason: found.get("cancel_reason"),
    })
}

const COUNTS: &str = "-- store.counts
select t.channel, sum(recipients) as recipients, sum(no_device) as no_device, sum(devices) as devices,
  sum(duplicates) as duplicates, sum(open) as open, sum(attempts) as attempts, sum(successful) as successful,
  sum(error) as error, sum(canceled) as canceled, sum(not_dispatched) as not_dispatched,
  sum(confirmed) as confirmed, sum(addresses) as addresses, sum(addresses_attempted) as addresses_attempted,
  sum(addresses_contacted) as addresses_contacted, sum(addresses_with_result) as addresses_with_result,
  sum(contacted_by_phone) as contacted_by_phone,
  case when sum(untried) = 0
    then extract(epoch from max(last_first_attempt_at) - min(c.started_at))::float8 end as first_attempt_seconds
from tallies t join campaigns c on c.id = t.campaign_id
where t.campaign_id = $1
group by t.channel order by t.channel";
