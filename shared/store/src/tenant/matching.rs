//! The rows of a campaign that match a filter.
//!
//! No index knows outcomes: it would have to be written with each of a job's three writes. So jobs are
//! read in their order, a window of ids at a time, each window a short statement, and an answer that has
//! read many windows and found little says where to go on.

use tocsin_domain::{CampaignId, Channel, Outcome};

use super::Tenant;
use super::recipients::{After, RecipientRow, read_recipient};
use crate::StoreError;

/// Rows that one statement looks at, at most: tens of milliseconds.
const WINDOW: i32 = 10_000;
/// Statements of one answer, at most.
const WINDOWS_MAX: usize = 20;

/// Which rows to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Devices of this channel, or of any, whose jobs stand so.
    Devices { channel: Option<Channel>, standing: Standing },
    /// Recipients without any device.
    WithoutDevice,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Any,
    /// Without its final outcome yet.
    Open,
    /// With one of these as its final outcome.
    EndedAs(Vec<Outcome>),
}

/// A page of matching rows.
#[derive(Debug, Clone)]
pub struct Matching {
    pub rows: Vec<RecipientRow>,
    /// Where to go on; None: nothing follows.
    pub next: Option<After>,
}

impl Tenant {
    /// Up to `rows_max` rows after `after` that match, in recipient order. It may be none of them although
    /// `next` leads on.
    pub async fn recipients_matching(
        &self,
        campaign: CampaignId,
        filter: &Filter,
        after: After,
        rows_max: u32,
    ) -> Result<Matching, StoreError> {
        let last = self.extent(campaign, filter).await?;
        let mut from = filter.place(after);
        let mut rows = Vec::new();
        for _ in 0..WINDOWS_MAX {
            if from >= last {
                return Ok(Matching { rows, next: None });
            }
            let to = from.saturating_add(WINDOW).min(last);
            let wanted = rows_max.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            // One more than is wanted tells whether another page follows.
            let mut found = self.window(campaign, filter, (from, to), wanted.saturating_add(1)).await?;
            let more = found.len() > wanted as usize;
            found.truncate(wanted as usize);
            rows.append(&mut found);
            if more {
                return Ok(Matching { next: rows.last().map(After::of), rows });
            }
            from = to;
        }
        Ok(Matching { rows, next: Some(After { recipient: from, job: from }) })
    }

    /// The last number that the campaign has given to what is filtered.
    async fn extent(&self, campaign: CampaignId, filter: &Filter) -> Result<i32, StoreError> {
        let rows = self
            .rows(
                "extent",
                "-- store.extent
                 select jobs_made, recipients_made from campaigns where id = $1",
                &[&campaign.0],
            )
            .await?;
        let column = match filter {
            Filter::Devices { .. } => "jobs_made",
            Filter::WithoutDevice => "recipients_made",
        };
        Ok(rows.first().map_or(0, |found| found.get(column)))
    }

    async fn window(
        &self,
        campaign: CampaignId,
        filter: &Filter,
        (from, to): (i32, i32),
        rows_max: u32,
    ) -> Result<Vec<RecipientRow>, StoreError> {
        let rows_max = i64::from(rows_max);
        let rows = match filter {
            Filter::Devices { channel, standing } => {
                let channel = channel.map(Channel::number);
                let open = *standing == Standing::Open;
                let outcomes: Option<Vec<i16>> = match standing {
                    Standing::Any | Standing::Open => None,
                    Standing::EndedAs(outcomes) => {
                        Some(outcomes.iter().map(|outcome| outcome.number()).collect())
                    }
                };
                self.rows(
                    "devices_matching",
                    DEVICES_MATCHING,
                    &[&campaign.0, &from, &to, &channel, &open, &outcomes, &rows_max],
                )
                .await?
            }
            Filter::WithoutDevice => {
                self.rows("without_device", WITHOUT_DEVICE, &[&campaign.0, &from, &to, &rows_max]).await?
            }
        };
        rows.iter().map(read_recipient).collect()
    }
}

impl Filter {
    /// The number, of those that this filter walks along, at which the page before ended.
    fn place(&self, after: After) -> i32 {
        match self {
            Self::Devices { .. } => after.job,
            Self::WithoutDevice => after.recipient,
        }
    }
}

impl After {
    fn of(row: &RecipientRow) -> Self {
        Self { recipient: row.recipient, job: row.device.as_ref().map_or(0, |device| device.job) }
    }
}

/// 4 is a job's Ended.
const DEVICES_MATCHING: &str = "-- store.devices_matching
select r.id, r.name, r.student_name, r.language, r.time_zone, j.id as job_id, j.channel, d.address, d.duplicate, j.state,
  j.outcome, j.wait_reason, j.due_at, j.attempt, j.tries, j.ended_at, a.claimed_at, a.provider_code,
  i.first_read_at
from (
  select j.* from jobs j
  where j.campaign_id = $1 and j.id > $2 and j.id <= $3
    and ($4::smallint is null or j.channel = $4)
    and (not $5::boolean or j.state <> 4)
    and ($6::smallint[] is null or (j.state = 4 and j.outcome = any($6)))
  order by j.id limit $7) j
join recipients r on r.campaign_id = $1 and r.id = j.recipient_id
join destinations d on d.campaign_id = $1 and d.job_id = j.id
left join attempts a on a.campaign_id = $1 and a.job_id = j.id and a.number = j.attempt
left join inbox_messages i on j.channel = 4 and i.campaign_id = $1 and i.job_id = j.id
order by j.id";

pub(crate) const WITHOUT_DEVICE: &str = "-- store.without_device
select r.id, r.person_id, r.name, r.student_name, r.language, r.time_zone, null::int as job_id
from recipients r
where r.campaign_id = $1 and r.id > $2 and r.id <= $3 and r.no_device
order by r.id limit $4";
